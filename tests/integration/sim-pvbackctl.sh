#!/bin/sh
# SPDX-License-Identifier: MIT
# pvbackctl against the daemon: each question of pvbackctl(8) has the answer that the simulated machine was made for.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"

preload=$XENSIM_BUILD/lib/medium.so
[ -e "$preload" ] || skip "$preload is not built (make xensim)"
XENSIM_FAULTS=$XENSIM_DIR/trouble
export XENSIM_FAULTS
mkdir "$XENSIM_FAULTS"

daemon=$$ # each case starts its own; test_case only looks whether this one lives

ctl() { "$build/pvbackctl" --runtime-dir="$XENSIM_DIR/run" "$@"; }

# says PATTERN COMMAND...: pvbackctl says it, now or soon, on one of its streams, in lines as one
it_says() {
	_pattern=$1
	shift
	ctl "$@" >"$XENSIM_DIR/said" 2>&1 || :
	tr '\n' ' ' <"$XENSIM_DIR/said" | grep -q -e "$_pattern"
}
says() {
	until_true 1000 it_says "$@" || fail "pvbackctl $* does not: $(cat "$XENSIM_DIR/said")"
}
# ends STATUS COMMAND...
ends() {
	_status=0
	_wanted=$1
	shift
	ctl "$@" >"$XENSIM_DIR/said" 2>&1 || _status=$?
	[ "$_status" = "$_wanted" ] || fail "pvbackctl $* ends with $_status: $(cat "$XENSIM_DIR/said")"
}
verdict_is() { says "\"verdict\":\"$2\"" why "$1" --interval=0.5 --json; }

# A guest with a disk and a network card, both in use until the file stop is there.
busy_guest() {
	rm -f "$XENSIM_DIR/stop"
	guest_with_nic
	new_disk disk 16
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	begin "$XENSIM_DIR/load" simblk --max-sectors=8 --mix=70:30:0:0 --depth=4 --requests=1000000000 \
		--until="$XENSIM_DIR/stop" "$dom" 51712
	disk_load=$!
	begin "$XENSIM_DIR/frames" simnet --frames=1000000000 --window=8 --until="$XENSIM_DIR/stop" "$dom" 0
	nic_load=$!
	wait_line "$XENSIM_DIR/load" connected
	wait_line "$XENSIM_DIR/frames" connected
}
quiet_guest() {
	touch "$XENSIM_DIR/stop"
	wait "$disk_load" || fail "$(cat "$XENSIM_DIR/load")"
	wait "$nic_load" || fail "$(cat "$XENSIM_DIR/frames")"
	stop_peer
	xensim-xl destroy "$dom"
	nothing_is_held
}

which_and_how_fast() {
	ends 3 list
	start_daemon
	says "^DEVICE *STATE" list
	busy_guest
	says "guest/xvda *connected .*$XENSIM_DIR/disk" list
	says "guest/vif0 *connected .*vif$dom.0 *-" list guest
	xenstore-write "$(backend vif "$dom" 0)/bridge" xenbr0
	says "vif$dom.0 is in no bridge: .ip link set vif$dom.0 master xenbr0" why guest/vif0 --interval=0.1
	says "guest/vif0: network card.*guest/xvda: disk\|guest/xvda: disk.*guest/vif0: network card" show guest
	says "guest/xvda .*guest/vif0 \|guest/vif0 .*guest/xvda " why guest --interval=0.1
	ends 1 events nosuch
	[ "$(ctl list --names | sort | xargs)" = "guest/vif0 guest/xvda" ] || fail "$(ctl list --names)"
	says "image *$XENSIM_DIR/disk .*iops *0 (no limit) *default.*time_medium" show guest/xvda
	says "tx_packets *[1-9][0-9]* *frames.*time_rx " stats "vif/$dom/0"
	says "guest/vif0 *[1-9].* us.*%" top --once --interval=0.5
	ends 1 show guest/xvdb
	grep -q "vbd $dom/51712: is guest/xvda$" "$log" || fail "the log has not the name: $(grep "vbd $dom/51712" "$log")"
	says "connected" events "vbd $dom/51712"
	says "also called .*vif $dom/0 .*pcap-dir *(the runtime-dir) *default" show "vif $dom/0"
	[ "$(ctl --complete show guest/x)" = guest/xvda ] || fail "$(ctl --complete show guest/x)"
	ctl --complete set guest/xvda io | grep -qx iops-burst || fail "$(ctl --complete set guest/xvda io)"
	ends 0 events guest
	! grep "is guest/" "$XENSIM_DIR/said" || fail "events says of a device that it is itself"
	quiet_guest
	says "vbd $dom/51712 *is guest/xvda " events # it is gone, and only this line has its name
	stop_daemon
}

# The medium takes 20 ms for each.
why_the_medium() {
	touch "$XENSIM_FAULTS/slow-disk"
	verdict_is guest/xvda medium
	says "waits for its medium, $XENSIM_DIR/disk: \(9[0-9]\|100\) %.*half of them in 2[0-9] ms.*no limits" why guest/xvda
	rm "$XENSIM_FAULTS/slow-disk"
}

why_the_limit() {
	ends 0 set guest/xvda iops 50
	verdict_is guest/xvda limit
	says "held back by its limit iops=50,.*pvbackctl set guest/xvda iops VALUE" why guest/xvda
	says "guest/xvda .*limit iops=50" top --once
	says "an admin sets .iops. to 50" events guest
	ends 1 set guest/xvda iops lots
	says "takes a number from 0" set guest/xvda iops lots
	says "1250000,100000 is 100 Mbit/s" set guest/vif0 rate 100M
	ends 0 unset guest/xvda iops
	ends 0 set guest/vif0 rate 5000,50000
	verdict_is guest/vif0 limit
	says "held back by its limit rate=5000,50000,.*frames" why guest/vif0
	ends 0 unset guest/vif0 rate
	verdict_is guest/vif0 fine
}

why_slow() {
	start_daemon
	busy_guest
	why_the_medium
	why_the_limit
	quiet_guest
	stop_daemon
}

why_idle_or_not_there() {
	start_daemon
	guest_with_disk 16
	says "guest/xvda *waits for guest .* $XENSIM_DIR/disk" list
	says "is not served (backend: init-wait.*waits for the guest" why guest/xvda
	_error=/local/domain/0/error/backend/vbd/$dom/51712/error
	xenstore-write -- "$_error" "-2 /srv/x: No such file" # as an earlier life of the daemon leaves it
	says "The daemon says: /srv/x: No such file" why guest/xvda --interval=0.1
	xenstore-rm "$_error"
	xensim-xl network-attach "$dom" 0
	start_peer
	rm -f "$XENSIM_DIR/go"
	begin "$XENSIM_DIR/check" simnet --check=stall "$dom" 0
	_check=$!
	wait_line "$XENSIM_DIR/check" waiting
	says "has posted no room for one" why guest/vif0 --interval=0.1
	touch "$XENSIM_DIR/go"
	wait "$_check" || fail "$(cat "$XENSIM_DIR/check")"
	stop_peer
	begin "$XENSIM_DIR/load" simblk --hold --requests=100 "$dom" 51712
	_load=$!
	wait_line "$XENSIM_DIR/load" holding
	says "guest/xvda is idle: .* it did 100 requests" why guest/xvda --interval=0.1
	xensim-xl block-detach "$dom" xvda
	wait "$_load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}

who_and_restarted() {
	start_daemon
	busy_guest
	says "pvbackd .*process $daemon" version
	ends 0 drain guest
	says '"held":false' retry guest/xvda --json
	if is_isolated; then
		says "guest *$dom *$(pvb_guest_pid "$dom") *serving .* 0 *[0-9.]* *$" version
		ends 0 restart guest
		says "guest *$dom *$(pvb_guest_pid "$dom") *serving .* 1 *[0-9.]* *$" version
		says "has its process .* replaced" events guest
	else
		ends 1 restart guest
	fi
	quiet_guest
	stop_daemon
}

# Whoever serves the guest dies as soon as it is there, until the file enough is.
kill_all_that_come() {
	until [ -e "$XENSIM_DIR/enough" ]; do
		pvb_kill_processes "$dom"
		sleep 0.05
	done
}
# A process that lives for a moment has another answer, so this asks again.
dying_says() { until_true 20000 it_says "$@" || fail "pvbackctl $* does not: $(cat "$XENSIM_DIR/said")"; }
died="the process that serves guest guest has died [0-9]* times in a row; the next one starts in [0-9.]* s"
# A restart of a process that lives begins the row anew. So this waits until the next process starts in more than a second.
restart_says_died() { it_says "the next one starts in [12][.]" list && it_says "$died" restart guest; }
# Its devices have nothing to do: a frontend whose requests nobody answers for long would give up.
one_that_dies() {
	is_isolated || return 0
	start_daemon
	guest_with_nic
	new_disk disk 16
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	begin "$XENSIM_DIR/load" simblk --requests=20 --hold "$dom" 51712
	disk_load=$!
	begin "$XENSIM_DIR/frames" simnet --frames=20 --hold "$dom" 0
	nic_load=$!
	wait_line "$XENSIM_DIR/load" holding
	wait_line "$XENSIM_DIR/frames" holding
	rm -f "$XENSIM_DIR/enough"
	kill_all_that_come &
	_killer=$!
	dying_says "guest/xvda waits: $died. See .journalctl -u pvbackd." why guest/xvda --interval=0.1
	dying_says "guest/xvda *restarting *- .*guest/vif0: $died" list
	dying_says "guest *$dom *- *waits .* [1-9][0-9]* *- " version
	until_true 20000 restart_says_died || fail "pvbackctl restart does not: $(cat "$XENSIM_DIR/said")"
	touch "$XENSIM_DIR/enough"
	wait "$_killer"
	says "its process ([0-9]*) has ended: killed by signal 9 (Killed); the rings are taken up" events guest
	dying_says "guest *$dom *[0-9]* *serving" version
	xensim-xl block-detach "$dom" xvda
	wait "$disk_load" || fail "$(cat "$XENSIM_DIR/load")"
	stop_peer
	xensim-xl network-detach "$dom" 0
	wait "$nic_load" || fail "$(cat "$XENSIM_DIR/frames")"
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}

the_configuration() {
	configure "iops = 900"
	start_daemon --config="$XENSIM_DIR/conf"
	ends 0 check
	configure "iops = much"
	says "$XENSIM_DIR/conf, line 1: iops cannot be .much." check
	ends 1 check
	ends 1 reload
	configure "iops = 800"
	ends 0 reload
	guest_with_disk 16
	says "iops *800 *configuration" show guest/xvda
	xensim-xl destroy "$dom"
	stop_daemon
}

# What has happened before the daemon was started is in its log alone, and that is said.
changed_since_when() {
	start_daemon
	says "^Since [0-9-]* [0-9:]*, when the daemon was started (before: journalctl -u pvbackd) TIME *DEVICE" events
	_nr=0
	while [ "$_nr" -le 256 ]; do
		ctl trace --off
		_nr=$((_nr + 1))
	done
	says "^Since [0-9-]* [0-9:]* (before: journalctl -u pvbackd) TIME" events
	says '"since_s":[0-9]*, *"since_start":false' events --json
	stop_daemon
}

frames_in() { tcpdump -r "$1" 2>/dev/null | wc -l; }
before_it_connects() {
	start_daemon
	guest_with_nic
	begin "$XENSIM_DIR/capturing" ctl capture guest/vif0 "$XENSIM_DIR/captured"
	_capture=$!
	wait_line "$XENSIM_DIR/capturing" "guest/vif0 is not connected yet: this begins when it is"
	says "guest/vif0 is not connected yet: this begins when it is" trace guest/vif0 --seconds=1
	simnet --frames=20 "$dom" 0 >/dev/null
	stop_peer
	xensim-xl destroy "$dom"
	wait "$_capture" || fail "$(cat "$XENSIM_DIR/capturing")"
	[ "$(frames_in "$XENSIM_DIR/captured")" -ge 20 ] || fail "nothing is captured: $(cat "$XENSIM_DIR/capturing")"
	stop_daemon
}
traces() { grep -c "^trace vbd [0-9]*/51712/0 take" "$log" || :; }
# traces_into FILE [OPTION...]: pvbackctl traces the disk until a request's line is in FILE
traces_into() {
	_into=$1
	shift
	begin "$XENSIM_DIR/said" exec "$build/pvbackctl" --runtime-dir="$XENSIM_DIR/run" trace guest/xvda --filter=blk "$@"
	_tracing=$!
	wait_line "$_into" "^trace vbd $dom/51712/0 take" || fail "nothing is traced: $(head -n 3 "$XENSIM_DIR/said")"
	kill "$_tracing"
	wait "$_tracing" || fail "pvbackctl trace ends with $?"
}
capture_and_trace() {
	start_daemon
	busy_guest
	ends 0 capture guest/vif0 "$XENSIM_DIR/captured" --seconds=1 --snaplen=60
	[ "$(frames_in "$XENSIM_DIR/captured")" -gt 1 ] || fail "nothing is captured"
	ctl capture guest/vif0 2>"$XENSIM_DIR/said" | tcpdump -c 2 -r - 2>/dev/null >"$XENSIM_DIR/piped"
	[ "$(wc -l <"$XENSIM_DIR/piped")" = 2 ] || fail "nothing comes through a pipe: $(cat "$XENSIM_DIR/said")"
	ends 1 capture guest/vif0 "$XENSIM_DIR/captured" --filter=nonsense
	ends 0 capture guest/vif0 "$XENSIM_DIR/captured" --size=1
	grep -q "the file is full: frames=" "$XENSIM_DIR/said" || fail "$(cat "$XENSIM_DIR/said")"
	traces_into "$XENSIM_DIR/said"
	[ "$(traces)" = 0 ] || fail "they are in the log"
	traces_into "$log" --log
	quiet_guest
	_traces=$(traces)
	busy_guest
	quiet_guest
	[ "$(traces)" = "$_traces" ] || fail "it is traced still"
	says "^# HELP pvbackd_build_info .* pvbackd_build_info{" metrics
	stop_daemon
}

test_case "which devices there are, and how fast they are" which_and_how_fast
test_case "why a disk or a card is slow: its medium, its limit" why_slow
test_case "why one does nothing: its guest, its slots, nothing to do" why_idle_or_not_there
test_case "who serves it, and was it restarted" who_and_restarted
test_case "one whose process dies again and again" one_that_dies
test_case "its events are listed with the time that they begin at" changed_since_when
test_case "a capture or a trace of what is not connected yet says so, and begins when it is" before_it_connects
test_case "what is on its wire; each request of it" capture_and_trace
test_case "what is wrong with the configuration" the_configuration
exit "$failed"
