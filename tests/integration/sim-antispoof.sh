#!/bin/sh
# SPDX-License-Identifier: MIT
# Port security, tested on the whole daemon: allowed frames of the guest come out of its tap, other frames do not. The daemon
# counts each refusal by its cause, and the keys may change while the guest runs.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"

own="10.99.0.1 fd00::1" # simnet's source addresses

# attach IP [OPTION...]: make $dom with vif 0, which may use only these addresses
attach() {
	_ip=$1
	shift
	guest_with_nic "be.ip=$_ip" "$@"
}

key() { # NAME VALUE, of a running vif
	xenstore-write "$(backend vif "$dom" 0)/$1" "$2"
}

own_frames_pass() {
	attach "$own" be.antispoof=on
	simnet --kinds=udp4,udp6,tcp4,tcp6,gso4,gso6,vlan --csum6 --slots=18 --hold "$dom" 0 >"$XENSIM_DIR/load" &
	wait_line "$XENSIM_DIR/load" holding
	counter_is tx_refused_ipv4 0
	grep -q "tx_packets=2[0-9][0-9][0-9] " "$XENSIM_DIR/dump" || fail "$(cat "$XENSIM_DIR/dump")"
	end_guest
	wait "$!" || :
}

# refused KINDS COUNTER: send 50 frames of these kinds; the daemon counts all of them there, and none comes out.
refused() {
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simnet --kinds="$1" --frames=50 --slots=1 --blind --hold "$dom" 0
	_load=$!
	wait_line "$XENSIM_DIR/load" holding
	counter_is "$2" 50
	counter_is tx_packets 0
	xensim-xl network-detach "$dom" 0
	wait "$_load" || :
	kill "$peer" 2>/dev/null || :
	wait "$peer" || :
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

foreign_ipv4() { attach "10.99.0.3 fd00::1" be.antispoof=on && refused udp4,tcp4,gso4,vlan tx_refused_ipv4; }
foreign_ipv6() { attach "10.99.0.1" be.antispoof=ip && refused udp6,tcp6 tx_refused_ipv6; }
foreign_protocol() { attach "$own" be.antispoof=ip && refused raw tx_refused_type; }
foreign_mac() {
	attach "$own" be.antispoof=mac
	xenstore-write "/local/domain/$dom/device/vif/0/mac" 00:16:3e:99:99:99
	refused udp4,raw tx_refused_mac
}

off_is_off() {
	attach "10.99.0.3"
	xenstore-write "/local/domain/$dom/device/vif/0/mac" 00:16:3e:99:99:99
	simnet --kinds=udp4,raw --frames=100 "$dom" 0
	end_guest
}

without_ip_only_the_mac_counts() {
	guest_with_nic be.antispoof=on
	simnet --kinds=udp4,tcp6 --frames=100 "$dom" 0
	end_guest
	warned || fail "the log does not say so"
}
warned() { grep -q "vif $dom/0: antispoof: the vif has no ip=, so it may use any address" "$log"; }

# The log says so if the list has ip, and only then.
ip_without_addresses_is_logged() {
	guest_with_nic be.antispoof=ip
	simnet --kinds=udp4,tcp6 --frames=100 "$dom" 0
	end_guest
	warned || fail "the log does not say that ip has no effect"
	guest_with_nic be.antispoof=mac,ra
	simnet --kinds=udp4,tcp6 --frames=100 "$dom" 0
	end_guest
	! warned || fail "the log speaks of ip, which nobody asked for"
}

count_grew() { [ "$(counter "$1")" -gt "$2" ]; }

rules_change_under_load() {
	attach "$own" be.antispoof=on
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simnet --frames=400000000 --blind "$dom" 0
	_load=$!
	wait_line "$XENSIM_DIR/load" connected
	until_true 20000 count_grew tx_packets 100
	counter_is tx_refused_ipv4 0
	key ip 10.99.0.3
	until_true 20000 count_grew tx_refused_ipv4 100 || fail "a new ip= has no effect"
	key ip "not an address"
	until_true 20000 count_grew tx_refused_rules 100 || fail "a bad ip= lets frames pass"
	grep -q 'antispoof: .ip. is no list' "$log" || fail "the log does not say so"
	_sent=$(counter tx_packets)
	key antispoof off
	until_true 20000 count_grew tx_packets "$((_sent + 100))" || fail "off has no effect"
	xensim-xl destroy "$dom"
	wait "$_load" || :
	kill "$peer" 2>/dev/null || :
	wait "$peer" || :
	nothing_is_held "$fds"
}

passes_nothing() { # NAME VALUE: with this value of the key, no frame passes at any time
	_refused=$(counter tx_refused_rules)
	until_true 20000 count_grew tx_refused_rules "$((_refused + 100))" || fail "$1 is not heeded"
	_sent=$(counter tx_packets)
	_refused=$(counter tx_refused_rules)
	until_true 20000 count_grew tx_refused_rules "$((_refused + 100))" || fail "$1 is forgotten"
	counter_is tx_packets "$_sent"
}

rules_that_cannot_be_read_let_nothing_pass() {
	start_daemon
	attach "$own" be.antispoof=on
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simnet --frames=400000000 --blind "$dom" 0
	_load=$!
	wait_line "$XENSIM_DIR/load" connected
	until_true 20000 count_grew tx_packets 100
	key antispoof "mac, ipp"
	passes_nothing "a bad antispoof="
	grep -q "antispoof. is not on, off or a list" "$log" || fail "the log does not say so"
	pvb_stop_all
	start_daemon
	passes_nothing "a bad antispoof= after a restart"
	counter_is tx_packets 0
	key antispoof mac,ip
	until_true 20000 count_grew tx_packets 100 || fail "good rules have no effect again"
	xensim-xl destroy "$dom"
	wait "$_load" || :
	kill "$peer" 2>/dev/null || :
	wait "$peer" || :
	stop_daemon
}

the_daemons_default_holds() {
	attach "10.99.0.3"
	refused udp4 tx_refused_ipv4
}

a_key_wins_over_the_default() {
	attach "10.99.0.3" be.antispoof=off
	simnet --kinds=udp4 --frames=100 "$dom" 0
	end_guest
}

start_daemon
count_fds
test_case "what a guest sends from its own addresses passes" own_frames_pass
test_case "a foreign IPv4 address is refused, in any frame" foreign_ipv4
test_case "a foreign IPv6 address is refused" foreign_ipv6
test_case "what is neither ARP nor IP is refused" foreign_protocol
test_case "a foreign MAC is refused" foreign_mac
test_case "nothing is refused by default" off_is_off
test_case "without ip= any address may be used" without_ip_only_the_mac_counts
test_case "the log says that there is no ip= where the rules ask for it" ip_without_addresses_is_logged
test_case "rules change under load" rules_change_under_load
stop_daemon
daemon=$$ # the next case starts its own daemon
test_case "rules that cannot be read let nothing pass, now and after a restart" rules_that_cannot_be_read_let_nothing_pass
start_daemon --antispoof=ip
test_case "a default holds for vifs without a key" the_daemons_default_holds
test_case "a key wins over the default" a_key_wins_over_the_default
finish
