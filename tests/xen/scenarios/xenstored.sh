# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# xenstored is replaced by a new one (its live update), beside a busy guest.
# limit: 300

backend_is_kernel && skip "the kernel talks to xenstored by the hypervisor's page"
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
image /scratch/live.img 32
guest_config live pvh "disk=[$(disk /dev/nvme0n2 xvda w)]" "vif=[$(vif 1)]"
need "a PVH guest boots" guest_start live 90
guest_net live eth0 10.77.0.2
guest_job live disk "$(busy_disk_line /dev/xvda) --rate_iops=30"
guest_job live net "/usr/bin/ping -q -i 0.05 -c 1000000 10.77.0.1"
before=$(backend_footprint)
note "before: $before"

# The new one keeps the PID, the connections and what was written; as another program it has its stack at another address.
stack() { grep stack "/proc/$(cat /run/xenstored.pid)/maps"; }
updated() {
	local before
	before=$(stack) && xenstore-control live-update "$(readlink -f "/proc/$(cat /run/xenstored.pid)/exe")" || return
	[ "$(stack)" != "$before" ] || { echo "it is the old one"; return 1; }
}
in_guest() { guest_run live "$1" >/dev/null; }
comes_and_goes() {
	xl block-attach live "$(disk_words /scratch/live.img xvdb w)" && wait_for 20 in_guest "test -b /dev/xvdb" &&
		guest_run live "dd if=/dev/xvdb of=/dev/null bs=1M count=1 iflag=direct" &&
		xl block-detach live xvdb && wait_for 20 in_guest "test ! -e /dev/xvdb"
}
busy() { guest_job_runs live disk && guest_job_runs live net; }
round() { updated && busy && comes_and_goes && settles_at "$before"; }

check "xenstored is replaced, and a disk comes and goes" round
check "and once more" round
check "the backend is restarted after that" backend_restart
check "and a disk comes and goes" comes_and_goes
check "the busy disk and the busy NIC were never disturbed" busy
check "the guest's kernel has seen no error" saw_no_error live
check "the backend has never lost its connection to xenstored" eval 'hasnt "$(<"$LOG/pvbackd.log")" "error:|xenstored"'
check "the guest is destroyed" guest_stop live
check "no guest is left over" no_guests
