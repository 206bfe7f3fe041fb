#!/bin/sh
# SPDX-License-Identifier: MIT
# What may happen to the control thread, its log and its xenstore, and none of it may cost a guest a request.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

start_daemon --workers=2

harmless_signals() {
	kill -USR2 "$daemon"
	kill -HUP "$daemon"
	wait_line "$log" "SIGHUP does nothing"
	guest_with_disk 8
	simblk --requests=200 --verify-all "$dom" 51712
	daemon_lives
	xensim-xl destroy "$dom"
}

test_case "SIGHUP and SIGUSR2 do not end it" harmless_signals
finish
