# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# One guest with eight disks and eight NICs, all busy: it is paused, gets another vCPU and gives it back, gives memory away and
# gets it back, loses a bridge, reboots, crashes.
# limit: 900

backend_is_kernel && skip "what an admin is told is pvbackd's"
scripts own
bridge_up xenbr0 77
bridge_up xenbr1 78
need "the backend starts" backend_start
footprint=$(backend_footprint)

DISKS=(/dev/nvme0n2 /dev/nvme0n3 /scratch/{c,d,e,f,g,h}.img)
many_disks() {
	local n letters=abcdefgh
	for n in "${!DISKS[@]}"; do
		[ -b "${DISKS[n]}" ] || image "${DISKS[n]}" 32
		printf '%s,' "$(disk "${DISKS[n]}" "xvd${letters:n:1}" w)"
	done
}
# NICs 0 to 3 are in xenbr0, 4 to 7 in xenbr1.
many_nics() {
	local n
	for n in {0..7}; do printf "'mac=00:16:5e:02:0a:0%d,bridge=xenbr%d'," "$n" $((n / 4)); done
}
# (A paused guest's own watchdog takes the pause for a lockup when it goes on.)
guest_config lives pvh "cmdline = \"$GUEST_LINE nowatchdog\"" 'maxvcpus = 2' 'on_reboot = "restart"' 'on_crash = "restart"' "disk=[$(many_disks)]" "vif=[$(many_nics)]"
need "a PVH guest with eight disks and eight NICs boots" guest_start lives 120

# Four NICs are in one network, so each must answer ARP for its own address only.
nics_up() {
	guest_run lives 'cd /proc/sys/net/ipv4/conf/all && echo 1 >arp_ignore && echo 2 >arp_announce && for n in 0 1 2 3 4 5 6 7; do ip addr add 10.$((77 + n / 4)).0.$((n + 2))/24 dev eth$n && ip link set eth$n up || exit; done'
}

# What stands still is in the log then.
stuck() {
	backend_dump
	guest_dump lives
}

# nics_ping NICS COMMAND...: these NICs ping Dom0 before, while and after the command runs; check that none has lost more than two
# answers and the one that was under way at the end
nics_ping() {
	local nics=$1 count out status n=0 line
	count=$(wc -w <<<"$nics")
	# shellcheck disable=SC2016 # the guest expands it
	guest_job lives pings "for n in $nics"'; do /usr/bin/ping -i 0.5 -I eth$n 10.$((77 + n / 4)).0.1 >>/run/ping.$n & done; wait' &&
		wait_for 20 answered "$count" || return
	"${@:2}"
	status=$?
	guest_run lives 'for f in /run/ping.*; do : >$f; done' && wait_for 20 answered "$count" && wait_for 40 pings_ended || { stuck; return 1; }
	out=$(guest_run lives "grep loss /run/ping.*; rm /run/ping.*") || return
	note "pings during $(one_line "${*:2}"): $(grep -o '[0-9]* packets.*received' <<<"$out" | sort | uniq -c | tr -s ' \n' ' ')"
	while IFS= read -r line; do
		[[ $line =~ ([0-9]+)\ packets\ transmitted,\ ([0-9]+)\ received ]] || continue
		n=$((n + 1))
		[ $((BASH_REMATCH[1] - BASH_REMATCH[2])) -le 3 ] || { echo "$line"; return 1; }
	done <<<"$out"
	is "$n NICs" "$count NICs" && return "$status"
}
# answered NUMBER: so many NICs have had an answer. (A ping may take seconds to start here.)
answered() { is "$(guest_run lives "grep -l ' bytes from ' /run/ping.* | wc -l" | tr -d '[:space:]')" "$1"; }
# (One that has just started does not hear the first signal.)
pings_ended() { guest_run lives "killall -INT ping"; ! guest_job_runs lives pings; }
ALL='0 1 2 3 4 5 6 7'

load_starts() {
	iperf_server
	verifies lives /dev/xvda:/dev/xvdb:/dev/xvdc:/dev/xvdd:/dev/xvde:/dev/xvdf:/dev/xvdg:/dev/xvdh --size=4M --ioengine=io_uring &&
		guest_job lives stream "iperf3 -c 10.77.0.1 --bidir -b 1M -t 36000 -i 0" && load_goes_on
}
# ios DISK: how many reads and writes the medium has seen. (fio also reads back, which takes long on a busy host.)
ios() {
	local r w
	read -r r _ _ _ w _ < <(disk_stat "$1") && echo $((r + w))
}
more_ios() { [ "$(ios "$1")" -gt "$2" ]; }
ios_go_on() { wait_for 40 more_ios "$1" "$(ios "$1")"; }
all_go_on() {
	ios_go_on nvme0n2 && ios_go_on nvme0n3 && moves_on lives && guest_job_runs lives verified && guest_job_runs lives stream
}
load_goes_on() { all_go_on || { stuck; return 1; }; }

# Each disk has a line of its own, behind what fio writes.
marked() { guest_run lives 'for d in a b c d e f g h; do echo mark-$d | dd of=/dev/xvd$d bs=1M seek=16 conv=fsync,notrunc || exit; done'; }
marks_hold() { guest_run lives 'for d in a b c d e f g h; do [ "$(dd if=/dev/xvd$d bs=1M skip=16 count=1 | head -n 1)" = mark-$d ] || { echo "xvd$d"; exit 1; }; done'; }

check "its NICs come up" nics_up
check "each NIC gets its answers" nics_ping "$ALL" nap 5
check "each disk is marked" marked
need "the load runs" load_starts

# --- pause ---
paused_still() {
	local status
	xl pause lives
	still_while_paused "$@"
	status=$?
	xl unpause lives && return $status
}
still_while_paused() {
	local before
	has "$(xl list lives)" ' -[b-]p--- ' && nap 1 || return # for what the kernel has
	before=$(written nvme0n2)
	nap 1 && is "$(written nvme0n2)" "$before" && "$@"
}
all_killed() { if backend_is_isolated; then both_killed lives; else killed; fi; }
check "it is paused, and writes nothing until it goes on" nics_ping "$ALL" paused_still true
check "its load goes on" load_goes_on
check "it is paused while the daemon and its process are killed and started" nics_ping "$ALL" paused_still all_killed
check "its load goes on after that, too" load_goes_on

# --- vCPUs ---
vcpus_are() { is "$(guest_run lives "cat /sys/devices/system/cpu/online" | tr -d '[:space:]')" "$1"; }
# (In the guest there is no udev, which would do the last step.)
second_vcpu() {
	xl vcpu-set lives 2 && wait_for 20 guest_run lives "test -e /sys/devices/system/cpu/cpu1/online" &&
		guest_run lives "echo 1 >/sys/devices/system/cpu/cpu1/online" && vcpus_are 0-1
}
one_vcpu() { xl vcpu-set lives 1 && wait_for 20 vcpus_are 0; }
check "it gets a second vCPU" nics_ping "$ALL" second_vcpu
check "its load goes on with two vCPUs" load_goes_on
check "it gives the second one back" nics_ping "$ALL" one_vcpu
check "its load goes on with one vCPU" load_goes_on

# --- memory ---
memory_near() {
	local now
	now=$(xl list lives | awk 'NR == 2 { print $3 }')
	is "$(((now + 4) / 8 * 8)) MB" "$1 MB"
}
ballooned() { xl mem-set lives "$1" && wait_for 60 memory_near "$1"; }
check "it gives memory away while its rings are mapped" nics_ping "$ALL" ballooned 256
check "its load goes on with less memory" load_goes_on
check "it gets the memory back" nics_ping "$ALL" ballooned 384
check "its load goes on with all its memory" load_goes_on

# --- a bridge is taken away and comes back ---
domid=$(guest_id lives)
silent() { ! guest_run lives "/usr/bin/ping -c 2 -i 0.2 -W 1 -I eth$1 10.78.0.1"; }
bridge_gone() { ip link del xenbr1 && silent 4 && silent 7; }
check "a bridge is taken away, and the NICs in the other one do not notice" nics_ping '0 1 2 3' bridge_gone
told() { has "$(pvbackctl why "lives/vif$1" | tr '\n' ' ')" "vif$domid.$1 is in no bridge: .ip link set vif$domid.$1 master xenbr1"; }
check "pvbackctl says of a NIC without a bridge what to do" told 4
bridge_up xenbr1 78
check "so it does when the bridge is back, because nobody has put the NIC into it" told 7
same_bridge() {
	local n
	for n in 4 5 6 7; do ip link set "vif$domid.$n" master xenbr1 || return; done
}
check "the admin does what it says" same_bridge
check "all NICs get their answers again" nics_ping "$ALL" nap 5
check "its load goes on" load_goes_on

check "fio read back what it wrote, every time" verified lives
check "the guest's kernel has seen no error until now" saw_no_error lives

# --- reboot and crash, under load ---
another() { guest_ready lives 120 && [ "$(guest_id lives)" != "$domid" ]; }
works_again() { nics_up && marks_hold && load_starts; }
killall iperf3
check "the load runs again" load_starts
guest_send lives "reboot -f"
check "it reboots under load, and comes back as another domain" another
domid=$(guest_id lives)
killall iperf3
check "all disks hold their marks, all NICs come up, and the load runs" works_again
check "each NIC gets its answers after the reboot" nics_ping "$ALL" nap 5
check "the guest's kernel has seen no error after the reboot" saw_no_error lives
guest_send lives "echo c >/proc/sysrq-trigger"
check "it crashes under load, and comes back as another domain" another
killall iperf3
check "all disks hold their marks, all NICs come up, and the load runs once more" works_again
check "each NIC gets its answers after the crash" nics_ping "$ALL" nap 5
check "fio read back what it wrote after the crash, every time" verified lives
check "the guest's kernel has seen no error after the crash" saw_no_error lives

check "it is destroyed" guest_stop lives
check "no guest is left over" no_guests
check "no tap, file descriptor or mapping is left over" settles_at "$footprint"
check "the log has no error" eval 'hasnt "$(<"$LOG/pvbackd.log")" "error:"'
