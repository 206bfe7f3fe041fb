#!/bin/sh
# SPDX-License-Identifier: MIT
# The options of one disk (limits, cache mode, polling), and the keys in which the daemon describes the disk.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

set_key() { xenstore-write "$(backend vbd "$dom" 51712)/$1" "$2"; }
key_is() { [ "$(xenstore-read "$(backend vbd "$dom" 51712)/$1")" = "$2" ]; }

disk_with() { # KEY VALUE ...
	guest_with_disk 16
	while [ $# -gt 0 ]; do
		set_key "$1" "$2"
		shift 2
	done
}
give_back() {
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

# took_at_least MS SIMBLK-OPTION...: check that the load takes at least so long. With a limit it cannot be faster, on any machine.
took_at_least() {
	_ms=$1
	shift
	simblk "$@" "$dom" 51712 >"$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	sed -n 's/^requests=.* seconds=\([0-9.]*\) .*/\1/p' "$XENSIM_DIR/load" |
		awk -v ms="$_ms" '{ found = $1 * 1000 >= ms } END { exit !found }' ||
		fail "faster than $_ms ms: $(cat "$XENSIM_DIR/load")"
}

# The burst passes at once; each later request takes 5 ms.
requests() {
	disk_with iops 200 iops-burst 20
	took_at_least 490 --requests=120
	give_back
}
requests_of_all_queues() {
	disk_with iops 200 iops-burst 20
	took_at_least 490 --requests=120 --queues=4
	give_back
}
# 4 MiB at 8 MiB/s; the first MiB passes at once.
bytes() {
	disk_with bps 8388608 bps-burst 1048576
	took_at_least 370 --requests=0 --fill --span=8192 --segs=64
	give_back
}
by_default() {
	configure "iops = 200"
	start_daemon --config="$XENSIM_DIR/conf"
	guest_with_disk 16
	took_at_least 490 --requests=120
	xensim-xl destroy "$dom"
	disk_with iops lots
	took_at_least 490 --requests=120
	xensim-xl destroy "$dom"
	disk_with iops 0
	begin "$XENSIM_DIR/load" simblk --requests=120 --hold "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	kill -USR1 "$daemon"
	wait_line "$log" "dump: vbd $dom/51712/0 .* throttled=0"
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held
	stop_daemon
}
throttled() {
	kill -USR1 "$daemon"
	grep -q "dump: vbd $dom/51712/0 .* throttled=[1-9]" "$log"
}

# With one request a second, this load would take years.
live() {
	disk_with iops 1 iops-burst 1
	begin "$XENSIM_DIR/load" simblk --requests=3000 --verify-all "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	until_true 10000 throttled || fail "not throttled"
	set_key iops 0
	until_true 60000 grep -q "^requests=.* errors=0 .* bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" ||
		fail "still throttled: $(cat "$XENSIM_DIR/load")"
	wait "$load"
	give_back
}
detached() {
	disk_with iops 1 iops-burst 1
	begin "$XENSIM_DIR/load" simblk --requests=3000 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	until_true 10000 throttled || fail "not throttled"
	xensim-xl block-detach "$dom" xvda
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	give_back
}

# times_throttled: print how many requests have had to wait so far
times_throttled() {
	kill -USR1 "$daemon"
	sed -n "s,.*dump: vbd $dom/51712/0 .* throttled=\([0-9]*\).*,\1,p" "$log" | tail -n 1
}
throttled_more_than() { [ "$(times_throttled)" -gt "$1" ]; }

# The limit is one request a second. It is still in force as long as another request has to wait.
held_back() {
	begin "$XENSIM_DIR/load" simblk --requests=1000000 --mix=1:0:0:0 "$@" "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	until_true 10000 throttled || fail "not throttled"
}
still_held_back() {
	_times=$(times_throttled)
	until_true 10000 throttled_more_than "$((_times + 1))" || fail "not throttled any more: $(cat "$XENSIM_DIR/load")"
	kill -9 "$load"
	wait "$load" || :
	give_back
}
nonsense() {
	disk_with iops 1 iops-burst 1
	held_back
	set_key iops lots
	wait_line "$log" "vbd $dom/51712: its key .iops. cannot be .lots., and what was in force stays"
	set_key iops "$(printf '%080d' 7)"
	wait_line "$log" "vbd $dom/51712: its key .iops. cannot be .too long."
	still_held_back
}
refused() {
	disk_with iops 1 iops-burst 1
	held_back --in-use
	! xensim-xl block-detach "$dom" xvda || fail "the guest gave it away"
	still_held_back
}
slips() {
	disk_with iop 5 bsp 6 iops_burst 7 Cache-Mode none poll 1 maker me
	simblk --requests=100 "$dom" 51712
	simblk --requests=100 "$dom" 51712
	for _slip in iop:iops bsp:bps iops_burst:iops-burst Cache-Mode:cache-mode poll:poll-time; do
		_line="vbd $dom/51712: its key .${_slip%:*}. means nothing; is it .${_slip#*:}.?"
		[ "$(grep -c "$_line" "$log")" = 1 ] || fail "$_slip: $(grep -c "$_line" "$log") times"
	done
	[ "$(grep -c "vbd $dom/51712: .* means nothing" "$log")" = 5 ] || fail "$(grep "means nothing" "$log")"
	give_back
}

# The sections for a guest and its disk hold for the next guest with this name; the keys of the disk override them.
by_name() {
	configure "iops = 0" "[disk guest/xvda]" "iops = 200" "iops-burst = 20" "[guest guest]" "iops = 1" "iops-burst = 1"
	start_daemon --config="$XENSIM_DIR/conf"
	for _boot in 1 2; do
		guest_with_disk 16
		took_at_least 490 --requests=120
		xensim-xl destroy "$dom"
	done
	disk_with iops 0
	took_at_least 0 --requests=120
	! throttled || fail "its own key does not come first"
	xensim-xl destroy "$dom"
	dom=$(xensim-xl create guests)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	took_at_least 0 --requests=120
	! throttled || fail "the section of another guest holds"
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}

# For a while the daemon cannot find out which sections are for this guest.
unreadable_name() {
	configure "[guest guest]" "iops = 1" "iops-burst = 1"
	start_daemon --config="$XENSIM_DIR/conf"
	guest_with_disk 16
	held_back
	xenstore-write "/local/domain/$dom/name" '\x01'
	set_key poll-time 5
	wait_line "$log" "vbd $dom/51712: its guest's name cannot be read"
	_times=$(times_throttled)
	until_true 10000 throttled_more_than "$((_times + 1))" || fail "not throttled any more: $(cat "$XENSIM_DIR/load")"
	kill -9 "$load"
	wait "$load" || :
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}

# With one request a second, this load would take years, except for the reads at its end.
read_again() {
	configure "iops = 1" "iops-burst = 1"
	start_daemon --config="$XENSIM_DIR/conf"
	guest_with_disk 16
	begin "$XENSIM_DIR/load" simblk --requests=3000 --verify-all "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	until_true 10000 throttled || fail "not throttled"
	reconfigure "the configuration is not taken over" "iops = 0" "bps = lots"
	grep -q "conf, line 2: bps cannot be .lots.: it takes a number from" "$log" || fail "it did not say what is wrong"
	reconfigure "has been read again" "iops = 1" "iops-burst = 1" "workers = 7"
	grep -q ".workers. has changed: that holds when pvbackd is restarted" "$log" || fail "nothing of workers"
	_times=$(times_throttled)
	until_true 10000 throttled_more_than "$((_times + 1))" || fail "not throttled any more"
	reconfigure "has been read again" "iops = 1" "iops-burst = 1" "[disk guest/51712]" "iops = 0"
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}

# The file has an error, and the daemon is restarted: the guests have their disks, and the other lines hold.
broken_at_start() {
	configure "iops = 200" "iops-burst = 2O" "workers = 0"
	! "$PVBACKD" --config="$XENSIM_DIR/conf" --check-config 2>"$XENSIM_DIR/said" || fail "--check-config finds nothing"
	grep -q "conf, line 2: iops-burst cannot be .2O.: it takes a number" "$XENSIM_DIR/said" || fail "nothing of line 2"
	grep -q "conf, line 3: workers cannot be .0.: it takes a number" "$XENSIM_DIR/said" || fail "nothing of line 3"
	start_daemon --config="$XENSIM_DIR/conf"
	grep -q "conf, line 2: iops-burst cannot be" "$log" || fail "it did not say so"
	guest_with_disk 16
	took_at_least 490 --requests=120
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}

# flags_have OCTAL...: check that the image is open with these flags; /proc shows them
flags() {
	_pid=$(pvb_guest_pid "$dom")
	_fd=$(find "/proc/$_pid/fd" -lname "$XENSIM_DIR/disk" | head -n 1)
	sed -n 's/^flags:[[:space:]]*//p' "/proc/$_pid/fdinfo/${_fd##*/}"
}
held_with() { # OPTION VALUE: print the flags of the image, in decimal
	disk_with "$1" "$2"
	begin "$XENSIM_DIR/load" simblk --requests=300 --verify-all --hold "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	_flags=$(($(flags)))
	xensim-xl block-detach "$dom" xvda
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	give_back
}
o_direct=$((040000)) # the value on x86, where these tests run
o_dsync=$((010000))
cached() {
	held_with cache-mode writeback
	[ $((_flags & (o_direct | o_dsync))) -eq 0 ] || fail "flags $_flags"
	held_with cache-mode writethrough
	[ $((_flags & (o_direct | o_dsync))) -eq "$o_dsync" ] || fail "flags $_flags"
	held_with cache-mode none
	[ $((_flags & o_dsync)) -eq 0 ] || fail "flags $_flags"
}

# A frontend that sends one request after the other need not notify a backend that polls the ring.
polled() {
	disk_with poll-time 100000
	simblk --requests=300 --depth=1 "$dom" 51712 >"$XENSIM_DIR/load"
	_notifies=$(sed -n 's/.* notifies=\([0-9]*\) .*/\1/p' "$XENSIM_DIR/load")
	[ "$_notifies" -lt 150 ] || fail "$(cat "$XENSIM_DIR/load")"
	give_back
}

info_is() { # INFO ATTACH-OPTION...
	_info=$1
	shift
	new_disk disk 8
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda "$@"
	[ "$((_info & 2))" = 0 ] || set_key removable 1
	simblk --requests=50 "$dom" 51712
	key_is info "$_info" || fail "$*: info is not $_info"
	give_back
}
info() {
	info_is 0
	info_is 4 mode=r
	info_is 2
	info_is 1 type=cdrom
	info_is 7 type=cdrom mode=r
}

start_daemon
guest_with_disk 16
simblk --requests=100 "$dom" 51712 >/dev/null
xensim-xl destroy "$dom"
fds=$(daemon_fds)
test_case "so many requests a second, and a burst of them" requests
test_case "all queues of a disk share its limit" requests_of_all_queues
test_case "so many bytes a second, and a burst of them" bytes
test_case "a limit may be changed and taken away under a guest" live
test_case "a throttled disk is detached at once" detached
test_case "a value that makes no sense leaves in force what was, with a word" nonsense
test_case "a limit outlives a detach that the guest refuses" refused
test_case "a key that looks like a mistyped option is named, once" slips
test_case "cache-mode decides how the image is opened" cached
test_case "a disk that is polled needs few notifications" polled
test_case "info says what kind of disk it is" info
stop_daemon
daemon=$$ # the last case starts its own daemon
test_case "a limit in the configuration holds for disks that have none of their own" by_default
test_case "a section holds for the guest of its name, also when that has rebooted" by_name
test_case "a guest whose name cannot be read keeps what its section says" unreadable_name
test_case "SIGHUP: what is changed in the configuration reaches attached disks, unless any of it is wrong" read_again
test_case "a configuration with faults is served as far as it is right, and each fault is said" broken_at_start
exit "$failed"
