#!/bin/sh
# SPDX-License-Identifier: MIT
# Disks in backend/vbd3 (backendtype=tap in libxl) work in the same way, and have the counters that xentop reads.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

script=$build/src/hotplug/block-pvbackd
PVBACKD_RUNTIME_DIR=$XENSIM_DIR/run
export PVBACKD_RUNTIME_DIR

guest_on() { # TARGET
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$1" xvda kind=vbd3 script="$script"
}

key() { xenstore-read "$(backend vbd3 "$dom" 51712)/$1"; }
counters() { echo "/dev/shm/td3-$(key kthread-pid)/vbd-$dom-51712"; }

# counter NUMBER: print one of the 64-bit words after the version
counter() { od -A n -t u8 -j "$((8 + $1 * 8))" -N 8 "$(counters)" | tr -d ' '; }

holding_guest() { # OPTION...
	begin "$XENSIM_DIR/load" simblk --hold "$@" "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
}

give_back() {
	_left=/dev/shm/td3-$(key kthread-pid)
	xensim-xl block-detach "$dom" xvda
	wait "$load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held "$@"
	[ ! -e "$_left" ] || fail "$_left is left"
}

xentop_counts() {
	new_disk disk 16
	guest_on "aio:$XENSIM_DIR/disk"
	holding_guest --requests=1000 --mix=50:50:0:0 --max-sectors=8 --depth=8
	[ "$(key kthread-pid)" = "$daemon" ] || fail "kthread-pid"
	[ "$(od -A n -t u4 -N 4 "$(counters)" | tr -d ' ')" = 1 ] || fail "the version"
	[ "$(wc -c <"$(counters)")" -ge 96 ] || fail "the size"
	[ $(($(counter 1) + $(counter 5))) -eq 1000 ] || fail "submitted: $(counter 1) and $(counter 5)"
	[ "$(counter 1)" -eq "$(counter 2)" ] || fail "reads: $(counter 1), completed $(counter 2)"
	[ "$(counter 5)" -eq "$(counter 6)" ] || fail "writes: $(counter 5), completed $(counter 6)"
	[ "$(counter 3)" -ge "$(counter 1)" ] || fail "sectors read: $(counter 3)"
	[ "$(counter 7)" -ge "$(counter 5)" ] || fail "sectors written: $(counter 7)"
	[ "$(counter 4)" -gt 0 ] || fail "no ticks"
	[ "$(counter 9)" -eq 0 ] || fail "errors: $(counter 9)"
	give_back "$fds"
}

restart() {
	start_daemon
	new_disk disk 16
	guest_on "aio:$XENSIM_DIR/disk"
	begin "$XENSIM_DIR/load" simblk --requests=8000 --verify-all --hold "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	_old=$daemon
	pvb_kill_all
	start_daemon
	wait_line "$XENSIM_DIR/load" holding
	[ "$(key kthread-pid)" = "$daemon" ] || fail "kthread-pid is $(key kthread-pid), not $daemon"
	[ ! -e "/dev/shm/td3-$_old" ] || fail "the old counters are left"
	[ "$(counter 1)" -gt 0 ] || fail "nothing is counted"
	give_back
	stop_daemon
}

vhd() {
	command -v qemu-nbd >/dev/null || return 0
	grep -q '^#define HAVE_LIBNBD 1' "$build/config.h" || return 0
	qemu-img create -q -f vpc "$XENSIM_DIR/disk.vhd" 16M
	guest_on "vhd:$XENSIM_DIR/disk.vhd"
	[ -S "$(key physical-device-path)" ] || fail "no socket: $(key physical-device-path)"
	holding_guest --requests=500 --verify-all
	give_back
}

start_daemon
guest_with_disk 16
simblk --requests=100 "$dom" 51712 >/dev/null
xensim-xl destroy "$dom"
nothing_is_held
fds=$(daemon_fds)
test_case "a vbd3 disk is served, and xentop finds its counters" xentop_counts
test_case "a VHD image comes by the socket that libxl gives to QEMU too" vhd
stop_daemon
daemon=$$ # the case starts its own daemon; test_case only checks that this process lives
test_case "a new daemon takes the counters over" restart
exit "$failed"
