#!/bin/sh
# SPDX-License-Identifier: MIT
# Disks: every kind of frontend, every option, each byte checked.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

# One guest runs one load. The disk is detached and the guest destroyed; the daemon must hold nothing afterwards.
load() {
	guest_with_disk 16
	simblk --requests=700 --verify-all "$@" "$dom" 51712 || fail "simblk $*"
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

defaults() { load --fill; }
small_requests() { load --fill --max-sectors=8 --span=8192; }
sector_by_sector() { load --fill --max-sectors=1 --odd --span=2048; }
odd() { load --odd; }
one_segment() { load --segs=1 --odd; }
one_at_a_time() { load --depth=1; }
abi32() { load --abi=32 --odd; }
no_protocol() { load --abi=32 --no-protocol; }
windows() { load --profile=windows --rounds=3; }
ovmf() { load --profile=ovmf --rounds=3; }
legacy() { load --profile=legacy --abi=32; }
netbsd() { load --profile=legacy --rounds=2; }
again() { load --rounds=5; }
big_ring() { load --ring-order=4 --depth=512 --span=30000; }
# The older pair of keys: the guest gets the ring size that it asks for, and the key with the order is not there.
by_pages() {
	load --ring-order=3 --ring-pages --depth=200 --queues=2 >"$XENSIM_DIR/load"
	grep -q "pages=8 " "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
}
odd_pages() {
	guest_with_disk 16
	_dir=/local/domain/$dom/device/vbd/51712
	xenstore-write "$_dir/num-ring-pages" 3 "$_dir/ring-ref0" 8 "$_dir/ring-ref1" 9 "$_dir/ring-ref2" 10 \
		"$_dir/event-channel" 1 "$_dir/state" 3
	wait_line "$log" "the frontend's key .num-ring-pages. is no power of two"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}
# Keys that an earlier driver of the domain has left have no effect on the ring of the next driver.
stale_pages() {
	guest_with_disk 16
	xenstore-write "/local/domain/$dom/device/vbd/51712/num-ring-pages" 4
	simblk --requests=100 --verify-all "$dom" 51712
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}
queues() { load --queues=4 --ring-order=1 --depth=64 --odd; }
indirect() { load --segs=32 --odd; }
most_indirect() { load --segs=256 --depth=8; }
flushes() { load --mix=40:40:15:5; }

# The guest's kernel is replaced while requests are in flight: the pages of the
# old one must be free before the new one is let in.
kexec() {
	guest_with_disk 16
	simblk --requests=700 --profile=kexec --rounds=4 "$dom" 51712
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

# The same, but the frontend does not close: it goes from 4 to 1 at once.
straight() {
	guest_with_disk 16
	simblk --requests=700 --profile=straight --rounds=4 "$dom" 51712
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

firmware_then_linux() {
	guest_with_disk 16
	simblk --requests=300 --profile=ovmf "$dom" 51712
	simblk --requests=300 --profile=linux --queues=2 "$dom" 51712
	simblk --requests=300 --profile=windows "$dom" 51712
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

# The load of the benchmarks: each request is answered once, and simblk prints the rate.
plain() {
	guest_with_disk 16
	simblk --plain=8 --requests=500 "$dom" 51712 >"$XENSIM_DIR/plain"
	simblk --plain=256 --segs=32 --sequential --mix=0:1:0:0 --depth=8 --requests=100 "$dom" 51712 >>"$XENSIM_DIR/plain"
	[ "$(grep -c '^plain seconds=.* iops=.* p99_us=' "$XENSIM_DIR/plain")" = 2 ] || fail "no rate in: $(cat "$XENSIM_DIR/plain")"
	grep -q '^requests=500 errors=0 ' "$XENSIM_DIR/plain" || fail "not 500 answers"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

set_key() { xenstore-write "$(backend vbd "$dom" 51712)/$1" "$2"; }

# counter NAME: print a counter of the disk's first ring, from a new dump
dump_came() { [ "$(grep -c "dump: vbd $dom/51712/0 count" "$log")" -gt "$1" ]; }
counter() {
	_dumps=$(grep -c "dump: vbd $dom/51712/0 count" "$log" || :)
	kill -USR1 "$daemon"
	until_true 10000 dump_came "$_dumps" || fail "no dump"
	grep "dump: vbd $dom/51712/0 count" "$log" | tail -n 1 | grep -o " $1=[0-9]*" | cut -d= -f2
}

# keep CHOICE MAX OPTION...: run a load with persistent grants, of which the daemon may keep MAX; the load then stays connected
keep() {
	guest_with_disk 16
	set_key persistent-grants "$1"
	set_key max-persistent-grants "$2"
	shift 2
	begin "$XENSIM_DIR/load" simblk --persistent --requests=700 --verify-all --hold "$@" "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
}
let_go() {
	xensim-xl block-detach "$dom" xvda
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

# Each page is mapped once, and unmapped before state 6 (simblk checks that).
persistent() {
	keep yes 4096 --segs=32 --odd --queues=2
	grep -q "persistent=1" "$XENSIM_DIR/load" || fail "not agreed: $(cat "$XENSIM_DIR/load")"
	_maps=$(counter kept_maps) _kept=$(counter kept) _uses=$(counter kept_uses)
	{ [ "$_maps" -gt 50 ] && [ "$_maps" -eq "$_kept" ]; } || fail "maps=$_maps kept=$_kept"
	[ "$_uses" -gt $((10 * _maps)) ] || fail "maps=$_maps uses=$_uses"
	grep -qsx PV /sys/hypervisor/guest_type || [ "$(counter in_place)" -gt 300 ] || fail "in_place=$(counter in_place)"
	xensim-xl stat | grep -q "^mapped=$_maps " && fail "the second queue keeps nothing: $(xensim-xl stat)"
	let_go
}
# So a medium that hangs keeps no page of the guest.
persistent_and_copied() {
	keep auto 4096 --segs=32 --odd
	grep -q "persistent=1" "$XENSIM_DIR/load" || fail "not agreed: $(cat "$XENSIM_DIR/load")"
	[ "$(counter kept_uses)" -gt 700 ] || fail "kept_uses=$(counter kept_uses)"
	[ "$(counter in_place)" -eq 0 ] || fail "in_place=$(counter in_place)"
	let_go
}
more_than_the_cap() {
	keep yes 40 --segs=32
	[ "$(counter kept)" -eq 40 ] || fail "kept=$(counter kept)"
	let_go
}
# The frontend takes back pages that are not mapped, and uses them for something else.
purged() {
	keep yes 40 --segs=32 --purge=10
	[ "$(counter kept)" -le 40 ] || fail "kept=$(counter kept)"
	let_go
}
agreed_to_by_one_side_only() {
	keep no 4096
	grep -q "persistent=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	[ "$(counter kept_uses)" -eq 0 ] || fail "kept without being asked"
	let_go
	guest_with_disk 16
	set_key persistent-grants yes
	simblk --requests=700 --verify-all "$dom" 51712
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}
kexec_of_persistent() {
	guest_with_disk 16
	set_key persistent-grants yes
	simblk --requests=700 --profile=kexec --rounds=4 --persistent "$dom" 51712
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

start_daemon
guest_with_disk 16
simblk --requests=100 "$dom" 51712 >/dev/null
xensim-xl destroy "$dom"
fds=$(daemon_fds)
test_case "a plain Linux frontend reads what it wrote" defaults
test_case "every page of the disk is where it belongs" small_requests
test_case "every sector of the disk is where it belongs" sector_by_sector
test_case "segments may start and end anywhere in a page" odd
test_case "requests of one odd segment are served" one_segment
test_case "a guest with one request at a time is served" one_at_a_time
test_case "the x86_32 ring layout is understood" abi32
test_case "a frontend that names no protocol is an old 32-bit one" no_protocol
test_case "Windows' close and reopen at every start works" windows
test_case "OVMF may go straight to state 4 and must see 5 before 6" ovmf
test_case "a 2.6.18 frontend that does not wait for state 2 is served" legacy
test_case "NetBSD's frontend, which does not wait for it either, is served" netbsd
test_case "a frontend may close and connect again and again" again
test_case "a ring of 16 pages with 512 requests in flight works" big_ring
test_case "a ring's size may be told in pages, by the older keys" by_pages
test_case "a number of ring pages that is no power of two is refused" odd_pages
test_case "a number of ring pages that an earlier driver left is not believed" stale_pages
test_case "several queues of several pages work" queues
test_case "indirect requests with odd segments work" indirect
test_case "requests of 256 segments work" most_indirect
test_case "persistent grants are mapped once and let go before state 6" persistent
test_case "persistent grants are offered by default, and then the medium gets copies" persistent_and_copied
test_case "of more persistent grants than may be kept the rest is copied" more_than_the_cap
test_case "a frontend may take back persistent grants that are not mapped" purged
test_case "grants persist only when both sides say so" agreed_to_by_one_side_only
test_case "a kexec finds the persistent grants of the old kernel let go" kexec_of_persistent
test_case "flushes and discards mix with reads and writes" flushes
test_case "a kexec takes over a disk in full flight" kexec
test_case "a frontend may go from 4 to 1 in full flight without closing" straight
test_case "firmware, Linux and Windows can follow each other in a domain" firmware_then_linux
test_case "a plain load is timed" plain
finish
