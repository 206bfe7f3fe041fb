# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# libvirt starts a guest, attaches and detaches devices, reads figures, saves and restores the guest.
# limit: 400

[ -n "$(type -P virsh)" ] || skip "this release's Dom0 has no libvirt"
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
footprint=$(backend_footprint)

mkdir -p /etc/libvirt /var/lib/libvirt /var/log/libvirt /run/libvirt
# Xen hides the feature VME of the emulated processor. All processor models of libvirt inherit VME from the 486, so it is removed there.
sed -i '/vme/d' /usr/share/libvirt/cpu_map/x86_486.xml
printf '%s\n' 'auth_unix_rw = "none"' >/etc/libvirt/libvirtd.conf
libvirtd >"$LOG/libvirtd.log" 2>&1 &
libvirtd=$!
virt() { virsh --quiet --connect xen:///system "$@"; }
need "libvirt's daemon answers" wait_for 15 virt version

# This definition follows the documentation of libvirt's Xen driver.
cat >/run/virt.xml <<-END
	<domain type='xen'>
	  <name>virt</name>
	  <memory unit='MiB'>384</memory>
	  <vcpu cpuset='1'>1</vcpu>
	  <os>
	    <type arch='x86_64' machine='xenpvh'>xenpvh</type>
	    <kernel>/guests/vmlinux-amd64</kernel>
	    <initrd>/guests/guest-amd64.cpio</initrd>
	    <cmdline>$GUEST_LINE</cmdline>
	  </os>
	  <clock offset='utc'><timer name='tsc' mode='native'/></clock>
	  <on_crash>destroy</on_crash>
	  <devices>
	    <disk type='block' device='disk'>
	      <driver name='phy'/>
	      <source dev='/dev/nvme0n2'/>
	      <target dev='xvda' bus='xen'/>
	    </disk>
	    <interface type='bridge'>
	      <mac address='00:16:5e:02:07:01'/>
	      <source bridge='xenbr0'/>
	      <script path='/etc/xen/scripts/vif-pvbackd'/>
	    </interface>
	    <console type='pty'><target type='xen' port='0'/></console>
	  </devices>
	</domain>
END
check "a guest is defined" virt define /run/virt.xml
guest_console virt
need "it starts" virt start virt
need "and boots" guest_ready virt 120
guest_net virt eth0 10.77.0.2
check "its disk and its network card work" eval 'guest_run virt "$(fio_line /dev/xvda --size=4M)" && guest_run virt "/usr/bin/ping -c 3 -i 0.2 10.77.0.1"'
check "domifstat counts its frames" eval 'has "$(virt domifstat virt "vif$(guest_id virt).0")" "rx_packets [1-9]"'
# For a disk, libvirt reads the counters of the kernel's backend, which is not there.
check "domblkstat has none of its disk, pvbackctl has" eval '! virt domblkstat virt xvda && has "$(pvbackctl list virt)" "virt/xvda +connected"'

check "a disk is attached" virt attach-disk virt /dev/nvme0n3 xvdb --targetbus xen --sourcetype block --driver phy
check "the guest writes to it" wait_for 20 guest_run virt "dd if=/dev/zero of=/dev/xvdb bs=64k count=16 conv=fsync"
check "and it is detached" eval 'virt detach-disk virt xvdb && wait_for 20 guest_run virt "! test -e /dev/xvdb"'
check "a network card is attached" virt attach-interface virt bridge xenbr0 --mac 00:16:5e:02:07:02 --script /etc/xen/scripts/vif-pvbackd
check "the guest has it" wait_for 20 guest_run virt "test -e /sys/class/net/eth1"
check "and it is detached" eval 'virt detach-interface virt bridge --mac 00:16:5e:02:07:02 && wait_for 20 guest_run virt "! test -e /sys/class/net/eth1"'

check "it is saved" virt save virt /scratch/saved
check "and restored" virt restore /scratch/saved
check "it goes on" guest_moved virt
check "its disk and its network card still work" eval 'guest_run virt "$(fio_line /dev/xvda --size=4M)" && guest_run virt "/usr/bin/ping -c 3 -i 0.2 10.77.0.1"'
rm -f /scratch/saved

check "it is destroyed" virt destroy virt
check "and undefined" virt undefine virt
check "xl list shows no zombie" no_guests
check "no tap, file descriptor or mapping is left over" settles_at "$footprint"
kill "$libvirtd"
check "the backend's log has no error" eval 'hasnt "$(<"$LOG/pvbackd.log")" "error:"'
