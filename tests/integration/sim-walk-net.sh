#!/bin/sh
# SPDX-License-Identifier: MIT
# The daemon dies at each moment of a NIC's life in turn, with frames in both directions. Each frame of the guest arrives,
# undamaged and in order. Frames to the guest are undamaged, the NIC goes on, and no tap is left.
# shellcheck disable=SC2317,SC2154,SC2119 # walk_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"
# shellcheck source=tests/integration/sim-walk-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-walk-lib.sh"

# begin_life [PEER-OPTION...]: make a guest $dom with a NIC, and a peer
begin_life() {
	begin_lives
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0 || fail "moments $deaths: no attach"
	start_peer "$@"
}

end_life() {
	xensim-xl destroy "$dom"
	nothing_is_held || fail "moments $deaths"
	until_true 5000 no_tap || fail "moments $deaths: a tap is left"
	end_lives
}

# one_life OPTION...: run a life of a NIC, from attach to detach. $deaths is the list of moments.
one_life() {
	begin_life --in-order
	simnet --lossy --window=4 "$@" "$dom" 0 >"$XENSIM_DIR/load" 2>&1 ||
		fail "moments $deaths: the guest says: $(cat "$XENSIM_DIR/load")"
	grep -q " bad=0 tx_errors=0 protocol_errors=0 " "$XENSIM_DIR/load" || fail "moments $deaths: $(cat "$XENSIM_DIR/load")"
	stop_peer || fail "moments $deaths"
	xensim-xl network-detach "$dom" 0 || fail "moments $deaths: no detach"
	end_life
}

# one_talk: the guest sets up its hash by the control ring, and then checks that it holds. The daemon has died before this
# check, because a frame that is lost by a death would prove nothing.
one_talk() {
	begin_life
	rm -f "$XENSIM_DIR/go"
	begin "$XENSIM_DIR/load" simnet --check=hash-restart "$dom" 0
	_talk=$!
	wait_line "$XENSIM_DIR/load" waiting || fail "moments $deaths: $(cat "$XENSIM_DIR/load")"
	dies_now
	until_true 10000 taken_up || fail "moments $deaths: not resumed"
	: >"$XENSIM_DIR/go"
	wait "$_talk" || fail "moments $deaths: the guest says: $(cat "$XENSIM_DIR/load")"
	stop_peer || fail "moments $deaths"
	end_life
}

small() { walk "" --kinds=udp4,raw,tcp6 --frames=12 --slots=3; }
large() { walk "" --kinds=gso4 --frames=6; }
control() { # a short life
	step=$(((step + 3) / 4))
	life_of=one_talk walk ""
}
again() { walk $((250 / part)) --kinds=udp4,gso4 --frames=12; }

walk_case "frames in pieces, killed at each moment" small
walk_case "large frames, killed at each moment" large
walk_case "wishes in the control ring, killed at each moment" control
walk_case "killed again at each moment of coming back" again
exit "$failed"
