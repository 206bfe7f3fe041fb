# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The daemon is killed again and again under a guest that uses its disk and its network, and started again.

# crossed GUEST COUNTER: bytes that have crossed the guest's first NIC, as Dom0 counts them
crossed() { cat "/sys/class/net/vif$(guest_id "$1").0/statistics/$2"; }
moved_since() { [ "$(crossed "$1" rx_bytes)" -gt $(($2 + 100000)) ] && [ "$(crossed "$1" tx_bytes)" -gt $(($3 + 100000)) ]; }
moves_on() { wait_for 30 moved_since "$1" "$(crossed "$1" rx_bytes)" "$(crossed "$1" tx_bytes)"; }

killed_often() {
	local n
	RANDOM=6
	for ((n = 1; n <= $1; n++)); do
		nap "$((RANDOM % 2)).$((RANDOM % 10))"
		backend_kill && backend_start || { echo "at kill $n"; return 1; }
	done
}

# A daemon may be killed before it has resumed anything, so there may be fewer such lines than kills.
only_resumed() {
	local log
	log=$(grep "$1: " "$LOG/pvbackd.log")
	is "$(grep -c ': connected$' <<<"$log")" 1 && has "$log" ': resumed(, replayed=[0-9]+)?$'
}

fio_verified() {
	local out
	out=$(guest_job_end "$1" kills-disk 120) || { printf '%s\n' "$out"; return 1; }
	note "fio in the guest: $out"
	has "$out" 'verified [1-9]'
}
# (On a busy host the kernel compares its clocks, of which one is called xen.)
nothing_noticed() { ! guest_run "$1" dmesg | grep -v 'clocksource:' | grep -Ei 'xvd|blkfront|netfront|eth0|vif|vbd|xen|ext4|error|hung'; }

# kills_go_unnoticed GUEST DEVID KILLS: the checks. Its root file system is on disk DEVID, its NIC is 0, and Dom0 is 10.77.0.1.
kills_go_unnoticed() {
	local guest=$1 devid=$2 kills=$3
	iperf3 -s -1 >>"$LOG/iperf3-server.log" 2>&1 &
	need "iperf3 serves in Dom0" wait_for 10 grep -q ':1451 ' /proc/net/tcp6 /proc/net/tcp
	guest_run "$guest" "dmesg -c >/dev/null"
	guest_job "$guest" kills-disk "n=0; until [ -e /run/stop ]; do $(fio_line /fio.dat --size=8M) >/run/fio.out || { cat /run/fio.out; exit 1; }; n=\$((n + 1)); done; echo verified \$n times"
	guest_job "$guest" kills-net "iperf3 -c 10.77.0.1 --bidir -b 20M -t 36000 -i 0"
	need "a TCP stream runs both ways" moves_on "$guest"
	check "the daemon is killed and started $kills times" killed_often "$kills"
	check "the TCP stream runs on, both ways" moves_on "$guest"
	check "it is the same TCP stream" guest_job_runs "$guest" kills-net
	guest_run "$guest" ": >/run/stop"
	check "fio read back what it wrote, every time" fio_verified "$guest"
	check "the guest's kernel has said nothing about its disk or its NIC" nothing_noticed "$guest"
	check "its disk was connected once, and then resumed" only_resumed "vbd $(guest_id "$guest")/$devid"
	check "its NIC was connected once, and then resumed" only_resumed "vif $(guest_id "$guest")/0"
	check "the log has no error" eval 'hasnt "$(<"$LOG/pvbackd.log")" "error:|warning:"'
	guest_run "$guest" "killall iperf3"
}
