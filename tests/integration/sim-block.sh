#!/bin/sh
# SPDX-License-Identifier: MIT
# Disks: every kind of frontend, every option, each byte checked.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

# One guest, one load, a gentle detach and a destroy; all must be given back.
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
again() { load --rounds=5; }
big_ring() { load --ring-order=4 --depth=512 --span=30000; }
queues() { load --queues=4 --ring-order=1 --depth=64 --odd; }
indirect() { load --segs=32 --odd; }
most_indirect() { load --segs=256 --depth=8; }
persistent() { load --persistent --segs=32; }
flushes() { load --mix=40:40:15:5; }

# The guest's kernel is replaced while requests are in flight: the pages of the
# old one must be free before the new one is let in.
kexec() {
	guest_with_disk 16
	simblk --requests=700 --profile=kexec --rounds=4 "$dom" 51712
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

# The same without any closing: from 4 to 1 at once.
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

# The load of the benchmarks: every request is answered once, and the rate is said.
plain() {
	guest_with_disk 16
	simblk --plain=8 --requests=500 "$dom" 51712 >"$XENSIM_DIR/plain"
	simblk --plain=256 --segs=32 --sequential --mix=0:1:0:0 --depth=8 --requests=100 "$dom" 51712 >>"$XENSIM_DIR/plain"
	[ "$(grep -c '^plain seconds=.* iops=.* p99_us=' "$XENSIM_DIR/plain")" = 2 ] || fail "no rate in: $(cat "$XENSIM_DIR/plain")"
	grep -q '^requests=500 errors=0 ' "$XENSIM_DIR/plain" || fail "not 500 answers"
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
test_case "a frontend may close and connect again and again" again
test_case "a ring of 16 pages with 512 requests in flight works" big_ring
test_case "several queues of several pages work" queues
test_case "indirect requests with odd segments work" indirect
test_case "requests of 256 segments work" most_indirect
test_case "a frontend that offers persistent grants is served" persistent
test_case "flushes and discards mix with reads and writes" flushes
test_case "a kexec takes over a disk in full flight" kexec
test_case "a frontend may go from 4 to 1 in full flight without closing" straight
test_case "firmware, Linux and Windows can follow each other in a domain" firmware_then_linux
test_case "a plain load is timed" plain
finish
