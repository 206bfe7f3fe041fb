#!/bin/sh
# SPDX-License-Identifier: MIT
# vif-pvbackd as libxl runs it, with real taps and bridges in a network namespace of its own, and with a simulated xenstore. The
# test needs root.
set -eu

# shellcheck source=tests/integration/hotplug-lib.sh
. "${srcdir:-.}/tests/integration/hotplug-lib.sh"

if [ -z "${VIF_SCRIPT_TEST_INSIDE:-}" ]; then
	[ "$(id -u)" -eq 0 ] || skip "needs root, for a network namespace"
	need ip iproute2
	need unshare util-linux
	[ -c /dev/net/tun ] || skip "/dev/net/tun is missing; modprobe tun"
	unshare --net --mount true 2>/dev/null || skip "no network namespace can be made here"
	VIF_SCRIPT_TEST_INSIDE=1
	export VIF_SCRIPT_TEST_INSIDE
	exec unshare --net --mount "$0"
fi

backend=backend/vif/7/0
frontend=/local/domain/7/device/vif/0

# vif [KEY VALUE]...: write the keys that libxl writes, and make the tap that the daemon makes.
vif() {
	xenstore-write "$backend/frontend" "$frontend" "$backend/frontend-id" 7 \
		"$backend/online" 1 "$backend/state" 2 "$backend/handle" 0 "$backend/hotplug-status" "" \
		"$frontend/state" 1 "$frontend/mtu" 1500
	while [ $# -gt 0 ]; do
		xenstore-write "$backend/$1" "$2"
		shift 2
	done
	ip tuntap add dev vif7.0 mode tap
}

# script ARGUMENT...: run the script; $rc is its status, and the file err its messages.
script() {
	rc=0
	XENBUS_PATH=$backend XENBUS_TYPE=vif vif=vif7.0 INTERFACE=vif7.0-emu \
		"$work/bin/vif-pvbackd" "$@" 2>"$work/err" || rc=$?
}

# expect_port NAME BRIDGE MTU
expect_port() {
	net=/sys/class/net/$1
	[ -e "$net" ] || {
		expect "interface $1" "missing" "there"
		return 0
	}
	expect "bridge of $1" "$(basename "$(readlink "$net/master" || echo none)")" "$2"
	expect "MTU of $1" "$(cat "$net/mtu")" "$3"
	expect "address of $1" "$(cat "$net/address")" fe:ff:ff:ff:ff:ff
	expect "up flag of $1" "$(($(cat "$net/flags") & 1))" 1
	expect_part "address mode of $1" "$(ip -d link show "$1")" "addrgenmode none"
}

# expect_refused PART [STATUS]
expect_refused() {
	expect "exit code" "$rc" 1
	expect "hotplug-status" "$(node $backend/hotplug-status)" "${2-error}"
	expect_part "hotplug-error" "$(node $backend/hotplug-error)" "$1"
	expect_part "stderr" "$(cat "$work/err")" "$1"
}

remove_taps() {
	for name in vif7.0 vif7.0-emu web web-emu; do
		[ ! -e "/sys/class/net/$name" ] || ip link del "$name"
	done
}

a_vif_joins_its_bridge() {
	vif bridge xenbr0 mac 00:16:5e:02:07:45
	script online type_if=vif
	expect "exit code" "$rc" 0
	expect "stderr" "$(cat "$work/err")" ""
	expect_port vif7.0 xenbr0 1500
	expect "hotplug-status" "$(node $backend/hotplug-status)" connected
	expect "mtu of the frontend" "$(node $frontend/mtu)" 1500
	expect "IPv6 addresses" "$(ip -6 -o address show dev vif7.0)" ""
}

doing_it_again_changes_nothing() {
	vif bridge xenbr0
	script online type_if=vif
	script online type_if=vif
	expect "exit code" "$rc" 0
	expect_port vif7.0 xenbr0 1500
}

without_an_mtu_the_bridges_is_taken() {
	vif bridge jumbo
	script online type_if=vif
	expect_port vif7.0 jumbo 9000
	expect "mtu of the frontend" "$(node $frontend/mtu)" 9000
}

a_configured_mtu_wins_and_reaches_a_renamed_vifs_frontend() {
	vif bridge jumbo mtu 4000 vifname web
	script online type_if=vif
	expect "exit code" "$rc" 0
	expect_port web jumbo 4000
	expect "mtu of the frontend" "$(node $frontend/mtu)" 4000
	expect "interface vif7.0" "$(ls -d /sys/class/net/vif7.0 2>/dev/null)" ""
	script online type_if=vif
	expect "exit code of a second run" "$rc" 0
	expect_port web jumbo 4000
}

an_old_bridge_name_falls_back() {
	vif bridge xenbr9
	script online type_if=vif
	expect "exit code" "$rc" 0
	expect_port vif7.0 eth9 1500
}

without_a_bridge_xenbr0_is_taken() {
	vif
	script online type_if=vif
	expect "exit code" "$rc" 0
	expect_port vif7.0 xenbr0 1500
}

a_vif_moves_to_another_bridge() {
	vif bridge xenbr0
	script online type_if=vif
	xenstore-write $backend/bridge jumbo
	script online type_if=vif
	expect_port vif7.0 jumbo 9000
}

a_missing_bridge_is_an_error_that_names_it() {
	vif bridge xenbr7
	script online type_if=vif
	expect_refused "bridge 'xenbr7' does not exist; create it or correct bridge= in the vif line"
	expect "master of vif7.0" "$(readlink /sys/class/net/vif7.0/master || echo none)" none
	xenstore-write $backend/bridge xenbr0
	script online type_if=vif
	expect "exit code after correcting it" "$rc" 0
	expect "hotplug-error after correcting it" "$(node $backend/hotplug-error)" "(none)"
}

what_is_no_bridge_is_refused() {
	vif bridge lo
	script online type_if=vif
	expect_refused "'lo' is not a bridge"
	xenstore-write $backend/bridge a-bridge-name-that-is-too-long
	script online type_if=vif
	expect_refused "cannot be the name of a network interface"
	xenstore-write $backend/bridge ../../etc
	script online type_if=vif
	expect_refused "cannot be the name of a network interface"
}

bad_values_are_refused() {
	vif bridge xenbr0 mtu 70000
	script online type_if=vif
	expect_refused "mtu '70000' is out of range"
	xenstore-write $backend/mtu 1500 $backend/vifname a-name-of-16-chr
	script online type_if=vif
	expect_refused "vifname 'a-name-of-16-chr' is too long"
	xenstore-write $backend/vifname a/b
	script online type_if=vif
	expect_refused "vifname 'a/b' cannot be the name"
}

a_taken_vifname_is_refused_and_its_owner_left_alone() {
	vif bridge xenbr0 vifname jumbo
	script online type_if=vif
	expect_refused "an interface 'jumbo' exists already"
	script offline type_if=vif
	expect "exit code of offline" "$rc" 0
	expect "up flag of jumbo" "$(($(cat /sys/class/net/jumbo/flags) & 1))" 1
	ip link del vif7.0
	script online type_if=vif
	expect_refused "interface vif7.0 does not exist"
	script offline type_if=vif
	expect "up flag of jumbo" "$(($(cat /sys/class/net/jumbo/flags) & 1))" 1
}

a_missing_interface_is_an_error() {
	vif bridge xenbr0
	ip link del vif7.0
	script online type_if=vif
	expect_refused "interface vif7.0 does not exist; see why in the log of pvbackd"
}

an_emulated_cards_interface_joins_without_a_status() {
	vif bridge jumbo vifname web
	ip tuntap add dev vif7.0-emu mode tap
	script add type_if=tap
	expect "exit code" "$rc" 0
	expect_port web-emu jumbo 9000
	expect "hotplug-status" "$(node $backend/hotplug-status)" ""
	script remove type_if=tap
	expect "exit code of remove" "$rc" 0
	expect "master of web-emu" "$(readlink /sys/class/net/web-emu/master || echo none)" none
	ip link del web-emu
	script remove type_if=tap
	expect "exit code for what is gone" "$rc" 0
	script add type_if=tap
	expect_refused "interface vif7.0-emu does not exist" ""
}

offline_takes_it_out_and_bears_what_is_gone() {
	vif bridge xenbr0 vifname web
	script online type_if=vif
	script offline type_if=vif
	expect "exit code" "$rc" 0
	expect "master of web" "$(readlink /sys/class/net/web/master || echo none)" none
	expect "up flag of web" "$(($(cat /sys/class/net/web/flags) & 1))" 0
	script offline type_if=vif
	expect "exit code of a second run" "$rc" 0
	ip link del web
	xenstore-rm $backend
	script offline type_if=vif
	expect "exit code for what is gone" "$rc" 0
	expect "the directory" "$(node $backend)" "(none)"
}

calls_that_libxl_does_not_make_do_nothing() {
	vif bridge xenbr0
	script add type_if=vif
	expect "exit code" "$rc" 0
	script online type_if=tap
	expect "exit code" "$rc" 0
	expect "master of vif7.0" "$(readlink /sys/class/net/vif7.0/master || echo none)" none
}

a_frontend_that_the_guest_removed_is_not_brought_back() {
	vif bridge xenbr0
	xenstore-rm $frontend
	script online type_if=vif
	expect "exit code" "$rc" 0
	expect "the frontend" "$(node $frontend)" "(none)"
	xenstore-rm $backend
	xenstore-write /local/domain/6/device/vif/0/state 1
	remove_taps
	vif bridge xenbr0 frontend /local/domain/6/device/vif/0
	script online type_if=vif
	expect "exit code with somebody else's frontend" "$rc" 0
	expect "mtu of somebody else" "$(node /local/domain/6/device/vif/0/mtu)" "(none)"
}

without_a_daemon_it_says_so_at_once() {
	vif bridge xenbr0
	stop_daemon
	script online type_if=vif
	expect_refused "pvbackd is not running; start it"
	script offline type_if=vif
	expect "exit code of offline" "$rc" 0
	start_daemon
}

vlans_of() { # NAME: numbers with P(VID) and U(ntagged) behind them, in one line
	bridge vlan show dev "$1" | sed "s/^$1//" | awk '$1 ~ /^[0-9]/ {
		printf "%s%s%s%s", sep, $1, /PVID/ ? "P" : "", /Untagged/ ? "U" : ""; sep = " "
	}'
}

a_vif_is_in_its_vlans_and_no_other() {
	ip link set xenbr0 type bridge vlan_filtering 1 2>/dev/null || {
		echo "    not tried: this kernel's bridges know no VLANs"
		return 0
	}
	vif bridge xenbr0 vlan 10p/20-22/30u
	script online type_if=vif
	expect "exit code" "$rc" 0
	expect "VLANs" "$(vlans_of vif7.0)" "10PU 20 21 22 30U"
	xenstore-write $backend/vlan 40
	script online type_if=vif
	expect "VLANs after a change" "$(vlans_of vif7.0)" "40PU"
	remove_taps
	xenstore-write $backend/vlan 1p/2-4094
	ip tuntap add dev vif7.0 mode tap
	script online type_if=vif
	expect "exit code with all VLANs" "$rc" 0
	expect "number of VLANs" "$(vlans_of vif7.0 | wc -w)" 4094
	ip link set xenbr0 type bridge vlan_filtering 0
}

a_bridge_without_vlan_filtering_is_an_error_that_says_what_to_do() {
	vif bridge xenbr0 vlan 10
	script online type_if=vif
	expect_refused "switch that on with: ip link set xenbr0 type bridge vlan_filtering 1"
	xenstore-write $backend/vlan 10/20
	script online type_if=vif
	expect_refused "put a p behind it"
	xenstore-write $backend/vlan 10,20
	script online type_if=vif
	expect_refused "vlan '10,20' is not understood"
}

# option_of FILE: of the port's directory
option_of() { cat "/sys/class/net/vif7.0/brport/$1"; }

a_port_has_the_options_of_its_bridge_line() {
	vif bridge "xenbr0 isolated=on learning=off flood=off mcast_flood=off bcast_flood=off" \
		bridge-port "hairpin=on neigh_suppress=on learning=on"
	script online type_if=vif
	expect "exit code" "$rc" 0
	expect_port vif7.0 xenbr0 1500
	expect isolated "$(option_of isolated)" 1
	expect learning "$(option_of learning)" 1
	expect flood "$(option_of unicast_flood)" 0
	expect mcast_flood "$(option_of multicast_flood)" 0
	expect bcast_flood "$(option_of broadcast_flood)" 0
	expect hairpin "$(option_of hairpin_mode)" 1
	expect neigh_suppress "$(option_of neigh_suppress)" 1
	xenstore-write $backend/bridge "xenbr0 isolate=on"
	script online type_if=vif
	expect_refused "'isolate=on' is no option of a bridge's port; use isolated,"
}

without_options_a_port_is_as_the_kernel_makes_it() {
	vif bridge xenbr0
	script online type_if=vif
	expect isolated "$(option_of isolated)" 0
	expect learning "$(option_of learning)" 1
	expect flood "$(option_of unicast_flood)" 1
}

# This case is the last one, because it removes xenbr0 and most of the other bridges.
without_a_default_there_must_be_one_bridge_only() {
	vif
	ip link del xenbr0
	script online type_if=vif
	expect_refused "there are several bridges; choose one with bridge="
	ip link del eth9
	script online type_if=vif
	expect "exit code with one bridge" "$rc" 0
	expect_port vif7.0 jumbo 9000
	ip link del jumbo
	script online type_if=vif
	expect_refused "there is no bridge; create one"
}

set_up
mount -t sysfs sysfs /sys # the sysfs of this network namespace
ip link set lo up
ip link add xenbr0 type bridge
ip link add jumbo type bridge
ip link set jumbo mtu 9000 up
ip link add eth9 type bridge
ip link set xenbr0 up

run_vif_test() {
	run_test "$1"
	remove_taps
}

run_vif_test a_vif_joins_its_bridge
run_vif_test doing_it_again_changes_nothing
run_vif_test without_an_mtu_the_bridges_is_taken
run_vif_test a_configured_mtu_wins_and_reaches_a_renamed_vifs_frontend
run_vif_test an_old_bridge_name_falls_back
run_vif_test without_a_bridge_xenbr0_is_taken
run_vif_test a_vif_moves_to_another_bridge
run_vif_test a_missing_bridge_is_an_error_that_names_it
run_vif_test what_is_no_bridge_is_refused
run_vif_test bad_values_are_refused
run_vif_test a_taken_vifname_is_refused_and_its_owner_left_alone
run_vif_test a_missing_interface_is_an_error
run_vif_test an_emulated_cards_interface_joins_without_a_status
run_vif_test offline_takes_it_out_and_bears_what_is_gone
run_vif_test calls_that_libxl_does_not_make_do_nothing
run_vif_test a_frontend_that_the_guest_removed_is_not_brought_back
run_vif_test without_a_daemon_it_says_so_at_once
run_vif_test a_vif_is_in_its_vlans_and_no_other
run_vif_test a_bridge_without_vlan_filtering_is_an_error_that_says_what_to_do
run_vif_test a_port_has_the_options_of_its_bridge_line
run_vif_test without_options_a_port_is_as_the_kernel_makes_it
run_vif_test without_a_default_there_must_be_one_bridge_only
finish
