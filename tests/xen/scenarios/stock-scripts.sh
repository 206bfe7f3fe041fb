# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# pvbackd works with Xen's own hotplug scripts: block, vif-bridge, vif-route, vif-openvswitch.
# limit: 400

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

# nic SCRIPT WORD...: replace the NIC of the guest by one with this script and these words of a vif line
nic() {
	xl network-detach stock 0 && wait_for 20 guest_run stock "test ! -e /sys/class/net/eth0" &&
		xl network-attach stock mac=00:16:5e:02:07:45 "script=$1" "${@:2}" &&
		wait_for 20 guest_run stock "test -e /sys/class/net/eth0"
}
routed() {
	[ -e /usr/sbin/ifconfig ] || ln -s ../bin/busybox /usr/sbin/ifconfig # its package, net-tools, is not in Dom0
	nic vif-route ip=10.79.0.2 gatewaydev=xenbr0 &&
		guest_run stock "ip addr add 10.79.0.2/32 dev eth0 && ip link set eth0 up && ip route add 10.77.0.1 dev eth0" &&
		has "$(ip route)" "10.79.0.2 dev vif$(guest_id stock).0 "
}
check "vif-route gives it a NIC with a route of its own" routed
check "through which it pings Dom0" wait_for 20 guest_run stock "/usr/bin/ping -c 1 -W 2 10.77.0.1"

switched() {
	local dir=/run/openvswitch
	mkdir -p $dir && modprobe openvswitch &&
		ovsdb-tool create $dir/conf.db /usr/share/openvswitch/vswitch.ovsschema &&
		ovsdb-server --remote=punix:$dir/db.sock --pidfile --detach --log-file="$LOG/ovsdb.log" $dir/conf.db &&
		ovs-vsctl --no-wait init && /usr/lib/openvswitch-switch/ovs-vswitchd --pidfile --detach --log-file="$LOG/vswitchd.log" &&
		ovs-vsctl add-br switch0 && ip addr add 10.80.0.1/24 dev switch0 && ip link set switch0 up
}
check "Open vSwitch has a bridge" switched
plugged() {
	nic vif-openvswitch bridge=switch0 && guest_net stock eth0 10.80.0.2 &&
		has "$(ovs-vsctl list-ports switch0)" "^vif$(guest_id stock).0$"
}
check "vif-openvswitch puts its NIC there" plugged
check "and it pings Dom0" wait_for 20 guest_run stock "/usr/bin/ping -c 1 -W 2 10.80.0.1"
unplugged() { xl network-detach stock 0 && hasnt "$(ovs-vsctl list-ports switch0)" vif; }
check "the detached NIC's port is gone from it" unplugged

check "the guest is destroyed" guest_stop stock
check "no guest is left over" no_guests
check "Open vSwitch ends" eval 'kill "$(cat /run/openvswitch/ovs-vswitchd.pid)" "$(cat /run/openvswitch/ovsdb-server.pid)"'
