# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Each way to write a disk line for xl: the disk is attached, has the right name, size and mode in the guest, keeps the data that
# the guest writes, is detached, and leaves nothing in Dom0.
# limit: 600

backend_is_kernel && skip "half of these are files and servers that only pvbackd's script takes"
scripts own
need "the backend starts" backend_start
guest_config lines pvh
need "a PVH guest without a disk boots" guest_start lines 90
footprint=$(backend_footprint)

own=script=block-pvbackd
image /scratch/lines.img 32
cp /scratch/lines.img "/scratch/a name.img"
ln -s lines.img /scratch/link.img
image /scratch/loop.img 48
losetup /dev/loop7 /scratch/loop.img
qemu-img create -q -f qcow2 /scratch/lines.qcow2 40M
image /scratch/served.img 24
qemu-nbd --persistent --fork --socket=/run/served.sock --format=raw --cache=none --pid-file=/run/served.pid /scratch/served.img

# line LINE NAME MIB MODE [VDEV]: attach the disk, use it in the guest, where its name is NAME, and detach it as VDEV (default: NAME)
line() {
	local vdev=${5:-$2} use
	case $4 in
	w) use="dd if=/dev/urandom of=/run/mark bs=4096 count=16 2>/dev/null && dd if=/run/mark of=/dev/$2 bs=4096 seek=9 oflag=direct 2>/dev/null && dd if=/dev/$2 bs=4096 skip=9 count=16 iflag=direct 2>/dev/null | cmp - /run/mark" ;;
	r) use="dd if=/dev/$2 of=/dev/null bs=4096 count=16 iflag=direct 2>/dev/null && ! dd if=/dev/zero of=/dev/$2 bs=4096 count=1 oflag=direct 2>/dev/null" ;;
	esac
	xl block-attach lines "$1" || return
	attached "$2" "$3" "$4" "$use"
	local status=$?
	xl block-detach lines "$vdev" && wait_for 20 guest_run lines "test ! -e /dev/$2" && return $status
}
attached() {
	local ro=0
	[ "$3" = w ] || ro=1
	wait_for 20 guest_run lines "test -b /dev/$1" &&
		is "$(guest_run lines "cat /sys/class/block/$1/size /sys/class/block/$1/ro" | tr -d '\r' | tr '\n' ' ')" "$(($2 * 2048)) $ro " &&
		guest_run lines "$4"
}
tried=0
# tries LINE NAME MIB MODE [VDEV]: check a line, and count it
tries() {
	tried=$((tried + 1))
	check "$1 is $2" line "$@"
}

tries "phy:/dev/nvme0n3,xvdb,w" xvdb 256 w
tries "nvme0n3,raw,xvdc,r,$own" xvdc 256 r
tries "phy:/dev/nvme0n3,hdb,w" xvdb 256 w hdb
tries "phy:/dev/nvme0n3,sda,w" xvda 256 w sda
tries "/dev/nvme0n3,raw,xvdd,rw" xvdd 256 w
tries "/dev/nvme0n3,,xvdd,ro" xvdd 256 r
tries "vdev=xvdb, format=raw, access=rw, backendtype=phy, target=/dev/nvme0n3" xvdb 256 w
tries "/dev/loop7,raw,xvdf,w,$own" xvdf 48 w
tries "phy:/dev/loop7,xvdf1,r" xvdf1 48 r
tries "vdev=xvdb,access=w,$own,target=/scratch/lines.img" xvdb 32 w
tries "/scratch/lines.img,raw,xvdb2,w,$own" xvdb2 32 w
tries "file:/scratch/lines.img,xvde,w,$own" xvde 32 w
tries "/scratch/link.img,,xvdq,w,$own" xvdq 32 w
tries "vdev=xvdaa,access=w,$own,target=/scratch/lines.img" xvdaa 32 w
tries "vdev=d7p0,access=w,$own,target=/scratch/lines.img" xvdh 32 w d7p0
tries "vdev=51760,access=w,$own,target=/scratch/lines.img" xvdd 32 w 51760
tries "vdev=0xca30,access=w,$own,target=/scratch/lines.img" xvdd 32 w 0xca30
tries "vdev=sdp,access=r,$own,target=/scratch/lines.img" xvdp 32 r sdp
tries "vdev=xvdb,access=w,$own,target=/scratch/a name.img" xvdb 32 w
tries "vdev=xvdb,access=w,discard,direct-io-safe,$own,target=/scratch/lines.img" xvdb 32 w
tries "vdev=xvdb,access=w,no-discard,backend=0,$own,target=/scratch/lines.img" xvdb 32 w
tries "vdev=xvdb,access=w,$own,target=qcow2:/scratch/lines.qcow2" xvdb 40 w
tries "vdev=xvdb,access=w,$own,target=nbd:unix:/run/served.sock" xvdb 24 w
note "$tried kinds of lines"

# xl itself refuses these.
refused() {
	local out
	! out=$(xl block-attach lines "$1" 2>&1) || { echo "it was taken: $1"; return 1; }
	printf '%s\n' "$out"
	has "$out" "$2"
}
check "xl has no disk hde" refused "file:/scratch/lines.img,hde,w,$own" 'unsupported virtual disk identifier hde'
check "xl gives a disk with a script no other format" refused "vdev=xvdb,format=qcow2,access=w,$own,target=/scratch/lines.qcow2" '.'

# Linux accepts a CD-ROM only in a PV guest. Here the disk waits for its frontend, and it must be possible to detach it.
unwanted() {
	xl block-attach lines "vdev=xvdc,access=ro,devtype=cdrom,$own,target=/scratch/lines.img" &&
		is "$(xenstore-read "/local/domain/0/backend/vbd/$(guest_id lines)/51744/state")" 2 && xl block-detach lines xvdc
}
check "a CD-ROM that a PVH guest's Linux does not take can be detached" unwanted
nothing_left() { is "$(xenstore-list "/local/domain/0/backend/vbd/$(guest_id lines)" 2>/dev/null)" ''; }
check "no disk of it is left in xenstore" nothing_left
check "the backend holds what it held before" settles_at "$footprint"
check "the guest is destroyed" guest_stop lines
check "the log has no error" eval 'hasnt "$(<"$LOG/pvbackd.log")" "error:"'
losetup -d /dev/loop7
kill "$(</run/served.pid)"
