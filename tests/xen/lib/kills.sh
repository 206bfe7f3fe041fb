# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Control and the guest's process are killed again and again while a guest uses its disk and its network, and the service is
# restarted.

# crossed GUEST COUNTER: print Dom0's counter of bytes for the guest's first NIC
crossed() { cat "/sys/class/net/vif$(guest_id "$1").0/statistics/$2"; }
moved_since() { [ "$(crossed "$1" rx_bytes)" -gt $(($2 + 100000)) ] && [ "$(crossed "$1" tx_bytes)" -gt $(($3 + 100000)) ]; }
moves_on() { wait_for 30 moved_since "$1" "$(crossed "$1" rx_bytes)" "$(crossed "$1" tx_bytes)"; }

# who_serves GUEST: print the PID of its process, of which there must be one
who_serves() {
	local pids
	pids=$(guest_pids "$(guest_id "$1")") || { echo "nobody serves $1"; return 1; }
	[[ $pids != *$'\n'* ]] || { echo "several serve $1: $(one_line "$pids")"; return 1; }
	echo "$pids"
}

# confined GUEST: check that its process runs as a user of its own, without rights, with a filter, in an empty root
confined() {
	local pid status
	pid=$(who_serves "$1") || { echo "$pid"; return 1; }
	status=$(<"/proc/$pid/status")
	has "$status" "^Uid:.$((1900000000 + $(guest_id "$1")))" && has "$status" '^CapPrm:.0+$' && has "$status" '^Seccomp:.2$' &&
		is "$(ls -A "/proc/$pid/root/")" '' && hasnt "$(readlink "/proc/$pid/ns/net")" "$(readlink /proc/self/ns/net)"
}

backend_restart() { backend_stop && backend_start; }
killed() { backend_kill && backend_start; }

# keeps_its_process GUEST COMMAND...: the command ends and starts control; check that the same process still serves the guest
keeps_its_process() {
	local before
	before=$(who_serves "$1") || { echo "$before"; return 1; }
	"${@:2}" && is "$(who_serves "$1")" "$before"
}
is_replaced() {
	local now
	now=$(who_serves "$1") && [ "$now" != "$2" ]
}
process_killed() {
	local before
	before=$(who_serves "$1") || { echo "$before"; return 1; }
	kill -9 "$before" && wait_for 20 is_replaced "$1" "$before"
}
both_killed() { guest_pids "" | xargs kill -9 && killed && wait_for 20 who_serves "$1"; }

# uses GUEST: check that its disk and its NIC work
uses() { guest_run "$1" "dd if=/dev/xvda of=/dev/null bs=4k count=64 iflag=direct" && moves_on "$1"; }
used_without_control() { backend_kill && uses "$1" && backend_start; }

# hardly_any_lost OUTPUT: check that less than three of a hundred pings were lost; the emulated machine itself loses one now and then
hardly_any_lost() {
	local percent
	percent=$(sed -n 's/.* \([0-9]*\)[.0-9]*% packet loss.*/\1/p' <<<"$1")
	[ -n "$percent" ] && [ "$percent" -lt 3 ]
}

# pings_meanwhile GUEST COMMAND...: check that hardly any ping of the guest is lost meanwhile; note the longest time
pings_meanwhile() {
	local out status
	guest_job "$1" pings '/usr/bin/ping -q -i 0.02 10.77.0.1' || return
	"${@:2}"
	status=$?
	guest_run "$1" "killall -INT ping" && out=$(guest_job_end "$1" pings 20)
	note "pings during ${2//_/ }: $(one_line "$out")"
	hardly_any_lost "$(one_line "$out")" && return "$status"
}

killed_often() {
	local guest=$1 kills=$2 n how=(killed)
	! backend_is_isolated || how=("process_killed $1" "keeps_its_process $1 killed" "both_killed $1" "keeps_its_process $1 backend_restart")
	RANDOM=6
	for ((n = 0; n < kills; n++)); do
		nap "$((RANDOM % 2)).$((RANDOM % 10))"
		# shellcheck disable=SC2086 # words
		${how[n % ${#how[@]}]} || { echo "at kill $((n + 1))"; return 1; }
	done
}
# isolated_as HOW GUEST: choose the isolation of the next start
# shellcheck disable=SC2034 # backend.sh reads it
isolated_as() { ISOLATION=$1 && backend_restart && wait_for 20 served_so "$2"; }
served_so() { if backend_is_isolated; then who_serves "$1"; else no_guest_pids; fi; }

# A daemon may be killed before it has resumed a device, so there may be fewer such lines than kills.
only_resumed() {
	local log
	log=$(grep "$1: " "$LOG/pvbackd.log")
	is "$(grep -c ': connected$' <<<"$log")" 1 && has "$log" ': resumed(, replayed=[0-9]+)?$'
}
# (The log also says that the guest's process was killed. On a busy host it takes seconds to start an opener.)
only_deaths_are_warned_of() {
	! grep -E 'error:|warning:' "$LOG/pvbackd.log" |
		grep -Ev 'its process \([0-9]+\) has ended[^;]*; the rings|its image has not answered for 5 s'
}

# (On a busy host the kernel compares its clocks; one of them is called xen.)
nothing_noticed() { ! guest_run "$1" dmesg | grep -v 'clocksource:' | grep -Ei 'xvd|blkfront|netfront|eth0|vif|vbd|xen|ext4|error|hung'; }

# isolated_kills GUEST KILLS: first with a process for the guest, then with a daemon that serves all guests itself, then back
isolated_kills() {
	local guest=$1 kills=$2
	check "hardly a ping is lost before the kills" pings_meanwhile "$guest" uses "$guest"
	check "control is killed, and its disk and its NIC go on without one: hardly a ping is lost" \
		pings_meanwhile "$guest" used_without_control "$guest"
	check "so they do when control comes, and goes again: the same process serves" \
		keeps_its_process "$guest" used_without_control "$guest"
	check "its process, control and both are killed, and the service is restarted: $kills times" killed_often "$guest" "$kills"
	check "a daemon that serves all guests itself takes over from its process" isolated_as none "$guest"
	check "that one is killed and started twice" killed_often "$guest" 2
	check "a process of its own takes over again" isolated_as guest "$guest"
}

# kills_go_unnoticed GUEST DEVID KILLS: the checks. Its root file system is on disk DEVID, its NIC is 0, and Dom0 is 10.77.0.1.
kills_go_unnoticed() {
	local guest=$1 devid=$2 kills=$3
	need "iperf3 serves in Dom0" iperf_server
	guest_run "$guest" "dmesg -c >/dev/null"
	verifies "$guest" /fio.dat --size=8M
	guest_job "$guest" kills-net "iperf3 -c 10.77.0.1 --bidir -b 20M -t 36000 -i 0"
	need "a TCP stream runs both ways" moves_on "$guest"
	if backend_is_isolated; then
		isolated_kills "$guest" "$kills"
	else
		check "the daemon is killed and started $kills times" killed_often "$guest" "$kills"
	fi
	check "the TCP stream runs on, both ways" moves_on "$guest"
	check "it is the same TCP stream" guest_job_runs "$guest" kills-net
	check "fio read back what it wrote, every time" verified "$guest"
	check "the guest's kernel has said nothing about its disk or its NIC" nothing_noticed "$guest"
	check "its disk was connected once, and then resumed" only_resumed "vbd $(guest_id "$guest")/$devid"
	check "its NIC was connected once, and then resumed" only_resumed "vif $(guest_id "$guest")/0"
	check "the log has no error" only_deaths_are_warned_of
	guest_run "$guest" "killall iperf3"
}
