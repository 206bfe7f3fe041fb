#!/bin/sh
# SPDX-License-Identifier: MIT
# Calls of the Xen libraries, on the tap and on netlink fail, at each of their uses in a NIC's life. The daemon lives, holds
# the same as before, and leaves no interface. The disk of another guest works all the time.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"
# shellcheck source=tests/integration/faults-lib.sh
. "${top_srcdir:-.}/tests/integration/faults-lib.sh"
# shellcheck disable=SC2034 # for faults-lib.sh
sparse=yes

# A NIC, and a peer behind it that sends each frame back.
nic_begins() {
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0 mtu=2000 rate=125000000,50000
}

nic_load() { # [OPTION...]
	begin "$XENSIM_DIR/peer" simpeer "vif$dom.0"
	peer=$!
	until_true 20000 test -s "$XENSIM_DIR/peer" || fail "the peer is silent" # it says "ready", or what is wrong
	_result=0
	simnet --frames=40 --window=8 --kinds=udp4,tcp4,raw --queues=2 "$@" "$dom" 0 \
		>"$XENSIM_DIR/load" 2>&1 || _result=1
	kill "$peer" 2>/dev/null || :
	wait "$peer" || _result=1
	return $_result
}

nic_ends() {
	xensim-xl network-detach "$dom" 0 || :
	xensim-xl destroy "$dom"
}

# The daemon tells the admin, and the device stays in state 2 until it is removed: no frontend connects to it.
refused() {
	xenstore-read "/local/domain/0/error/backend/vif/$dom/0/error" >/dev/null 2>&1
}

# Frames may be lost, but no frame may come back damaged, and the daemon must follow the rules of the ring.
life() {
	if ! nic_begins || refused; then
		nic_ends
		return
	fi
	_good=yes
	nic_load --idle=300 || grep -q " bad=0 .* protocol_errors=0" "$XENSIM_DIR/load" ||
		grep -q "while waiting for" "$XENSIM_DIR/load" || _good=
	nic_ends
	[ -n "$_good" ] || fail "$(cat "$XENSIM_DIR/load" "$XENSIM_DIR/peer")"
}

good_life() {
	nic_begins
	_good=yes
	nic_load || _good=
	nic_ends # also after a failure, so that the next fault starts without a NIC
	[ -n "$_good" ] || fail "$(cat "$XENSIM_DIR/load" "$XENSIM_DIR/peer")"
}

map_refs() { every_use xengnttab_map_domain_grant_refs EINVAL; }
copy() { every_use xengnttab_grant_copy EFAULT; }
copy_status() { every_use xengnttab_grant_copy.status EIO; }
bind() { every_use xenevtchn_bind_interdomain ENOSPC; }
tap_open() { every_use tap.open EMFILE; }
tap_ioctl() { every_use tap.ioctl EPERM; }
tap_read() { every_use tap.read EIO; }
tap_write() { every_use tap.write EIO; }
tap_full() { every_use tap.write EAGAIN; }
tap_batch() { every_use io_submit EAGAIN; }
tap_batch_partial() { every_use io_submit.partial EIO; }
nl_socket() { every_use netlink.socket EMFILE; }
nl_send() { every_use netlink.send ENOBUFS; }
nl_recv() { every_use netlink.recv ENOBUFS; }
nl_silent() { every_use netlink.recv EAGAIN; }

without_own_pages() {
	start_faulty xengntshr_share_pages:1+:ENOSPC
	good_life
	reached xengntshr_share_pages || fail "none are asked for"
	stop_daemon
}
daemon=$$ # this test has its own daemon
test_case "no pages for copies by reference: they name addresses" without_own_pages

start_faulty later
other_begins
no_vif_is_left() { ! ls "$XENSIM_DIR"/run/vif-* >/dev/null 2>&1; }
good_life # what the daemon allocates once and keeps, it has from now on
until_true 20000 no_vif_is_left || fail "a vif's files stay"
note_held
test_case "a ring that cannot be mapped" map_refs
test_case "a copy that fails as a whole" copy
test_case "a copy of which one segment fails" copy_status
test_case "an event channel that cannot be bound" bind
test_case "a tap that cannot be opened" tap_open
test_case "a tap that refuses a setting" tap_ioctl
test_case "a frame that cannot be had from the tap" tap_read
test_case "a frame that the tap does not take" tap_write
test_case "a tap that is full" tap_full
test_case "frames that are not taken together" tap_batch
test_case "frames of which half is taken together" tap_batch_partial
test_case "no netlink socket" nl_socket
test_case "a netlink request that cannot be sent" nl_send
test_case "a netlink answer that is lost" nl_recv
test_case "a netlink answer that never comes" nl_silent
other_ends_well || failed=1
finish
