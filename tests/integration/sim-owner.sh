#!/bin/sh
# SPDX-License-Identifier: MIT
# Two backends on one machine: a device belongs to one of them, whichever of them starts or ends.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

daemon=$$ # each case starts its own daemon; test_case only checks that this process lives
otherlog=$XENSIM_DIR/otherlog

start_other() { # [OPTION...]
	# shellcheck disable=SC2086 # perhaps none
	begin "$otherlog" "$PVBACKD" --runtime-dir="$XENSIM_DIR/other" $isolation "$@"
	other=$!
	wait_line "$otherlog" " serves with "
}

stop_other() {
	kill -TERM "$other"
	wait "$other" || fail "the other daemon left with status $?: $(cat "$otherlog")"
}

key() { xenstore-read "$(backend vbd "$dom" 51712)/$1" 2>/dev/null; }
key_is() { [ "$(key "$1")" = "$2" ]; }
is_left_alone() { # WORDS
	wait_line "$otherlog" "vbd $dom/51712: .*$1.*left alone"
}

busy_guest() {
	guest_with_disk 16
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simblk --requests=200000000 --depth=4 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
}

moves() { [ "$(xensim-xl stat | sed 's/.* copies=\([0-9]*\) .*/\1/')" -gt "$1" ]; }
still_served() {
	_was=$(xensim-xl stat | sed 's/.* copies=\([0-9]*\) .*/\1/')
	until_true 10000 moves "$((_was + 100))" || fail "the guest is not served"
	key_is state 4 || fail "state $(key state)"
	! grep -q "errors=[1-9]\|in state" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
}

end() {
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held
}

a_running_guest() {
	start_daemon
	busy_guest
	start_other
	is_left_alone "is served by the pvbackd of $XENSIM_DIR/run"
	still_served
	xenstore-write "$(backend vbd "$dom" 51712)/online" 1 "$(backend vbd "$dom" 51712)/state" 4
	stop_other
	still_served
	[ "$(grep -c "left alone" "$otherlog")" = 1 ] || fail "said more than once: $(cat "$otherlog")"
	! grep -q "error\|warning" "$log" || fail "$(cat "$log")"
	end
	stop_daemon
}

new_guests() {
	start_daemon
	start_other
	for _ in 1 2 3 4 5 6 7 8; do
		new_disk disk 8
		dom=$(xensim-xl create guest)
		xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
		simblk --requests=200 --verify-all "$dom" 51712
		cat "$log" "$otherlog" | grep -c "vbd $dom/51712: connected" | grep -qx 1 || fail "not connected once"
		xensim-xl destroy "$dom"
	done
	nothing_is_held
	stop_other
	stop_daemon
}

its_daemon_stopped() {
	start_daemon
	busy_guest
	pvb_stop_all
	start_other
	is_left_alone "belongs to the pvbackd of $XENSIM_DIR/run, which has its journal and does not run"
	key_is state 4 || fail "state $(key state)"
	start_daemon
	still_served
	stop_other
	end
	stop_daemon
}

nothing_is_connected_yet() {
	start_daemon
	guest_with_disk 8
	until_true 10000 key_is state 2 || fail "state $(key state)"
	stop_daemon
	start_other
	simblk --requests=200 --verify-all "$dom" 51712
	key_is pvbackd-owner "$XENSIM_DIR/other" || fail "the owner is $(key pvbackd-owner)"
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_other
}

no_name() {
	start_daemon
	busy_guest
	pvb_stop_all
	xenstore-rm "$(backend vbd "$dom" 51712)/pvbackd-owner"
	start_other
	is_left_alone "another backend serves it"
	stop_other
	start_daemon # this daemon has the journal; the device was made by a version that wrote no owner
	still_served
	key_is pvbackd-owner "$XENSIM_DIR/run" || fail "the owner is $(key pvbackd-owner)"
	end
	stop_daemon
}

# As tapback does: it offers its own features, and there is no owner key.
another_offers() {
	dom=$(xensim-xl create guest)
	new_disk disk 8
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda hotplug=none &
	_attach=$!
	until_true 10000 key state >/dev/null || fail "no backend"
	xenstore-write "$(backend vbd "$dom" 51712)/state" 2
	wait "$_attach" || :
	start_other
	is_left_alone "another backend serves it"
	key_is state 2 || fail "state $(key state)"
	stop_other
	xenstore-rm "$(backend vbd "$dom" 51712)"
	xensim-xl destroy "$dom" || :
}

left_to_others() {
	start_daemon --serve=vbd3,vif
	start_other --serve=vbd
	for _kind in vbd vbd3; do
		new_disk disk 8
		dom=$(xensim-xl create guest)
		xensim-xl block-attach "$dom" "aio:$XENSIM_DIR/disk" xvda kind=$_kind
		[ "$_kind" = vbd ] && _whose=$XENSIM_DIR/other || _whose=$XENSIM_DIR/run
		until_true 10000 xenstore-exists "$(backend $_kind "$dom" 51712)/pvbackd-owner" || fail "nobody serves $_kind"
		[ "$(xenstore-read "$(backend $_kind "$dom" 51712)/pvbackd-owner")" = "$_whose" ] || fail "$_kind"
		xensim-xl destroy "$dom"
	done
	stop_other
	stop_daemon
	! "$PVBACKD" --runtime-dir="$XENSIM_DIR/run" --serve=vbd,scsi 2>"$XENSIM_DIR/err" || fail "scsi is served"
	grep -q "serve cannot be .vbd,scsi.: it takes a list of vbd, vbd3 and vif" "$XENSIM_DIR/err" || fail "$(cat "$XENSIM_DIR/err")"
}

test_case "a second daemon leaves a running guest alone, and says so once" a_running_guest
test_case "of two daemons one serves a new device" new_guests
test_case "rings whose journal another daemon has are left alone until that one is back" its_daemon_stopped
test_case "a device that nobody has connected yet goes to who is there" nothing_is_connected_yet
test_case "a device without a name goes to who has its journal, and to nobody else" no_name
test_case "what another backend has offered is left alone" another_offers
test_case "what serve does not name is left to somebody else" left_to_others
[ "$failed" = 0 ]
