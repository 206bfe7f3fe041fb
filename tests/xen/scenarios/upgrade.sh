# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Two guests with two disks and two NICs each go from a daemon that writes journals of version 1 to the one
# under test, in the middle of their work, and back by way of an orderly stop. Needs usr/sbin/pvbackd.older
# in the tree under test; see README.md.
# limit: 600

[ -x /usr/sbin/pvbackd.older ] || { skip "no /usr/sbin/pvbackd.older in the tree under test"; return; }
older_start() {
	/usr/sbin/pvbackd.older >>"$LOG/pvbackd.log" 2>&1 &
	echo $! >"$PIDFILE"
	nap 0.5
	backend_runs
}
scripts own
bridge_up xenbr0 77
bridge_up xenbr1 78
need "the older backend starts" older_start
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
guest_net one eth0 10.77.0.2
guest_net one eth1 10.78.0.2
guest_net two eth0 10.77.0.3
guest_net two eth1 10.78.0.3
for guest in one two; do
	guest_run $guest "dmesg -c >/dev/null"
	guest_job $guest disk-a "$(fio_line /dev/xvda --loops=4)"
	guest_job $guest disk-b "$(fio_line /dev/xvdb --loops=4)"
done
guest_run two "iperf3 -s -D"
guest_job one net "iperf3 -c 10.77.0.3 -n 64M -i 0"
nap 2
version_is() { [ "$(od -An -tu4 -j8 -N4 "$(printf '%s\n' /run/pvbackd/vbd-*.journal | head -n 1)")" -eq "$1" ]; }
check "journals are of version 1" version_is 1
kill -9 "$(backend_pid)"
wait "$(backend_pid)" 2>/dev/null
need "the new backend starts" backend_start
check "it says that it took over" wait_for 20 grep -q "taken over from an earlier pvbackd" "$LOG/pvbackd.log"
check "rings that lived on keep their journal's version" version_is 1
for guest in one two; do
	check "guest $guest's first disk reads back what it wrote" guest_job_end $guest disk-a 300
	check "guest $guest's second disk reads back what it wrote" guest_job_end $guest disk-b 300
	check "guest $guest's kernel has nothing to say" guest_run $guest "! dmesg | grep -E 'blkfront|netfront|I/O error'"
done
check "TCP passed from guest to guest" guest_job_end one net 240
check "the first guest is destroyed" guest_stop one
check "the second guest is destroyed" guest_stop two
check "no guest is left over" no_guests
