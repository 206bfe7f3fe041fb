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
	if grep -q "vif $dom/0: no capture: .* was built without libpcap" "$log"; then
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
	grep -qE "vif $dom/0: no capture: .pcap-filter. (has a name in it|cannot be)" "$log" ||
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
		until_true 10000 [ -e "$file" ] || fail "the earlier capture was not kept"
	else
		ended
	fi
	holds 100 src 10.99.0.1 and ether "src 00:16:3e:00:0$dom:00"
	is_isolated || start_daemon
	destroy
}

# capture_into FILE [MEMBER...]: by an admin's descriptor, as long as $capture lives
capture_into() {
	_into=$1
	shift
	begin "$XENSIM_DIR/asked" "$build/tests/integration/ask-ctl" --with-3 "$XENSIM_DIR/run/ctl" "{\"command\":\"capture\",\"device\":\"$dom/vif0\",\"on\":true$*}" 3>"$_into"
	capture=$!
	wait_line "$XENSIM_DIR/asked" '"ok":'
	grep -q '"ok":true' "$XENSIM_DIR/asked" || fail "$(cat "$XENSIM_DIR/asked")"
}
end_capture() {
	kill "$capture"
	wait "$capture" || :
}

read_pipe() { exec tcpdump -Z root -lnr - udp port 7777 <"$XENSIM_DIR/pipe"; }

# Whoever reads it sees the frames while they come, and an end when the admin has enough.
an_admins_pipe() {
	guest_with_nic
	rm -f "$XENSIM_DIR/pipe"
	mkfifo "$XENSIM_DIR/pipe"
	begin "$XENSIM_DIR/piped" read_pipe
	reader=$!
	capture_into "$XENSIM_DIR/pipe" ',"filter":"udp","snaplen":100'
	blind 100
	until_true 10000 piped 200 || fail "$(wc -l <"$XENSIM_DIR/piped") lines"
	end_capture
	wait "$reader" || fail "the reader saw no end: $(tail -n 2 "$XENSIM_DIR/piped")"
	until_true 10000 not_capturing || fail "it still captures"
	destroy
}
piped() { [ "$(grep -c "UDP" "$XENSIM_DIR/piped")" -ge "$1" ]; }
not_capturing() {
	[ "$(ask "{\"command\":\"show\",\"device\":\"$dom/vif0\"}" /result/devices/0/detail/capturing)" = false ]
}

# Nobody waits for it: the guest's frames go, the others are answered, and the process ends when it is to.
a_reader_that_does_not_read() {
	guest_with_nic
	rm -f "$XENSIM_DIR/pipe"
	mkfifo "$XENSIM_DIR/pipe"
	sleep 1000 <>"$XENSIM_DIR/pipe" &
	reader=$!
	capture_into "$XENSIM_DIR/pipe"
	blind 400 --kinds=gso4 --slots=18
	until_true 20000 echoed 400 || fail "$(counter rx_packets) came back"
	answer_is /result/devices/0/carrier true "{\"command\":\"show\",\"device\":\"$dom/vif0\"}"
	destroy
	over_with device-gone
	kill "$reader"
	wait "$reader" || :
}
is_over() { ! kill -0 "$capture" 2>/dev/null; }
over_with() { # WORD: that is the last the admin hears
	until_true 10000 is_over || fail "the admin is not told: $1"
	grep -q "\"end\":\"$1\"" "$XENSIM_DIR/asked" || fail "$(cat "$XENSIM_DIR/asked")"
}

# What ends by itself tells the admin so, and what the keys say holds again.
a_full_file_and_a_reader_that_goes() {
	guest_with_nic
	file=$XENSIM_DIR/mine
	capture_into "$file" ',"size_mib":1'
	blind 100 --kinds=gso4 --slots=18
	over_with full
	grep -q "the file is full: frames=[1-9]" "$XENSIM_DIR/asked" || fail "$(cat "$XENSIM_DIR/asked")"
	until_true 10000 not_capturing || fail "it still captures"
	_bytes=$(wc -c <"$file")
	if [ "$_bytes" -lt 900000 ] || [ "$_bytes" -gt 1048576 ]; then fail "$_bytes bytes"; fi
	read_file >/dev/null
	kill "$load"
	wait "$load" || :
	rm -f "$XENSIM_DIR/pipe"
	mkfifo "$XENSIM_DIR/pipe"
	cat "$XENSIM_DIR/pipe" >/dev/null &
	reader=$!
	capture_into "$XENSIM_DIR/pipe"
	kill "$reader"
	wait "$reader" || :
	blind 100
	over_with reader-gone
	destroy
}

refused_with() { # CODE REQUEST, and the descriptor 3
	_code=$(ask_with_3 "$2" /code || :)
	[ "$_code" = "$1" ] || fail "$2: $_code, not $1"
}
an_admins_file() {
	guest_with_nic
	file=$XENSIM_DIR/mine
	capture_into "$file"
	blind 100
	until_true 10000 echoed 100 || fail "$(counter rx_packets) came back"
	end_capture
	until_true 10000 not_capturing || fail "it still captures"
	wait_line "$log" "vif $dom/0: capture in .*: frames="
	holds 100 src 10.99.0.1 and ether "src 00:16:3e:00:0$dom:00"
	_request="{\"command\":\"capture\",\"device\":\"$dom/0\",\"on\":true"
	answer_is /code usage "$_request}"
	refused_with usage "$_request}" 3<"$file"
	refused_with usage "$_request}" 3<>"$file"
	refused_with usage "$_request}" 3>/dev/null
	refused_with usage "$_request,\"snaplen\":0}" 3>"$file"
	refused_with usage "$_request,\"snaplen\":70000}" 3>"$file"
	refused_with bad-value "$_request,\"filter\":\"tcp tcp\"}" 3>"$file"
	refused_with bad-value "$_request,\"filter\":\"host www.example.org\"}" 3>"$file"
	destroy
}

# The NIC itself waits a moment for the file, so that its capture has the first frame; no other waits.
where_nobody_answers() {
	preload=$XENSIM_BUILD/lib/medium.so
	XENSIM_FAULTS=$XENSIM_DIR/trouble
	export XENSIM_FAULTS
	mkdir "$XENSIM_FAULTS"
	start_daemon
	dom=$(xensim-xl create waits)
	_waits=$dom
	touch "$XENSIM_FAULTS/hang-vif-$_waits-0.pcapng"
	xensim-xl network-attach "$_waits" 0 be.pcap=on
	start_peer
	_peer=$peer
	begin "$XENSIM_DIR/waits" simnet --frames=100 "$_waits" 0
	_load=$!
	guest_with_nic
	simnet --frames=100 "$dom" 0 || fail "another NIC waits"
	stop_peer
	wait "$_load" || fail "the NIC itself never comes: $(cat "$XENSIM_DIR/waits")"
	! grep -q "vif $_waits/0: captures into" "$log" || fail "the file is open"
	rm "$XENSIM_FAULTS"/*
	wait_line "$log" "vif $_waits/0: captures into"
	touch "$XENSIM_FAULTS/hang-vif-$_waits-0.pcapng"
	dom=$_waits key pcap off
	dom=$_waits key pcap on
	kill "$_peer"
	wait "$_peer" || fail "the peer"
	xensim-xl destroy "$_waits" # it waits for nobody
	xensim-xl destroy "$dom"
	nothing_is_held
	rm "$XENSIM_FAULTS"/*
	stop_daemon
	preload=
}

start_daemon
count_fds
test_case "an admin's file is captured into, and nothing but a file or a pipe" an_admins_file
test_case "a capture has what passed, both ways" both_directions_are_there
test_case "large TCP frames are there as they passed" large_frames_are_whole
test_case "a dropped frame says why" dropped_frames_say_why
test_case "a filter chooses" a_filter_chooses
test_case "a bad filter is said, and stops nothing" a_bad_filter_is_said_and_stops_nothing
test_case "a capture begins and ends under a running guest" switched_while_the_guest_runs
# In this shell: it stops and starts the daemon.
a_stopped_daemon_leaves_a_whole_file
echo "ok: a daemon that stops leaves a whole file"
test_case "an admin's pipe gets the frames as they come" an_admins_pipe
test_case "a reader that does not read holds up nobody" a_reader_that_does_not_read
test_case "a file that is full, and a reader that goes, end the capture" a_full_file_and_a_reader_that_goes
stop_daemon
daemon=$$ # from here on each case starts its own; test_case only looks whether this one lives
test_case "a file where nobody answers holds up no other NIC, and its own for a moment" where_nobody_answers
exit "$failed"
