#!/bin/sh
# SPDX-License-Identifier: MIT
# Hostile network frontends, while another guest sends and checks its traffic.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"

most_lines=30

peer_of() { # DOMID: start $peer, which sends back what comes out of vif 0
	: >"$XENSIM_DIR/peer$1"
	rm -f "$XENSIM_DIR/peer$1" # the output of an earlier one
	begin "$XENSIM_DIR/peer$1" simpeer "vif$1.0"
	peer=$!
	wait_line "$XENSIM_DIR/peer$1" ready
}

victim_begins() {
	victim=$(xensim-xl create victim)
	xensim-xl network-attach "$victim" 0
	peer_of "$victim"
	victim_peer=$peer
	begin "$XENSIM_DIR/victim.log" simnet --frames=400000000 --window=8 --kinds=udp4,tcp4,gso4 "$victim" 0
	load=$!
	wait_line "$XENSIM_DIR/victim.log" connected
	xensim-xl stat >"$XENSIM_DIR/before"
}

victim_ends_well() {
	xensim-xl network-detach "$victim" 0
	wait "$load" || :
	kill "$victim_peer" || :
	wait "$victim_peer" || :
	grep -q " bad=0 tx_errors=0 protocol_errors=0 disordered=0" "$XENSIM_DIR/victim.log" ||
		fail "the victim: $(tail -n 5 "$XENSIM_DIR/victim.log")"
	xensim-xl destroy "$victim"
	nothing_is_held "$fds"
}

as_before() {
	[ "$(xensim-xl stat | cut -d ' ' -f 1,2)" = "$(cut -d ' ' -f 1,2 "$XENSIM_DIR/before")" ]
}

attack_with() { # NAME
	dom=$(xensim-xl create evil)
	xensim-xl network-attach "$dom" 0
	peer_of "$dom"
	_lines=$(wc -l <"$log")
	_bad=
	timeout 60 simnet --csum6 --attack="$1" "$dom" 0 || _bad=yes
	_lines=$(($(wc -l <"$log") - _lines))
	kill "$peer" || :
	wait "$peer" || :
	xensim-xl destroy "$dom"
	[ -z "$_bad" ] || fail "simnet --attack=$1"
	[ "$_lines" -le "$most_lines" ] || fail "$_lines lines in the log"
	until_true 10000 as_before || fail "left behind: $(xensim-xl stat), before: $(cat "$XENSIM_DIR/before")"
	kill -0 "$load" || fail "the victim stopped: $(tail -n 5 "$XENSIM_DIR/victim.log")"
}

one_attack() {
	case $attack in
	junk-keys | flapping-states) most_lines=2000 ;; # a line for each connection
	esac
	attack_with "$attack"
}

start_daemon
dom=$(xensim-xl create guest)
xensim-xl network-attach "$dom" 0
peer_of "$dom"
simnet --frames=20 "$dom" 0 >/dev/null
kill "$peer"
wait "$peer"
xensim-xl destroy "$dom"
nothing_is_held
fds=$(daemon_fds)
victim_begins
for attack in $(simnet --attack=list); do
	test_case "a network guest attacks by $attack" one_attack
done
victim_ends_well || failed=1
finish
