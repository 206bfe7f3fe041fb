# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The daemon is killed again and again under an HVM guest whose root file system and network it serves, and
# started again; the guest notices nothing. XEN_LAB_KILLS says how often.
# limit: 600

backend_is_kernel && skip "the kernel's backends cannot be restarted"
KILLS=$LAB_KILLS
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
guest_config hvm hvm "cmdline = \"$GUEST_LINE lab.root=/dev/xvda\"" 'memory = 512' \
	"vif=['mac=00:16:5e:02:07:45,bridge=xenbr0']" "disk=[$(disk /dev/nvme0n1 hda w)]"
need "an HVM guest boots from hda" guest_start hvm 150
need "eth0 comes up" guest_net hvm eth0 10.77.0.2
iperf3 -s -1 >>"$LOG/iperf3-server.log" 2>&1 &
need "iperf3 serves in Dom0" wait_for 10 grep -q ':1451 ' /proc/net/tcp6 /proc/net/tcp

guest_run hvm "dmesg -c >/dev/null"
guest_job hvm disk "n=0; until [ -e /run/stop ]; do $(fio_line /root/fio.dat --size=8M) >/run/fio.out || { cat /run/fio.out; exit 1; }; n=\$((n + 1)); done; echo verified \$n times"
guest_job hvm net "iperf3 -c 10.77.0.1 --bidir -b 20M -t 36000 -i 0"

# sent, received: bytes that have crossed the guest's NIC, as Dom0 counts them
crossed() { cat "/sys/class/net/vif$(guest_id hvm).0/statistics/$1"; }
moves_on() {
	local rx tx
	rx=$(crossed rx_bytes) tx=$(crossed tx_bytes)
	more() { [ "$(crossed rx_bytes)" -gt $((rx + 100000)) ] && [ "$(crossed tx_bytes)" -gt $((tx + 100000)) ]; }
	wait_for 30 more
}
need "the TCP stream runs both ways" moves_on
killed() {
	local n
	RANDOM=6
	for ((n = 1; n <= KILLS; n++)); do
		nap "$((RANDOM % 2)).$((RANDOM % 10))"
		backend_kill && backend_start || { echo "at kill $n"; return 1; }
	done
}
check "the daemon is killed and started $KILLS times" killed
check "the TCP stream runs on, both ways" moves_on
check "it is the same TCP stream" guest_job_runs hvm net
guest_run hvm ": >/run/stop"
verified() {
	local out
	out=$(guest_job_end hvm disk 120) || { printf '%s\n' "$out"; return 1; }
	note "fio in the guest: $out"
	has "$out" 'verified [1-9]'
}
check "fio read back what it wrote, every time" verified
noticed() { ! guest_run hvm "dmesg" | grep -Ei 'xvd|blkfront|netfront|eth0|vif|vbd|xen|ext4|error|hung'; }
check "the guest's kernel has said nothing about its disk or its NIC" noticed
# A daemon may be killed before it has resumed anything, so there may be fewer such lines than kills.
only_resumed() {
	local log
	log=$(grep "$1: " "$LOG/pvbackd.log")
	is "$(grep -c ': connected$' <<<"$log")" 1 && has "$log" ': resumed$'
}
check "its disk was connected once, and then resumed" only_resumed "vbd $(guest_id hvm)/768"
check "its NIC was connected once, and then resumed" only_resumed "vif $(guest_id hvm)/0"
check "the log has no error" eval 'hasnt "$(<"$LOG/pvbackd.log")" "error:|warning:"'
guest_run hvm "killall iperf3; sync; mount -o remount,ro /; sync" 60
check "the guest is destroyed" guest_stop hvm
check "the file system is clean" e2fsck -fn /dev/nvme0n1
check "no guest is left over" no_guests
