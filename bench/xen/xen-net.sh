# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Two PVH guests, whose NICs are served by the kernel's backend and by ours, in turns.
# limit: 4000
# shellcheck source=bench/xen/bench.sh
. /lab/scenarios/bench.sh

guests=(bench other)
guests_up() {
	local name
	for name in "${guests[@]}"; do
		guest_config "$name" pvh && guest_start "$name" 90 || return
	done
	learn_idle_rate bench
}
# attach WHO GUEST NUMBER
attach() {
	local script=vif-bridge
	[ "$1" = netback ] || script=vif-pvbackd
	doing "the NIC of $2"
	xl network-attach "$2" "mac=00:16:5e:0b:00:0$3" bridge=xenbr0 "script=$script" &&
		wait_for 30 in_guest "$2" "test -e /sys/class/net/eth0" && guest_net "$2" eth0 "10.77.0.$((3 + $3))" &&
		wait_for 30 in_guest "$2" "/usr/bin/ping -c 1 -W 2 10.77.0.1"
}
detach() { doing "the NIC's end in $1" && xl network-detach "$1" 0 && wait_for 30 in_guest "$1" "test ! -e /sys/class/net/eth0"; }

rr_load() { # ROUND WHO CASE
	local count line
	count=$(amount 1000 200)
	doing "$3" "$LOG/ask.out"
	spend guest_run bench "/tmp/tcpload 10.77.0.1 9003 ask $count" 120 >"$LOG/ask.out" || return
	read -r line <"$LOG/ask.out"
	[[ $line =~ p50_us=([0-9.]+)\ p99_us=([0-9.]+) ]] || { echo "no figures"; return 1; }
	[ "$1" -gt 0 ] || return 0
	take_sample "$3" "$2" p50_us "${BASH_REMATCH[1]}"
	take_sample "$3" "$2" p99_us "${BASH_REMATCH[2]}"
}

guest_to_guest() { # ROUND WHO
	wanted tcp-guest-to-guest || return 0
	attach "$2" other 2 && in_guest other "iperf3 -s -D" && wait_for 20 in_guest other "grep -q :1451 /proc/net/tcp6" &&
		tcp_load bench 10.77.0.5 "$1" "$2" tcp-guest-to-guest "$(amount 16 8)" &&
		in_guest other "killall iperf3" && detach other
}

turn() { # ROUND WHO
	local round=$1 who=$2 megabytes
	megabytes=$(amount 60 16)
	party_on "$who" && attach "$who" bench 1 && fetch_program bench || return
	tcp() { ! wanted "$1" || tcp_load bench 10.77.0.1 "$round" "$who" "$1" "$megabytes" "${@:2}"; }
	udp() { ! wanted "$1" || udp_load bench 10.77.0.1 "$round" "$who" "$1" "${@:2}"; }
	tcp tcp-from-guest && tcp tcp-to-guest -R && tcp tcp-from-guest-4 -P 4 && tcp tcp-to-guest-4 -P 4 -R &&
		udp udp64-from-guest && udp udp64-to-guest -R || return
	! wanted tcp-rr || rr_load "$round" "$who" tcp-rr || return
	guest_to_guest "$round" "$who" && detach bench && party_off "$who"
}

cpu_start
bridge_up xenbr0 77
need "iperf3 waits in Dom0" iperf_start
/lab/scenarios/tcpload 9003 &
need "two PVH guests boot" guests_up
check "both parties take their turns" all_rounds turn pvbackd netback
