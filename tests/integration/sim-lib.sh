# SPDX-License-Identifier: MIT
# sim-lib.sh - sourced by the sim-*.sh tests: the daemon on the simulated machine.
# shellcheck shell=sh
#
# A test sources this file first of all; it is then run again under xensim-run.
# PVBACKD names the daemon (default: the one in the build folder). Each test is
# named by a sentence: "test_case SENTENCE FUNCTION".
#
# PVB_ISOLATION=guest|none starts every daemon with --isolation=; without it all of a daemon is one process.
# "The daemon" ($daemon) is its control: with PVB_ISOLATION=guest it has a process for each guest, which outlives it.
# stop_daemon and kill_daemon end control alone, so guests may go on being served; after pvb_stop_all and pvb_kill_all
# nobody serves.
set -eu

build=${top_builddir:-$PWD}
source=${top_srcdir:-$build}
PVBACKD=${PVBACKD:-$build/pvbackd}
XENSIM_BUILD=$build/tests/sim
export PVBACKD XENSIM_BUILD

skip() {
	echo "SKIP: $*"
	exit 77
}

if [ -z "${XENSIM_DIR-}" ]; then
	[ -x "$PVBACKD" ] || skip "$PVBACKD is not built"
	[ -x "$XENSIM_BUILD/xensim-hv" ] || skip "xensim is not built (make xensim)"
	exec "$source/tests/sim/xensim-run" sh "$0" "$@"
fi

log=$XENSIM_DIR/log
: >"$log"
daemon=
failed=0

fail() {
	echo "    $*" >&2
	return 1
}

serves() { [ "$(grep -c " serves with " "$log")" -gt "$1" ]; }

isolation=--isolation=${PVB_ISOLATION:-none}
is_isolated() { [ "${PVB_ISOLATION-}" = guest ]; }

# What the daemon is to load before anything else (the program is never changed).
preload=
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0
export ASAN_OPTIONS

# begin_daemon [OPTION...]: it may not have got far yet.
begin_daemon() {
	mkdir -p "$XENSIM_DIR/run"
	# What is loaded looks at files, which a confined process cannot.
	_confine=${preload:+--confine=no}
	_started=$(grep -c " serves with " "$log" || :)
	_options=$*
	# shellcheck disable=SC2086 # perhaps none
	LD_PRELOAD=$preload "$PVBACKD" --runtime-dir="$XENSIM_DIR/run" $isolation $_confine "$@" >>"$log" 2>&1 &
	daemon=$!
}

daemon_serves() {
	until_true 20000 serves "$_started" || fail "the daemon does not start: $(tail -n 3 "$log")"
}

# start_daemon [OPTION...]: returns once the daemon serves.
start_daemon() {
	begin_daemon "$@"
	daemon_serves
}

is_stopped() { grep -q "^State:.T" "/proc/$daemon/status"; }

# start_daemon_while CALL COMMAND...: COMMAND runs while the daemon stands still right before its first CALL.
start_daemon_while() {
	XENSIM_FAIL=$1:1:STOP
	export XENSIM_FAIL
	shift
	begin_daemon
	unset XENSIM_FAIL
	until_true 20000 is_stopped || fail "the daemon does not come that far: $(tail -n 3 "$log")"
	"$@"
	kill -CONT "$daemon"
	daemon_serves
}

daemon_lives() {
	kill -0 "$daemon" 2>/dev/null || fail "the daemon is gone"
}

# stop_daemon: SIGTERM, and the exit status must be 0.
stop_daemon() {
	kill -TERM "$daemon"
	wait "$daemon" || fail "the daemon left with status $?"
	daemon=
}

kill_daemon() {
	kill -9 "$daemon"
	wait "$daemon" || :
}

# Control's number, also of a daemon that somebody else has started ($daemon is the test's own child).
pvb_control_pid() {
	ps -ww -eo pid=,comm=,args= | awk -v program="$PVBACKD" -v dir="--runtime-dir=$XENSIM_DIR/run" \
		'$3 == program && $2 != "pvbackd-taps" && index($0, dir) { print $1 }'
}

# pvb_guest_pids [DOMID]: who serves that guest, or any, in a process of its own. A handle says that it is of this machine.
pvb_guest_pids() {
	is_isolated || return 0
	xensim-xl handles | sed 's/.* pid=\([0-9]*\) .*/\1/' | sort -un | while read -r _pid; do
		! tr '\0' ' ' 2>/dev/null <"/proc/$_pid/cmdline" | grep -q -e " --internal-guest ${1:+$1 }" || echo "$_pid"
	done
}

# pvb_guest_pid DOMID: the process that serves this guest's rings, which is control's without a process of the guest's own
pvb_guest_pid() {
	if is_isolated; then
		pvb_guest_pids "$1"
	else
		echo "$daemon"
	fi
}

pvb_nr_guests() { pvb_guest_pids | wc -l; }
pvb_nr_guests_is() { [ "$(pvb_nr_guests)" = "$1" ]; }

pvb_guest_is_replaced() { # DOMID PID
	_now=$(pvb_guest_pid "$1")
	[ -n "$_now" ] && [ "$_now" != "$2" ]
}

# pvb_kill_guest DOMID: whoever serves it dies, and somebody else does when this returns.
pvb_kill_guest() {
	until_true 10000 pvb_guest_is_replaced "$1" "" || fail "nobody serves domain $1: $(xensim-xl handles)"
	_victim=$(pvb_guest_pid "$1")
	if is_isolated; then
		kill -9 "$_victim"
		until_true 20000 pvb_guest_is_replaced "$1" "$_victim" || fail "nobody takes the place of $_victim: $(tail -n 3 "$log")"
	else
		kill_daemon
		# shellcheck disable=SC2086 # a list
		start_daemon $_options
	fi
}

# pvb_kill_in_turn DOMID: control, the process of that guest, and both at once, one each time; then somebody serves again.
pvb_kill_in_turn() {
	_turn=$(((${_turn:-0} + 1) % 3))
	if is_isolated && [ "$_turn" = 2 ]; then
		pvb_kill_guest "$1"
		return
	fi
	if [ "$_turn" = 1 ]; then kill_daemon; else pvb_kill_all; fi
	# shellcheck disable=SC2086 # a list
	start_daemon $_options
}

# pvb_kill_guests: what control has left behind. Its openers hold nothing that anybody could wait for.
pvb_kill_guests() {
	for _pid in $(pvb_guest_pids); do
		kill -9 "$_pid" 2>/dev/null || :
	done
	until_true 10000 stat_is 0 0 || fail "somebody serves yet: $(xensim-xl handles)"
}

# Nobody serves any more, and nobody has had the time to put anything in order.
pvb_kill_all() {
	kill_daemon
	pvb_kill_guests
}

# The same as an admin's Ctrl-C does it: the exit status must be 0, and the guests' processes end by themselves.
pvb_stop_all() {
	kill -INT "$daemon"
	wait "$daemon" || fail "the daemon left with status $?"
	daemon=
	until_true 20000 pvb_nr_guests_is 0 || fail "left: $(xensim-xl handles)"
}

# Open descriptors of all of the daemon's processes, the number that must come back. Not the event descriptors of its
# workers: one makes what it needs for disks when it has its first.
daemon_fds() {
	for _pid in "$daemon" $(pvb_guest_pids); do
		find "/proc/$_pid/fd" -mindepth 1 ! -lname '*eventfd*' 2>/dev/null || :
	done | wc -l
}

# until_true MS COMMAND...: try until it succeeds; only a failure takes the time.
until_true() {
	_left=$(($1 / 20))
	shift
	until "$@"; do
		_left=$((_left - 1))
		[ "$_left" -gt 0 ] || return 1
		sleep 0.02
	done
}

stat_is() {
	xensim-xl stat | grep -q "^mapped=$1 ports=$2 "
}

fds_are() {
	[ "$(daemon_fds)" -le "$1" ]
}

# nothing_is_held [FDS]: no grant mapped, no port bound, descriptors as before.
nothing_is_held() {
	until_true 10000 stat_is 0 0 || fail "left behind: $(xensim-xl stat)"
	[ $# -eq 0 ] || until_true 10000 fds_are "$1" ||
		fail "descriptors: $1 before, $(daemon_fds) now"
}

no_file() { # NAME
	[ -z "$(find "$XENSIM_DIR/run" -name "$1")" ]
}

# The daemon that runs leaves no such file behind.
no_file_stays() { # NAME
	until_true 10000 no_file "$1" || fail "left behind: $(ls "$XENSIM_DIR/run")"
}

# configure LINE...: what --config="$XENSIM_DIR/conf" reads
configure() {
	printf '%s\n' "$@" >"$XENSIM_DIR/conf"
}

# reconfigure WORDS LINE...: have the daemon read it again, until the log has WORDS once more
reconfigure() {
	_words=$1
	_said=$(grep -c "$_words" "$log" || :)
	shift
	configure "$@"
	kill -HUP "$daemon"
	until_true 20000 is_said_again || fail "no \"$_words\" in $log"
}
is_said_again() { [ "$(grep -c "$_words" "$log")" -gt "$_said" ]; }

backend() { # KIND DOMID DEVID
	echo "/local/domain/0/backend/$1/$2/$3"
}

# ask REQUEST [POINTER...]: at the admin's socket; ask-ctl.c says what is printed.
ask() { "$build/tests/integration/ask-ctl" "$XENSIM_DIR/run/ctl" "$@"; }

# The same, and descriptor 3 goes along. Answered with "ok" it goes on until the daemon ends the connection.
ask_with_3() { "$build/tests/integration/ask-ctl" --with-3 "$XENSIM_DIR/run/ctl" "$@"; }

# answer_is POINTER TEXT REQUEST
answer_is() {
	_answer=$(ask "$3" "$1" || :)
	[ "$_answer" = "$2" ] || fail "$1 is $_answer, not $2: $(ask "$3" | cut -c1-800)"
}

# new_disk NAME MIB
new_disk() {
	rm -f "$XENSIM_DIR/$1"
	truncate -s "$2M" "$XENSIM_DIR/$1"
}

# guest_with_disk MIB: a guest as $dom with an empty disk xvda (device 51712).
guest_with_disk() {
	new_disk disk "$1"
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
}

# begin FILE COMMAND...: in the background with its output in FILE; $! is its process.
# FILE is emptied first, here: nobody may find the words of an earlier process in it.
begin() {
	_file=$1
	shift
	: >"$_file"
	"$@" >"$_file" 2>&1 &
}

# wait_line FILE TEXT: until a line with TEXT is in FILE.
wait_line() {
	until_true 30000 grep -q "$2" "$1" 2>/dev/null || fail "no \"$2\" in $1"
}

test_case() { # SENTENCE FUNCTION
	# Not as a condition: there "set -e" would have no effect within.
	set +e
	(
		set -e
		"$2"
	) >"$XENSIM_DIR/out" 2>"$XENSIM_DIR/err"
	status=$?
	set -e
	if [ "$status" = 0 ]; then
		echo "ok: $1"
	else
		failed=1
		echo "FAILED: $1"
		sed 's/^/    /' "$XENSIM_DIR/out" "$XENSIM_DIR/err"
		echo "    -- the daemon's log:"
		tail -n 15 "$log" | sed 's/^/    /'
	fi
	if ! kill -0 "$daemon" 2>/dev/null; then
		echo "FAILED: the daemon died in \"$1\""
		tail -n 40 "$log" | sed 's/^/    /'
		exit 1
	fi
}

# Every test ends with this.
finish() {
	if ! stop_daemon; then
		tail -n 40 "$log"
		failed=1
	fi
	exit "$failed"
}
