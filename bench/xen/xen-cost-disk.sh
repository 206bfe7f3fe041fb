# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# One PVH guest; what a request of its disk costs, served by the kernel's backend, by qdisk and by ours.
# limit: 4000
# shellcheck source=bench/xen/cost.sh
. /lab/scenarios/cost.sh

guests=(bench)
device=/dev/xvdb target=/dev/nullb0
window_ms=12000

# The first disk makes libxl start the QEMU that will serve qdisk's later.
guests_up() {
	guest_config bench pvh "cpus = \"$cpu\"" "disk=['backendtype=qdisk,format=raw,vdev=xvdz,access=r,target=/guests/small-amd64.cpio']" &&
		guest_start bench 90 && remember_guest bench
}
attach() {
	case $1 in
	pvbackd*) xl block-attach bench "format=raw,vdev=xvdb,access=w,script=block-pvbackd,target=$target" ;;
	blkback) xl block-attach bench "phy:$target,xvdb,w" ;;
	qdisk) xl block-attach bench "backendtype=qdisk,format=raw,vdev=xvdb,access=w,target=$target" ;;
	esac && wait_for 30 in_guest bench "test -b /dev/xvdb"
}
detach() { xl block-detach bench xvdb && wait_for 30 in_guest bench "test ! -e /dev/xvdb"; }

# load RW BYTES DEPTH IOS
load() { echo "$(fio_words "$@") --randrepeat=1"; }
# Submit so many requests at once, and the next when all are answered. So the number of requests for each wake does not vary.
batches() { echo "$(load "$@") --iodepth_batch=$3 --iodepth_batch_complete_min=$3"; }
loads() { # WHO
	count bench randread-4k-b32 "$1" 3200 batches randread 4k 32 &&
		count bench randwrite-4k-b32 "$1" 3200 batches randwrite 4k 32 &&
		count bench randread-4k-d32 "$1" 3000 load randread 4k 32 &&
		count bench randwrite-4k-d32 "$1" 3000 load randwrite 4k 32 &&
		count bench randread-4k-d1 "$1" 800 load randread 4k 1 &&
		count bench read-128k-d8 "$1" 500 load read 128k 8 &&
		count bench write-128k-d8 "$1" 500 load write 128k 8
}
turn() { # WHO
	case $1 in
	pvbackd-copy) backend_start --config=/run/copy.conf ;;
	pvbackd-persistent) backend_start --config=/run/persistent.conf ;;
	*) party_on "$1" ;;
	esac && attach "$1" && remember && loads "$1" && detach && party_off "$1"
}

printf 'persistent-grants = no\n' >/run/copy.conf
printf 'persistent-grants = yes\n' >/run/persistent.conf
marks_start
case $medium in
mq) queue_mode=2 ;;
bio) queue_mode=0 ;;
esac
# Without max_sectors, the kernel would split requests of 128 KiB. For almost no real medium it does.
need "a memory disk is there" modprobe null_blk queue_mode=$queue_mode max_sectors=2560 nr_devices=1 gb=1
need "a PVH guest boots" guests_up
for who in $disk_parties; do
	check "the requests of $who are counted" counted "$who"
done
