#!/bin/sh
# SPDX-License-Identifier: MIT
# Guests write sectors of 512 bytes to a disk with blocks of 4096: nothing beside the written sectors changes.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

preload=$XENSIM_BUILD/lib/medium.so
[ -e "$preload" ] || skip "$preload is not built (make xensim)"
export XENSIM_BLOCK=4096

# load OPTION...: run simblk on an image of 16 MiB
load() {
	guest_with_disk 16
	simblk --verify-all "$@" "$dom" 51712 || fail "simblk $*"
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

is_4k() {
	guest_with_disk 16
	simblk --requests=100 "$dom" 51712
	_dir=$(backend vbd "$dom" 51712)
	grep -q "vbd $dom/51712: image .*, in blocks of more than 512 bytes" "$log" || fail "$(tail -n 5 "$log")"
	[ "$(xenstore-read "$_dir/sector-size")" = 512 ] || fail "sector-size is not the protocol's"
	[ "$(xenstore-read "$_dir/physical-sector-size")" = 4096 ] || fail "physical-sector-size is not true"
	[ "$(xenstore-read "$_dir/sectors")" = 32768 ] || fail "sectors"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

# There are so few blocks that several requests are always in the same block.
sectors() { load --requests=3000 --fill --max-sectors=1 --odd --span=64; }
crowded() { load --requests=5000 --fill --odd --span=2048 --queues=4 --depth=32 --max-sectors=20; }
whole() { load --requests=700 --fill; }
large() { load --requests=300 --odd --segs=256 --depth=8; }
mixed() { load --requests=2000 --odd --span=4096 --mix=30:40:10:20 --queues=2 --max-sectors=24; }
persistent() {
	guest_with_disk 16
	xenstore-write "$(backend vbd "$dom" 51712)/persistent-grants" yes
	simblk --requests=2000 --fill --odd --span=2048 --persistent --segs=32 --queues=2 --verify-all "$dom" 51712
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

begin_half() { # NAME HALF DOMID DEVID SIMBLK-OPTION...
	_log=$XENSIM_DIR/load.$1
	_half=$2 _dom=$3 _dev=$4
	shift 4
	begin "$_log" simblk --requests=6000 --span=512 --max-sectors=4 --mix=0:1:0:0 --verify-all --half="$_half" "$@" "$_dom" "$_dev"
}

# Each disk checks its own half of each block: a write of the other disk could have restored old data there.
two_disks() { # DOMID DEVID of the second one
	begin_half 1 1 "$dom" 51712
	_first=$!
	begin_half 2 2 "$1" "$2"
	wait "$_first" || fail "$(cat "$XENSIM_DIR/load.1")"
	wait $! || fail "$(cat "$XENSIM_DIR/load.2")"
}
one_image() {
	guest_with_disk 16
	ln -sf disk "$XENSIM_DIR/also"
	xensim-xl block-attach "$dom" "$XENSIM_DIR/also" xvdb
	two_disks "$dom" 51728
	_other=$(xensim-xl create other)
	xensim-xl block-attach "$_other" "$XENSIM_DIR/disk" xvda
	two_disks "$_other" 51712
	xensim-xl destroy "$_other"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

# The data beside a write has not become zeros or data of another place. The test reads the image itself, without the daemon.
neighbours_stay() {
	new_disk disk 1
	yes pvbackd | head -c 1048576 >"$XENSIM_DIR/disk"
	cp "$XENSIM_DIR/disk" "$XENSIM_DIR/before"
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	simblk --requests=1 --mix=0:1:0:0 --max-sectors=1 --odd --depth=1 "$dom" 51712
	xensim-xl destroy "$dom"
	_differs=$(cmp -l "$XENSIM_DIR/before" "$XENSIM_DIR/disk" | awk '{ print int(($1 - 1) / 512) }' | sort -u)
	[ "$(echo "$_differs" | wc -w)" -eq 1 ] || fail "more than a sector changed: $_differs"
	nothing_is_held "$fds"
}

# The last block of such a file is incomplete, so the daemon uses it through the page cache.
ends_within_a_block() {
	guest_with_disk 16
	truncate -s $((16777216 + 512)) "$XENSIM_DIR/disk"
	simblk --requests=500 --odd --verify-all "$dom" 51712
	grep -q "vbd $dom/51712: image .*, through the page cache" "$log" || fail "$(tail -n 5 "$log")"
	[ "$(xenstore-read "$(backend vbd "$dom" 51712)/sectors")" = 32769 ] || fail "sectors"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

killed() {
	start_daemon --workers=4
	guest_with_disk 16
	begin "$XENSIM_DIR/load" simblk --requests=400000000 --until="$XENSIM_DIR/enough" --fill --odd --span=2048 \
		--queues=2 --max-sectors=20 --verify-all "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	for _ in 1 2 3 4 5 6 7 8; do
		pvb_kill_in_turn "$dom"
	done
	: >"$XENSIM_DIR/enough"
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}

# Each guest has a process of its own, which may die meanwhile. The lock file of these processes is removed with the last one.
apart() {
	PVB_ISOLATION=guest isolation=--isolation=guest
	start_daemon --workers=2
	guest_with_disk 16
	_other=$(xensim-xl create other)
	xensim-xl block-attach "$_other" "$XENSIM_DIR/disk" xvda
	two_disks "$_other" 51712
	begin_half 1 1 "$dom" 51712 --requests=12000
	_first=$!
	begin_half 2 2 "$_other" 51712 --requests=12000
	_second=$!
	wait_line "$XENSIM_DIR/load.2" connected
	pvb_kill_guest "$_other"
	wait "$_first" || fail "$(cat "$XENSIM_DIR/load.1")"
	wait "$_second" || fail "$(cat "$XENSIM_DIR/load.2")"
	xensim-xl destroy "$dom"
	xensim-xl destroy "$_other"
	nothing_is_held
	no_file_stays 'medium-*.lock'
	stop_daemon
}

start_daemon --workers=4
guest_with_disk 16
simblk --requests=100 --queues=4 "$dom" 51712 >/dev/null # now each worker has all the descriptors that it keeps
xensim-xl destroy "$dom"
if grep -q "through the page cache" "$log"; then
	stop_daemon
	skip "$XENSIM_DIR is on a file system without O_DIRECT (set TMPDIR)"
fi
fds=$(daemon_fds)
test_case "the disk tells its true block size and is spoken to in sectors" is_4k
test_case "sectors of one block are written by many requests at once" sectors
test_case "queues on different workers meet in the same blocks" crowded
test_case "two disks on one image, of one guest or of two, do not undo each other's writes" one_image
test_case "whole blocks are written as before" whole
test_case "the largest requests may begin and end inside a block" large
test_case "discards and flushes mix with parts of blocks" mixed
test_case "persistent grants and parts of blocks go together" persistent
test_case "a write changes the sectors that it names and no other" neighbours_stay
test_case "an image that ends inside a block is served to its end" ends_within_a_block
stop_daemon
daemon=$$ # the last case starts its own daemon
test_case "SIGKILL amid parts of blocks loses nothing" killed
test_case "the processes of two guests on one image do not undo each other's writes" apart
exit "$failed"
