# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Each command of pvbackctl is used while an HVM guest is busy with its disk and NIC.
# limit: 300

backend_is_kernel && skip "these are promises of pvbackd"
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
image /scratch/ctl.img 64
guest_config web hvm "cmdline = \"$GUEST_LINE lab.root=/dev/xvda\"" 'memory = 512' \
	"disk=['phy:/dev/nvme0n1,xvda,w',$(disk /scratch/ctl.img xvdb w)]" "vif=[$(vif 1)]"
need "an HVM guest boots" guest_start web 150
guest_net web eth0 10.77.0.2
guest_job web disk "$(busy_disk_line /dev/xvdb)"
guest_job web net "/usr/bin/ping -q -i 0.05 -c 1000000 10.77.0.1"

busy() { ! pvbackctl why web/xvdb | grep 'is idle'; }
need "the disk's load has begun" wait_for 60 busy

# says PATTERN WORD...: run "pvbackctl WORD..."; its output must match PATTERN
says() {
	local pattern=$1 out
	shift
	out=$(pvbackctl "$@" 2>&1) || { echo "pvbackctl $*: $out"; return 1; }
	printf '%s\n' "$out" | head -n 40
	has "$out" "$pattern"
}
check "list has the disk and the NIC by the guest's name" says 'web/xvdb.*' list
check "list has the NIC" says 'web/vif0' list
check "show tells of the image" says '/scratch/ctl.img' show web/xvdb
check "show tells of the bridge" says 'xenbr0' show web/vif0
check "stats has what the guest has read" says 'read' stats web/xvdb
check "top shows both once" says 'web/xvdb' top --once
check "why says where the disk's time goes" says 'medium' why web/xvdb
check "why has an answer for the NIC" says '' why web/vif0
check "version names the guest's process" says 'web' version
check "metrics are told by the guest's name" says 'pvbackd_disk_requests_total.domain="web",device="xvdb"' metrics

limited() {
	pvbackctl set web/xvdb iops 20 || return
	nap 2
	says 'iops' why web/xvdb
}
check "a limit that is set shows in why" limited
refused() {
	local out
	out=$(pvbackctl set web/xvdb iops lots 2>&1) && { echo "it was taken"; return 1; }
	has "$out" 'iops' && says '20' show web/xvdb
}
check "a value that makes no sense is refused, and what was stays" refused
check "the limit is taken away" pvbackctl unset web/xvdb iops
check "events has the limit" says 'iops' events web

captured() {
	pvbackctl capture web/vif0 /scratch/ctl.pcapng --seconds 3 || return
	tcpdump -Z root -nr /scratch/ctl.pcapng 2>&1 | tail -n 3
	tcpdump -Z root -nr /scratch/ctl.pcapng icmp 2>/dev/null | grep -q 'echo request'
}
check "a capture of three seconds has the pings" captured
piped() { pvbackctl capture web/vif0 --seconds 3 | tcpdump -Z root -nr - icmp 2>/dev/null | grep -q 'echo reply'; }
check "tcpdump reads a capture from a pipe" piped
traced() {
	pvbackctl trace web/xvdb --seconds 1 >/scratch/trace || return
	grep -m1 'vbd .* op=' /scratch/trace
}
check "a trace of a second has requests" traced

replaced() {
	local before
	backend_is_isolated || return 0
	before=$(guest_pids)
	pvbackctl restart web || return
	isnt "$(guest_pids)" "$before"
}
isnt() { [ "$1" != "$2" ] || { echo "it is still $1"; return 1; }; }
check "the guest's process is replaced" replaced
check "the disk's load goes on" guest_job_runs web disk
check "the NIC's load goes on" guest_job_runs web net
check "drain waits for the disk" pvbackctl drain web/xvdb
check "check finds nothing wrong with the configuration" pvbackctl check
check "reload reads it again" pvbackctl reload
check "the guest is destroyed" guest_stop web
gone() { ! pvbackctl list | grep web; }
check "no device of it is listed" wait_for 10 gone
check "the backend stops when told to" backend_stop
nobody() {
	pvbackctl list
	is $? 3
}
check "without a daemon the status says so" nobody
