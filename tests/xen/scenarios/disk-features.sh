# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# All that Linux' blkfront can ask for, in a guest whose root file system is a qcow2 image: rings of 16 pages, two queues,
# requests of 256 segments, discard, images that grow. Persistent grants are tested in a second guest: together with the rest,
# blkfront would need 2 x 512 x 256 pages, one for each segment.
# limit: 300

backend_is_kernel && skip "the kernel's backend serves no qcow2 image"
scripts own
printf 'persistent-grants = yes\n' >/run/features.conf
need "the backend starts" backend_start --config=/run/features.conf
qemu-img create -q -f qcow2 -b /dev/nvme0n1 -F raw /scratch/root.qcow2
image /scratch/grow.img 64
asks="max_ring_page_order=4 xen_blkfront.max_queues=2 xen_blkfront.max_indirect_segments=256 xen_blkfront.feature_persistent=0"
guest_config features pvh 'vcpus = 2' "cmdline = \"$GUEST_LINE lab.root=/dev/xvda xen_blkfront.$asks\"" \
	"disk=[$(disk qcow2:/scratch/root.qcow2 xvda w),$(disk /dev/nvme0n2 xvdb w),$(disk /scratch/grow.img xvdc w)]"
need "a guest boots from a qcow2 image" guest_start features 120
check "its root file system is that image" eval 'has "$(guest_run features mount)" "^/dev/xvda on / type ext4"'

# asked KEY [GUEST]: print what blkfront wrote for xvdb
asked() { xenstore-read "/local/domain/$(guest_id "${2:-features}")/device/vbd/51728/$1"; }
check "its rings have 16 pages" eval 'is "$(asked ring-page-order)" 4'
check "it has two queues" eval 'is "$(asked multi-queue-num-queues)" 2'
check "its grants are not persistent" eval 'is "$(asked feature-persistent)" 0'
check "its requests have 256 segments" eval 'is "$(guest_run features "cat /sys/block/xvdb/queue/max_segments")" 256'
check "fio reads back what it wrote in large requests" guest_run features "$(fio_line /dev/xvdb --bsrange=4k-1024k --iodepth=64 --size=8M)" 180
check "fio reads back what it wrote to the qcow2 image" guest_run features "$(fio_line /fio.dat --size=4M)" 180

discards() { disk_stat nvme0n2 | awk '{ print $12 }'; }
reaches_device() {
	local before
	before=$(discards)
	guest_run features "blkdiscard -o 1M -l 4M /dev/xvdb" && [ "$(discards)" -gt "$before" ]
}
check "a discard reaches the NVMe device" reaches_device
frees_file() {
	local full
	guest_run features "dd if=/dev/urandom of=/dev/xvdc bs=1M count=8 oflag=direct" && full=$(stat -c %b /scratch/grow.img) &&
		guest_run features "blkdiscard /dev/xvdc" && [ "$(stat -c %b /scratch/grow.img)" -lt $((full / 4)) ]
}
check "a discard frees the blocks of a file" frees_file

truncate -s 96M /scratch/grow.img
grown() { is "$(guest_run features "blockdev --getsize64 /dev/xvdc")" $((96 << 20)); }
check "the guest sees that the file has grown" wait_for 20 grown
check "what it grew by holds data" guest_run features "$(fio_line /dev/xvdc --offset=64M --size=8M)" 180
check "the guest's kernel has seen no error" eval '! guest_run features "dmesg" | grep -E "I/O error|blkfront: .*(fail|error)"'
guest_run features "sync; mount -o remount,ro /; sync" 60
check "the guest is destroyed" guest_stop features
no_qemu_nbd() { ! pgrep -x qemu-nbd; }
check "its qemu-nbd ends with it" wait_for 20 no_qemu_nbd
check "the qcow2 image is sound" qemu-img check -q /scratch/root.qcow2

guest_config lasting pvh "cmdline = \"$GUEST_LINE xen_blkfront.feature_persistent=1\"" "disk=[$(disk /dev/nvme0n2 xvdb w)]"
need "a guest with persistent grants boots" guest_start lasting 90
check "its grants are persistent" eval 'is "$(asked feature-persistent lasting)" 1'
check "fio reads back what it wrote through them" guest_run lasting "$(fio_line /dev/xvdb)" 180
check "that guest is destroyed, too" guest_stop lasting
check "no guest is left over" no_guests
