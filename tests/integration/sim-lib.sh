# SPDX-License-Identifier: MIT
# sim-lib.sh - sourced by the sim-*.sh tests: the daemon on the simulated machine.
# shellcheck shell=sh
#
# A test sources this file first of all; it is then run again under xensim-run.
# PVBACKD names the daemon (default: the one in the build folder). Each test is
# named by a sentence: "test_case SENTENCE FUNCTION".
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

# What the daemon is to load before anything else (the program is never changed).
preload=
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0
export ASAN_OPTIONS

# begin_daemon [OPTION...]: it may not have got far yet.
begin_daemon() {
	mkdir -p "$XENSIM_DIR/run"
	_started=$(grep -c " serves with " "$log" || :)
	LD_PRELOAD=$preload "$PVBACKD" --runtime-dir="$XENSIM_DIR/run" "$@" >>"$log" 2>&1 &
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

# Open descriptors and mappings of the daemon, the numbers that must come back.
daemon_fds() {
	find "/proc/$daemon/fd" -mindepth 1 2>/dev/null | wc -l
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
	[ $# -eq 0 ] || until_true 3000 fds_are "$1" ||
		fail "descriptors: $1 before, $(daemon_fds) now"
}

no_file() { # NAME
	[ -z "$(find "$XENSIM_DIR/run" -name "$1")" ]
}

# The daemon that runs leaves no such file behind.
no_file_stays() { # NAME
	until_true 10000 no_file "$1" || fail "left behind: $(ls "$XENSIM_DIR/run")"
}

backend() { # KIND DOMID DEVID
	echo "/local/domain/0/backend/$1/$2/$3"
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
