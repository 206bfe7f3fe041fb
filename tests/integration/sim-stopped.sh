#!/bin/sh
# SPDX-License-Identifier: MIT
# A domain that has shut down may go on elsewhere, with newer data on its disk. So the daemon writes nothing more for it. If its
# suspend is cancelled, the domain goes on and has lost nothing.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

XENSIM_FAULTS=$XENSIM_DIR/trouble
export XENSIM_FAULTS
mkdir "$XENSIM_FAULTS"
sock=$XENSIM_DIR/nbd

daemon=$$ # each case starts its own daemon; test_case only checks that this process lives

set_key() { xenstore-write "$(backend vbd "$dom" 51712)/$1" "$2"; }

# load_with OPTION...: start a load in the background, and wait until it is connected
load_with() {
	rm -f "$XENSIM_DIR/load" # the output of an earlier one
	begin "$XENSIM_DIR/load" simblk "$@" "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
}
# The load runs until it is stopped. It only writes, so that the image shows each request.
writes_with() { load_with --ops=w --requests=100000000 "$@"; }

load_is_clean() {
	wait "$load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	grep -q "errors=0 .* bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
}

# No ring of the disk takes requests, and the medium has none of them.
rings_said() { [ "$(grep -c "dump: vbd $dom/51712/. ring" "$log")" -ge "$1" ]; }
rings_rest() {
	_rings=$(sed -n 's/.*connected queues=\([0-9]*\).*/\1/p' "$XENSIM_DIR/load")
	_said=$(grep -c "dump: vbd $dom/51712/. ring" "$log" || :)
	kill -USR1 "$daemon"
	for _ in $(seq 100); do # a daemon that has just started shows no rings yet
		rings_said $((_said + _rings)) && break
		sleep 0.02
	done
	rings_said $((_said + _rings)) || return 1
	grep "dump: vbd $dom/51712/. ring" "$log" | tail -n "$_rings" >"$XENSIM_DIR/rings"
	! grep -v " submitted=0 halted" "$XENSIM_DIR/rings"
}
held_back() { grep -q " in_flight=[1-9]" "$XENSIM_DIR/rings"; }

in_dump() { # TEXT, of a ring of this disk
	kill -USR1 "$daemon"
	grep -q "dump: vbd $dom/51712/. .*$1" "$log"
}

# The guest stops, and the other host writes all of the image.
moves_away() {
	xensim-xl suspend "$dom"
	until_true 20000 rings_rest || fail "the rings go on: $(grep "$dom/51712" "$log" | tail -n 5)"
	held_back || fail "nothing was held back: $(cat "$XENSIM_DIR/rings")"
	newer_data
}
newer_data() {
	tr '\0' 'N' </dev/zero | dd of="$XENSIM_DIR/disk" bs=1M count=16 iflag=fullblock conv=notrunc status=none
}
only_newer_data() {
	[ "$(tr -d 'N' <"$XENSIM_DIR/disk" | wc -c)" = 0 ] || fail "older data came: $1"
}
ends() {
	only_newer_data "while it was stopped"
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held
	no_file_stays '*.journal'
	only_newer_data "at its end"
	stop_daemon
}

# The burst passes at once, and the rest would take years.
throttled_writes() { # SIMBLK-OPTION...
	guest_with_disk 16
	set_key bps 1
	writes_with "$@"
	until_true 20000 in_dump " throttled=[1-9]" || fail "not throttled"
}
# Not even when its limit is removed.
throttled() {
	start_daemon --workers=2
	throttled_writes --queues=2
	moves_away
	set_key bps 0
	until_true 20000 rings_rest || fail "the rings go on"
	ends
}
crashed() {
	start_daemon
	throttled_writes
	xensim-xl crash "$dom"
	until_true 20000 rings_rest || fail "the rings go on"
	newer_data
	ends
}
# While the daemon has pages of the domain mapped, the domain exists, and has nothing else.
died() {
	start_daemon
	throttled_writes
	cp "$XENSIM_DIR/disk" "$XENSIM_DIR/before"
	xensim-xl kill "$dom"
	wait "$load" || :
	nothing_is_held
	cmp "$XENSIM_DIR/disk" "$XENSIM_DIR/before" || fail "it was written to at its end"
	xenstore-rm "/local/domain/0/backend/vbd/$dom"
	no_file_stays '*.journal'
	stop_daemon
}

in_full_flight() {
	start_daemon --workers=2
	new_disk disk 16
	dom=$(xensim-xl create guest 32000)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	load_with --ops=W --requests=100000000 --segs=256 --queues=2
	xensim-xl suspend "$dom"
	until_true 20000 rings_rest || fail "the rings go on: $(tail -n 8 "$log")"
	newer_data
	ends
}

# The waiting thread has at most 16 requests in its call; the others are not submitted.
one_call_has_some() {
	kill -USR1 "$daemon"
	grep "dump: vbd $dom/51712/0 ring" "$log" | tail -n 1 |
		sed -n 's/.* in_flight=\([0-9]*\) submitted=\([0-9]*\) halted.*/\1 \2/p' >"$XENSIM_DIR/ring"
	read -r _in_flight _submitted <"$XENSIM_DIR/ring" || return 1
	[ "$_submitted" -ge 1 ] && [ "$_submitted" -le 16 ] && [ "$_in_flight" -gt "$_submitted" ]
}
has_to_wait() {
	preload=$XENSIM_BUILD/lib/medium.so
	start_daemon
	guest_with_disk 16
	touch "$XENSIM_FAULTS/wait-disk"
	writes_with --depth=32
	until_true 20000 in_dump " submit_waits=[1-9][0-9]" || fail "nothing waits"
	xensim-xl suspend "$dom"
	until_true 20000 one_call_has_some || fail "the others go on: $(grep "$dom/51712" "$log" | tail -n 5)"
	rm "$XENSIM_FAULTS/wait-disk"
	until_true 20000 rings_rest || fail "the rings go on"
	newer_data
	ends
}

stalled() {
	preload=$XENSIM_BUILD/lib/medium.so
	start_daemon
	guest_with_disk 16
	set_key error-policy stall
	touch "$XENSIM_FAULTS/enospc"
	writes_with
	wait_line "$log" "requests are held"
	moves_away
	rm "$XENSIM_FAULTS/enospc"
	set_key retry 1
	wait_line "$log" "what was held is tried again"
	ends
	preload=
}

in_journal() { # HOW the daemon went
	start_daemon
	throttled_writes --queues=2
	"$1"
	xensim-xl suspend "$dom"
	newer_data
	start_daemon
	wait_line "$log" "vbd $dom/51712: resumed, replayed=[1-9]"
	until_true 20000 rings_rest || fail "the rings go on: $(tail -n 8 "$log")"
	ends
}
in_journal_of_killed() { in_journal pvb_kill_all; }
in_journal_of_stopped() { in_journal pvb_stop_all; }
# A daemon that was stopped while the guest was stopped.
in_journal_of_both() {
	start_daemon
	throttled_writes
	moves_away
	pvb_stop_all
	only_newer_data "as the daemon stopped"
	start_daemon
	until_true 20000 rings_rest || fail "the rings go on: $(tail -n 8 "$log")"
	ends
}

# --- NBD: requests that wait for a server that is away, and acknowledged writes that are sent again ---

server() {
	rm -f "$sock"
	nbdkit --exit-with-parent -f -U "$sock" --filter=cache file "$XENSIM_DIR/disk" cache=writeback \
		2>>"$XENSIM_DIR/nbdkit" &
	server=$!
	until_true 10000 test -S "$sock" || fail "no server: $(cat "$XENSIM_DIR/nbdkit")"
}
kill_server() {
	kill -9 "$server" 2>/dev/null || :
	wait "$server" || :
}
guest_on_nbd() {
	new_disk disk 16
	server
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "nbd:unix:$sock" xvda
}
away() {
	start_daemon
	guest_on_nbd
	writes_with --max-sectors=8 --span=256
	until_true 20000 in_dump " write=[1-9]" || fail "nothing was written"
	kill_server
	wait_line "$log" "is away"
	moves_away
	server
	until_true 20000 server_is_asked || fail "no connection to the server"
	only_newer_data "when the server came back"
	! grep -q "is back after" "$log" || fail "the server was written to"
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held
	no_file_stays 'vbd*'
	kill -TERM "$server"
	wait "$server" || :
	only_newer_data "at its end"
	stop_daemon
}
# The daemon holds a connection to it.
server_is_asked() { ss -x 2>/dev/null | grep -q "$sock .*"; }

# --- a suspend that is cancelled ---

cancel() { # TIMES, while the load runs
	_times=$1
	while [ "$_times" -gt 0 ] && kill -0 "$load" 2>/dev/null; do
		xensim-xl suspend "$dom"
		until_true 20000 rings_rest || fail "the rings go on: $(tail -n 8 "$log")"
		xensim-xl resume "$dom"
		_times=$((_times - 1))
	done
	[ "$_times" = 0 ] || fail "the load was over too early: $(cat "$XENSIM_DIR/load")"
	load_is_clean
}
give_back() {
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
	nothing_is_held
	no_file_stays 'vbd*'
	stop_daemon
}
cancelled() {
	start_daemon --workers=2
	guest_with_disk 16
	load_with --verify-all --queues=2 --mix=40:40:10:10 --requests=40000
	cancel 6
	load_with --verify-all --segs=256 --odd --depth=32 --requests=1500
	cancel 3
	load_with --verify-all --depth=1 --ops=wrb --requests=4000
	cancel 3
	give_back
}
cancelled_large_blocks() {
	preload=$XENSIM_BUILD/lib/medium.so
	XENSIM_BLOCK=4096
	export XENSIM_BLOCK
	start_daemon --workers=2
	unset XENSIM_BLOCK
	guest_with_disk 16
	load_with --verify-all --queues=2 --odd --span=512 --mix=20:70:0:10 --requests=20000
	cancel 5
	give_back
	preload=
}
# The limit is removed while the guest is stopped, so that the rest then passes at once.
cancelled_throttled() {
	start_daemon
	guest_with_disk 16
	set_key bps 1
	load_with --verify-all --requests=1000
	until_true 20000 in_dump " throttled=[1-9]" || fail "not throttled"
	xensim-xl suspend "$dom"
	until_true 20000 rings_rest || fail "the rings go on"
	set_key bps 0
	xensim-xl resume "$dom"
	load_is_clean
	give_back
}
cancelled_over_restarts() {
	start_daemon
	guest_with_disk 16
	load_with --verify-all --requests=20000
	for _how in pvb_kill_all pvb_stop_all kill_daemon; do
		xensim-xl suspend "$dom"
		until_true 20000 rings_rest || fail "the rings go on"
		"$_how"
		start_daemon
		until_true 20000 rings_rest || fail "the rings go on: $(tail -n 8 "$log")"
		xensim-xl resume "$dom"
	done
	load_is_clean
	give_back
}
# No daemon ran while the guest stopped and went on.
cancelled_unheard() {
	start_daemon
	guest_with_disk 16
	load_with --verify-all --requests=20000
	kill_daemon
	xensim-xl suspend "$dom"
	xensim-xl resume "$dom"
	start_daemon
	load_is_clean
	give_back
}
cancelled_away() {
	start_daemon
	guest_on_nbd
	load_with --verify-all --requests=4000 --after="$XENSIM_DIR/go"
	kill_server
	touch "$XENSIM_DIR/go"
	wait_line "$log" "is away"
	xensim-xl suspend "$dom"
	until_true 20000 rings_rest || fail "the rings go on: $(tail -n 8 "$log")"
	server
	xensim-xl resume "$dom"
	load_is_clean
	rm "$XENSIM_DIR/go"
	give_back
	kill_server
}

test_case "a stopped guest's throttled writes are not done, nor at its end" throttled
test_case "nor when it crashed" crashed
test_case "nor when it dies without a word" died
test_case "nor what is left in its rings in full flight" in_full_flight
test_case "nor those that wait for the medium to take them" has_to_wait
test_case "nor those that are held by error-policy, whatever an admin says" stalled
test_case "nor those in the journal of a daemon that was killed" in_journal_of_killed
test_case "nor those in the journal of a daemon that was stopped" in_journal_of_stopped
test_case "nor when the daemon is replaced while the guest is stopped" in_journal_of_both
if command -v nbdkit >/dev/null && grep -q '^#define HAVE_LIBNBD 1' "$build/config.h"; then
	test_case "nor those that wait for an NBD server, or that it is to hear again" away
	test_case "a suspend that is cancelled while a server is away loses nothing" cancelled_away
fi
test_case "a suspend that is cancelled loses and doubles nothing" cancelled
test_case "nor on a disk of large blocks" cancelled_large_blocks
test_case "nor when the guest was over its limit" cancelled_throttled
test_case "nor when the daemon is replaced meanwhile" cancelled_over_restarts
test_case "nor when no daemon ran meanwhile" cancelled_unheard
exit "$failed"
