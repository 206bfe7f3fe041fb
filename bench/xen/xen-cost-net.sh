# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# One PVH guest; what a MiB of TCP, a packet, a request with its response cost, served by the kernel's backend and by ours.
# limit: 4000
# shellcheck source=bench/xen/cost.sh
. /lab/scenarios/cost.sh

guests=(bench)
window_ms=20000

guests_up() { guest_config bench pvh "cpus = \"$cpu\"" && guest_start bench 90 && remember_guest bench; }
attach() {
	local script=vif-bridge
	[ "$1" = netback ] || script=vif-pvbackd
	# Without pages that are granted to Dom0 itself, grant copies name our memory by address.
	case $1 in
	pvbackd-pinning) echo 0 ;;
	*) echo 4096 ;;
	esac >/sys/module/xen_gntalloc/parameters/limit
	xl network-attach bench "mac=00:16:5e:0b:00:01" bridge=xenbr0 "script=$script" &&
		wait_for 30 in_guest bench "test -e /sys/class/net/eth0" && guest_net bench eth0 10.77.0.4 &&
		wait_for 30 in_guest bench "/usr/bin/ping -c 1 -W 2 10.77.0.1" && fetch_program bench
}
detach() { xl network-detach bench 0 && wait_for 30 in_guest bench "test ! -e /sys/class/net/eth0"; }

tcp() { echo "iperf3 -c 10.77.0.1 -i 0 -f m $1 -n $2M"; }          # OPTION MEGABYTES
udp() { echo "iperf3 -c 10.77.0.1 -u -l 18 -b 0 -i 0 -f m -k $1"; } # PACKETS
rr() { echo "/tmp/tcprr 10.77.0.1 9003 $1"; }                       # REQUESTS
loads() { # WHO
	count bench tcp-from-guest "$1" 64 tcp '' &&
		count bench tcp-to-guest "$1" 64 tcp -R &&
		count bench udp64-from-guest "$1" 5000 udp &&
		count bench tcp-rr "$1" 800 rr &&
		count bench tcp-from-guest-4 "$1" 64 tcp "-P 4" &&
		count bench tcp-to-guest-4 "$1" 64 tcp "-R -P 4"
}
turn() { # WHO
	party_on "${1%-*}" && attach "$1" && remember && loads "$1" && detach && party_off "$1"
}

marks_start
bridge_up xenbr0 77
need "iperf3 waits in Dom0" iperf_start
/lab/scenarios/tcprr 9003 &
need "a PVH guest boots" guests_up
for who in $net_parties; do
	check "the frames of $who are counted" counted "$who"
done
