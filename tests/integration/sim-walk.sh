#!/bin/sh
# SPDX-License-Identifier: MIT
# The daemon dies at each moment of a device's life in turn (tests/sim/moment.c says what a moment is), and is started again. The
# guest notices nothing: it gets each response once, and each sector as it was written.
# shellcheck disable=SC2317,SC2154,SC2119 # walk_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"
# shellcheck source=tests/integration/sim-walk-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-walk-lib.sh"

# one_life OPTION...: run a life of a disk, from attach to detach. $deaths is the list of moments.
one_life() {
	begin_lives
	guest_with_disk 4
	simblk --span=1024 --verify-all "$@" "$dom" 51712 >"$XENSIM_DIR/load" 2>&1 ||
		fail "moments $deaths: the guest says: $(cat "$XENSIM_DIR/load")"
	grep -q "errors=0 unsupported=0 bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" ||
		fail "moments $deaths: $(cat "$XENSIM_DIR/load")"
	xensim-xl block-detach "$dom" xvda || fail "moments $deaths: no detach"
	xensim-xl destroy "$dom"
	nothing_is_held || fail "moments $deaths"
	end_lives
}

one_by_one() { walk "" --ops=wrWRfbd --segs=32 --requests=7 --depth=1; }
together() { walk "" --ops=wrWRfwrd --segs=32 --requests=24 --depth=8 --ring-order=1; }
narrow() { walk "" --ops=rwRWbd --segs=32 --requests=12 --depth=4 --abi=32 --odd; }
twice() { walk "$1" --ops=wrWRfwrd --segs=32 --requests=24 --depth=8; }
# Die at the store that makes a batch of responses public, and at the next store: each time, also in `make check`.
publishing() {
	step=1
	for only in ring+0x8 journal+0x28; do walk "" --ops=wrWRfbd --segs=32 --requests=14 --depth=7; done
}
again() { twice $((450 / part)); }
once_more() { twice "$((400 / part)) $((90 / part))"; }

walk_case "each operation by itself, killed at each moment of it" one_by_one
walk_case "batches of all operations, killed at each moment" together
walk_case "the 32-bit layout and odd segments, killed at each moment" narrow
walk_case "killed right before and right after each batch of responses is public" publishing "$server"
walk_case "killed again at each moment of coming back" again
walk_case "and a third time" once_more
exit "$failed"
