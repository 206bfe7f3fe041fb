# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# One PVH guest; what a MiB of TCP, a packet, a request with its response cost, served by the kernel's backend and by ours.
# limit: 4000
# shellcheck source=bench/xen/cost.sh
. /lab/scenarios/cost.sh

guests=(bench)
window_ms=20000

guests_up() { guest_config bench pvh "cpus = \"$cpu\"" && guest_start bench 90 && remember_guest bench && guest_run bench "$(tcp_steady)"; }
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

# load WHAT AMOUNT; streams WHAT AMOUNT: a fourth of it by each of four
load() { echo "/tmp/tcpload 10.77.0.1 9003 $1 $2"; }
streams() { echo "s=; for n in 1 2 3 4; do $(load "$1" $(($2 / 4))) & s=\"\$s \$!\"; done; for n in \$s; do wait \$n || exit; done"; }
# The lab's clock is slow, so TCP believes that a round trip is long, and would make short segments and leave slow start by
# chance. Both kernels make them as large as they can, and stay in slow start until the socket buffers are full.
tcp_steady() { echo "cd /proc/sys/net/ipv4 && echo 20 >tcp_tso_rtt_log && echo reno >tcp_congestion_control"; }
loads() { # WHO
	count bench tcp-from-guest "$1" 128 load send &&
		count bench tcp-to-guest "$1" 128 load receive &&
		count bench udp64-from-guest "$1" 5120 load packets &&
		count bench tcp-rr "$1" 800 load ask &&
		count bench tcp-from-guest-4 "$1" 128 streams send &&
		count bench tcp-to-guest-4 "$1" 128 streams receive
}
turn() { # WHO
	party_on "${1%-*}" && attach "$1" && remember && loads "$1" && detach && party_off "$1"
}

marks_start
bridge_up xenbr0 77
(eval "$(tcp_steady)")
/lab/scenarios/tcpload 9003 &
need "a PVH guest boots" guests_up
for who in $net_parties; do
	check "the frames of $who are counted" counted "$who"
done
