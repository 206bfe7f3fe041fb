#!/bin/sh
# SPDX-License-Identifier: MIT
# Calls of the Xen libraries and of libaio, and open(), fail at each of their uses in a disk's life and while the daemon starts.
# The daemon lives (or, before it serves, logs why it ends), holds the same as before, and other guests notice nothing.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"
# shellcheck source=tests/integration/faults-lib.sh
. "${top_srcdir:-.}/tests/integration/faults-lib.sh"

persistent=
disk_load() {
	# shellcheck disable=SC2086 # an option or none
	simblk $persistent --requests=60 --depth=12 --segs=32 --odd --ring-order=1 --queues=2 --mix=45:45:5:5 --span=2048 \
		"$dom" 51712 >"$XENSIM_DIR/load" 2>&1
}

# Requests may fail. But what was answered with success was really done.
life() {
	new_disk disk 2
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda ${persistent:+be.persistent-grants=yes} || :
	disk_load || grep -q " bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl block-detach "$dom" xvda || :
	xensim-xl destroy "$dom"
}

good_life() {
	new_disk disk 2
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda ${persistent:+be.persistent-grants=yes}
	disk_load || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
}

# When the daemon starts, it may refuse, with an exit status and a line that says why.
start_fault() { # CALL USE ERRNO
	xensim-xl fail "$1:$2:$3"
	start_faulty later
	if ! kill -0 "$daemon" 2>/dev/null; then
		! wait "$daemon" || fail "use $2 of $1: it left with status 0"
		[ "$(grep -c "pvbackd: error" "$log")" -gt 0 ] || fail "use $2 of $1: it left without a word"
		nothing_is_held
		return
	fi
	life
	nothing_is_held
	stop_daemon
}

every_start() { # CALL ERRNO
	_use=1
	start_fault "$1" "$_use" "$2"
	reached "$1" || fail "$1 is never used"
	while reached "$1"; do
		_use=$((_use + 1))
		start_fault "$1" "$_use" "$2"
	done
}

open_gnttab() { every_start xengnttab_open ENOENT; }
open_evtchn() { every_start xenevtchn_open ENOENT; }
open_ctrl() { every_start xc_interface_open ENOENT; }
aio_context() { every_start io_setup EAGAIN; }
no_descriptors() { every_start open EMFILE; }

map_refs() { every_use xengnttab_map_domain_grant_refs EINVAL; }
map_persistent() { persistent=--persistent; every_use xengnttab_map_domain_grant_refs EINVAL; }
copy() { every_use xengnttab_grant_copy EFAULT; }
copy_status() { every_use xengnttab_grant_copy.status EIO; }
bind() { every_use xenevtchn_bind_interdomain ENOSPC; }
domain_list() { every_use xc_domain_getinfolist EPERM; }
submit() { every_use io_submit EIO; }
submit_again() { every_use io_submit EAGAIN; }
submit_partial() { every_use io_submit.partial EIO; }
open_image() { every_use open EACCES; }
getevents() { every_use io_getevents EINTR; }
bad_result() { every_use io_getevents.result EIO; }

# Only the start of the daemon fails here, so there are no guests.
daemon=$$
test_case "no grant device" open_gnttab
test_case "no event channel device" open_evtchn
test_case "no hypervisor interface" open_ctrl
test_case "no aio context" aio_context
test_case "no file can be opened" no_descriptors

begin_with() { # WHAT-FAILS
	xensim-xl fail none
	start_faulty "$1"
	other_begins
	good_life # what the daemon allocates once and keeps, it has from now on
	wait_line "$log" "vbd $dom/51712: removed"
	note_held
}

end_well() {
	other_ends_well || failed=1
	stop_daemon || failed=1
}

begin_with later
test_case "a ring that cannot be mapped" map_refs
test_case "a guest's page that cannot be mapped" map_persistent
test_case "a copy that fails as a whole" copy
test_case "a copy of which one segment fails" copy_status
test_case "an event channel that cannot be bound" bind
test_case "a list of domains that cannot be had" domain_list
test_case "an I/O that is not taken" submit
test_case "an I/O that is not taken now" submit_again
test_case "I/O of which half is taken" submit_partial
test_case "a file that cannot be opened" open_image
end_well

# The same on completion rings that only the kernel can read.
begin_with io_setup.opaque:1,io_setup.opaque:2,io_setup.opaque:3,io_setup.opaque:4,later # two workers, two each
test_case "completions that cannot be had now" getevents
test_case "an I/O that fails" bad_result
end_well
exit "$failed"
