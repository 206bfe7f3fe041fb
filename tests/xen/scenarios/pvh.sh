# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A PVH guest with a disk (a plain file), a read-only disk and a NIC, which pvbackd's own scripts set up.
# limit: 300

scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
image /scratch/plain.img 64
mke2fs -q -t ext4 /dev/nvme0n3
guest_config pvh pvh "disk=[$(disk /scratch/plain.img xvda w),$(disk /dev/nvme0n3 xvdb w),$(disk /guests/small-amd64.cpio xvdc r)]" \
	"vif=[$(vif 1)]"
need "a PVH guest boots" guest_start pvh 90

check "fio reads back what it wrote to a plain file" guest_run pvh "$(fio_line /dev/xvda)" 180
remount() {
	guest_run pvh 'mount /dev/xvdb /mnt && head -c 4000000 /dev/urandom >/mnt/a && seq 1 40000 >/mnt/b && sync && cd /mnt && md5sum a b >sums && cd / && umount /mnt && mount /dev/xvdb /mnt && cd /mnt && md5sum -c sums && cd / && umount /mnt' 120
}
check "files on a block device survive a remount" remount
sums_hold() {
	mount -o ro /dev/nvme0n3 /mnt && (cd /mnt && md5sum -c sums)
	local status=$?
	umount /mnt
	return $status
}
check "Dom0 reads the same files while the guest holds the disk" sums_hold
read_only() {
	guest_run pvh "cat /sys/block/xvdc/ro" | grep -q 1 || { echo "the disk does not say that it is read-only"; return 1; }
	! guest_run pvh "dd if=/dev/zero of=/dev/xvdc bs=4096 count=1 oflag=direct"
}
check "a read-only disk refuses writes" read_only
reads_same() {
	local size sum
	size=$(($(stat -c %s /guests/small-amd64.cpio) / 512))
	sum=$(guest_run pvh "dd if=/dev/xvdc bs=512 count=$size | md5sum")
	is "$(grep -o '^[0-9a-f]\{32\}' <<<"$sum")" "$(head -c $((size * 512)) /guests/small-amd64.cpio | md5sum | cut -d' ' -f1)"
}
check "a read-only disk reads as the file does" reads_same
check "a discard of a region succeeds or is not offered" guest_run pvh \
	'[ "$(cat /sys/block/xvda/queue/discard_max_bytes)" = 0 ] || blkdiscard -o 0 -l 1048576 /dev/xvda'

check "eth0 comes up" guest_net pvh eth0 10.77.0.2
check "a file crosses the network and comes back the same" send_file pvh 10.77.0.1
check "iperf3 sends TCP to Dom0" iperf pvh 10.77.0.1 24
check "iperf3 receives TCP from Dom0" iperf pvh 10.77.0.1 24 -R
check "the guest is destroyed" guest_stop pvh
check "no guest is left over" no_guests
check "the backend stops when told to" backend_stop
