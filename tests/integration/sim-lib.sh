# SPDX-License-Identifier: MIT
# sim-lib.sh - sourced by the sim-*.sh tests: the daemon on the simulated machine.
# shellcheck shell=sh
#
# A test sources this file before it does anything else; the test is then run again under xensim-run.
# PVBACKD names the daemon (default: the one in the build folder). A sentence names each test case:
# "test_case SENTENCE FUNCTION".
#
# With PVB_ISOLATION=guest|none each daemon is started with that --isolation=; without it, with none: one process.
# "The daemon" ($daemon) is control. With PVB_ISOLATION=guest there is also a process for each guest, which outlives control.
# stop_daemon and kill_daemon end only control, so guests may still be served; pvb_stop_all and pvb_kill_all also end
# these processes.
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

# The library that the daemon preloads (the program itself is never changed).
preload=
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0
export ASAN_OPTIONS

# begin_daemon [OPTION...]: start the daemon, and return before it serves.
begin_daemon() {
	mkdir -p "$XENSIM_DIR/run"
	# The preloaded library reads files, which a confined process cannot.
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

# start_daemon [OPTION...]: start the daemon, and return when it serves.
start_daemon() {
	begin_daemon "$@"
	daemon_serves
}

is_stopped() { grep -q "^State:.T" "/proc/$daemon/status"; }

# start_daemon_while CALL COMMAND...: run COMMAND while the daemon is stopped right before its first CALL.
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

# Print the PID of control, also of a daemon that another program has started ($daemon is the test's own child).
pvb_control_pid() {
	ps -ww -eo pid=,comm=,args= | awk -v program="$PVBACKD" -v dir="--runtime-dir=$XENSIM_DIR/run" \
		'$3 == program && $2 != "pvbackd-taps" && index($0, dir) { print $1 }'
}

# pvb_guest_pids [DOMID]: print the PIDs of the processes that serve this guest, or all guests. Their handles show that they belong to this simulated machine.
pvb_guest_pids() {
	is_isolated || return 0
	xensim-xl handles | sed 's/.* pid=\([0-9]*\) .*/\1/' | sort -un | while read -r _pid; do
		! tr '\0' ' ' 2>/dev/null <"/proc/$_pid/cmdline" | grep -q -e " --internal-guest ${1:+$1 }" || echo "$_pid"
	done
}

# pvb_guest_pid DOMID: print the PID of the process that serves this guest's rings; without isolation that is control
pvb_guest_pid() {
	if is_isolated; then
		pvb_guest_pids "$1"
	else
		echo "$daemon"
	fi
}

pvb_nr_guests() { pvb_guest_pids | wc -l; }
pvb_nr_guests_is() { [ "$(pvb_nr_guests)" = "$1" ]; }

# pvb_guest_is_replaced DOMID PIDS: a process that is none of these serves the guest; sets $_now to it
pvb_guest_is_replaced() {
	_now=$(pvb_guest_pid "$1" | grep -vxF -e "$2" || :)
	[ -n "$_now" ]
}

# pvb_kill_guest DOMID: kill the process that serves the guest, and return when another one serves it. A process whose control
# died while it started ends by itself, so it may be gone before it is killed.
pvb_kill_guest() {
	if ! is_isolated; then
		kill_daemon
		# shellcheck disable=SC2086 # a list
		start_daemon $_options
		return
	fi
	until_true 10000 pvb_guest_is_replaced "$1" "" || fail "nobody serves domain $1: $(xensim-xl handles)"
	_victim=$_now
	# shellcheck disable=SC2086 # perhaps several
	kill -9 $_victim 2>/dev/null || :
	until_true 20000 pvb_guest_is_replaced "$1" "$_victim" || fail "nobody takes the place of $_victim: $(tail -n 3 "$log")"
}

# pvb_kill_in_turn DOMID: kill control, the process of that guest, or both at once, one of these in each call; return when the guest is served again.
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

# pvb_kill_processes [DOMID]: kill the processes that serve this guest, or all guests, now.
pvb_kill_processes() {
	for _pid in $(pvb_guest_pids "$@"); do
		kill -9 "$_pid" 2>/dev/null || :
	done
}

# pvb_kill_guests: kill the processes that control has left. Its openers hold nothing that others need.
pvb_kill_guests() {
	pvb_kill_processes
	until_true 10000 stat_is 0 0 || fail "somebody serves yet: $(xensim-xl handles)"
}

# Kill all processes at once: none of them has time to clean up.
pvb_kill_all() {
	kill_daemon
	pvb_kill_guests
}

# Stop all, as Ctrl-C does: the exit status must be 0, and the guests' processes end by themselves.
pvb_stop_all() {
	kill -INT "$daemon"
	wait "$daemon" || fail "the daemon left with status $?"
	daemon=
	until_true 20000 pvb_nr_guests_is 0 || fail "left: $(xensim-xl handles)"
}

# Print the number of open descriptors of all processes of the daemon, to be compared later. The event descriptors of workers
# do not count: a worker makes those for disks when it gets its first disk.
daemon_fds() {
	for _pid in "$daemon" $(pvb_guest_pids); do
		find "/proc/$_pid/fd" -mindepth 1 ! -lname '*eventfd*' 2>/dev/null || :
	done | wc -l
}

# until_true MS COMMAND...: repeat the command until it succeeds, for at most so many milliseconds.
until_true() {
	_left=$(($1 / 20))
	shift
	until "$@"; do
		_left=$((_left - 1))
		[ "$_left" -gt 0 ] || return 1
		sleep 0.02
	done
}

# left: print the files of devices in the runtime directory. The daemon leaves captures for the admin.
left() { find "$XENSIM_DIR/run" -name 'v*-*' ! -name '*.pcapng*'; }
nothing_is_left() { [ -z "$(left)" ]; }

stat_is() {
	xensim-xl stat | grep -q "^mapped=$1 ports=$2 "
}

fds_are() {
	[ "$(daemon_fds)" -le "$1" ]
}

# nothing_is_held [FDS]: check that no grant is mapped, no port is bound, and the number of descriptors is as before.
nothing_is_held() {
	until_true 10000 stat_is 0 0 || fail "left behind: $(xensim-xl stat)"
	[ $# -eq 0 ] || until_true 10000 fds_are "$1" ||
		fail "descriptors: $1 before, $(daemon_fds) now"
}

no_file() { # NAME
	[ -z "$(find "$XENSIM_DIR/run" -name "$1")" ]
}

# Check that the running daemon removes this file.
no_file_stays() { # NAME
	until_true 10000 no_file "$1" || fail "left behind: $(ls "$XENSIM_DIR/run")"
}

# configure LINE...: write these lines into the file that --config="$XENSIM_DIR/conf" names
configure() {
	printf '%s\n' "$@" >"$XENSIM_DIR/conf"
}

# reconfigure WORDS LINE...: write the lines, have the daemon read them, and wait until the log has WORDS once more
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

# ask REQUEST [POINTER...]: send a request to the admin's socket; ask-ctl.c says what is printed.
ask() { "$build/tests/integration/ask-ctl" "$XENSIM_DIR/run/ctl" "$@"; }

# The same, with descriptor 3. After an "ok" it goes on until the daemon closes the connection.
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

# guest_with_disk MIB: make a guest $dom with an empty disk xvda (device 51712).
guest_with_disk() {
	new_disk disk "$1"
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
}

# begin FILE COMMAND...: run the command in the background, with its output in FILE; $! is its PID. This function empties
# FILE first, so that the test does not find the output of an earlier process there.
begin() {
	_file=$1
	shift
	: >"$_file"
	"$@" >"$_file" 2>&1 &
}

# wait_line FILE TEXT: wait until a line with TEXT is in FILE.
wait_line() {
	until_true 30000 grep -q "$2" "$1" 2>/dev/null || fail "no \"$2\" in $1"
}

test_case() { # SENTENCE FUNCTION
	# This is not a condition, because in a condition "set -e" has no effect.
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

# Each test ends with this.
finish() {
	if ! stop_daemon; then
		tail -n 40 "$log"
		failed=1
	fi
	exit "$failed"
}
