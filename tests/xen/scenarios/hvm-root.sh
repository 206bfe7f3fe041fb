# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An HVM guest with a usual configuration: its root file system is on hda, its kernel unplugs the emulated devices and uses the
# frontends, and it does not notice that the daemon is killed. The file guest.out in the logs has what the guest printed.
# limit: 600

# show COMMAND [SECONDS]: run it in the guest, print its output and add it to guest.out
show() {
	printf '\n# %s\n' "$1" >>"$LOG/guest.out"
	guest_run hvm "$@" >"$LOG/show.out" || { cat "$LOG/show.out"; return 1; }
	tee -a "$LOG/guest.out" <"$LOG/show.out"
}
shown_has() {
	local out
	out=$(show "$1") && has "$out" "$2"
}

scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
truncate -s 64M /scratch/second.img
mke2fs -q -t ext4 /scratch/second.img
image /scratch/third.img 16
if backend_is_kernel; then second=''; else second=',script=block-pvbackd'; fi
guest_config hvm hvm "cmdline = \"$GUEST_LINE lab.root=/dev/xvda\"" 'memory = 512' \
	"vif=['type=ioemu,mac=00:16:5e:02:07:45,bridge=xenbr0,model=e1000']" \
	"disk=['phy:/dev/nvme0n1,hda,w',',hdc:cdrom,r','file:/scratch/second.img,xvdb,w$second','file:/scratch/third.img,xvde,w']"
need "an HVM guest boots from hda" guest_start hvm 150
! backend_is_isolated || check "its process is a user of its own, without rights" confined hvm

check "its root file system is on xvda" shown_has "mount | grep \" / \"" '^/dev/xvda on / type ext4'
check "the kernel unplugged the emulated disks for blkfront" shown_has "dmesg | grep -i -e unplug -e blkfront" 'unplug emulated disks'
check "the kernel unplugged the emulated NIC for netfront" shown_has "dmesg | grep -i -e unplug -e netfront" 'unplug emulated NICs'
check "blkfront drives xvda" shown_has "dmesg | grep xvda" 'blkfront: xvda'
check "/proc/partitions shows xvda" shown_has "cat /proc/partitions" 'xvda$'
check "/proc/partitions shows no emulated disk" eval 'hasnt "$(guest_run hvm "cat /proc/partitions")" "[sh]d[ab]"'
check "ethtool says that eth0 is driven by vif" shown_has "ethtool -i eth0" '^driver: vif'

check "fio on the root file system reads back what it wrote" show "$(fio_line /fio.dat --size=8M)" 180
check "fio on the second disk reads back what it wrote" show "$(fio_line /dev/xvdb --offset=40M)" 180
check "so does fio on a plain file without a script, which xl gives to QEMU" show "$(fio_line /dev/xvde --size=2M)" 120
show 'fio --name=randread --filename=/dev/xvda --rw=randread --bs=4k --iodepth=32 --ioengine=libaio --direct=1 --number_ios=1500 --readonly' 120 |
	grep IOPS
check "files on the second file system survive a remount" show \
	'mount /dev/xvdb /mnt && head -c 4000000 /dev/urandom >/mnt/a && seq 1 40000 >/mnt/b && sync && cd /mnt && md5sum a b >sums && cd / && umount /mnt && mount /dev/xvdb /mnt && cd /mnt && md5sum -c sums'
check "a file on the root file system is written and synced" show \
	'cd /root && head -c 2000000 /dev/urandom >kept && md5sum kept >kept.sum && sync'

check "eth0 comes up" guest_net hvm eth0 10.77.0.2
check "the guest pings Dom0" show "/usr/bin/ping -c 5 -i 0.2 10.77.0.1"
check "a file crosses the network and comes back the same" send_file hvm 10.77.0.1
to_dom0() { iperf_server && show "iperf3 -c 10.77.0.1 -n 24M -i 1" 120; }
from_dom0() { iperf_server && show "iperf3 -c 10.77.0.1 -n 24M -i 1 -R" 120; }
check "iperf3 sends TCP to Dom0" to_dom0
check "iperf3 receives TCP from Dom0" from_dom0
# The socket in Dom0 must hold them all, because its program may get no time to read them. It may also end before it has read the
# last ones, so only a gap in what it has read means a loss. (iperf3 3.18 sends some more than -k says.)
small_udp() {
	local out
	sysctl -q -w net.core.rmem_max=8388608 net.core.rmem_default=8388608
	iperf_server && out=$(show "iperf3 -c 10.77.0.1 -u -l 18 -b 200k -k 1000 -i 1" 60) || return
	grep '^Udp:' /proc/net/snmp
	has "$out" ' 0/[1-9][0-9]{2,3} \(0%\) +receiver' || { backend_dump; grep receiver <<<"$out"; return 1; }
}
check "of 64-byte UDP frames none is lost" small_udp

tagged() {
	ip link add link xenbr0 name xenbr0.7 type vlan id 7 && ip addr add 10.78.0.1/24 dev xenbr0.7 &&
		ip link set xenbr0.7 up && guest_run hvm "ip link add link eth0 name eth0.7 type vlan id 7" &&
		guest_net hvm eth0.7 10.78.0.2 && iperf_server && show "iperf3 -c 10.78.0.1 -n 4M -i 1" 120 &&
		iperf_server && show "iperf3 -c 10.78.0.1 -n 4M -i 1 -R" 120
}
check "a VLAN-tagged stream passes both ways" tagged
jumbo() {
	ip link set xenbr0 mtu 9000 && ip link set "vif$(guest_id hvm).0" mtu 9000 && guest_run hvm "ip link set eth0 mtu 9000" &&
		show "/usr/bin/ping -c 3 -i 0.2 -M do -s 8972 10.77.0.1" && iperf_server && show "iperf3 -c 10.77.0.1 -n 8M -i 1" 120
}
check "frames of MTU 9000 pass" jumbo

guest_run hvm "dmesg" >"$LOG/guest-dmesg.txt"
backend_is_kernel || [ "$LAB_KILLS" -eq 0 ] || kills_go_unnoticed hvm 768 "$LAB_KILLS"

guest_run hvm "umount /mnt; sync; mount -o remount,ro / ; sync" 60
check "the guest is destroyed" guest_stop hvm
sums_hold() {
	mount -o ro,loop /scratch/second.img /mnt && (cd /mnt && md5sum -c sums)
	local status=$?
	umount /mnt
	return $status
}
check "Dom0 reads the same files from the second image" sums_hold
root_sums_hold() {
	mount -o ro,noload /dev/nvme0n1 /mnt && (cd /mnt/root && md5sum -c kept.sum)
	local status=$?
	umount /mnt
	return $status
}
check "Dom0 reads the same file from the root image" root_sums_hold
check "the root file system is clean" e2fsck -fn /dev/nvme0n1
check "no guest is left over" no_guests
