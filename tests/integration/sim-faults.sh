#!/bin/sh
# SPDX-License-Identifier: MIT
# Every call of the Xen libraries fails once, at its first, second, third use and so
# on through the life of a device. The daemon must live (or, before it serves, say
# why it cannot), hold nothing afterwards, and serve the next guest without fault.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

# In a life like this each call is used at most so often before it repeats itself.
most=${SIM_FAULTS_MOST:-3}

# One life of a disk and its guest. What fails, fails; nothing may stay behind.
life() {
	new_disk disk 8
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda || :
	simblk --requests=150 --depth=16 --segs=32 --odd --ring-order=1 --fill --span=4096 "$dom" 51712 \
		>"$XENSIM_DIR/load" 2>&1 || :
	# Requests may fail, but what was said to be done was done.
	grep -q " bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
}

# The fault is spent: now everything must work, or the daemon has kept a scar.
healthy() {
	new_disk disk 8
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	simblk --requests=150 --verify-all "$dom" 51712
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
	nothing_is_held
}

serves_or_left() {
	serves 0 || ! kill -0 "$daemon" 2>/dev/null
}

reached() {
	grep -q "fails on purpose" "$log"
}

one_fault() { # CALL USE ERRNO
	mkdir -p "$XENSIM_DIR/run"
	: >"$log"
	XENSIM_FAIL=$1:$2:$3 "$PVBACKD" --runtime-dir="$XENSIM_DIR/run" --workers=2 >>"$log" 2>&1 &
	daemon=$!
	until_true 5000 serves_or_left || fail "use $2 of $1: neither serves nor leaves"
	if ! kill -0 "$daemon" 2>/dev/null; then
		# It may refuse to start: with a status and a line that says why.
		! wait "$daemon" || fail "use $2 of $1: it left with status 0"
		[ "$(wc -l <"$log")" -gt 1 ] || fail "use $2 of $1: it left without a word"
		nothing_is_held
		return 0
	fi
	life
	nothing_is_held
	daemon_lives
	if reached; then
		healthy
	fi
	stop_daemon
}

# From the first use to the first that a device's life does not reach.
every_use() { # CALL ERRNO
	i=1
	while [ "$i" -le "$most" ]; do
		one_fault "$1" "$i" "$2"
		if ! reached; then
			[ "$i" -gt 1 ] || fail "$1 is never used"
			break
		fi
		i=$((i + 1))
	done
}

open_gnttab() { every_use xengnttab_open ENOENT; }
map_refs() { every_use xengnttab_map_domain_grant_refs EINVAL; }
copy() { every_use xengnttab_grant_copy EFAULT; }
copy_status() { every_use xengnttab_grant_copy.status EIO; }
open_evtchn() { every_use xenevtchn_open ENOENT; }
bind() { every_use xenevtchn_bind_interdomain ENOSPC; }
open_ctrl() { every_use xc_interface_open ENOENT; }
domain_list() { every_use xc_domain_getinfolist EPERM; }

daemon=$$
test_case "no grant device" open_gnttab
test_case "a ring that cannot be mapped" map_refs
test_case "a copy that fails as a whole" copy
test_case "a copy of which one segment fails" copy_status
test_case "no event channel device" open_evtchn
test_case "an event channel that cannot be bound" bind
test_case "no hypervisor interface" open_ctrl
test_case "a list of domains that cannot be had" domain_list
exit "$failed"
