#!/bin/sh
# SPDX-License-Identifier: MIT
# NICs: each kind of frame, feature and frontend, with each byte checked in both directions; and what happens when NICs are
# removed under load.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu

# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"

load() {
	guest_with_nic
	simnet "$@" "$dom" 0 || fail "simnet $*"
	end_guest
}

peer_saw() { # PATTERN: in the peer's figures
	grep -q "$1" "$XENSIM_DIR/peer" || fail "no \"$1\": $(cat "$XENSIM_DIR/peer")"
}

udp() { load --kinds=udp4,udp6; }
tcp() { load --kinds=tcp4,tcp6; }
others() { load --kinds=raw,vlan,udp4; }
pieces() { load --kinds=udp4,tcp6,raw --slots=18 --size=200:1514; }
tiny() { load --kinds=raw,udp4 --size=20:80 --slots=1; }
gso4() { load --kinds=gso4 --frames=500; peer_saw "gso=50"; }
gso6() { load --kinds=gso6 --csum6 --frames=500; peer_saw "gso=50"; }
gso_and_small() { load --kinds=gso4,gso6,udp4,tcp6,raw,vlan --csum6 --slots=18; }
gso6_cut_by_the_host() { load --kinds=gso6 --window=1 --frames=100; }
no_gso() { load --kinds=tcp4,tcp6,udp4 --no-gso; }
no_sg() { load --kinds=udp4,udp6,tcp4,raw --no-sg; }
single_channel() { load --single-channel --kinds=udp4,tcp4,gso4; }
queues() { load --queues=4 --kinds=udp4,udp6,gso4 --csum6; }
no_csum4() { load --no-csum4 --kinds=udp4,tcp4; }
csum6() { load --csum6 --kinds=udp6,tcp6; }
windows() { load --windows --rounds=3 --frames=300; }
linux_2_6_18() { load --old --kinds=udp4,tcp4,gso4 --rounds=2 --frames=300; }
older() { load --old --no-rx-notify --no-sg --no-gso --kinds=udp4,tcp4 --frames=300; }
kexec() { load --leave=kexec --rounds=4 --frames=300; }
straight() { load --leave=straight --rounds=4 --frames=300; }
again() { load --rounds=5 --frames=200; }
one_by_one() { load --window=1 --frames=500; }

jumbo() {
	guest_with_nic mtu=9000
	simnet --kinds=udp4,udp6,raw,vlan --size=60:9000 --slots=6 "$dom" 0
	end_guest
}

# The load of the benchmarks: all frames are taken, and simnet prints the rate.
plain() {
	guest_with_nic
	simnet --plain=60 --frames=2000 "$dom" 0 >"$XENSIM_DIR/plain"
	simnet --plain=60000 --frames=300 "$dom" 0 >>"$XENSIM_DIR/plain"
	[ "$(grep -c '^plain frames=.* pps=.* errors=0' "$XENSIM_DIR/plain")" = 2 ] || fail "$(cat "$XENSIM_DIR/plain")"
	end_guest
}

# The interface as the admin sees it, without counters and without what a connect or disconnect may change.
as_admin_left_it() {
	ip -d link show "vif$dom.0" | sed 's/<[^>]*>//; s/ state [A-Za-z]* / /g; s/numtxqueues.*//'
	ip addr show "vif$dom.0" | grep inet
	ip link show "vif$dom.0" up
	tc qdisc show dev "vif$dom.0"
}

admins_settings_stay() {
	guest_with_nic
	stop_peer
	for _queues in 1 4; do
		start_peer
		simnet --frames=50 --queues="$_queues" "$dom" 0 || fail "simnet"
		stop_peer
		ip link set "vif$dom.0" mtu 2000 txqueuelen 77 alias "the web server's"
		ip addr replace 192.0.2.1/24 dev "vif$dom.0"
		tc qdisc replace dev "vif$dom.0" root pfifo limit 55
		as_admin_left_it >"$XENSIM_DIR/as_left" 2>&1
		grep -q "qlen 77" "$XENSIM_DIR/as_left" || fail "not set: $(cat "$XENSIM_DIR/as_left")"
		start_peer
		simnet --frames=50 --queues=4 "$dom" 0 || fail "simnet"
		stop_peer
		as_admin_left_it >"$XENSIM_DIR/as_is" 2>&1
		diff "$XENSIM_DIR/as_left" "$XENSIM_DIR/as_is" || fail "another guest, another interface"
	done
	start_peer
	end_guest
}

# Before the guest connects, while another interface in this namespace has its index.
in_another_namespace() {
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0
	unshare -n sleep 1000 &
	_ns=$!
	until_true 5000 is_elsewhere "$_ns" || fail "no namespace"
	_index=$(cat "/sys/class/net/vif$dom.0/ifindex" 2>/dev/null || ip -o link show "vif$dom.0" | cut -d : -f 1)
	ip link set "vif$dom.0" netns "$_ns"
	ip link add name victim index "$_index" mtu 1234 type veth
	ip link set victim txqueuelen 99
	begin "$XENSIM_DIR/peer" nsenter -t "$_ns" -n simpeer "vif$dom.0"
	peer=$!
	wait_line "$XENSIM_DIR/peer" ready
	simnet --queues=4 --kinds=udp4,gso4 "$dom" 0 || fail "simnet"
	wait_line "$log" "vif $dom/0: its interface vif$dom.0 is in another network namespace: it is served"
	ip -o link show victim | grep -q "mtu 1234 .* qlen 99" || fail "a stranger is changed: $(ip -o link show victim)"
	stop_peer
	xensim-xl destroy "$dom"
	until_true 5000 is_gone_from "$_ns" || fail "it is left there"
	ip link show victim >/dev/null || fail "a stranger is removed"
	ip link del victim
	kill "$_ns"
	nothing_is_held "$fds"
}
is_elsewhere() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
is_gone_from() { ! nsenter -t "$1" -n ip link show "vif$dom.0" >/dev/null 2>&1; }

# The host fills in checksums before it sends, so no checksum may be blank or wrong.
host_without_offload() {
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0
	start_peer --software
	simnet --kinds=udp4,udp6,tcp4,tcp6,raw "$dom" 0
	end_guest
}

busy_guest() {
	guest_with_nic
	rm -f "$XENSIM_DIR/load" # the output of an earlier one
	begin "$XENSIM_DIR/load" simnet --frames=400000000 --kinds=udp4,gso4,raw "$dom" 0
	load=$!
	wait_line "$XENSIM_DIR/load" connected
}

# The guest is suspended, and the suspend is cancelled, again and again; the guest notices nothing and loses no frame.
suspended_often() {
	guest_with_nic
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simnet --frames=1000000 --until="$XENSIM_DIR/enough" --kinds=udp4,gso4,raw --queues=2 "$dom" 0
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	for _ in 1 2 3 4 5; do
		xensim-xl suspend "$dom"
		until_true 20000 dump_says " halted" || fail "it goes on"
		xensim-xl resume "$dom"
		until_true 20000 dump_says "" || fail "it does not go on"
	done
	touch "$XENSIM_DIR/enough"
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	rm "$XENSIM_DIR/enough"
	end_guest
}
dump_says() { # WORDS, in the line of the vif as a whole
	dump 2
	grep "dump: vif $dom/0 state" "$log" | tail -n 1 | grep -q " rings=attached$1 steer="
}

detach_under_load() {
	busy_guest
	xensim-xl network-detach "$dom" 0
	wait "$load" || :
	kill "$peer" 2>/dev/null || :
	wait "$peer" || :
	grep -q "bad=0 .*protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
	until_true 5000 no_tap || fail "a tap is left behind"
}

destroy_under_load() {
	busy_guest
	xensim-xl destroy "$dom"
	wait "$load" || :
	kill "$peer" 2>/dev/null || :
	wait "$peer" || :
	nothing_is_held "$fds"
	until_true 5000 no_tap || fail "a tap is left behind"
	! xensim-xl list | grep -q "^$dom " || fail "a zombie domain: $(xensim-xl list)"
}

death_outside_the_toolstack() {
	busy_guest
	xensim-xl kill "$dom"
	wait "$load" || :
	kill "$peer" 2>/dev/null || :
	wait "$peer" || :
	nothing_is_held
	! xensim-xl list | grep -q "^$dom " || fail "a zombie domain: $(xensim-xl list)"
	xenstore-rm "/local/domain/0/backend/vif/$dom"
	until_true 5000 no_tap || fail "a tap is left behind"
	nothing_is_held "$fds"
}

attach_and_detach_often() {
	dom=$(xensim-xl create guest)
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		xensim-xl network-attach "$dom" 0
		start_peer
		simnet --frames=50 "$dom" 0
		stop_peer
		xensim-xl network-detach "$dom" 0
	done
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

start_daemon
count_fds
test_case "UDP comes back right, v4 and v6" udp
test_case "TCP comes back right, v4 and v6" tcp
test_case "unknown ethertypes and tagged frames pass" others
test_case "a frame may come in 18 pieces of any size" pieces
test_case "frames shorter than Ethernet's minimum pass" tiny
test_case "large TCPv4 frames stay whole both ways" gso4
test_case "large TCPv6 frames stay whole both ways" gso6
test_case "large and small frames mix" gso_and_small
test_case "a guest without IPv6 checksum offload gets its TCPv6 cut" gso6_cut_by_the_host
test_case "a guest without GSO is served" no_gso
test_case "a guest without scatter-gather gets no chains" no_sg
test_case "one event channel for both rings works" single_channel
test_case "several queues work" queues
test_case "a guest that wants no blank IPv4 checksums gets none" no_csum4
test_case "a guest that takes blank IPv6 checksums gets them right" csum6
test_case "Windows' close and reopen at every start works" windows
test_case "Linux 2.6.18's frontend is served: one queue, one channel" linux_2_6_18
test_case "and one that is older: no scatter-gather, no word of posted buffers" older
test_case "a kexec takes over a NIC" kexec
test_case "a frontend may go from 4 to 1 without closing" straight
test_case "a frontend may close and connect again and again" again
test_case "one frame at a time is never stuck" one_by_one
test_case "jumbo frames pass" jumbo
test_case "a plain load is timed" plain
test_case "a host without offloads is served" host_without_offload
test_case "what an admin has set on the interface outlives its guests" admins_settings_stay
test_case "a tap in another namespace is served with a warning, and no stranger is touched" in_another_namespace
test_case "a guest whose suspend is cancelled loses no frame" suspended_often
test_case "a detach under load is clean" detach_under_load
test_case "a destroy under load leaves neither zombie nor tap" destroy_under_load
test_case "a domain that dies without a word leaves no zombie" death_outside_the_toolstack
test_case "attach and detach ten times" attach_and_detach_often
finish
