# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# xl destroy in the middle of work leaves nothing behind.
# limit: 300

scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
image /scratch/destroy.img 64
footprint=$(backend_footprint)
note "before: $footprint"
guest_config doomed pvh "disk=[$(disk /dev/nvme0n2 xvda w),$(disk /scratch/destroy.img xvdb w)]" "vif=[$(vif 1)]"
nobody_serves() { no_guest_pids && no_zombies; }
for round in first second; do
	need "the $round guest boots" guest_start doomed 90
	guest_net doomed eth0 10.77.0.2
	guest_job doomed disk-a "$(busy_disk_line /dev/xvda)"
	guest_job doomed disk-b "$(busy_disk_line /dev/xvdb)"
	guest_job doomed net "/usr/bin/ping -q -i 0.002 -s 1400 -c 1000000 10.77.0.1"
	check "the $round guest is busy when it is destroyed" guest_job_runs doomed disk-a
	check "the $round guest is destroyed under load" guest_stop doomed
	check "xl list shows no zombie of the $round guest" no_guests
	check "its process is gone, and control has no dead child" wait_for 10 nobody_serves
	check "no tap, file descriptor or mapping of the $round guest is left over" settles_at "$footprint"
done
note "after: $(backend_footprint)"
check "its directories are gone from xenstore" eval 'hasnt "$(xenstore-ls -f /local/domain/0/backend)" "^/local/domain/0/backend/(vbd|vif)/[0-9]+ "'
check "the backend still runs" eval 'backend_is_kernel || backend_runs'
