# SPDX-License-Identifier: MIT
# sim-walk-lib.sh - sourced after sim-lib.sh by the sim-walk*.sh tests: daemons that die at chosen
# moments (tests/sim/moment.c says what a moment is).
#
# With SIM_WALK_STEP=N, the daemon dies only at each N-th moment (`make check` has no time for more; `make walk` uses 1). With
# SIM_WALK_FROM=N, the first moment is N. SIM_WALK_CASE=FUNCTION runs only this case. A failure names the moment; to run it
# alone, use SIM_WALK_CASE=FUNCTION SIM_WALK_FROM=N SIM_WALK_STEP=1000000.
# shellcheck shell=sh disable=SC2154,SC2034 # sim-lib.sh and the test set variables

step=${SIM_WALK_STEP:-53}
from=${SIM_WALK_FROM:-1}
moment=$XENSIM_BUILD/lib/moment.so
only=     # only moments whose names contain this
role=     # the role of the process that dies (tests/sim/role.h); walk_case sets it
options=  # options of the daemon
preload=  # another library that it preloads
part=1    # a process that serves no ring has so many times fewer moments
server=$(is_isolated && echo guest || echo control)
daemon=$$ # test_case only checks that this process lives

[ "$(uname -m)" = x86_64 ] || skip "stores to shared memory are caught on x86-64 only"
if ldd "$PVBACKD" | grep -q 'lib[at]san'; then
	skip "a sanitizer wants to be the first library, and so does moment.so"
fi

# life [VARIABLE=VALUE...]: run one daemon, and print its PID first. The status is 137 if control was killed.
life() {
	# shellcheck disable=SC2086 # perhaps none
	sh -c 'echo "life $$"; exec env "$@"' sh "$@" "$PVBACKD" --runtime-dir="$XENSIM_DIR/run" $isolation \
		--confine=no --workers=1 $options # the preloaded library reads files
}

# lives MOMENT...: run one daemon after the other. Each dies at its moment, and the last one lives on. If another process is to
# die, the same daemon replaces that process each time, unless the test kills the daemon.
lives() {
	_status=0
	if [ "$role" != control ]; then
		life XENSIM_DIE_ROLE="$role" XENSIM_DIE_AT="$(echo "$*" | tr ' ' ',')${only:+:$only}" LD_PRELOAD="$moment $preload" ||
			_status=$?
		[ "$_status" = 137 ] || return "$_status"
	fi
	for _at in $([ "$role" != control ] || echo "$@"); do
		_status=0
		life XENSIM_DIE_AT="$_at${only:+:$only}" LD_PRELOAD="$moment $preload" || _status=$?
		[ "$_status" = 137 ] || return "$_status"
	done
	life LD_PRELOAD="$preload"
}

# Print the PID of the last daemon, when it serves.
settled() {
	awk '$1 == "life" { pid = $2; ok = 0 } / serves with / { ok = 1 } END { if (ok) print pid; exit !ok }' "$log"
}

# Stop all processes; the daemon may die at its moment while it stops.
all_ended_by() { # SIGNAL
	kill -0 "$_lives" 2>/dev/null || return 0
	! _pid=$(settled) || kill -"$1" "$_pid" 2>/dev/null || :
	return 1
}

died() { grep -c "dies at moment" "$log" || :; }

# The process that is to die dies now, if it has not died yet, and no process after it dies. This needs a guest $dom.
dies_now() {
	printf '\377\377\377\177' | dd of="$XENSIM_DIR/moments" conv=notrunc status=none # so that a process that goes on counting is past its moment
	[ "$(died)" = 0 ] || return 0
	_victim=$(settled)
	[ "$role" = control ] || _victim=$(pvb_guest_pid "$dom")
	echo "killed by the test" >>"$log"
	kill -9 "$_victim"
}

# Check that a device was taken up again after the last death.
taken_up() {
	settled >/dev/null && awk '/^life |dies at moment|^killed by the test/ { ok = 0 }
		/: (resumed|resumed, replayed=[0-9]+|connected|is served still)$/ { ok = 1 } END { exit !ok }' "$log"
}

begin_lives() {
	mkdir -p "$XENSIM_DIR/run"
	: >"$log"
	# shellcheck disable=SC2086 # a list
	lives $deaths >>"$log" 2>&1 &
	_lives=$!
}

# Wait until the last daemon has seen that the devices are gone (a daemon that ends before keeps what its successor needs), and end it.
end_lives() {
	until_true 10000 nothing_is_left || fail "moments $deaths: $(left) is left"
	until_true 10000 all_ended_by TERM || fail "moments $deaths: the daemon does not end"
	wait "$_lives" || fail "moments $deaths: the last daemon left with status $?"
	nothing_is_left || fail "moments $deaths: $(left) is left by the end"
	rm -f "$XENSIM_DIR/run"/*.pcapng*
}

# walk BEFORE OPTION...: run one_life (or $life_of) again and again, and die at each of its moments in turn, after deaths at BEFORE
# (a list, which may be empty). Lives differ in length: the walk ends after three lives in a row without a death.
walk() {
	_before=$1 _at=$from _walked=0 _lived=0
	_wanted=$(echo "$_before" | wc -w)
	shift
	while [ "$_lived" -lt 3 ]; do
		deaths="$_before $_at"
		${life_of:-one_life} "$@"
		_lived=$((_lived + 1))
		[ "$(died)" -le "$_wanted" ] || _walked=$((_walked + 1)) _lived=0
		_at=$((_at + step))
	done
	_long=$(sed -n 's/^xensim: lived through \([0-9]*\) moments$/\1/p' "$log" | tail -n 1)
	echo "$_walked deaths${_long:+ in a life of $_long moments}" >>"$XENSIM_DIR/walked"
	[ "$_walked" -gt 3 ] || [ "$from" -gt 1 ] || fail "a life of $_at moments?"
}

# Remove what a failed case has left, so that the next case does not find it.
kill_what_is_left() {
	until [ -z "$(pvb_control_pid)" ]; do
		pvb_control_pid | xargs -r kill -9 2>/dev/null || :
		sleep 0.02
	done
	pvb_kill_guests
}

# walk_case SENTENCE FUNCTION [ROLE]: run test_case for this role, or for each role, and print how many moments there were
walk_case() {
	[ "${SIM_WALK_CASE:-$2}" = "$2" ] || return 0
	_step=$step
	for role in ${3:-$(echo control "$server" | tr ' ' '\n' | uniq)}; do
		[ "$role" = "$server" ] || part=8
		step=$(((_step + part - 1) / part))
		: >"$XENSIM_DIR/walked"
		test_case "$1 ($role)" "$2"
		[ "$status" = 0 ] || kill_what_is_left
		cat "$XENSIM_DIR/walked"
		step=$_step part=1
	done
}
