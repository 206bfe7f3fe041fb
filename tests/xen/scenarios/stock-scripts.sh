# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The hotplug scripts Xen comes with serve as well as ours.
# limit: 300

scripts stock
bridge_up xenbr0 77
need "the backend starts" backend_start
guest_config stock pvh "disk=['phy:/dev/nvme0n2,xvda,w']" "vif=['mac=00:16:5e:02:07:45,bridge=xenbr0,model=e1000']"
need "a PVH guest boots" guest_start stock 90
node() { xenstore-read "/local/domain/0/backend/$1/$(guest_id stock)/$2"; }
check "the disk was set up by the block script" eval 'is "$(node vbd 51712/script)" /etc/xen/scripts/block'
check "the NIC was set up by the vif-bridge script" eval 'is "$(node vif 0/script)" /etc/xen/scripts/vif-bridge'
check "the NIC is in its bridge" test -e "/sys/class/net/xenbr0/brif/vif$(guest_id stock).0"
check "fio reads back what it wrote" guest_run stock "$(fio_line /dev/xvda --size=8M)" 180
check "eth0 comes up" guest_net stock eth0 10.77.0.2
check "the guest pings Dom0" guest_run stock "/usr/bin/ping -c 3 -i 0.2 10.77.0.1"
detach() { xl block-detach stock xvda && xl network-detach stock 0; }
check "disk and NIC are detached" detach
attach() {
	xl block-attach stock 'phy:/dev/nvme0n2,xvda,w' && xl network-attach stock mac=00:16:5e:02:07:45 bridge=xenbr0 &&
		wait_for 20 guest_run stock "test -b /dev/xvda" && wait_for 20 guest_run stock "test -e /sys/class/net/eth0"
}
check "and attached again" attach
check "fio reads back what it wrote after that" guest_run stock "$(fio_line /dev/xvda --size=4M)" 180
check "the guest is destroyed" guest_stop stock
check "no guest is left over" no_guests
