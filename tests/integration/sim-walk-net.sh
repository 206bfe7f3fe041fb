#!/bin/sh
# SPDX-License-Identifier: MIT
# The daemon dies at every moment of a NIC's life in turn, frames on their way both ways: each frame of the
# guest arrives, whole and in order; those to the guest are whole; the NIC goes on; no tap is left.
# shellcheck disable=SC2317,SC2154,SC2119 # walk_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"
# shellcheck source=tests/integration/sim-walk-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-walk-lib.sh"

# one_life OPTION...: of a NIC, from attach to detach. $deaths is the list of moments.
one_life() {
	begin_lives
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0 || fail "moments $deaths: no attach"
	start_peer --in-order
	simnet --lossy --window=4 "$@" "$dom" 0 >"$XENSIM_DIR/load" 2>&1 ||
		fail "moments $deaths: the guest says: $(cat "$XENSIM_DIR/load")"
	grep -q " bad=0 tx_errors=0 protocol_errors=0 " "$XENSIM_DIR/load" || fail "moments $deaths: $(cat "$XENSIM_DIR/load")"
	stop_peer || fail "moments $deaths"
	xensim-xl network-detach "$dom" 0 || fail "moments $deaths: no detach"
	xensim-xl destroy "$dom"
	nothing_is_held || fail "moments $deaths"
	until_true 5000 no_tap || fail "moments $deaths: a tap is left"
	end_lives
}

small() { walk "" --kinds=udp4,raw,tcp6 --frames=12 --slots=3; }
large() { walk "" --kinds=gso4 --frames=6; }
again() { walk 250 --kinds=udp4,gso4 --frames=12; }

walk_case "frames in pieces, killed at each moment" small
walk_case "large frames, killed at each moment" large
walk_case "killed again at each moment of coming back" again
exit "$failed"
