#!/bin/sh
# SPDX-License-Identifier: MIT
# Captures of a NIC: tcpdump reads them (and tshark, where it is), they hold what passed and what was
# dropped, and they begin and end under a running guest.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"
command -v tcpdump >/dev/null || skip "tcpdump is missing"

key() { # NAME VALUE, of a running vif
	xenstore-write "$(backend vif "$dom" 0)/$1" "$2"
}

# ended: the capture of $dom is closed; $file is it.
ended() {
	file=$XENSIM_DIR/run/vif-$dom-0.pcapng
	wait_line "$log" "vif $dom/0: capture in .*: frames="
}

read_file() { # [FILTER...]
	tcpdump -Z root -nr "$file" "$@" 2>"$XENSIM_DIR/tcpdump" || fail "$(cat "$XENSIM_DIR/tcpdump")"
}

holds() { # NUMBER [FILTER...]
	_number=$1
	shift
	_count=$(read_file "$@" | wc -l)
	[ "$_count" = "$_number" ] || fail "$_count frames of \"$*\", not $_number: $(read_file | head -n 5)"
}

blind() { # FRAMES [OPTION...]
	_frames=$1
	shift
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simnet --frames="$_frames" --blind --hold "$@" "$dom" 0
	load=$!
	wait_line "$XENSIM_DIR/load" holding
}

destroy() {
	kill "$peer" 2>/dev/null || :
	wait "$peer" || :
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held "$fds"
}

echoed() { [ "$(counter rx_packets)" -ge "$1" ]; }

both_directions_are_there() {
	guest_with_nic be.pcap=on
	blind 100
	until_true 10000 echoed 100 || fail "$(counter rx_packets) came back"
	destroy
	ended
	holds 100 src 10.99.0.1 and udp port 7777 and ether "src 00:16:3e:00:0$dom:00"
	holds 100 src 10.99.0.1 and udp port 7777 and ether src 02:00:00:00:00:01
	grep -q "vif $dom/0: capture in .* missing=0$" "$log" || fail "frames are missing"
}

large_frames_are_whole() {
	guest_with_nic be.pcap=on
	blind 50 --kinds=gso4 --slots=18
	destroy
	ended
	_whole=$(read_file greater 2000 and ether "src 00:16:3e:00:0$dom:00" | wc -l)
	[ "$_whole" -gt 0 ] || fail "no large frame"
}

dropped_frames_say_why() {
	guest_with_nic be.pcap=on be.antispoof=on be.ip=10.99.0.3
	blind 50
	destroy
	ended
	holds 50 src 10.99.0.1
	_count=$(grep -ao "dropped: ipv4" "$file" | wc -l)
	[ "$_count" = 50 ] || fail "$_count comments"
	command -v tshark >/dev/null || return 0
	_count=$(tshark -r "$file" -Y 'frame.comment contains "dropped: ipv4"' | wc -l)
	[ "$_count" = 50 ] || fail "tshark sees $_count comments"
}

a_filter_chooses() {
	guest_with_nic be.pcap=snaplen=80 "be.pcap-filter=ip6 and udp"
	blind 100 --kinds=udp4,udp6
	if grep -q "vif $dom/0: this pvbackd was built without libpcap" "$log"; then
		destroy
		return
	fi
	destroy
	ended
	holds 0 ip
	_count=$(read_file ip6 | wc -l)
	[ "$_count" -gt 10 ] || fail "$_count frames"
	read_file -e ip6 and greater 100 >/dev/null
}

a_bad_filter_is_said_and_stops_nothing() {
	guest_with_nic be.pcap=on "be.pcap-filter=no such thing"
	simnet --frames=100 "$dom" 0
	end_guest
	grep -qE "vif $dom/0: (.pcap-filter. is not understood|this pvbackd was built without)" "$log" ||
		fail "the log does not say so"
}

switched_while_the_guest_runs() {
	guest_with_nic
	blind 100
	key pcap on
	wait_line "$log" "vif $dom/0: captures into"
	key pcap off
	ended
	holds 0 src 10.99.0.1 and ether "src 00:16:3e:00:0$dom:00"
	key pcap on
	kill "$load"
	wait "$load" || :
	until_true 10000 [ -e "$file.old" ] || fail "the earlier capture was not kept"
	destroy
}

a_stopped_daemon_leaves_a_whole_file() {
	guest_with_nic be.pcap=on
	blind 100
	stop_daemon
	if is_isolated; then # the guest's process goes on with it, until the next daemon begins another
		start_daemon
		ended
		file=$file.old
	else
		ended
	fi
	holds 100 src 10.99.0.1 and ether "src 00:16:3e:00:0$dom:00"
	is_isolated || start_daemon
	destroy
}

start_daemon
count_fds
test_case "a capture has what passed, both ways" both_directions_are_there
test_case "large TCP frames are there as they passed" large_frames_are_whole
test_case "a dropped frame says why" dropped_frames_say_why
test_case "a filter chooses" a_filter_chooses
test_case "a bad filter is said, and stops nothing" a_bad_filter_is_said_and_stops_nothing
test_case "a capture begins and ends under a running guest" switched_while_the_guest_runs
# In this shell: it stops and starts the daemon.
a_stopped_daemon_leaves_a_whole_file
echo "ok: a daemon that stops leaves a whole file"
finish
