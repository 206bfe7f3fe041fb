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

# listens PORT: a program in Dom0 waits there for connections. (Connections that have ended keep the number of the port for a minute.)
listens() {
	local entry
	printf -v entry ':%04X 0+:0000 0A ' "$1"
	grep -Eq "$entry" /proc/net/tcp /proc/net/tcp6
}

# iperf_server [OPTION...]: in Dom0, for one client. The last one may still listen for a moment after its client has ended.
iperf_server() {
	[ -z "${IPERF_SERVER:-}" ] || wait_for 10 process_gone "$IPERF_SERVER" || { kill "$IPERF_SERVER"; wait "$IPERF_SERVER"; }
	iperf3 -s -1 "$@" >>"$LOG/iperf3-server.log" 2>&1 &
	IPERF_SERVER=$!
	wait_for 10 listens 5201
}
