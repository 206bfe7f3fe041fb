#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest takes over the process that serves it, by a hole that is there on purpose (tests/sim/takeover.c). It then tries all
# that SECURITY.md lists. Everything is refused, except where SECURITY.md says otherwise; control and the other guest notice nothing.
# shellcheck disable=SC2317,SC2154 # test_case calls the functions; sim-lib.sh sets variables
PVB_ISOLATION=guest
export PVB_ISOLATION
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

disk_of() { # NAME: make a guest $dom, and a load $load on its disk that checks its data
	new_disk "$1" 16
	dom=$(xensim-xl create "$1")
	xensim-xl block-attach "$dom" "$XENSIM_DIR/$1" xvda
	begin "$XENSIM_DIR/$1.log" simblk --requests=400000000 --depth=4 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/$1.log" connected
}

ends_well() { # NAME DOMID LOAD
	xensim-xl block-detach "$2" xvda
	wait "$3" || fail "$1: $(tail -n 5 "$XENSIM_DIR/$1.log")"
	grep -q "errors=0 .*bad_content=0 protocol_errors=0" "$XENSIM_DIR/$1.log" ||
		fail "$1: $(tail -n 5 "$XENSIM_DIR/$1.log")"
	xensim-xl destroy "$2"
}

front() { xenstore-read "/local/domain/$neighbour/device/vbd/51712/$1"; }

# came_to WORD ATTEMPT: check that the attempt ended in this way, once
came_to() {
	grep -qx "takeover: $2: $1" "$log" || fail "$2: not $1: $(grep "takeover: $2: " "$log")"
}

refused() { # ATTEMPT...
	for _attempt; do came_to EPERM "$_attempt"; done
}

its_process_is_taken_over() {
	disk_of neighbour
	neighbour=$dom neighbours_load=$load
	disk_of evil
	evil=$dom evils_load=$load
	taken=$(pvb_guest_pid "$evil") other=$(pvb_guest_pid "$neighbour")
	echo "$daemon $other $neighbour $(front ring-ref) $(front event-channel)" >"$XENSIM_DIR/takeover"
	kill -RTMIN "$taken"
	# Last of all, it claims to serve the other guest's disk.
	wait_line "$log" "guest $evil: its process ($taken) has sent what it must not: it is ended"
	grep "takeover: " "$log"
	refused "open a file" "open its memory" "open privcmd" "make a file" "open a folder" "remove a file"
	refused execute fork "write code" "be root" "make a namespace" "load a module"
	for _whom in control "the neighbour"; do
		refused "trace $_whom" "kill $_whom" "kill a thread of $_whom" "read the memory of $_whom" "take descriptors of $_whom"
	done
	refused "make a socket" "connect elsewhere"
	came_to EACCES "bind the neighbour's event channel"
	# SECURITY.md says this: the kernel's gntdev cannot be restricted to one domain.
	came_to 'done' "map the neighbour's grant"
	# The process has its socket to control, but control does not trust it.
	came_to 'done' "say that the neighbour's disk has stopped"
	until_true 20000 pvb_guest_is_replaced "$evil" "$taken" || fail "nobody serves it"
	[ "$(pvb_guest_pid "$neighbour")" = "$other" ] || fail "the neighbour's process is another"
	! grep -q "vbd $neighbour/51712: .*\(stopped\|held\|broken\|shrank\)" "$log" || fail "control believed it"
	ends_well neighbour "$neighbour" "$neighbours_load"
	ends_well evil "$evil" "$evils_load"
}

: >"$XENSIM_DIR/takeover"
# The filter would refuse the calls of an address sanitizer, and without the filter nothing is refused.
! grep -qE "__[at]san_init" "$PVBACKD" || skip "not in a build with a sanitizer"
grep -q seccomp_load "$PVBACKD" || skip "built without libseccomp"
preload=$XENSIM_BUILD/lib/takeover.so
start_daemon --confine=yes
test_case "who takes over a guest's process has that guest, and nothing more but what SECURITY.md says" its_process_is_taken_over
finish
