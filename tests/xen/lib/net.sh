# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Dom0's side of the network.

# bridge_up NAME NET: a bridge whose address is 10.NET.0.1
bridge_up() {
	ip link add "$1" type bridge forward_delay 0 mcast_snooping 0 &&
		ip addr add "10.$2.0.1/24" dev "$1" && ip link set "$1" up
}

# guest_net NAME INTERFACE ADDRESS: brings it up in the guest
guest_net() { guest_run "$1" "ip addr add $3/24 dev $2 && ip link set $2 up"; }

# iperf_server [OPTION...]: in Dom0, for one client
iperf_server() {
	iperf3 -s -1 "$@" >>"$LOG/iperf3-server.log" 2>&1 &
	wait_for 10 grep -q ':1451 ' /proc/net/tcp6 /proc/net/tcp
}
