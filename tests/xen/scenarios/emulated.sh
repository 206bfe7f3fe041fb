# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An HVM guest without Xen's PCI device (xen_platform_pci=0): it uses QEMU's emulated disk and NIC, and nobody ever connects
# to the backends of its PV devices.
# limit: 700

backend_is_kernel && skip "what the daemon does not do is pvbackd's"
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
footprint=$(backend_footprint)

# The drivers of the emulated devices come before the frontends, as in a kernel that has them built in.
emulated_initramfs() {
	local root=/scratch/emulated.root modules
	mapfile -t modules < <(modprobe -a --show-depends ata_piix sd_mod e1000 | sed -n 's/^insmod \([^ ]*\).*/\1/p')
	mkdir -p $root/emulated && cp "${modules[@]}" $root/emulated/ || return
	printf '#!/bin/busybox sh\n' >$root/init-emulated
	printf 'insmod /emulated/%s\n' "${modules[@]##*/}" >>$root/init-emulated
	printf 'exec /init\n' >>$root/init-emulated
	chmod +x $root/init-emulated
	(cd $root && find . | busybox cpio -o -H newc) >/scratch/emulated.cpio &&
		cat /guests/small-amd64.cpio /scratch/emulated.cpio >/scratch/emulated-all.cpio
}
check "an initramfs has the drivers of the emulated devices" emulated_initramfs
image /scratch/second.img 64

# state_of GUEST KIND DEVID: the backend's
state_of() { xenstore-read "/local/domain/0/backend/$2/$(guest_id "$1")/$3/state"; }
# interface_of GUEST DRIVER: the first that this drives
interface_of() { guest_run "$1" "for i in /sys/class/net/*; do case \$(readlink \$i/device/driver) in */$2) echo \${i##*/}; break ;; esac; done" | tr -d '[:space:]'; }
# kept_by GUEST: a file on its root file system, with its sum, synced
kept_by() { guest_run "$1" "cd /root && head -c 2000000 /dev/urandom >kept && md5sum kept >kept.sum && sync" 120; }
sums_hold() {
	mount -o ro,noload /dev/nvme0n1 /mnt && (cd /mnt/root && md5sum -c kept.sum)
	local status=$?
	umount /mnt
	return $status
}
# destroyed_at_once GUEST: libxl waits for no device in vain
destroyed_at_once() {
	local start=$SECONDS out
	out=$(xl destroy "$1" 2>&1) || { printf '%s\n' "$out"; return 1; }
	note "xl destroy took $((SECONDS - start)) s"
	hasnt "$out" 'timed out|error|unable' && wait_for 30 guest_gone "$1"
}

guest_config plain hvm 'xen_platform_pci = 0' 'ramdisk = "/scratch/emulated-all.cpio"' 'memory = 512' \
	"cmdline = \"$GUEST_LINE rdinit=/init-emulated lab.root=/dev/sda\"" \
	"disk=['phy:/dev/nvme0n1,hda,w','/scratch/second.img,raw,hdb,w,script=block-pvbackd']" \
	"vif=['mac=00:16:5e:02:07:45,bridge=xenbr0,model=e1000']"
need "with xen_platform_pci=0 a guest boots from the emulated hda" guest_start plain 240
check "its root file system is on sda" eval 'has "$(guest_run plain "mount | grep \" / \"")" "^/dev/sda on / type ext4"'
check "it has no PV disk and no PV NIC" eval 'hasnt "$(guest_run plain "cat /proc/partitions; ls /sys/bus/xen/devices/*/driver 2>/dev/null")" "xvd|module"'
aside() { is "$(state_of plain vbd 768) $(state_of plain vbd 832) $(state_of plain vif 0)" "2 2 2"; }
check "all backends wait in state 2" aside
check "nobody serves rings of it" eval '! guest_pids "$(guest_id plain)"'
check "fio on the emulated disk reads back what it wrote" guest_run plain "$(fio_line /fio.dat --size=1M)" 240
check "eth0 is the emulated NIC" eval 'is "$(interface_of plain e1000)" eth0'
check "it comes up" guest_net plain eth0 10.77.0.2
check "the guest pings Dom0" wait_for 30 guest_run plain "/usr/bin/ping -c 3 -i 0.2 10.77.0.1"
check "a file crosses the emulated network and comes back the same" send_file plain 10.77.0.1
check "the daemon is restarted meanwhile" backend_restart
check "all backends wait in state 2 after that, too" wait_for 15 aside
check "a file on its root file system is written and synced" kept_by plain
guest_run plain "mount -o remount,ro /; sync" 60
check "xl destroys it at once" destroyed_at_once plain
check "Dom0 reads the same file from the disk" sums_hold
check "the root file system is clean" e2fsck -fn /dev/nvme0n1
check "no guest is left over" no_guests
check "no tap, file descriptor or mapping is left over" settles_at "$footprint"
check "the log has no error" eval 'hasnt "$(<"$LOG/pvbackd.log")" "error:"'
