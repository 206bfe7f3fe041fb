# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# One PVH guest; the same device is served by the kernel's backend, by qdisk and by ours, in turns.
# limit: 4000
# shellcheck source=bench/xen/bench.sh
. /lab/scenarios/bench.sh

LOADS='randread-4k-d1 randread-4k-d8 randread-4k-d32 randwrite-4k-d1 randwrite-4k-d8 randwrite-4k-d32
	read-128k-d8 write-128k-d8 randread-4k-d32-j4 randwrite-4k-d32-j4'
guests=(bench)
device=/dev/xvdb

# The first disk makes libxl start the QEMU that will serve qdisk's later.
guests_up() {
	guest_config bench pvh "disk=['backendtype=qdisk,format=raw,vdev=xvdz,access=r,target=/guests/small-amd64.cpio']" &&
		guest_start bench 90 && learn_idle_rate bench
}
attach() {
	case $1 in
	pvbackd) xl block-attach bench "format=raw,vdev=xvdb,access=w,script=block-pvbackd,target=$target" ;;
	blkback) xl block-attach bench "phy:$target,xvdb,w" ;;
	qdisk) xl block-attach bench "backendtype=qdisk,format=raw,vdev=xvdb,access=w,target=$target" ;;
	esac && wait_for 30 in_guest bench "test -b /dev/xvdb"
}
detach() { xl block-detach bench xvdb && wait_for 30 in_guest bench "test ! -e /dev/xvdb"; }

turn() { # ROUND WHO
	local load
	party_on "$2" && attach "$2" || return
	for load in $LOADS; do
		wanted "$load-$name" || continue
		fio_load bench "$1" "$2" "$load-$name" || return
	done
	detach && party_off "$2"
}

cpu_start
need "a memory disk is there" modprobe null_blk queue_mode=0 nr_devices=1 gb=1
need "a PVH guest boots" guests_up
for name in null nvme; do
	# shellcheck disable=SC2154
	[[ " $devices " == *" $name "* ]] || continue
	case $name in
	null) target=/dev/nullb0 ;;
	nvme) target=/dev/nvme0n2 ;;
	esac
	check "all parties take their turns on $name" all_rounds turn pvbackd blkback qdisk
done
