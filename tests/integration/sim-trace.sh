#!/bin/sh
# SPDX-License-Identifier: MIT
# --trace-rings: each line has a form that pvbackd-counters(7) describes, and the dump names each ring.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

# The list in the man page, each event as a pattern.
patterns() {
	sed -n '/trace-events-begin/,/trace-events-end/p' "$source/man/pvbackd-counters.7" | grep -v '^\.' |
		sed -E -e 's#^(vbd|vif) #^trace \1 [0-9]+/[0-9]+/[0-9]+ #' -e 's/=N/=-?[0-9]+/g' \
			-e 's/=WORD/=[a-z0-9_-]+/g' -e 's/=TEXT/=".*"/g' -e 's/$/$/'
}

lines_are_as_promised() {
	patterns >"$XENSIM_DIR/patterns"
	[ "$(wc -l <"$XENSIM_DIR/patterns")" -ge 20 ] || fail "the man page lists too few events"
	grep '^trace ' "$log" >"$XENSIM_DIR/traces"
	grep -vE -f "$XENSIM_DIR/patterns" "$XENSIM_DIR/traces" >"$XENSIM_DIR/strange" || :
	[ ! -s "$XENSIM_DIR/strange" ] || fail "not in pvbackd-counters(7): $(head -n 3 "$XENSIM_DIR/strange")"
	for _event in attach take 'done' answer publish state detach; do
		grep -qE "^trace vbd [0-9/]+ $_event( |$)" "$XENSIM_DIR/traces" || fail "no disk was traced at $_event"
	done
}

a_disk_is_traced() {
	guest_with_disk 32
	simblk --requests=200 --segs=32 --mix=20:20:50:10 "$dom" 51712
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
	lines_are_as_promised
}

# take and answer of one request carry the same id, and each is answered once
requests_are_answered_once() {
	grep -oE ' take .* id=[0-9]+' "$XENSIM_DIR/traces" | grep -oE 'id=[0-9]+' | sort >"$XENSIM_DIR/taken"
	grep -oE ' answer .* id=[0-9]+' "$XENSIM_DIR/traces" | grep -oE 'id=[0-9]+' | sort >"$XENSIM_DIR/answered"
	[ -s "$XENSIM_DIR/taken" ] || fail "nothing was taken"
	cmp "$XENSIM_DIR/taken" "$XENSIM_DIR/answered" || fail "taken and answered differ"
}

dumped() { grep -q "dump: vbd $dom/51712/0 ring slots=32 " "$log"; }
a_dump_names_every_ring() {
	guest_with_disk 32
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simblk --requests=4000000 "$dom" 51712
	wait_line "$XENSIM_DIR/load" connected
	kill -USR1 "$daemon"
	until_true 10000 dumped || fail "no dump"
	grep -q "dump: vbd $dom/51712 state=connected rings=attached" "$log" || fail "the device is not dumped"
	grep -qE "dump: vbd $dom/51712/0 count read=[0-9]+ write=[0-9]+" "$log" || fail "no counters"
	xensim-xl destroy "$dom"
	wait "$!" || :
}

nothing_is_traced_for_others() {
	guest_with_disk 32
	simblk --requests=100 "$dom" 51712
	xensim-xl destroy "$dom"
	! grep -q '^trace' "$log" || fail "$(grep '^trace' "$log" | head -n 3)"
}

# The trace is turned on without a restart, and off again.
trace_is() { answer_is /ok true "{\"command\":\"trace\",\"on\":$1${2-}}"; }
traces_are() { grep -q "^trace vbd $dom/51712/0 $1 " "$log"; }
nothing_comes() {
	_lines=$(grep -c '^trace' "$log")
	sleep 0.2
	[ "$(grep -c '^trace' "$log")" = "$_lines" ]
}
switched_while_it_runs() {
	guest_with_disk 32
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simblk --requests=4000000 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	trace_is true ",\"device\":\"$dom/xvda\",\"filter\":\"blk\""
	until_true 10000 traces_are take || fail "nothing is traced"
	! traces_are publish || fail "more than was asked for"
	trace_is true ',"filter":"ring"'
	until_true 10000 traces_are publish || fail "nothing else is traced"
	trace_is false ",\"device\":\"$dom/xvda\""
	until_true 20000 nothing_comes || fail "it is traced still"
	answer_is /code bad-value '{"command":"trace","on":true,"filter":"disks"}'
	[ "$(ask_with_3 '{"command":"trace","on":true}' /code 3>"$XENSIM_DIR/mine" || :)" = usage ] || fail "traces go to a file"
	xensim-xl destroy "$dom"
	wait "$load" || :
}

# The trace in the admin's terminal comes from the process that serves the device, also from the next one. The guest never waits for the reader.
begin_live() { # [ARGUMENT...]
	begin "$XENSIM_DIR/live" "$build/pvbackctl" --runtime-dir="$XENSIM_DIR/run" trace "$@"
	tracer=$!
	until_true 10000 live_has "take op=" || fail "nothing comes: $(cat "$XENSIM_DIR/live")"
}
live_has() { grep -q "^trace vbd $dom/51712/0 $1" "$XENSIM_DIR/live"; }
requests() { ask "{\"command\":\"show\",\"device\":\"$dom/xvda\"}" /result/devices/0/queues/0/figures/read/value; }
has_gone_on() { [ "$(requests)" -gt "$1" ]; }
has_lost() { grep -q '^trace lost=[1-9]' "$XENSIM_DIR/live"; }
an_admin_reads_them() {
	guest_with_disk 32
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simblk --requests=4000000 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	begin_live "$dom/xvda" --filter=blk
	! live_has publish || fail "more than was asked for"
	! grep -q '^trace' "$log" || fail "they are in the log"
	kill -STOP "$tracer"
	_now=$(requests)
	until_true 60000 has_gone_on $((_now + 50000)) || fail "the guest waits for the reader: $(requests)"
	kill -CONT "$tracer"
	until_true 10000 has_lost || fail "nobody says that lines are missing"
	if is_isolated; then
		answer_is /ok true '{"command":"restart","guest":"guest"}'
		: >"$XENSIM_DIR/live"
		until_true 10000 live_has "take op=" || fail "the next process is not heard"
	fi
	kill -INT "$tracer"
	wait "$tracer" || fail "it has failed: $(tail -n 3 "$XENSIM_DIR/live")"
	begin_live
	trace_is true ',"filter":"ring"'
	! wait "$tracer" || fail "it does not know that another trace has begun"
	grep -q "the traces were set anew" "$XENSIM_DIR/live" || fail "$(tail -n 3 "$XENSIM_DIR/live")"
	until_true 10000 traces_are publish || fail "the log has no traces"
	trace_is false
	until_true 20000 nothing_comes || fail "it is traced still"
	xensim-xl destroy "$dom"
	wait "$load" || :
}

start_daemon --trace-rings
test_case "every trace line has a form of pvbackd-counters(7)" a_disk_is_traced
test_case "each request that is taken is answered once" requests_are_answered_once
test_case "SIGUSR1 dumps every ring with its counters" a_dump_names_every_ring
stop_daemon
: >"$log"
start_daemon --trace-rings=blk@9999
test_case "a filter for another domain traces nothing" nothing_is_traced_for_others
test_case "an admin reads traces live" an_admin_reads_them
test_case "an admin turns traces on and off under a running guest" switched_while_it_runs
finish
