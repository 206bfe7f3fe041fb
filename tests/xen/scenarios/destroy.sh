# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# xl destroy of a busy guest leaves nothing in Dom0. The same holds for a guest with a medium that does not answer, as soon as the
# medium answers again.
# limit: 300

scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
image /scratch/destroy.img 64
medium=$(losetup -f --show /scratch/destroy.img)
footprint=$(backend_footprint)
note "before: $footprint"
guest_config doomed pvh "disk=[$(disk /dev/nvme0n2 xvda w),$(disk "$medium" xvdb w)]" "vif=[$(vif 1)]"
nobody_serves() { no_guest_pids && no_zombies; }

# A frozen file system stands for dead storage: the thread of the loop device waits for it.
written() { guest_run doomed "awk '{ print \$5 }' /sys/block/xvdb/stat"; }
stands_still() {
	local before
	before=$(written) && nap 1 && is "$(written)" "$before" && hasnt "$(guest_run doomed "cat /sys/block/xvdb/inflight")" '^ *0 +0$'
}
frozen() { fsfreeze -f /scratch && wait_for 30 stands_still; }
replayed() {
	local before
	before=$(who_serves doomed) && frozen && kill -9 "$before" && fsfreeze -u /scratch &&
		wait_for 20 grep -Eq ": resumed, replayed=[1-9]" "$LOG/pvbackd.log" && is_replaced doomed "$before"
}
other_disk_works() { guest_run doomed "dd if=/dev/xvda of=/dev/null bs=4k count=64 iflag=direct"; }
destroyed() {
	local start=$SECONDS
	guest_stop doomed || return
	note "$((SECONDS - start)) s for the end of the $round guest"
}

for round in first second; do
	need "the $round guest boots" guest_start doomed 90
	guest_net doomed eth0 10.77.0.2
	guest_job doomed disk-a "$(busy_disk_line /dev/xvda)"
	guest_job doomed disk-b "$(busy_disk_line /dev/xvdb)"
	guest_job doomed net "/usr/bin/ping -q -i 0.002 -s 1400 -c 1000000 10.77.0.1"
	check "the $round guest is busy when it is destroyed" guest_job_runs doomed disk-a
	if [ $round = first ] && backend_is_isolated; then
		check "its process is killed with requests in flight, and the next one replays them" replayed
		check "the first guest's disks go on" other_disk_works
		check "and so do the loads on both" eval 'guest_job_runs doomed disk-a && guest_job_runs doomed disk-b'
	elif backend_is_isolated; then
		check "one medium of the second guest stands still" frozen
		check "its other disk goes on" other_disk_works
	fi
	check "the $round guest is destroyed under load" destroyed
	check "xl list shows no zombie of the $round guest" no_guests
	if [ $round = second ] && backend_is_isolated; then
		check "control is killed, and comes back, while the medium stands still" eval 'backend_kill && backend_start'
		fsfreeze -u /scratch
	fi
	check "its process is gone, and control has no dead child" wait_for 10 nobody_serves
	check "no tap, file descriptor or mapping of the $round guest is left over" settles_at "$footprint"
done
note "after: $(backend_footprint)"
deaths() { grep -c 'its process .* the rings are taken up by another' "$LOG/pvbackd.log"; }
! backend_is_isolated || check "the log speaks of one death, which was the killed process's" eval 'is "$(deaths)" 1'
check "its directories are gone from xenstore" eval 'hasnt "$(xenstore-ls -f /local/domain/0/backend)" "^/local/domain/0/backend/(vbd|vif)/[0-9]+ "'
check "the backend still runs" eval 'backend_is_kernel || backend_runs'
