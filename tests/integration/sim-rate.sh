#!/bin/sh
# SPDX-License-Identifier: MIT
# Rate limits of a NIC. The limits are so low that only a burst passes until the key changes. So the test need not measure
# time.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"

# Twenty frames, and twenty more in an hour.
slow=20,3600000000
queues=1

key() { # NAME VALUE, of a running vif
	xenstore-write "$(backend vif "$dom" 0)/$1" "$2"
}

total() { # COUNTER: over all queues
	dump "$queues"
	sed -n "s/.* $1=\([0-9]*\).*/\1/p" "$XENSIM_DIR/dump" | awk '{ sum += $1 } END { print sum + 0 }'
}

total_is() { [ "$(total "$1")" = "$2" ]; }
total_grew() { [ "$(total "$1")" -gt "$2" ]; }

# sends FRAMES [OPTION...]: start a guest in the background that sends frames and expects none
sends() {
	_frames=$1
	shift
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simnet --frames="$_frames" --blind --hold "$@" "$dom" 0
	load=$!
	wait_line "$XENSIM_DIR/load" connected
}

end_load() {
	kill "$peer" 2>/dev/null || :
	wait "$peer" || :
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held "$fds"
}

packets_from_the_guest() {
	guest_with_nic be.packet-rate="$slow"
	sends 200
	until_true 20000 total_grew tx_throttled 0 || fail "nothing waits"
	total_is tx_packets 20 || fail "$(total tx_packets) packets passed"
	key packet-rate 0,0
	wait_line "$XENSIM_DIR/load" holding
	total_is tx_packets 200 || fail "$(total tx_packets) of 200 in the end"
	end_load
}

bytes_from_the_guest() {
	guest_with_nic rate=1000,3600000000
	sends 200 --size=1400:1400
	until_true 20000 total_grew tx_throttled 0 || fail "nothing waits"
	total_is tx_packets 93 || fail "$(total tx_packets) packets passed, not 128 KiB"
	key rate 1000000000,1000
	wait_line "$XENSIM_DIR/load" holding
	end_load
}

# The guest may go on elsewhere, so the daemon sends nothing more for it, even when the limit is removed, unless the guest runs here again.
packets_of_a_stopped_guest() {
	guest_with_nic be.packet-rate="$slow"
	sends 200
	until_true 20000 total_grew tx_throttled 0 || fail "nothing waits"
	xensim-xl suspend "$dom"
	wait_line "$log" "vif $dom/0: its domain has shut down"
	key packet-rate 0,0
	total_is tx_packets 20 || fail "$(total tx_packets) packets passed"
	xensim-xl resume "$dom"
	wait_line "$XENSIM_DIR/load" holding
	total_is tx_packets 200 || fail "$(total tx_packets) of 200 in the end"
	end_load
}

packets_to_the_guest() {
	guest_with_nic be.packet-rate-rx="$slow"
	sends 200
	wait_line "$XENSIM_DIR/load" holding
	until_true 20000 total_grew rx_throttled 0 || fail "nothing waits"
	total_is rx_packets 20 || fail "$(total rx_packets) packets passed"
	total_is tx_packets 200 || fail "$(total tx_packets) packets from the guest"
	xenstore-rm "$(backend vif "$dom" 0)/packet-rate-rx"
	until_true 20000 total_grew rx_packets 199 || fail "$(total rx_packets) of 200 in the end"
	end_load
}

bytes_to_the_guest() {
	guest_with_nic be.rate-rx=1000,3600000000
	sends 200 --size=1400:1400
	until_true 20000 total_grew rx_throttled 0 || fail "nothing waits"
	_passed=$(total rx_packets)
	case $_passed in
	9[345]) ;;
	*) fail "$_passed packets passed, not 128 KiB" ;;
	esac
	key rate-rx 0,0
	until_true 20000 total_grew rx_packets 199 || fail "$(total rx_packets) of 200 in the end"
	end_load
}

one_bucket_for_all_queues() {
	guest_with_nic be.packet-rate="$slow"
	queues=4
	sends 200 --queues=4
	until_true 20000 total_grew tx_throttled 0 || fail "nothing waits"
	total_is tx_packets 20 || fail "$(total tx_packets) packets passed"
	end_load
}

bad_keys() {
	guest_with_nic be.packet-rate=fast be.ratte=5 rate=1
	simnet --frames=100 "$dom" 0
	end_guest
	grep -q "packet-rate. is not PACKETS,MICROSECONDS: the configuration's limit holds" "$log" || fail "the log does not say so"
	[ "$(grep -c "its key .ratte. means nothing; is it .rate.?" "$log")" = 1 ] || fail "nothing of ratte"
}

bad_change() {
	guest_with_nic be.packet-rate="$slow"
	sends 200
	until_true 20000 total_grew tx_throttled 0 || fail "nothing waits"
	_words=$(grep -c "packet-rate. is not" "$log")
	key packet-rate fast
	until_true 20000 said_more_than "$_words" || fail "the log does not say so"
	total_is tx_packets 20 || fail "$(total tx_packets) packets passed"
	key packet-rate 5000000000,3600000000
	wait_line "$XENSIM_DIR/load" holding
	end_load
}
said_more_than() { [ "$(grep -c "packet-rate. is not" "$log")" -gt "$1" ]; }

by_configuration() {
	configure ""
	start_daemon --workers=4 --config="$XENSIM_DIR/conf"
	count_fds
	reconfigure "has been read again" "[vif guest/0]" "packet-rate = $slow"
	queues=1
	for _own in be.packet-rate=fast be.rate=0,0; do
		guest_with_nic "$_own"
		sends 200
		until_true 20000 total_grew tx_throttled 0 || fail "nothing waits"
		total_is tx_packets 20 || fail "$(total tx_packets) packets passed"
		[ "$_own" = be.rate=0,0 ] || end_load
	done
	reconfigure "the configuration is not taken over" "packet-rate = fast"
	total_is tx_packets 20 || fail "$(total tx_packets) packets passed"
	reconfigure "has been read again" ""
	wait_line "$XENSIM_DIR/load" holding
	total_is tx_packets 200 || fail "$(total tx_packets) of 200 in the end"
	end_load
	stop_daemon
}

start_daemon --workers=4
count_fds
test_case "packets from the guest wait until the limit is lifted" packets_from_the_guest
test_case "packets of a guest that has shut down are not sent until it runs again" packets_of_a_stopped_guest
test_case "bytes from the guest wait until the limit is lifted" bytes_from_the_guest
test_case "packets to the guest wait until the limit is lifted" packets_to_the_guest
test_case "bytes to the guest wait until the limit is lifted" bytes_to_the_guest
test_case "all queues of a vif share one limit" one_bucket_for_all_queues
test_case "keys that cannot be read are said, and those that look like ours" bad_keys
test_case "a change that cannot be read leaves the limit in force" bad_change
stop_daemon
daemon=$$ # the last case starts its own daemon
test_case "a limit of the configuration holds over a reboot, and SIGHUP lifts it; not when the file is wrong" by_configuration
exit "$failed"
