#!/bin/sh
# SPDX-License-Identifier: MIT
# NICs when the daemon is killed: frames are undamaged and in order, few arrive twice, and no frame from the guest is lost. A
# daemon that starts finds what has changed while none ran.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"

daemon=$$ # each case starts its own daemon; test_case only checks that this process lives

# busy_nic PEER-OPTION OPTION...: start a guest whose NIC sends frames, and a peer that sends them back
busy_nic() {
	start_daemon
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0
	# shellcheck disable=SC2086 # perhaps none
	start_peer $1
	shift
	rm -f "$XENSIM_DIR/enough"
	begin "$XENSIM_DIR/load" simnet --lossy --frames=400000000 --until="$XENSIM_DIR/enough" "$@" "$dom" 0
	load=$!
	wait_line "$XENSIM_DIR/load" connected
}

# Wait until the NIC has passed more frames than at first.
passes() {
	_notes=$(xensim-xl stat | sed 's/.* copies=\([0-9]*\) .*/\1/')
	[ "$_notes" -gt "$1" ]
}

frames_flow() {
	_was=$(xensim-xl stat | sed 's/.* copies=\([0-9]*\) .*/\1/')
	until_true 10000 passes "$((_was + 100))" || fail "no frames pass"
}

end() {
	xensim-xl destroy "$dom"
	nothing_is_held
	until_true 5000 no_tap || fail "a tap is left behind"
	no_file_stays 'vif-*'
	stop_daemon
}

enough() {
	: >"$XENSIM_DIR/enough"
	wait "$load" || fail "the guest: $(cat "$XENSIM_DIR/load")"
	grep -q " bad=0 tx_errors=0 protocol_errors=0 " "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	stop_peer
}

figure() { # NAME FILE
	sed -n "s/.* $1=\([0-9]*\).*/\1/p" "$2"
}

ten_kills() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		frames_flow
		pvb_kill_in_turn "$dom"
	done
	frames_flow
	enough
}

# There is one queue, so all frames have one order. Every number arrives. After each kill, at most a ring of frames arrives twice.
seam() {
	busy_nic --in-order "$@"
	ten_kills
	_again=$(figure again "$XENSIM_DIR/peer")
	[ "$_again" -le $((10 * 256)) ] || fail "$_again frames came twice in ten kills"
	echo "$(figure frames "$XENSIM_DIR/peer") frames, $_again again; $(cat "$XENSIM_DIR/load")"
	end
}

small() { seam --kinds=udp4,raw,tcp6 --window=64; }
in_pieces() { seam --kinds=udp4 --slots=18 --size=400:1514 --window=32; }
large() { seam --kinds=gso4 --window=16; }

several_queues() {
	busy_nic "" --queues=4 --kinds=udp4,udp6,gso4,vlan
	ten_kills
	end
}

# The daemon sets up again what the keys say: the tap refuses frames that the guest cannot take.
features() {
	busy_nic "" --no-sg --no-csum4 --kinds=udp4,tcp4
	pvb_kill_all
	start_daemon
	frames_flow
	enough # a frame that the guest has not offered to take would be a protocol error
	end
}

throttles() {
	kill -USR1 "$daemon"
	grep -q " tx_throttled=[1-9]" "$log"
}

rate() {
	busy_nic "" --kinds=udp4
	kill_daemon
	xenstore-write "$(backend vif "$dom" 0)/rate" "12500,50000"
	start_daemon
	if is_isolated; then _as="is served still"; else _as="resumed"; fi
	wait_line "$log" "vif $dom/0: $_as"
	until_true 10000 throttles || fail "nothing is held back"
	enough
	end
}

tap_stays_in_its_bridge() {
	ip link add xenbr9 type bridge 2>/dev/null || { echo "no bridges here" && return 0; }
	busy_nic "" --kinds=udp4
	ip link set "vif$dom.0" master xenbr9
	kill_daemon
	start_daemon
	ip -o link show "vif$dom.0" | grep -q "master xenbr9" || fail "$(ip -o link show "vif$dom.0")"
	ip link del xenbr9 # the ports of a bridge stay when it is removed
	kill_daemon
	start_daemon
	frames_flow
	enough
	end
}

renamed_tap() {
	busy_nic "" --kinds=udp4
	stop_peer
	ip link set "vif$dom.0" down
	ip link set "vif$dom.0" name mynic # the daemon is not told
	kill_daemon
	start_daemon
	ip link show mynic >/dev/null || fail "it is not there any more"
	begin "$XENSIM_DIR/peer" simpeer mynic
	peer=$!
	frames_flow
	kill_daemon
	stop_peer
	kill "$load"
	wait "$load" || :
	xenstore-rm "$(backend vif "$dom" 0)" # as xl does after its time limit
	start_daemon
	! ip link show mynic >/dev/null 2>&1 || fail "the renamed tap is left behind"
	end
}

# ip link shows NO-CARRIER only for an interface that is up.
has_no_carrier() { ip -o link show "$1" | grep -q NO-CARRIER; }

# How often the carrier has been turned on or off; ip calls that "transns".
carrier_changes() { ip -s -s link show "vif$dom.0" | sed -n '/transns/{n;p;}' | awk '{ print $NF }'; }

carrier_stays_on() {
	busy_nic "" --queues=4 --kinds=udp4
	frames_flow
	_changes=$(carrier_changes)
	[ -n "$_changes" ] || fail "ip does not tell"
	for _signal in TERM KILL; do
		kill -"$_signal" "$daemon"
		wait "$daemon" || :
		! has_no_carrier "vif$dom.0" || fail "no carrier while no daemon runs"
		start_daemon
		frames_flow
	done
	[ "$(carrier_changes)" = "$_changes" ] || fail "the carrier went and came"
	enough
	end
	until_true 5000 no_process || fail "left behind: $(pgrep -a -f "runtime-dir=$XENSIM_DIR/run")"
}
no_process() { ! pgrep -f "runtime-dir=$XENSIM_DIR/run" >/dev/null; }

# No program can find the interface there by its name or index.
moved_tap() {
	busy_nic "" --kinds=udp4
	stop_peer
	unshare -n sleep 1000 &
	_ns=$!
	until_true 5000 is_elsewhere "$_ns" || fail "no namespace"
	ip link set "vif$dom.0" netns "$_ns"
	kill_daemon
	start_daemon
	begin "$XENSIM_DIR/peer" nsenter -t "$_ns" -n simpeer "vif$dom.0"
	peer=$!
	frames_flow
	grep -q "vif $dom/0: its interface vif$dom.0 is in another network namespace" "$log" || fail "no warning"
	kill_daemon
	both_end
	xenstore-rm "$(backend vif "$dom" 0)"
	start_daemon
	until_true 5000 is_gone_from "$_ns" || fail "it is left there"
	kill "$_ns"
	end
}
is_elsewhere() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
is_gone_from() { ! nsenter -t "$1" -n ip link show "vif$dom.0" >/dev/null 2>&1; }

# The process that held the taps was killed with the daemon: then a restart is like unplugging the cable, and nothing worse.
# Version 0.1 wrote down only the index of a tap, held no taps, and wrote no owner into the devices.
from_the_first_version() {
	busy_nic "" --kinds=udp4
	pkill -9 -f "runtime-dir=$XENSIM_DIR/run"
	wait "$daemon" || :
	pvb_kill_guests
	truncate -s 4 "$XENSIM_DIR/run/vif-$dom-0.tap"
	xenstore-rm "$(backend vif "$dom" 0)/pvbackd-owner"
	start_daemon
	frames_flow
	enough
	end
}
no_keeper() {
	busy_nic "" --queues=4 --kinds=udp4
	pkill -9 -f "runtime-dir=$XENSIM_DIR/run"
	wait "$daemon" || :
	pvb_kill_guests
	has_no_carrier "vif$dom.0" || fail "it is still held"
	start_daemon
	frames_flow
	enough
	end
}

no_guest_no_carrier() {
	start_daemon
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0
	ip link set "vif$dom.0" up
	for _signal in TERM KILL; do
		kill -"$_signal" "$daemon"
		wait "$daemon" || :
		start_daemon
		own_state_is 2
		has_no_carrier "vif$dom.0" || fail "$(ip -o link show "vif$dom.0")"
	done
	end
}

# The guest closed while no daemon ran that could turn the carrier off.
closed_no_carrier() {
	busy_nic "" --kinds=udp4
	kill_daemon
	both_end
	xenstore-write "$(xenstore-read "$(backend vif "$dom" 0)/frontend")/state" 6
	start_daemon
	own_state_is 6
	has_no_carrier "vif$dom.0" || fail "$(ip -o link show "vif$dom.0")"
	end
}

refused_no_carrier() {
	busy_nic "" --kinds=udp4
	pvb_kill_all
	both_end # a living frontend would answer state 5
	: >"$XENSIM_DIR/run/vif-$dom-0-0.ring" # damaged
	start_daemon
	own_state_is 5
	has_no_carrier "vif$dom.0" || fail "$(ip -o link show "vif$dom.0")"
	end
}

tap_gone() {
	busy_nic "" --kinds=udp4
	kill_daemon
	ip link del "vif$dom.0"
	start_daemon
	wait_line "$log" "vif $dom/0: its network interface was removed"
	wait_line "$log" "vif $dom/0: closing"
	wait "$load" || :
	kill "$peer" 2>/dev/null || : # it may have ended by itself
	wait "$peer" || :
	end
}

vif_gone() {
	busy_nic "" --kinds=udp4
	kill_daemon
	xenstore-rm "$(backend vif "$dom" 0)" # as xl does after its time limit
	start_daemon
	until_true 5000 no_tap || fail "a tap is left behind"
	kill "$load" 2>/dev/null || :
	wait "$load" || :
	kill "$peer" 2>/dev/null || : # it may have ended by itself
	wait "$peer" || :
	end
}

# The device goes while the next daemon starts: before the daemon has set its watch, or after it has found the device and before it reads it.
vif_goes() { # CALL
	busy_nic "" --kinds=udp4
	kill_daemon
	start_daemon_while "$1" xenstore-rm "$(backend vif "$dom" 0)"
	until_true 5000 no_tap || fail "a tap is left behind"
	both_end
	end
}
vif_goes_early() { vif_goes xc_interface_open; }
vif_goes_late() { vif_goes xc_domain_getinfolist; }

vif_added() {
	start_daemon
	kill_daemon
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0 &
	_attach=$!
	until_true 5000 xenstore-exists "$(backend vif "$dom" 0)/state"
	start_daemon
	wait "$_attach" || fail "the attach timed out"
	start_peer
	simnet --frames=200 "$dom" 0
	stop_peer
	end
}

vif_reconnects() {
	busy_nic "" --kinds=udp4 --leave=kexec
	kill_daemon
	kill -9 "$load"
	wait "$load" || :
	begin "$XENSIM_DIR/load" simnet --leave=kexec --frames=200 "$dom" 0
	load=$!
	start_daemon
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	stop_peer
	end
}

# From now on neither the guest nor the peer sends anything.
both_end() {
	kill -9 "$load" 2>/dev/null || :
	wait "$load" || :
	kill "$peer" 2>/dev/null || : # it may have ended by itself
	wait "$peer" || :
}

own_state_is() { # STATE
	xensim-xl wait "$(backend vif "$dom" 0)/state" "$1"
}

# The frontend wrote 5 while no daemon ran.
closed() {
	busy_nic "" --kinds=udp4
	kill_daemon
	both_end
	_front=$(xenstore-read "$(backend vif "$dom" 0)/frontend")
	xenstore-write "$_front/state" 5
	start_daemon
	own_state_is 5
	xenstore-write "$_front/state" 6
	own_state_is 6
	stat_is 0 0 || fail "rings are mapped: $(xensim-xl stat)"
	end
}

crashed() {
	busy_nic "" --kinds=udp4
	kill_daemon
	xensim-xl crash "$dom"
	both_end
	start_daemon
	end
}

rebooted() {
	busy_nic "" --kinds=udp4
	kill_daemon
	_old=$dom
	xenstore-rm "$(backend vif "$dom" 0)" # as xl does after its time limit
	xensim-xl kill "$dom"
	both_end
	start_daemon
	nothing_is_held
	guest_with_nic
	simnet --frames=200 "$dom" 0
	stop_peer
	! ip link show "vif$_old.0" >/dev/null 2>&1 || fail "the tap of its earlier life is left"
	end
}

detached() {
	busy_nic "" --kinds=udp4
	kill_daemon
	xensim-xl network-detach "$dom" 0 &
	_detach=$!
	own_state_is 5 # which the toolstack has written
	start_daemon
	wait "$_detach" || fail "the detach timed out"
	until_true 5000 no_tap || fail "a tap is left behind"
	both_end
	end
}

# The domain stays a zombie until the daemon unmaps its pages; nothing changes in xenstore.
domain_gone() {
	busy_nic "" --kinds=udp4
	kill_daemon
	xensim-xl kill "$dom"
	both_end
	start_daemon
	nothing_is_held
	! xensim-xl list | grep -q "^$dom " || fail "a zombie domain: $(xensim-xl list)"
	xenstore-rm "/local/domain/0/backend/vif/$dom"
	wait_line "$log" "vif $dom/0: removed"
	until_true 5000 no_tap || fail "a tap is left behind"
	no_file_stays 'vif-*'
	stop_daemon
}

# Another daemon, with another runtime directory, runs while ours runs and while it does not.
second_daemon() {
	busy_nic ""
	for _words in "is served by" "belongs to"; do
		# shellcheck disable=SC2086 # perhaps none
		begin "$XENSIM_DIR/other" "$PVBACKD" --runtime-dir="$XENSIM_DIR/second" $isolation
		_other=$!
		wait_line "$XENSIM_DIR/other" "vif $dom/0: $_words the pvbackd of $XENSIM_DIR/run.*left alone"
		[ "$_words" = "belongs to" ] || frames_flow
		kill "$_other"
		wait "$_other" || fail "the other left with status $?"
		! no_tap || fail "the tap is gone"
		[ "$_words" = "belongs to" ] || stop_daemon
	done
	start_daemon
	frames_flow
	enough
	end
}

# The daemon does not wait for the process of a guest that is gone.
process_hangs() {
	PVB_ISOLATION=guest
	isolation=--isolation=guest
	busy_nic "" --kinds=udp4
	new_disk disk 8
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	begin "$XENSIM_DIR/disk-load" simblk --requests=400000000 "$dom" 51712
	disk_load=$!
	wait_line "$XENSIM_DIR/disk-load" connected
	hangs=$(pvb_guest_pid "$dom")
	kill -STOP "$hangs"
	end
	# The daemon gives up each device alone; on a slow machine it may give up the whole process before that.
	given_up="guest $dom: its process ($hangs) has not answered"
	grep -q -e "$given_up" -e "vif $dom/0: process $hangs has not let go of its rings" "$log" || fail "the NIC was not gone on without"
	grep -q -e "$given_up" -e "vbd $dom/51712: process $hangs has not let go of its rings" "$log" ||
		fail "the disk was not gone on without"
	! kill -0 "$hangs" 2>/dev/null || fail "it is there yet"
	no_file "vbd-*" || fail "left behind: $(ls "$XENSIM_DIR/run")"
	kill -9 "$disk_load" "$load" "$peer" 2>/dev/null || :
	wait "$disk_load" "$load" "$peer" || :
}

test_case "SIGKILL loses no frame of the guest and keeps their order" small
test_case "SIGKILL never publishes half a frame" in_pieces
test_case "SIGKILL amid large frames tears none" large
test_case "SIGKILL of four queues tears nothing" several_queues
test_case "the frontend's features are known again" features
test_case "a rate that was changed meanwhile holds" rate
test_case "a tap stays in its bridge, and lives on without it" tap_stays_in_its_bridge
test_case "a renamed tap is found again, and removed if its vif is gone" renamed_tap
test_case "a restart takes no carrier from a connected guest" carrier_stays_on
test_case "a tap in another namespace is served after a restart, too, and removed there" moved_tap
test_case "without what holds the taps a restart costs the carrier, and no more" no_keeper
test_case "a NIC that the first version served is taken up" from_the_first_version
test_case "no guest, no carrier, whenever the daemon has started" no_guest_no_carrier
test_case "a guest that closed meanwhile leaves no carrier" closed_no_carrier
test_case "a guest that cannot be taken up again leaves no carrier" refused_no_carrier
test_case "a tap that is gone is an error that says so" tap_gone
test_case "a vif that was forced off leaves no tap" vif_gone
test_case "a vif that is forced off before a starting daemon watches leaves no tap" vif_goes_early
test_case "a vif that is forced off before a starting daemon looks at it leaves no tap" vif_goes_late
test_case "a vif that was added is attached in time" vif_added
test_case "a frontend that reconnects is connected" vif_reconnects
test_case "a frontend that closed is closed" closed
test_case "a guest that crashed is let go" crashed
test_case "a guest that rebooted finds its NIC, and its old tap is gone" rebooted
test_case "a NIC that is being detached is detached in time" detached
test_case "a domain that is gone is let go" domain_gone
test_case "a guest is destroyed, both kinds of device, while its process hangs" process_hangs
test_case "a second daemon leaves a NIC and its tap alone" second_daemon
exit "$failed"
