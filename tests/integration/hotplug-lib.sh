# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# For the tests of the hotplug scripts: a xenstore without Xen, a substitute for a running pvbackd, and checks. It is
# sourced by a POSIX shell under `set -eu`.

build=${top_builddir:-.}
hotplug=$build/src/hotplug/block-pvbackd
hold_lock=$build/tests/integration/hold-lock
xenstored=$build/tests/sim/xensim-xenstored
nr_failed=0

box=$build/tests/sim/xensim-box
if [ -z "${HOTPLUG_TEST_BOXED-}" ] && [ -x "$box" ]; then
	HOTPLUG_TEST_BOXED=yes
	export HOTPLUG_TEST_BOXED
	exec "$box" ${XENSIM_LIMIT:+--limit="$XENSIM_LIMIT"} "$0" "$@"
fi

skip() {
	echo "SKIP: $1"
	exit 77
}

need() {
	command -v "$1" >/dev/null 2>&1 || skip "$1 is missing${2:+; install $2}"
}

# start NAME PROGRAM ARGUMENT: run the program until fd_close NAME, and wait until it prints that it is ready. Its standard
# input is a FIFO that this shell holds open, so that the program ends with the test.
start() {
	mkfifo "$work/$1.in" "$work/$1.out"
	case $1 in
	xenstored) exec 8<>"$work/$1.in" ;;
	daemon) exec 9<>"$work/$1.in" ;;
	elsewhere) exec 7<>"$work/$1.in" ;;
	esac
	"$2" "$3" <"$work/$1.in" >"$work/$1.out" 7>&- 8>&- 9>&- &
	read -r answer <"$work/$1.out"
	[ "$answer" = ready ] || {
		echo "$1 did not start"
		exit 1
	}
}

# Call this only when no other process has a copy of the descriptor.
stop_daemon() {
	exec 9>&-
	# The lock ends with the process, so wait for the process.
	wait "$daemon_pid"
	rm -f "$work/daemon.in" "$work/daemon.out"
}

start_daemon() {
	start daemon "$hold_lock" "$PVBACKD_RUNTIME_DIR/lock"
	daemon_pid=$!
}

clean_up() {
	exec 8>&- 9>&-
	rm -rf "$work"
}

set_up() {
	need xenstore-write xenstore-utils
	for program in "$hotplug" "$hold_lock" "$xenstored"; do
		[ -x "$program" ] || skip "$program is not built"
	done
	work=$(mktemp -d)
	trap clean_up EXIT
	XENSTORED_PATH=$work/xenstored.socket
	PVBACKD_RUNTIME_DIR=$work/run
	export XENSTORED_PATH PVBACKD_RUNTIME_DIR
	mkdir "$PVBACKD_RUNTIME_DIR" "$work/bin"
	cp "$hotplug" "$work/bin/block-pvbackd"
	ln -s block-pvbackd "$work/bin/vif-pvbackd"
	start xenstored "$xenstored" "$XENSTORED_PATH"
	start_daemon
}

# expect WHAT ACTUAL EXPECTED
expect() {
	if [ "$2" != "$3" ]; then
		echo "FAIL: $test_name: $1 is '$2', not '$3'"
		nr_failed=$((nr_failed + 1))
	fi
}

# expect_part WHAT ACTUAL PART
expect_part() {
	case $2 in
	*"$3"*) ;;
	*)
		echo "FAIL: $test_name: $1 is '$2', without '$3'"
		nr_failed=$((nr_failed + 1))
		;;
	esac
}

# The value of a node, or "(none)".
node() {
	xenstore-read "$1" 2>/dev/null || echo "(none)"
}

# leave_out REASON: for a test whose prerequisite is missing; it must return then.
leave_out() {
	echo "skipped ($1): $test_name"
	left_out=1
}

# run_test FUNCTION: each starts from an empty store.
run_test() {
	test_name=$1
	before=$nr_failed
	left_out=0
	for top in backend /local/domain/5 /local/domain/6 /local/domain/7; do
		xenstore-rm "$top" 2>/dev/null || true
	done
	"$1"
	[ "$nr_failed" -ne "$before" ] || [ "$left_out" -eq 1 ] || echo "ok: $1"
}

finish() {
	[ "$nr_failed" -eq 0 ] || exit 1
}
