#!/bin/sh
# SPDX-License-Identifier: MIT
# An image has no space, or fails: the guest gets an error, or the request is held until an admin runs retry.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"
# shellcheck source=tests/integration/stall-lib.sh
. "${top_srcdir:-.}/tests/integration/stall-lib.sh"

preload=$XENSIM_BUILD/lib/medium.so
[ -e "$preload" ] || skip "$preload is not built (make xensim)"
XENSIM_FAULTS=$XENSIM_DIR/trouble
export XENSIM_FAULTS
mkdir "$XENSIM_FAULTS"

daemon=$$ # each case starts its own daemon; test_case only checks that this process lives

key() { xenstore-read "$(backend vbd "$dom" 51712)/$1" 2>/dev/null; }
set_key() { xenstore-write "$(backend vbd "$dom" 51712)/$1" "$2"; }
stalled_by() { [ "$(key stalled)" = "$1" ]; }
not_stalled() { ! key stalled >/dev/null; }

# faulty_load FAULT OPTION...: run a load on a disk that has the fault as soon as it is connected
faulty_load() {
	_fault=$1
	shift
	guest_with_disk 16
	set_key error-policy stall
	touch "$XENSIM_FAULTS/$_fault"
	begin "$XENSIM_DIR/load" simblk --requests=1500 --verify-all "$@" "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
}
mend() {
	rm "$XENSIM_FAULTS"/*
	set_key retry 1
}
load_is_clean() {
	wait "$load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	grep -q "errors=0 .* bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
}
give_back() {
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}

no_space() {
	start_daemon
	faulty_load enospc
	until_true 10000 stalled_by "No space left on device" || fail "not stalled"
	wait_line "$log" "vbd $dom/51712: the image says: No space left on device; requests are held. When that is mended: pvbackctl retry vbd/$dom/51712"
	kill -0 "$load" || fail "the guest did not wait: $(cat "$XENSIM_DIR/load")"
	mend
	load_is_clean
	not_stalled || fail "still stalled"
	! key retry || fail "the word of the admin is still there"
	give_back
}

# This kernel finds no pages behind mapped grants, so the daemon copies the data instead of reading into the guest's pages.
pages_out_of_reach() {
	printf 'persistent-grants = yes\n' >"$XENSIM_DIR/conf"
	start_daemon --trace-rings=blk --config="$XENSIM_DIR/conf"
	faulty_load efault --persistent --segs=32 --odd
	load_is_clean
	grep -q ' copy-instead ' "$log" || fail "nothing was in place"
	rm "$XENSIM_FAULTS"/*
	give_back
}

# Reads are held, too. So are flushes, but not through the page cache, which would forget what it could not write.
mix=45:45:0:10
if dd if=/dev/zero of="$XENSIM_DIR/direct" bs=4096 count=1 oflag=direct 2>/dev/null; then
	mix=40:40:20:0
fi
no_medium() {
	start_daemon --workers=2
	faulty_load eio --queues=2 --mix="$mix" --segs=32 --odd
	until_true 10000 stalled_by "Input/output error" || fail "not stalled"
	mend
	load_is_clean
	give_back
}

too_early() {
	start_daemon
	faulty_load enospc
	until_true 10000 stalled_by "No space left on device" || fail "not stalled"
	_said=$(grep -c "what was held is tried again" "$log" || :)
	set_key retry 1
	until_true 10000 tried_again "$_said" || fail "not tried"
	until_true 10000 stalled_by "No space left on device" || fail "not stalled again"
	mend
	load_is_clean
	give_back
}
tried_again() { [ "$(grep -c "what was held is tried again" "$log")" -gt "$1" ]; }

# Reads go on while writes are held: a guest that writes nothing can read all of the disk.
reads_go_on() {
	start_daemon
	guest_with_disk 16
	set_key error-policy stall
	touch "$XENSIM_FAULTS/enospc"
	simblk --requests=500 --mix=1:0:0:0 "$dom" 51712
	not_stalled || fail "stalled by reads"
	rm "$XENSIM_FAULTS/enospc"
	give_back
}

# So many writes are held that another disk on the same worker needs its share of the buffers: reads go on all the same.
reads_done() { # NR
	kill -USR1 "$daemon"
	[ "$(sed -n "s/.*dump: vbd $dom\/51712\/0 count read=\([0-9]*\) .*/\1/p" "$log" | tail -n 1)0" -ge "${1}0" ]
}
reads_go_on_beside_another_disk() {
	start_daemon --workers=1
	new_disk other 16
	_other=$(xensim-xl create other)
	xensim-xl block-attach "$_other" "$XENSIM_DIR/other" xvda
	begin "$XENSIM_DIR/busy" simblk --depth=2 --mix=1:0:0:0 --requests=100000000 "$_other" 51712
	_busy=$!
	wait_line "$XENSIM_DIR/busy" connected
	guest_with_disk 16
	set_key error-policy stall
	touch "$XENSIM_FAULTS/enospc"
	_ops=$(printf '%28s' '' | tr ' ' w)$(printf '%972s' '' | tr ' ' r)
	begin "$XENSIM_DIR/load" simblk --depth=32 --ops="$_ops" --requests=1000 "$dom" 51712
	load=$!
	until_true 20000 reads_done 972 || fail "the ring sleeps: $(tail -n 3 "$log")"
	kill -0 "$_busy" || fail "the other disk is not busy: $(cat "$XENSIM_DIR/busy")"
	mend
	load_is_clean
	xensim-xl destroy "$_other"
	wait "$_busy" || :
	give_back
}

# Each number that the medium returns as an error means an error, and nothing else.
any_number() {
	start_daemon
	guest_with_disk 16
	touch "$XENSIM_FAULTS/ecanceled"
	! simblk --requests=500 "$dom" 51712 >"$XENSIM_DIR/load" || fail "no error: $(cat "$XENSIM_DIR/load")"
	grep -q "^requests=500 errors=[1-9].* bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" ||
		fail "$(cat "$XENSIM_DIR/load")"
	rm "$XENSIM_FAULTS/ecanceled"
	give_back
}

reported() {
	start_daemon
	guest_with_disk 16
	touch "$XENSIM_FAULTS/enospc"
	! simblk --requests=500 "$dom" 51712 >"$XENSIM_DIR/load" || fail "no error: $(cat "$XENSIM_DIR/load")"
	grep -q " bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	not_stalled || fail "stalled without being told to"
	rm "$XENSIM_FAULTS/enospc"
	give_back
}

reported_after_all() {
	start_daemon
	faulty_load enospc
	until_true 10000 stalled_by "No space left on device" || fail "not stalled"
	set_key error-policy report
	! wait "$load" || fail "no error: $(cat "$XENSIM_DIR/load")"
	grep -q " errors=[1-9].* bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	rm "$XENSIM_FAULTS/enospc"
	give_back
}

killed() {
	start_daemon
	faulty_load enospc
	until_true 10000 stalled_by "No space left on device" || fail "not stalled"
	pvb_kill_all
	start_daemon
	until_true 10000 stalled_by "No space left on device" || fail "not stalled again"
	mend
	load_is_clean
	give_back
}

stopped() {
	start_daemon
	faulty_load enospc --queues=2
	until_true 10000 stalled_by "No space left on device" || fail "not stalled"
	pvb_stop_all
	rm "$XENSIM_FAULTS/enospc"
	start_daemon
	load_is_clean
	not_stalled || fail "still stalled"
	give_back
}

detached() {
	start_daemon
	faulty_load enospc
	until_true 10000 stalled_by "No space left on device" || fail "not stalled"
	xensim-xl block-detach "$dom" xvda
	! wait "$load" || fail "no error: $(cat "$XENSIM_DIR/load")"
	grep -q " bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	rm "$XENSIM_FAULTS/enospc"
	give_back
}

destroyed() {
	start_daemon
	faulty_load enospc
	until_true 10000 stalled_by "No space left on device" || fail "not stalled"
	xensim-xl destroy "$dom"
	wait "$load" || :
	rm "$XENSIM_FAULTS/enospc"
	nothing_is_held
	stop_daemon
}

writes() { simblk --requests=50 --mix=0:1:0:0 "$@" "$dom" 51712 >"$XENSIM_DIR/load"; }
reads() { simblk --requests=50 --mix=1:0:0:0 "$dom" 51712; }
failed_flush() { [ "$(key flush-failed)" = "Input/output error" ]; }
forgiven() { ! key flush-failed >/dev/null; }
says_go() {
	set_key retry 1
	until_true 10000 forgiven || fail "the word of the admin is not heard"
}

# flush_fails OPTION...: a flush of a guest fails. Then the medium is repaired, and the guest connects again
flush_fails() {
	touch "$XENSIM_FAULTS/eflush"
	! simblk --requests=500 "$@" "$dom" 51712 >"$XENSIM_DIR/load" || fail "no error: $(cat "$XENSIM_DIR/load")"
	until_true 10000 failed_flush || fail "the key says: $(key flush-failed)"
	rm "$XENSIM_FAULTS/eflush"
	[ "$(grep -c "vbd $dom/51712: a flush failed: Input/output error" "$log")" = 1 ] || fail "not said once"
}

# Linux' blkfront reports a failed flush as a success, and flushes no more. So its next write must fail.
writes_fail_after_a_flush() {
	start_daemon --workers=2
	for _mix in "--mix=0:50:50:0" "--mix=0:50:50:0 --queues=2 --ring-order=1" "--ops=wb"; do
		guest_with_disk 16
		# shellcheck disable=SC2086
		flush_fails $_mix
		! writes || fail "writes go on: $(cat "$XENSIM_DIR/load")"
		reads
		says_go
		simblk --requests=500 --verify-all --mix=0:50:50:0 "$dom" 51712
		xensim-xl destroy "$dom"
	done
	nothing_is_held
	stop_daemon
}

# All rings fail at once, without asking the medium.
one_ring_for_all() {
	start_daemon --workers=2 --trace-rings=blk
	guest_with_disk 16
	begin "$XENSIM_DIR/load.load" simblk --requests=400 --mix=0:50:50:0 --queues=2 --again "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load.load" holding
	touch "$XENSIM_FAULTS/eflush"
	kill -USR1 "$load"
	until_true 10000 another_round load 1 || fail "$(cat "$XENSIM_DIR/load.load")"
	rm "$XENSIM_FAULTS/eflush"
	_asked=$(asked_of_the_medium)
	kill -USR1 "$load"
	until_true 10000 another_round load 2 || fail "$(cat "$XENSIM_DIR/load.load")"
	[ "$(asked_of_the_medium)" = "$_asked" ] || fail "the medium was asked again"
	says_go
	kill -USR1 "$load"
	until_true 10000 another_round load 3 || fail "$(cat "$XENSIM_DIR/load.load")"
	[ "$(asked_of_the_medium)" -gt "$_asked" ] || fail "the medium was not asked"
	kill -9 "$load"
	wait "$load" || :
	give_back
}
asked_of_the_medium() { grep -c " done op=" "$log" || :; }

# This also holds when the daemon dies before it has written the key, and while no frontend is connected.
remembered() {
	start_daemon
	guest_with_disk 16
	begin "$XENSIM_DIR/load" simblk --requests=100 --mix=0:50:50:0 --again "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	touch "$XENSIM_FAULTS/eflush"
	kill -USR1 "$load"
	until_true 10000 failed_flush || fail "$(cat "$XENSIM_DIR/load")"
	rm "$XENSIM_FAULTS/eflush"
	pvb_kill_all
	xenstore-rm "$(backend vbd "$dom" 51712)/flush-failed"
	start_daemon
	until_true 10000 failed_flush || fail "forgotten over a restart"
	kill -9 "$load"
	wait "$load" || :
	! writes --profile=kexec || fail "forgotten at a reconnect"
	pvb_kill_all
	start_daemon
	! writes --profile=kexec || fail "forgotten over another restart"
	xensim-xl block-detach "$dom" xvda --force
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	writes || fail "a disk that is attached again: $(cat "$XENSIM_DIR/load")"
	give_back
}

# Data that the page cache has lost is gone. A device whose flush failed may succeed later.
flush_under_stall() {
	start_daemon
	guest_with_disk 16
	set_key error-policy stall
	set_key cache-mode writeback
	flush_fails --mix=0:50:50:0
	not_stalled || fail "held"
	! writes || fail "writes go on: $(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	if [ "$mix" != 45:45:0:10 ]; then # direct
		faulty_load eflush --mix=0:50:50:0
		until_true 10000 stalled_by "Input/output error" || fail "not stalled"
		mend
		load_is_clean
		forgiven || fail "a flush failed"
		xensim-xl destroy "$dom"
	fi
	nothing_is_held
	stop_daemon
}

# The daemon also asks a medium by itself: whether it has grown, how large it is, and what the emulated disk has written.
no_answer() {
	two_guests 50:50:0:0
	touch "$XENSIM_FAULTS/hang-slow"
	wait_line "$log" "vbd $slow/51712: its image has not answered for 5 s"
	goes_on slow
	goes_on fast
	truncate -s 24M "$XENSIM_DIR/fast"
	wait_line "$log" "vbd $fast/51712: the image grew to 24 MiB"
	others_come_and_go
	rm "$XENSIM_FAULTS/hang-slow"
	wait_line "$log" "vbd $slow/51712: its image answers again"
	two_guests_go
}

# The daemon asks all disks for their size at once, the newest first. The others do not wait for its answer.
no_answer_of_the_first() {
	two_guests 50:50:0:0
	touch "$XENSIM_FAULTS/hang-fast"
	wait_line "$log" "vbd $fast/51712: its image has not answered for 5 s"
	xensim-xl block-detach "$slow" xvda || fail "a healthy disk is not detached"
	rm "$XENSIM_FAULTS/hang-fast"
	wait_line "$log" "vbd $fast/51712: its image answers again"
	two_guests_go
}

# a_third_is_opened FAULT: attach an image with this fault to the guest slow, and run a load on it
a_third_is_opened() {
	new_disk third 16
	touch "$XENSIM_FAULTS/$1-third"
	xensim-xl block-attach "$slow" "$XENSIM_DIR/third" xvdb
	begin "$XENSIM_DIR/third.load" simblk --requests=300 --verify-all "$slow" 51728
	_third=$!
}
no_opening() {
	two_guests 50:50:0:0
	a_third_is_opened hang
	until_true 10000 waits_for_us "$slow" 51728 || fail "$(cat "$XENSIM_DIR/third.load")"
	goes_on slow
	goes_on fast
	others_come_and_go
	rm "$XENSIM_FAULTS/hang-third"
	wait "$_third" || fail "$(cat "$XENSIM_DIR/third.load")"
	two_guests_go
}

# An image is opened while the process that is to serve it has been told to end, and cannot end yet.
opened_too_late_for_its_process() {
	is_isolated || return 0
	two_guests 45:45:0:10
	touch "$XENSIM_FAULTS/wait-slow"
	kill -USR1 "$slow_load"
	until_true 10000 waits_in_vain "$slow" || fail "nothing waits"
	a_third_is_opened hang
	until_true 10000 waits_for_us "$slow" 51728 || fail "$(cat "$XENSIM_DIR/third.load")"
	begin "$XENSIM_DIR/restart" "$build/pvbackctl" --runtime-dir="$XENSIM_DIR/run" restart slow
	_restart=$!
	wait_line "$log" "guest $slow: an admin has its process"
	rm "$XENSIM_FAULTS/hang-third"
	wait_line "$log" "vbd $slow/51728: image $XENSIM_DIR/third, 16 MiB"
	rm "$XENSIM_FAULTS/wait-slow"
	wait "$_third" || fail "$(cat "$XENSIM_DIR/third.load")"
	wait "$_restart" || fail "$(cat "$XENSIM_DIR/restart")"
	two_guests_go
}

# The process that waits for the medium cannot be killed, and it is not the daemon.
killed_while_opening() {
	two_guests 50:50:0:0
	a_third_is_opened dead
	wait_line "$log" "vbd $slow/51728: its image has not answered for 5 s"
	kill_daemon
	start_daemon --workers=1
	goes_on fast
	others_come_and_go
	rm "$XENSIM_FAULTS/dead-third"
	wait "$_third" || fail "$(cat "$XENSIM_DIR/third.load")"
	two_guests_go
}

# The daemon does not wait for an image that is no longer needed.
no_opening_to_wait_for() {
	two_guests 50:50:0:0
	new_disk third 16
	touch "$XENSIM_FAULTS/dead-third"
	dom=$(xensim-xl create third)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/third" xvda
	begin "$XENSIM_DIR/third.load" simblk --requests=300 "$dom" 51712
	_third=$!
	until_true 10000 waits_for_us "$dom" 51712 || fail "$(cat "$XENSIM_DIR/third.load")"
	xensim-xl destroy "$dom"
	wait_line "$log" "vbd $dom/51712: removed"
	kill -9 "$_third" 2>/dev/null || :
	wait "$_third" || :
	two_guests_go
	rm "$XENSIM_FAULTS/dead-third"
}

no_closing() {
	two_guests 50:50:0:0
	touch "$XENSIM_FAULTS/hang-slow"
	begin "$XENSIM_DIR/detach" xensim-xl block-detach "$slow" xvda
	_detach=$!
	until_true 10000 stat_is 1 1 || fail "its ring is still attached"
	goes_on fast
	others_come_and_go
	wait_line "$log" "vbd $slow/51712: its image has not answered for 5 s"
	rm "$XENSIM_FAULTS/hang-slow"
	wait "$_detach" || fail "not detached: $(cat "$XENSIM_DIR/detach")"
	two_guests_go
}

no_discard() {
	two_guests 50:0:0:50
	touch "$XENSIM_FAULTS/hang-slow"
	kill -USR1 "$slow_load"
	wait_line "$log" "vbd $slow/51712: its image has not answered for 5 s"
	goes_on fast
	rm "$XENSIM_FAULTS/hang-slow"
	until_true 10000 another_round slow 1 || fail "$(cat "$XENSIM_DIR/slow.load")"
	two_guests_go
}

# A thread that submits to this medium waits, because none of its requests completes. This thread must not be the worker.
holds_up_who_submits() {
	two_guests 45:45:0:10
	touch "$XENSIM_FAULTS/wait-slow"
	kill -USR1 "$slow_load"
	until_true 10000 waits_in_vain "$slow" || fail "nothing waits"
	goes_on fast
	others_come_and_go
	! another_round slow 1 || fail "the slow one did not wait"
	rm "$XENSIM_FAULTS/wait-slow"
	until_true 10000 another_round slow 1 || fail "$(cat "$XENSIM_DIR/slow.load")"
	goes_on slow
	two_guests_go
}

# The toolstack waits for state 6, and the domain for its pages, while the kernel still has requests.
hangs_altogether() { # IMAGE
	touch "$XENSIM_FAULTS/wait-$1" "$XENSIM_FAULTS/hang-$1"
}
comes_back() { # IMAGE
	rm -f "$XENSIM_FAULTS/wait-$1" "$XENSIM_FAULTS/hang-$1"
	until_true 10000 has_closed "$XENSIM_DIR/$1" || fail "it is still open: $(tail -n 5 "$log")"
}
# A late write of the guest that is gone could overwrite data of the next guest, so the next guest waits until that write has ended.
another_takes_it() { # IMAGE
	rm "$XENSIM_FAULTS/hang-$1"
	_next=$(xensim-xl create next)
	xensim-xl block-attach "$_next" "$XENSIM_DIR/$1" xvda
	begin "$XENSIM_DIR/next" simblk --requests=300 --verify-all "$_next" 51712
	_load=$!
	wait_line "$log" "vbd $_next/51712: its image still has requests of a guest that is gone"
	waits_for_us "$_next" 51712 || fail "$(cat "$XENSIM_DIR/next")"
	rm "$XENSIM_FAULTS/wait-$1"
	wait "$_load" || fail "$(cat "$XENSIM_DIR/next")"
	xensim-xl destroy "$_next"
	comes_back "$1"
}
let_go_while_it_hangs() {
	two_guests 45:45:0:10
	hangs_altogether slow
	kill -USR1 "$slow_load"
	until_true 10000 waits_in_vain "$slow" || fail "nothing waits"
	"$@"
	xensim-xl destroy "$slow" || fail "the toolstack waits: $(tail -n 5 "$log")"
	stat_is 1 1 || fail "it is a zombie: $(xensim-xl stat)"
	no_file_stays "vbd-$slow-*.journal"
	goes_on fast
	has_open "$XENSIM_DIR/slow" || fail "nobody has the image open, and the kernel its requests"
	if is_isolated; then # the next control finds a process that no longer serves anything
		kill_daemon
		start_daemon
	fi
	another_takes_it slow
	! grep "guest $slow: its process .* the rings are taken up" "$log" || fail "nothing was to be taken up"
	kill -9 "$slow_load" "$fast_load" 2>/dev/null || :
	wait "$slow_load" "$fast_load" || :
	xensim-xl destroy "$fast"
	nothing_is_held
	stop_daemon
}
# This end began as a normal stop, for which the other side waits.
detach_in_vain() {
	begin "$XENSIM_DIR/detach" timeout 2 xensim-xl block-detach "$slow" xvda
	_detach=$!
	! wait "$_detach" || fail "detached, and the kernel has its requests"
}
control_dies() {
	wait_line "$log" "vbd $slow/51712: its medium has not answered a request for 10 s"
	kill_daemon
	start_daemon
	wait_line "$log" "vbd $slow/51712: is served still"
}
lets_go_at_destroy() { let_go_while_it_hangs true; }
lets_go_after_all() { let_go_while_it_hangs detach_in_vain; }
lets_go_of_what_it_found() {
	PVB_ISOLATION=guest isolation=--isolation=guest
	let_go_while_it_hangs control_dies
}

# The kernel moves this data directly from the guest's pages.
waits_for_pages() {
	printf 'persistent-grants = yes\n' >"$XENSIM_DIR/conf"
	start_daemon --config="$XENSIM_DIR/conf"
	guest_with_disk 16
	begin "$XENSIM_DIR/load" simblk --requests=100000000 --persistent --segs=8 --ops=w "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	hangs_altogether disk
	until_true 10000 waits_in_vain "$dom" || fail "nothing waits"
	begin "$XENSIM_DIR/destroyed" xensim-xl destroy "$dom"
	_destroy=$!
	wait_line "$log" "vbd $dom/51712: its guest is no more, and its image has not given back pages"
	! stat_is 0 0 || fail "its pages are not mapped, and the kernel has them"
	comes_back disk
	wait "$_destroy" || fail "$(cat "$XENSIM_DIR/destroyed")"
	wait "$load" || :
	nothing_is_held
	stop_daemon
}

# The medium fails and recovers again and again, with barriers and flushes. At the end all data is read again.
has_to_wait_at_times() {
	start_daemon --workers=2
	guest_with_disk 16
	begin "$XENSIM_DIR/load" simblk --requests=20000 --verify-all --queues=2 --odd --segs=32 --mix=35:45:10:10 "$dom" 51712
	load=$!
	for _ in 1 2 3 4 5; do
		touch "$XENSIM_FAULTS/wait-disk"
		sleep 0.05
		rm "$XENSIM_FAULTS/wait-disk"
		sleep 0.02
	done
	load_is_clean
	give_back
}

# swallowed NR SIMBLK-OPTION...: make a guest whose image takes requests and never answers them
swallowed() {
	_nr=$1
	shift
	new_disk "dead$_nr" 256
	_dead=$(xensim-xl create "dead$_nr" "$_memory")
	xensim-xl block-attach "$_dead" "$XENSIM_DIR/dead$_nr" xvda
	touch "$XENSIM_FAULTS/swallow-dead$_nr"
	begin "$XENSIM_DIR/dead$_nr.load" simblk --requests=1000000 --mix=1:0:0:0 --ring-order=4 --depth=512 "$@" "$_dead" 51712
	dead_loads="$dead_loads $!"
	dead="$dead $_dead"
	wait_line "$XENSIM_DIR/dead$_nr.load" connected
}
# How many requests all rings of the worker have taken, when the number grows no more.
taken() {
	kill -USR1 "$daemon"
	sed -n 's/.*dump: vbd .* ring .* in_flight=\([0-9]*\).*/\1/p' "$log" | tail -n 5 | tr '\n' ' '
}
took_all_they_can() { _was=$(taken); sleep 0.1; [ "$_was" = "$(taken)" ]; }
never_answers() {
	: >"$log"
	start_daemon --workers=1
	dead='' dead_loads='' _memory=28000 # pages
	swallowed 1 --plain=8
	swallowed 2 --plain=8
	swallowed 3 --plain=136 --segs=17
	swallowed 4 --plain=136 --segs=17
	until_true 10000 took_all_they_can || fail "they still take"
	guest_with_disk 64
	simblk --requests=400 --segs=256 --depth=32 --odd --verify-all "$dom" 51712
	simblk --requests=3000 --mix=50:50:0:0 --verify-all "$dom" 51712
	pvb_kill_all
	rm "$XENSIM_FAULTS"/*
	start_daemon
	for _dead in $dead; do # before that, the grants of a frontend that dies are gone
		wait_line "$log" "vbd $_dead/51712: resumed, replayed=[1-9]"
	done
	# shellcheck disable=SC2086 # several
	kill -9 $dead_loads
	for _dead in $dead "$dom"; do
		xensim-xl destroy "$_dead"
	done
	nothing_is_held
	stop_daemon
}

is_gone() { ! kill -0 "$daemon" 2>/dev/null; }

# Its requests are in the journal, as after a kill.
no_end() {
	two_guests 50:50:0:0
	touch "$XENSIM_FAULTS/hang-slow"
	wait_line "$log" "vbd $slow/51712: its image has not answered for 5 s"
	kill -INT "$daemon"
	until_true 20000 is_gone || fail "it waits for the image"
	wait "$daemon" || fail "it left with status $?"
	wait_line "$log" "vbd $slow/51712: its requests have not come to an end"
	until_true 10000 pvb_nr_guests_is 0 || fail "a process waits for the image"
	rm "$XENSIM_FAULTS/hang-slow"
	start_daemon --workers=1
	goes_on slow
	goes_on fast
	two_guests_go
}

test_case "data that the kernel cannot move where it lies is copied" pages_out_of_reach
test_case "without space requests wait, and go on when an admin says so" no_space
test_case "an image that fails altogether is waited for" no_medium
test_case "said too early it waits again" too_early
test_case "reads go on while the image has no space" reads_go_on
test_case "reads go on beside held writes and another busy disk" reads_go_on_beside_another_disk
test_case "a medium that says ECANCELED is a medium that failed" any_number
test_case "an error is an error for who does not ask for more" reported
test_case "a guest that waits gets its errors when the admin changes his mind" reported_after_all
test_case "SIGKILL while requests wait loses none" killed
test_case "a clean stop while requests wait loses none" stopped
test_case "a disk that waits can be detached" detached
test_case "a guest whose disk waits can be destroyed" destroyed
test_case "after a failed flush or barrier all but reads fails, until an admin says go" writes_fail_after_a_flush
test_case "one ring's failed flush is that of all the disk's rings" one_ring_for_all
test_case "a failed flush is remembered until the disk is attached again" remembered
test_case "a failed flush is held where it can be done later, and never where data is lost" flush_under_stall
test_case "an image that does not say its size holds up nobody" no_answer
test_case "an image that does not say its size, and is asked first, keeps no other from being detached" no_answer_of_the_first
test_case "an image that cannot be opened yet holds up its own disk alone" no_opening
test_case "an image that is opened while its process ends is served by the next one" opened_too_late_for_its_process
test_case "a daemon is killed while an image is being opened, and the next one is there at once" killed_while_opening
test_case "an image that cannot be opened keeps neither its guest from being destroyed nor the daemon from ending" no_opening_to_wait_for
test_case "an image that cannot be closed yet holds up its own disk alone" no_closing
test_case "the daemon ends, whatever does not answer" no_end
test_case "discards that hang hold up no other disk's" no_discard
test_case "a medium that holds up who submits to it holds up its own disk alone" holds_up_who_submits
test_case "a guest whose image hangs is destroyed at once, and its image closed when it comes back" lets_go_at_destroy
test_case "also when its disk was to be detached before" lets_go_after_all
test_case "also when another daemon has taken it up" lets_go_of_what_it_found
test_case "a guest whose pages a hanging medium has stays until it has given them back" waits_for_pages
test_case "requests that have to wait at times come to nothing less" has_to_wait_at_times
test_case "images that never answer leave the other disks of their worker buffers and requests" never_answers
exit "$failed"
