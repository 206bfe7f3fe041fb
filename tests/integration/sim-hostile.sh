#!/bin/sh
# SPDX-License-Identifier: MIT
# Hostile block frontends. While each attacks, another guest runs a load and checks it. Afterwards the daemon lives, holds the
# same as before, and has not flooded its log.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

persistent=
most_lines=${SIM_HOSTILE_LINES:-30}

victim_begins() {
	new_disk victim 16
	victim=$(xensim-xl create victim)
	xensim-xl block-attach "$victim" "$XENSIM_DIR/victim" xvda
	begin "$XENSIM_DIR/victim.log" simblk --requests=400000000 --depth=8 "$victim" 51712
	load=$!
	wait_line "$XENSIM_DIR/victim.log" connected
}

victim_ends_well() {
	xensim-xl block-detach "$victim" xvda
	wait "$load" || fail "the victim: $(tail -n 5 "$XENSIM_DIR/victim.log")"
	grep -q "errors=0 .*bad_content=0 protocol_errors=0" "$XENSIM_DIR/victim.log" ||
		fail "the victim: $(tail -n 5 "$XENSIM_DIR/victim.log")"
	xensim-xl destroy "$victim"
	nothing_is_held "$fds"
}

attack_with() { # NAME [ATTACH-OPTION...]
	_name=$1
	shift
	new_disk evil 8
	dom=$(xensim-xl create evil)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/evil" xvda "$@"
	xenstore-write "$(backend vbd "$dom" 51712)/persistent-grants" yes
	_lines=$(wc -l <"$log")
	_bad=
	timeout 60 simblk ${persistent:+--persistent} --attack="$_name" "$dom" 51712 || _bad=yes
	_lines=$(($(wc -l <"$log") - _lines))
	xensim-xl destroy "$dom"
	[ -z "$_bad" ] || fail "simblk --attack=$_name"
	[ "$_lines" -le "$most_lines" ] || fail "$_lines lines in the log"
	# Only the ring and the port of the other guest are left.
	until_true 10000 stat_is 1 1 || fail "left behind: $(xensim-xl stat)"
	kill -0 "$load" || fail "the victim stopped: $(tail -n 5 "$XENSIM_DIR/victim.log")"
}

# The same, by a frontend that has agreed to persistent grants and breaks all their rules.
broken_promise() {
	persistent=1
	attack_with "$@"
	persistent=
}

# Each connect makes a line in the log, so attacks that connect again and again may log more.
noisy() {
	most_lines=2000
	attack_with "$@"
}

attack_segments() { attack_with bad-segments; }
attack_sectors() { attack_with bad-sectors; }
attack_discards() { attack_with bad-discards; }
attack_indirect() { attack_with bad-indirect; }
attack_operations() { attack_with unknown-operations; }
attack_grants() { attack_with bad-grants; }
attack_kept_grants() { broken_promise bad-grants; }
attack_kept_indirect() { broken_promise bad-indirect; }
attack_kept_revoked() { broken_promise revoked-grants; }
attack_same_id() { attack_with same-id; }
attack_read_only() { attack_with write-read-only mode=r; }
attack_runaway() { attack_with runaway-producer; }
attack_far_runaway() { attack_with far-runaway-producer; }
attack_backward() { attack_with backward-producer; }
attack_changing() { attack_with changing-slots; }
attack_revoked() { attack_with revoked-grants; }
attack_storm() { attack_with event-storm; }
attack_header() { attack_with scribbled-header; }
attack_port() { attack_with closed-port; }
attack_junk() { noisy junk-keys; }
attack_huge() { noisy huge-values; }
attack_states() { noisy flapping-states; }
attack_connections() { noisy flapping-connections; }
attack_directory() { attack_with vanishing-directory; }
attack_padding() { attack_with response-padding; }
attack_grant() { attack_with same-grant; }
attack_full() { attack_with full-at-attach; }
attack_foreign() { attack_with foreign-port; }
attack_twice() { attack_with one-page-twice; }

start_daemon
guest_with_disk 32
simblk --requests=100 "$dom" 51712 >/dev/null
xensim-xl destroy "$dom"
nothing_is_held
fds=$(daemon_fds)
victim_begins
test_case "requests with impossible segments are errors" attack_segments
test_case "requests beyond the end of the disk are errors" attack_sectors
test_case "discards beyond the end of the disk are errors" attack_discards
test_case "impossible indirect requests are errors" attack_indirect
test_case "unknown operations are answered" attack_operations
test_case "requests with bad grants are errors" attack_grants
test_case "persistent grants that are bad are errors, each of its request" attack_kept_grants
test_case "impossible indirect requests in persistent pages are errors" attack_kept_indirect
test_case "persistent grants that come and go do no harm" attack_kept_revoked
test_case "one id for every request is echoed for every request" attack_same_id
test_case "writes, flushes and discards of a read-only disk are errors" attack_read_only
test_case "a producer one beyond the ring ends the connection" attack_runaway
test_case "a producer far beyond the ring ends the connection" attack_far_runaway
test_case "a producer that goes back ends the connection" attack_backward
test_case "slots that change while they are read do no harm" attack_changing
test_case "grants that come and go do no harm" attack_revoked
test_case "an event storm does no harm" attack_storm
test_case "what the guest writes into the ring's header is not believed" attack_header
test_case "a guest may close its event channel" attack_port
test_case "junk in every key comes to an end" attack_junk
test_case "huge and binary values come to an end" attack_huge
test_case "flapping states come to an end" attack_states
test_case "flapping connections come to an end" attack_connections
test_case "a guest may delete its own directory" attack_directory
test_case "one grant for everything is served" attack_grant
test_case "what a response does not use is zero" attack_padding
test_case "a ring that is too full from the start is refused" attack_full
test_case "a port that is not the guest's is refused" attack_foreign
test_case "one page twice in a ring does no harm" attack_twice
# This runs in this shell, because the other guest is a child of it.
victim_ends_well || failed=1
finish
