# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A 32-bit frontend: Debian's GRUB for PVH guests, whose disk driver uses the x86_32 layout of the ring. It reads files from a file
# system on the disk, compares them, writes a block, and halts without booting a kernel.
# limit: 300

log=/lab/log/console/guest-grub.log
said() { grep -aq -- "$1" "$log"; }

scripts own
need "the backend starts" backend_start
mkdir -p /run/grub/boot/grub/i386-xen_pvh
cp /usr/lib/grub/i386-xen_pvh/*.mod /usr/lib/grub/i386-xen_pvh/*.lst /run/grub/boot/grub/i386-xen_pvh/
head -c 1000000 /dev/urandom >/run/grub/random
(cd /run/grub && sha256sum random | sed "s#random#/random#" >sums)
printf '# GRUB Environment Block\n' >/run/grub/env
head -c $((1024 - 25)) /dev/zero | tr '\0' '#' >>/run/grub/env
cat >/run/grub/boot/grub/grub.cfg <<'EOF'
echo "@platform $grub_cpu-$grub_platform"
insmod hashsum
if hashsum --hash sha256 --check /sums; then echo "@sums-hold"; fi
insmod loadenv
set written=by-grub
save_env -f /env written
echo "@done"
halt
EOF
truncate -s 64M /scratch/grub.img
mke2fs -q -t ext2 -d /run/grub /scratch/grub.img
cat >/run/grub.cfg <<-EOF
	name = "grub"
	type = "pvh"
	kernel = "/usr/lib/grub-xen/grub-i386-xen_pvh.bin"
	memory = 256
	vcpus = 1
	tsc_mode = "native"
	on_poweroff = "preserve"
	disk = ['/scratch/grub.img,raw,xvda,w,script=block-pvbackd']
EOF
need "GRUB is started as a PVH guest" guest_create grub
check "it is the 32-bit one" wait_for 120 said '@platform i386-xen_pvh'
check "its ring has the x86_32 layout" eval 'is "$(xenstore-read "/local/domain/$(guest_id grub)/device/vbd/51712/protocol")" x86_32-abi'
check "a file it reads has the right sum" wait_for 120 said '@sums-hold'
check "it comes to its end" wait_for 60 said '@done'
check "the guest is destroyed" guest_stop grub
written() { mount -o ro,loop /scratch/grub.img /mnt && grep -q '^written=by-grub$' /mnt/env; local status=$?; umount /mnt; return $status; }
check "what it wrote is in the image" written
check "no guest is left over" no_guests
