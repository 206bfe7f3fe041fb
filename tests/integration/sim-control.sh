#!/bin/sh
# SPDX-License-Identifier: MIT
# What may happen to the control thread, its log and its xenstore, and none of it may cost a guest a request.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

daemon=$$ # test_case only looks whether this one lives: each case has a daemon of its own

harmless_signals() {
	start_daemon --workers=2
	kill -USR2 "$daemon"
	kill -HUP "$daemon"
	wait_line "$log" "SIGHUP does nothing"
	guest_with_disk 8
	simblk --requests=200 --verify-all "$dom" 51712
	xensim-xl destroy "$dom"
	stop_daemon
}

# Each request is some lines of trace: far more than a pipe and the daemon's own queue of lines hold.
stuck_log() {
	mkfifo "$XENSIM_DIR/pipe"
	exec 8<>"$XENSIM_DIR/pipe"
	"$PVBACKD" --runtime-dir="$XENSIM_DIR/run" --workers=2 --trace-rings 2>"$XENSIM_DIR/pipe" &
	daemon=$!
	guest_with_disk 8
	simblk --requests=20000 --depth=4 "$dom" 51712
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvdb
	cat "$XENSIM_DIR/pipe" >>"$log" &
	reader=$!
	wait_line "$log" "lines were lost: nobody read the log"
	kill -STOP "$reader"
	simblk --requests=2000 --depth=4 "$dom" 51712
	xensim-xl destroy "$dom"
	stop_daemon
	exec 8>&-
	kill -9 "$reader"
}

test_case "SIGHUP and SIGUSR2 do not end it" harmless_signals
test_case "a log that nobody reads stops neither rings nor control, and what was lost is counted" stuck_log
exit "$failed"
