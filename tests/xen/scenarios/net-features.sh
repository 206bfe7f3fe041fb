# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A NIC with two queues, and peers in network namespaces of their own: a DHCP server, an IPv6 router, VLANs of the bridge, port
# security, captures.
# limit: 300

backend_is_kernel && skip "the kernel's backend has no port security and no captures"
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start

# peer NAME ADDRESS: make a namespace with one NIC, eth0; port p-NAME connects it to the bridge
peer() {
	ip netns add "$1" && ip link add "p-$1" type veth peer name eth0 netns "$1" && ip link set "p-$1" master xenbr0 up &&
		ip -n "$1" link set lo up && ip -n "$1" link set eth0 up && ip -n "$1" addr add "$2/24" dev eth0
}
in_peer() { ip netns exec "$@"; }
need "two peers are in the bridge" eval 'peer server 10.77.0.10 && peer router 10.77.0.11'
guest_config net pvh 'vcpus = 2' "cmdline = \"$GUEST_LINE xen_netfront.max_queues=2\"" \
	"vif=['mac=00:16:5e:02:07:45,bridge=xenbr0,ip=10.77.0.50 fd77::216:5eff:fe02:745 fe80::216:5eff:fe02:745']"
need "a PVH guest boots" guest_start net 90
id=$(guest_id net) back=/local/domain/0/backend/vif/$(guest_id net)/0
in_guest() { guest_run net "$@"; }

check "netfront takes two queues" eval 'is "$(xenstore-read "/local/domain/$id/device/vif/0/multi-queue-num-queues")" 2'
cat >/run/udhcpd.conf <<-EOF
	start 10.77.0.50
	end 10.77.0.50
	interface eth0
	lease_file /run/udhcpd.leases
	pidfile /run/udhcpd.pid
EOF
: >/run/udhcpd.leases
in_peer server busybox udhcpd -f /run/udhcpd.conf >>"$LOG/udhcpd.log" 2>&1 &
dhcp() {
	local out
	out=$(in_guest "ip link set eth0 up; busybox udhcpc -f -n -q -t 20 -s /bin/true -i eth0 2>&1" 90) &&
		has "$out" 'lease of 10.77.0.50 obtained' && in_guest "ip addr add 10.77.0.50/24 dev eth0"
}
check "a DHCP server gives the guest its address" dhcp

# The router forwards to another prefix, fd78::/64, and answers there itself.
cat >/run/radvd.conf <<-EOF
	interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; prefix fd77::/64 { }; };
EOF
ip -n router addr add fd77::11/64 dev eth0 nodad
ip -n router addr add fd78::1/128 dev lo
in_peer router sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
in_peer router radvd -n -C /run/radvd.conf -p /run/radvd.pid -m stderr >>"$LOG/radvd.log" 2>&1 &
autoconfigured() { in_guest "ip -6 addr show dev eth0" | grep -q 'fd77::216:5eff:fe02:745'; }
check "a router's advertisement gives it an IPv6 address" wait_for 30 autoconfigured
check "what is behind the router answers" wait_for 20 in_guest "/usr/bin/ping -6 -c 1 -W 2 fd78::1"

in_peer server iperf3 -s >>"$LOG/iperf3-server.log" 2>&1 &
stream() { in_guest "iperf3 -c 10.77.0.10 -P 4 -n 4M -i 1 $*" 120; }
check "four streams pass to a peer" wait_for 60 stream
check "four streams pass from a peer" stream -R

xenstore-write "$back/pcap" snaplen=128 "$back/pcap-filter" icmp
check "a capture begins" wait_for 20 grep -q "vif $id/0: captures into" "$LOG/pvbackd.log"
check "the guest reaches its peer while its frames are captured" in_guest "/usr/bin/ping -c 3 -i 0.2 10.77.0.10"
xenstore-write "$back/pcap" off
captured() { is "$(tcpdump -Z root -nr "/run/pvbackd/vif-$id-0.pcapng" | grep -c 'ICMP echo')" 6; }
check "tcpdump reads both directions of them" wait_for 20 captured

# refused COUNTER: print tx_refused_COUNTER, summed over the two queues of a dump
refused() {
	backend_dump
	grep -o "tx_refused_$1=[0-9]*" "$LOG/pvbackd.log" | tail -n 2 | awk -F= '{ n += $2 } END { print n }'
}
xenstore-write "$back/antispoof" on
check "with port security its own address passes" wait_for 20 in_guest "/usr/bin/ping -c 1 -W 2 10.77.0.10"
foreign() { ! in_guest "ip addr add 10.77.0.99/24 dev eth0; /usr/bin/ping -c 2 -i 0.2 -W 1 -I 10.77.0.99 10.77.0.10; s=\$?; ip addr del 10.77.0.99/24 dev eth0; exit \$s"; }
check "another one does not" foreign
check "and is counted" eval '[ "$(refused ipv4)" -ge 2 ]'
check "IPv6 still passes" in_guest "/usr/bin/ping -6 -c 1 -W 2 fd78::1"
xenstore-write "$back/antispoof" off

# xl of Xen 4.17 has no vlan=. A newer xl writes this key before it runs the script, so the test does the same.
vlans() {
	ip link set xenbr0 type bridge vlan_filtering 1 && xenstore-write "$back/vlan" 10p/20-21 &&
		XENBUS_PATH=backend/vif/$id/0 vif=vif$id.0 /etc/xen/scripts/vif-pvbackd online type_if=vif
}
check "the script puts the NIC into VLANs" vlans
check "the bridge knows them" eval 'has "$(bridge vlan show dev "vif$id.0")" "10 PVID Egress Untagged" && has "$(bridge vlan show dev "vif$id.0")" " 21$"'
check "a peer outside is out of reach" eval '! in_guest "/usr/bin/ping -c 1 -W 2 10.77.0.10"'
bridge vlan add dev p-server vid 10 pvid untagged
check "a peer in its VLAN answers" wait_for 20 in_guest "/usr/bin/ping -c 1 -W 2 10.77.0.10"
tagged_peer() {
	bridge vlan add dev p-server vid 20 && ip -n server link add link eth0 name eth0.20 type vlan id 20 &&
		ip -n server addr add 10.79.0.10/24 dev eth0.20 && ip -n server link set eth0.20 up &&
		in_guest "ip link add link eth0 name eth0.20 type vlan id 20" && guest_net net eth0.20 10.79.0.2 &&
		wait_for 20 in_guest "/usr/bin/ping -c 1 -W 2 10.79.0.10"
}
check "a tagged VLAN passes too" tagged_peer

check "the guest is destroyed" guest_stop net
killall iperf3 radvd busybox
ip netns del server
ip netns del router
check "no guest is left over" no_guests
