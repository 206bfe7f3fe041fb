#!/bin/sh
# SPDX-License-Identifier: MIT
# Faults of the control thread, of its log and of its xenstore: with none of them may a guest lose a request.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

daemon=$$ # each case starts its own daemon; test_case only checks that this process lives

harmless_signals() {
	start_daemon --workers=2
	kill -USR2 "$daemon"
	kill -HUP "$daemon"
	wait_line "$log" "the configuration has been read again"
	guest_with_disk 8
	simblk --requests=200 --verify-all "$dom" 51712
	xensim-xl destroy "$dom"
	stop_daemon
}

# The daemon begins with a low log level. When the level is raised, the process that serves the rings logs more, too.
louder() {
	configure "log-level = warning"
	begin_daemon --workers=2 --config="$XENSIM_DIR/conf"
	guest_with_disk 8
	begin "$XENSIM_DIR/load" simblk --requests=20 --hold "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	reconfigure "the configuration has been read again" "log-level = info"
	kill -USR1 "$daemon"
	wait_line "$log" "dump: vbd $dom/51712/0 ring"
	xensim-xl destroy "$dom"
	wait "$load" || :
	stop_daemon
}

# Each request makes some lines of trace. That is far more than the pipe and the daemon's queue of lines can hold.
stuck_log() {
	mkfifo "$XENSIM_DIR/pipe"
	exec 8<>"$XENSIM_DIR/pipe"
	# shellcheck disable=SC2086 # perhaps none
	"$PVBACKD" --runtime-dir="$XENSIM_DIR/run" $isolation --workers=2 --trace-rings 2>"$XENSIM_DIR/pipe" &
	daemon=$!
	load_begins --requests=20000
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvdb
	cat "$XENSIM_DIR/pipe" >>"$log" &
	reader=$!
	wait_line "$log" "lines were lost: nobody read the log"
	kill -STOP "$reader"
	load_goes_on
	xensim-xl destroy "$dom"
	stop_daemon
	exec 8>&-
	kill -9 "$reader"
}

# begin_proxy: start $proxy; daemons that start from now on use xenstored through it.
begin_proxy() {
	real=$XENSTORED_PATH
	begin "$XENSIM_DIR/proxy" "$build/tests/integration/slow-xenstored" "$XENSIM_DIR/px" "$real"
	proxy=$!
	wait_line "$XENSIM_DIR/proxy" ready
}

rounds_are() { [ "$(grep -c holding "$XENSIM_DIR/load")" -ge "$1" ]; }

# load_begins [OPTION...]: start a guest that runs a round of requests at each SIGUSR1
load_begins() {
	guest_with_disk 8
	begin "$XENSIM_DIR/load" simblk --again --requests=100 --depth=4 --verify-all --span=256 "$@" "$dom" 51712
	load=$!
	until_true 20000 rounds_are 1 || fail "no load: $(cat "$XENSIM_DIR/load")"
}

load_goes_on() {
	_rounds=$(grep -c holding "$XENSIM_DIR/load")
	kill -USR1 "$load"
	until_true 20000 rounds_are $((_rounds + 1)) || fail "the guest waits: $(cat "$XENSIM_DIR/load")"
}

load_ends() {
	xensim-xl block-detach "$dom" xvda
	wait "$load" || fail "the guest: $(cat "$XENSIM_DIR/load")"
	grep -q " errors=0 .*bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || fail "the guest: $(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
}

attach_another() { # in the background, as $attach
	begin "$XENSIM_DIR/attach" xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvdb
	attach=$!
}

# The watchdog's limit is shorter than the time after which the daemon logs a warning.
slow_xenstored() {
	begin_proxy
	# shellcheck disable=SC2086 # perhaps none
	begin "$log" env XENSTORED_PATH="$XENSIM_DIR/px" "$build/tests/integration/like-systemd" "$XENSIM_DIR/notify" \
		$((1200 * ${XENSIM_SLOW:-1})) "$PVBACKD" --runtime-dir="$XENSIM_DIR/run" $isolation --workers=2
	daemon=$!
	wait_line "$log" "READY=1"
	load_begins
	kill -USR1 "$proxy"
	attach_another
	wait_line "$log" "xenstored has not answered for"
	load_goes_on
	kill -USR2 "$proxy"
	wait_line "$log" "xenstored answers again, after"
	wait "$attach" || fail "$(cat "$XENSIM_DIR/attach")"
	! grep -q "it hangs, and is killed" "$log" || fail "killed by its watchdog"
	kill -USR1 "$proxy"
	xensim-xl block-detach "$dom" xvdb >"$XENSIM_DIR/detach" 2>&1 &
	detach=$!
	until_true 20000 two_silences || fail "no second silence"
	stop_daemon
	grep -q "stopping, without xenstored" "$log" || fail "it did not say so"
	kill -USR2 "$proxy"
	start_daemon
	wait "$detach" || fail "$(cat "$XENSIM_DIR/detach")"
	load_goes_on
	load_ends
	stop_daemon
	kill "$proxy"
}
two_silences() { [ "$(grep -c "xenstored has not answered for" "$log")" -ge 2 ]; }

serves_again() { [ "$(grep -c " serves with " "$log")" -ge "$1" ]; }

replaced_xenstored() {
	begin_proxy
	: >"$log"
	XENSTORED_PATH=$XENSIM_DIR/px
	start_daemon --workers=2
	XENSTORED_PATH=$real
	load_begins
	kill -HUP "$proxy"
	until_true 20000 serves_again 2 || fail "it is not back"
	grep -q "the connection to xenstored is lost" "$log" || fail "it did not say so"
	load_goes_on
	attach_another
	wait "$attach" || fail "$(cat "$XENSIM_DIR/attach")"
	xensim-xl block-detach "$dom" xvdb
	kill "$proxy" # the next one starts some time later
	wait_line "$log" "cannot reach xenstore: .*; trying for"
	begin_proxy
	until_true 20000 serves_again 3 || fail "it is not back after a while"
	load_goes_on
	load_ends
	stop_daemon
	kill "$proxy"
}

# refusal CALL ERRNO WORDS: each use of the call fails until the log has WORDS; then the device connects after all.
refusal() {
	: >"$log"
	xensim-xl fail "$1:1+:$2"
	attach_another
	wait_line "$log" "$3"
	xensim-xl fail none
	wait "$attach" || fail "$1 $2: $(cat "$XENSIM_DIR/attach")"
	simblk --requests=50 "$dom" 51728 >/dev/null
	xensim-xl block-detach "$dom" xvdb
}

refusing_xenstored() {
	preload=$XENSIM_BUILD/lib/xensim-faults.so
	XENSIM_FAIL=later
	export XENSIM_FAIL
	start_daemon --workers=2
	preload=
	unset XENSIM_FAIL
	load_begins
	refusal xs_transaction_end EAGAIN "vbd $dom/51728: xenstore refuses: Resource temporarily unavailable"
	refusal xs_write ENOSPC "vbd $dom/51728: xenstore has refused for some seconds: No space left"
	refusal xs_watch ENOMEM "vbd $dom/51728: xenstore refuses: Cannot allocate memory"
	# It is not certain which read comes first, and each has a message of its own.
	refusal xs_read E2BIG "vbd $dom/51728: xenstore refuses: \(Input/output error\|Argument list too long\)"
	load_goes_on
	load_ends
	stop_daemon
}

is_swallowed() { # DEVID: the medium has a request of that disk, and does not answer it
	kill -USR1 "$daemon"
	grep "dump: vbd $bad/$1/0 ring" "$log" | grep -qv " in_flight=0"
}

# One medium does not answer its requests. The other guest is served until the daemon ends (its process does not wait for
# others), and the next daemon completes the requests of both.
hung_medium_at_stop() {
	preload=$XENSIM_BUILD/lib/medium.so
	XENSIM_FAULTS=$XENSIM_DIR
	export XENSIM_FAULTS
	start_daemon --workers=1
	preload=
	new_disk dead 8
	bad=$(xensim-xl create bad)
	xensim-xl block-attach "$bad" "$XENSIM_DIR/dead" xvda
	: >"$XENSIM_DIR/swallow-dead"
	begin "$XENSIM_DIR/bad" simblk --requests=10 --depth=1 --verify-all --fill "$bad" 51712
	victim=$!
	wait_line "$XENSIM_DIR/bad" connected
	until_true 20000 is_swallowed 51712 || fail "nothing is held"
	load_begins
	kill -INT "$daemon"
	wait_line "$log" "stopping; the guests keep"
	is_isolated || load_goes_on
	wait "$daemon" || fail "the daemon left with status $?"
	wait_line "$log" "vbd $bad/51712: its requests have not come to an end"
	until_true 10000 pvb_nr_guests_is 0 || fail "left: $(xensim-xl handles)"
	! grep -q "vbd $dom/51712: its requests" "$log" || fail "it named the other disk"
	rm "$XENSIM_DIR/swallow-dead"
	unset XENSIM_FAULTS
	: >"$log"
	start_daemon --workers=1
	wait_line "$log" "vbd $bad/51712: resumed, replayed=1"
	wait_line "$log" "vbd $dom/51712: resumed, replayed=0"
	wait "$victim" || fail "the guest: $(cat "$XENSIM_DIR/bad")"
	load_goes_on
	load_ends
	xensim-xl destroy "$bad"
	stop_daemon
}

# The twentieth io_submit() of this daemon never returns.
start_one_that_hangs() {
	preload=$XENSIM_BUILD/lib/xensim-faults.so
	XENSIM_FAIL=io_submit:20:HANG
	export XENSIM_FAIL
	: >"$log"
	start_daemon --workers=1
	preload=
	unset XENSIM_FAIL
}

answers_are() {
	kill -USR1 "$daemon"
	grep -q " rsp_prod=$1 " "$log"
}

# The page cache reports no completion of a write, so each write is a system call here.
answers_before_a_hang() {
	start_one_that_hangs
	guest_with_disk 8
	xenstore-write "$(backend vbd "$dom" 51712)/cache-mode" writeback
	begin "$XENSIM_DIR/load" simblk --mix=0:1:0:0 --depth=1 --requests=100 "$dom" 51712
	load=$!
	wait_line "$log" "hangs on purpose"
	until_true 10000 answers_are 19 || fail "$(tail -n 5 "$log")"
	pvb_stop_all
	start_daemon --workers=1
	wait "$load" || fail "the guest: $(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	stop_daemon
}

# A call of the worker itself never returns.
hung_worker_at_stop() {
	start_one_that_hangs
	guest_with_disk 8
	begin "$XENSIM_DIR/load" simblk --requests=500 --verify-all --fill "$dom" 51712
	load=$!
	wait_line "$log" "hangs on purpose"
	pvb_stop_all
	start_daemon --workers=1
	wait "$load" || fail "the guest: $(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	stop_daemon
}

test_case "SIGHUP and SIGUSR2 do not end it" harmless_signals
test_case "a log-level that SIGHUP brings holds for whoever serves the rings, too" louder
test_case "a log that nobody reads stops neither rings nor control, and what was lost is counted" stuck_log
test_case "while xenstored does not answer rings are served, the watchdog is fed, and SIGTERM is heard" slow_xenstored
test_case "a connection to xenstored that ends costs no request, and devices come and go again" replaced_xenstored
test_case "what xenstored refuses is said, and done when it no longer does" refusing_xenstored
test_case "a medium that hangs does not keep the daemon, nor other guests from being served to the end" hung_medium_at_stop
test_case "a worker that hangs does not keep the daemon from ending" hung_worker_at_stop
test_case "what is done through the page cache is answered while the next write hangs" answers_before_a_hang
exit "$failed"
