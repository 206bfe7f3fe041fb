#!/bin/sh
# SPDX-License-Identifier: MIT
# The figures of a disk are right. The test compares them with what the guest counts, and uses a medium and a limit with a known delay.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

preload=$XENSIM_BUILD/lib/medium.so
[ -e "$preload" ] || skip "$preload is not built (make xensim)"
XENSIM_FAULTS=$XENSIM_DIR/trouble
export XENSIM_FAULTS
mkdir "$XENSIM_FAULTS"

daemon=$$ # each case starts its own daemon; test_case only checks that this process lives

# dump: write the current counters of the disk's first ring into the file dump, from the admin's socket
dump() {
	ask "{\"command\":\"show\",\"device\":\"$dom/xvda\"}" /result/devices/0/queues/0/figures >"$XENSIM_DIR/figures" ||
		fail "no figures: $(cat "$XENSIM_DIR/figures")"
	tr '}' '\n' <"$XENSIM_DIR/figures" | sed -nE -e 's/^[{,]"([a-z_]+)":.*"value":([0-9]+)$/ \1=\2/p' \
		-e 's/^[{,]"([a-z_]+)":.*"count":([0-9]+),"sum":([0-9]+),.*/ \1_count=\2 \1_sum=\3/p' | tr -d '\n' >"$XENSIM_DIR/dump"
}

# log_dump: the same by SIGUSR1
dump_came() { [ "$(grep -c "dump: vbd $dom/51712/0 count" "$log")" -gt "$1" ]; }
log_dump() {
	_dumps=$(grep -c "dump: vbd $dom/51712/0 count" "$log" || :)
	kill -USR1 "$daemon"
	until_true 10000 dump_came "$_dumps" || fail "no dump"
	grep "dump: vbd $dom/51712/0 count" "$log" | tail -n 1 >"$XENSIM_DIR/dump"
}

# count NAME: of the last dump; sum NAME: of a time, in us
count() { sed -n "s/.* $1=\([0-9]*\).*/\1/p" "$XENSIM_DIR/dump" | grep . || echo 0; }
sum() { echo $(($(count "$1_sum") / 1000)); }
count_is() { [ "$(count "$1")" = "$2" ] || fail "$1 is not $2: $(cat "$XENSIM_DIR/dump")"; }

# said NAME: print a figure of the guest
said() { sed -n "s/^requests=/ &/; s/.* $1=\([0-9]*\).*/\1/p" "$XENSIM_DIR/load"; }
waited_us() { sed -n 's/^plain .* sum_us=\([0-9]*\).*/\1/p' "$XENSIM_DIR/load"; }
took_us() { sed -n 's/^plain seconds=\([0-9.]*\) .*/\1/p' "$XENSIM_DIR/load" | awk '{ print int($1 * 1000000) }'; }

# load SIMBLK-OPTION...: run a load on a new disk; the counters go into the file dump, and the output of the guest into the file load
load() {
	begin "$XENSIM_DIR/load" simblk --hold "$@" "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	dump
	xensim-xl block-detach "$dom" xvda
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held
}

by_the_guests_count() {
	start_daemon
	guest_with_disk 16
	load --ops=rrrwwf --requests=600
	count_is read 300
	count_is write 200
	count_is flush 100
	count_is time_total_count "$(said requests)"
	count_is in_flight 0
	count_is oldest 0
	count_is time_medium_count 600
	count_is io_errors 0
	guest_with_disk 16
	load --plain=8 --mix=100:0:0:0 --requests=600
	count_is read 600
	count_is bytes_read $((600 * 4096))
	guest_with_disk 16
	load --plain=8 --mix=0:100:0:0 --requests=600
	count_is write 600
	count_is bytes_written $((600 * 4096))
	stop_daemon
}

# The stages add up to all of the time of a request, and to no more than the guest itself has waited.
stages_are_the_total() {
	_stages=0 _total=$(sum time_total)
	for _stage in order limit buffer copy medium held answer; do
		_stages=$((_stages + $(sum "time_$_stage")))
	done
	if [ $((_stages * 100)) -lt $((_total * 99)) ] || [ $((_stages * 99)) -gt $((_total * 100)) ]; then
		fail "the stages are $_stages us of $_total"
	fi
	[ "$_total" -le "$(waited_us)" ] || fail "$_total us, of which the guest has seen $(waited_us)"
}

# The delay is in the time of the medium, with little more than that, and at most what the guest itself has measured.
slow_medium() {
	start_daemon
	guest_with_disk 16
	touch "$XENSIM_FAULTS/slow-disk"
	load --plain=8 --mix=50:50:0:0 --depth=1 --requests=40
	rm "$XENSIM_FAULTS/slow-disk"
	count_is time_medium_count 40
	_medium=$(sum time_medium) _total=$(sum time_total)
	{ [ "$_medium" -ge 800000 ] && [ "$_medium" -le "$(took_us)" ]; } ||
		fail "40 times 20 ms, $(took_us) us for the guest, but $_medium us of the medium"
	[ $((_medium * 10)) -ge $((_total * 9)) ] || fail "elsewhere: $(cat "$XENSIM_DIR/dump")"
	stages_are_the_total
	count_is time_limit_count 0
	count_is time_buffer_count 0
	stop_daemon
}

# 60 requests after a burst of one, at 100 a second.
slow_limit() {
	start_daemon
	guest_with_disk 16
	xenstore-write "$(backend vbd "$dom" 51712)/iops" 100
	xenstore-write "$(backend vbd "$dom" 51712)/iops-burst" 1
	load --plain=8 --mix=100:0:0:0 --requests=61
	_limit=$(sum time_limit)
	{ [ "$_limit" -ge 540000 ] && [ "$_limit" -le "$(took_us)" ]; } ||
		fail "60 times 10 ms, $(took_us) us for the guest, but $_limit us for the limit"
	[ "$(sum time_medium)" -lt $((_limit / 10)) ] || fail "elsewhere: $(cat "$XENSIM_DIR/dump")"
	stop_daemon
}

# A request that never completes is visible while it is in flight.
# Two ways to the same words.
as_the_log_has_it() {
	start_daemon
	guest_with_disk 16
	begin "$XENSIM_DIR/load" simblk --hold --ops=rrrwwf --requests=600 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	dump
	for _name in read write flush bytes_read bytes_written notify_sent in_flight time_total_count time_copy_count; do
		count "$_name"
	done >"$XENSIM_DIR/asked"
	log_dump
	for _name in read write flush bytes_read bytes_written notify_sent in_flight time_total_count time_copy_count; do
		count "$_name"
	done | cmp - "$XENSIM_DIR/asked" || fail "$(cat "$XENSIM_DIR/dump" "$XENSIM_DIR/figures")"
	xensim-xl destroy "$dom"
	wait "$load" || :
	stop_daemon
}

oldest() {
	start_daemon
	guest_with_disk 16
	touch "$XENSIM_FAULTS/swallow-disk"
	begin "$XENSIM_DIR/load" simblk --mix=100:0:0:0 --requests=10 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	until_true 10000 medium_has_one || fail "nothing is out: $(cat "$XENSIM_DIR/dump")"
	_before=$(count oldest_submitted)
	dump
	[ "$(count oldest_submitted)" -gt "$_before" ] || fail "it does not age"
	[ "$(count oldest)" -ge "$(count oldest_submitted)" ] || fail "taken after it was submitted"
	kill -9 "$daemon" "$load"
	wait "$daemon" "$load" 2>/dev/null || :
}
medium_has_one() {
	dump
	[ "$(count oldest_submitted)" -gt 0 ]
}

test_case "requests and bytes are those of the guest, exactly" by_the_guests_count
test_case "what is asked for and what is dumped are the same" as_the_log_has_it
test_case "a medium's delay is the medium's time" slow_medium
test_case "a limit's delay is the limit's time" slow_limit
test_case "the age of the oldest request grows while it is out" oldest
exit "$failed"
