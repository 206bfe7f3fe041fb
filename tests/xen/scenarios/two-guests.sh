# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Two guests with two disks and two NICs each, all busy, while the daemon is killed, upgraded and restarted. The upgrade is from a
# build that writes journals of version 1 and runs with --isolation=none. README.md says how that build gets into Dom0.
# limit: 300

scripts own
bridge_up xenbr0 77
bridge_up xenbr1 78
OLDER=/usr/sbin/pvbackd.older
[ ! -x "$OLDER" ] || BACKEND=$OLDER ISOLATION=none
need "the backend starts" backend_start
image /scratch/a.img 64
image /scratch/b.img 64
guest_config one pvh "disk=[$(disk /dev/nvme0n2 xvda w),$(disk /scratch/a.img xvdb w)]" \
	"vif=[$(vif 1),'mac=00:16:5e:02:08:01,bridge=xenbr1']"
guest_config two pvh "disk=[$(disk /dev/nvme0n3 xvda w),$(disk /scratch/b.img xvdb w)]" \
	"vif=[$(vif 2),'mac=00:16:5e:02:08:02,bridge=xenbr1']"
need "the first guest is created" guest_create one
need "the second guest is created" guest_create two
need "the first guest boots" guest_ready one 90
need "the second guest boots" guest_ready two 90
networks() {
	guest_net one eth0 10.77.0.2 && guest_net one eth1 10.78.0.2 && guest_net two eth0 10.77.0.3 && guest_net two eth1 10.78.0.3
}
need "four NICs come up" networks

servers() { guest_run "$1" "iperf3 -s -D -p 5201 && iperf3 -s -D -p 5202"; }
need "iperf3 serves in the second guest" servers two
guest_job one disk-a "$(fio_line /dev/xvda --size=8M)"
guest_job one disk-b "$(fio_line /dev/xvdb --size=6M)"
guest_job two disk-a "$(fio_line /dev/xvda --size=8M)"
guest_job two disk-b "$(fio_line /dev/xvdb --size=6M)"
guest_job one net-a "iperf3 -c 10.77.0.3 -p 5201 -n 2M -b 500K -i 1"
guest_job one net-b "iperf3 -c 10.78.0.3 -p 5202 -n 2M -b 500K -i 1 -R"
nap 3
journals_are_of() {
	local version journal
	for journal in /run/pvbackd/vbd-*.journal; do
		version=$(od -An -tu4 -j8 -N4 "$journal") || return
		is "$((version))" "$1" || return
	done
}
taken_over() { [ "$(grep -c ': resumed, replayed=' "$LOG/pvbackd.log")" -eq 4 ]; }
upgraded() {
	BACKEND=/usr/sbin/pvbackd ISOLATION=$LAB_ISOLATION
	backend_kill && backend_start && wait_for 20 taken_over
}
if [ -x "$OLDER" ]; then
	check "the older daemon's journals are of version 1" journals_are_of 1
	check "it is killed, and the new one takes over its four disks" upgraded
	check "rings that live on keep their journal's version" journals_are_of 1
else
	note "no $OLDER in the tree under test, so no upgrade"
fi
nap 3
restarted() { backend_is_kernel || { backend_kill && backend_start && nap 3 && backend_stop && backend_start; }; }
check "the daemon is killed and started, stopped and started, under all of that" restarted
for job in disk-a disk-b; do
	check "the first guest's $job reads back what it wrote" guest_job_end one $job 240
	check "the second guest's $job reads back what it wrote" guest_job_end two $job 240
done
check "TCP passes from guest to guest on the first bridge" guest_job_end one net-a 120
check "TCP passes from guest to guest on the second bridge" guest_job_end one net-b 120
check "the first guest is destroyed while the second runs" guest_stop one
check "the second guest's disks still work" guest_run two "$(fio_line /dev/xvdb --size=4M)" 120
nics_work() { guest_run two "/usr/bin/ping -c 3 -i 0.2 10.77.0.1 && /usr/bin/ping -c 3 -i 0.2 10.78.0.1" || { backend_dump; return 1; }; }
check "the second guest's NICs still work" nics_work
check "the second guest is destroyed" guest_stop two
check "no guest is left over" no_guests
