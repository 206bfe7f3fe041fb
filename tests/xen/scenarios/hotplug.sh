# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A disk and a NIC are attached and detached twenty times while another disk and NIC of the same guest are busy.
# limit: 400

scripts own
bridge_up xenbr0 77
bridge_up xenbr1 78
need "the backend starts" backend_start
image /scratch/hot.img 32
guest_config hot pvh "disk=[$(disk /dev/nvme0n2 xvda w)]" "vif=[$(vif 1)]"
need "a PVH guest boots" guest_start hot 90
guest_net hot eth0 10.77.0.2
# This load is high enough to show a disturbance, and low enough to leave the emulated machine time for the rest.
guest_job hot disk "$(busy_disk_line /dev/xvda) --rate_iops=30"
guest_job hot net "/usr/bin/ping -q -i 0.02 -c 1000000 10.77.0.1"
footprint=$(backend_footprint)
note "before: $footprint"

in_guest() { guest_run hot "$1" >/dev/null; }
# both COMMAND... + COMMAND...: run both commands at the same time
both() {
	local first=()
	while [ "$1" != + ]; do
		first+=("$1")
		shift
	done
	shift
	"${first[@]}" &
	"$@" && wait $!
}
round() {
	both xl block-attach hot "$(disk_words /scratch/hot.img xvdb w)" + xl network-attach hot mac=00:16:5e:02:09:01 bridge=xenbr1 &&
		wait_for 20 in_guest "test -b /dev/xvdb && test -e /sys/class/net/eth1" &&
		guest_run hot "dd if=/dev/urandom of=/tmp/mark bs=4096 count=4 2>/dev/null && dd if=/tmp/mark of=/dev/xvdb bs=4096 oflag=direct 2>/dev/null && dd if=/dev/xvdb bs=4096 count=4 iflag=direct 2>/dev/null | cmp - /tmp/mark" &&
		guest_net hot eth1 10.78.0.2 && guest_run hot "/usr/bin/ping -c 1 -w 20 10.78.0.1" &&
		both xl block-detach hot xvdb + xl network-detach hot 1 &&
		wait_for 20 in_guest "test ! -e /dev/xvdb && test ! -e /sys/class/net/eth1"
}
rounds() {
	local n
	for n in {1..20}; do
		round || { echo "in round $n"; return 1; }
	done
}
check "a disk and a NIC are attached, used and detached twenty times" rounds
check "the busy disk was never disturbed" guest_job_runs hot disk
check "the busy NIC was never disturbed" guest_job_runs hot net
check "the backend holds what it held before" settles_at "$footprint"
note "after: $(backend_footprint)"
# A few packets may be in flight when ping is ended. A NIC that was disturbed would have lost many more.
none_lost() {
	local out
	guest_run hot "killall -INT ping"
	out=$(guest_job_end hot net 20)
	echo "$out"
	[[ $out =~ ([0-9]+)\ packets\ transmitted,\ ([0-9]+)\ received ]] &&
		[ "${BASH_REMATCH[2]}" -gt 1000 ] && [ $((BASH_REMATCH[1] - BASH_REMATCH[2])) -le 8 ] && hasnt "$out" duplicates
}
check "the busy NIC lost nothing" none_lost
check "the guest is destroyed" guest_stop hot
