#!/bin/sh
# SPDX-License-Identifier: MIT
# Other toolstacks than xl: the keys that they write, in their order, and the keys that they wait for.
# xapi: xen-api's ocaml/xenopsd/xc/device.ml and hotplug.ml (XCP-ng, XenServer). Qubes: qubes-core-admin's templates/libvirt,
# qubes-core-agent-linux's network/vif-route-qubes; libxl does the rest.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"

script=$build/src/hotplug/block-pvbackd
PVBACKD_RUNTIME_DIR=$XENSIM_DIR/run
export PVBACKD_RUNTIME_DIR

backend_is() { [ "$(xenstore-read "$back/state" 2>/dev/null || echo gone)" = "$1" ]; }
wait_backend() { until_true 10000 backend_is "$1" || fail "the backend is in state $(xenstore-read "$back/state" || echo none), not $1"; }

# xapi_names KIND DEVID: set the names of the frontend's directory, of the read-only one that only xapi reads, and of the backend's
xapi_names() {
	front=/local/domain/$dom/device/$1/$2
	front_ro=/xenops/domain/$dom/device/$1/$2
	back=$(backend "$1" "$dom" "$2")
}

# xapi_add BACK-KEY VALUE...: Generic.add_device. The frontend's own keys are in $front_keys, as key=value.
xapi_add() {
	xenstore-write "$front_ro/backend" "$back" "$front/backend" "$back"
	for _key in $front_keys; do xenstore-write "$front/${_key%%=*}" "${_key#*=}"; done
	xenstore-chmod -r "$front" "n$dom" r0
	_all=
	while [ $# -gt 0 ]; do
		_all="$_all $back/$1 $2"
		shift 2
	done
	# shellcheck disable=SC2086 # a list: one transaction
	xenstore-write "$back/frontend" "$front" $_all
	xenstore-chmod -r "$back" n0 "r$dom"
}

xapi_disk() { # IMAGE
	xapi_names vbd 51712
	front_keys="backend-id=0 state=1 virtual-device=51712 device-type=disk"
	xapi_add frontend-id "$dom" online 1 removable 1 state 1 dev xvda type phy mode w params "$1"
	# Vbd.add_wait: xenopsd runs the script with this environment, and then waits for hotplug-status.
	env script="$script" XENBUS_TYPE=vbd XENBUS_PATH="backend/vbd/$dom/51712" XENBUS_BASE_PATH=backend XENBUS_PREFIX='' \
		INTERFACE="vbd$dom.51712" "$script" add || fail "the script fails"
	[ "$(xenstore-read "$back/hotplug-status")" = connected ] || fail "not connected"
}

xapi_nic() {
	xapi_names vif 0
	front_keys="backend-id=0 state=1 handle=0 mac=00:16:3e:01:02:03 disconnect=0 mtu=1500"
	# There is no key bridge: xapi keeps the bridge in a place that only its own script reads.
	xapi_add frontend-id "$dom" online 1 state 1 script /usr/libexec/xenopsd/vif mac 00:16:3e:01:02:03 handle 0 rate 10000000,50000
	# Vif.add: the interface exists in state 2; then the script uses it.
	wait_backend 2
	ip link set "vif$dom.0" down
	ip link set "vif$dom.0" arp off
	ip link set "vif$dom.0" address fe:ff:ff:ff:ff:ff
	ip link set "vif$dom.0" mtu 1500 up
	xenstore-write "$back/hotplug-status" connected
}

# Generic.clean_shutdown: it writes in one transaction. Then the frontend closes, and xenopsd removes everything without reading the backend's state.
xapi_unplug() {
	xenstore-write "$back/online" 0 "$back/state" 5
	until_true 20000 frontend_closed || fail "the frontend is in state $(xenstore-read "$front/state")"
	xenstore-rm "$front"
	xenstore-rm "$front_ro"
	xenstore-rm "$back"
}
frontend_closed() { [ "$(xenstore-read "$front/state")" = 6 ]; }

# Generic.hard_shutdown: xenopsd removes the frontend's directory while the guest runs; then the backend must close by itself.
xapi_unplug_hard() {
	xenstore-write "$back/online" 0
	xenstore-rm "$front"
	xenstore-rm "$front_ro"
	wait_backend 6
	xenstore-rm "$back"
}

gone() {
	nothing_is_held
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

xapi_disk_life() {
	new_disk disk 16
	dom=$(xensim-xl create guest)
	xapi_disk "$XENSIM_DIR/disk"
	simblk --profile=windows --requests=500 --verify-all "$dom" 51712
	begin "$XENSIM_DIR/load" simblk --requests=1000 --hold "$dom" 51712
	_load=$!
	wait_line "$XENSIM_DIR/load" holding
	xapi_unplug
	wait "$_load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	gone
}

xapi_disk_by_force() {
	new_disk disk 16
	dom=$(xensim-xl create guest)
	xapi_disk "$XENSIM_DIR/disk"
	begin "$XENSIM_DIR/load" simblk --requests=1000000 "$dom" 51712
	_load=$!
	wait_line "$XENSIM_DIR/load" connected
	xapi_unplug_hard
	kill -9 "$_load" 2>/dev/null || : # it may have ended by itself
	wait "$_load" || :
	gone
	# No frontend has ever used this device.
	dom=$(xensim-xl create guest)
	xapi_disk "$XENSIM_DIR/disk"
	wait_backend 2
	xapi_unplug_hard
	gone
}

xapi_nic_life() {
	dom=$(xensim-xl create guest)
	xapi_nic
	start_peer
	simnet --windows --kinds=udp4,gso4 --frames=300 "$dom" 0
	begin "$XENSIM_DIR/load" simnet --kinds=udp4 --frames=300 --hold "$dom" 0
	_load=$!
	wait_line "$XENSIM_DIR/load" connected
	xenstore-write "$front/disconnect" 1 # Vif.set_carrier: only the frontend reads this key
	xenstore-write "$front/disconnect" 0
	until_true 20000 held "$_load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	xapi_unplug
	wait "$_load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	stop_peer
	gone
	until_true 5000 no_tap || fail "a tap is left behind"
}
held() { [ "$(grep -c . "$XENSIM_DIR/load")" -ge 2 ]; }

xapi_nic_by_force() {
	dom=$(xensim-xl create guest)
	xapi_nic
	start_peer
	begin "$XENSIM_DIR/load" simnet --kinds=udp4 --frames=1000000 --lossy "$dom" 0
	_load=$!
	wait_line "$XENSIM_DIR/load" connected
	stop_peer
	xapi_unplug_hard
	kill -9 "$_load" 2>/dev/null || : # it may have ended by itself
	wait "$_load" || :
	gone
	until_true 5000 no_tap || fail "a tap is left behind"
}

# A network qube: a driver domain whose script routes. libvirt's "ethernet" has no bridge, so libxl writes its default, and
# no such bridge exists. The key ip has an IPv4 and an IPv6 address.
qubes_nic() {
	_addresses="be.ip=10.137.0.9 fd09:24ef:4179::a89:9"
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0 hotplug=none be.bridge=xenbr0 "$_addresses" be.script=/etc/xen/scripts/vif-route-qubes "$@"
	back=$(backend vif "$dom" 0)
	wait_backend 2
	echo 1 >"/proc/sys/net/ipv4/conf/vif$dom.0/proxy_arp"
	ip link set "vif$dom.0" up
	ip route add 10.137.0.9 dev "vif$dom.0" metric $((32752 - dom))
	ip addr add 10.137.0.8/32 dev "vif$dom.0"
	xenstore-write "$back/hotplug-status" connected
	start_peer
	simnet --kinds=udp4,tcp4 --frames=300 "$dom" 0
	end_guest
}

start_daemon
dom=$(xensim-xl create guest)
xensim-xl network-attach "$dom" 0
new_disk disk 16
xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
simblk --requests=100 "$dom" 51712 >/dev/null
xensim-xl destroy "$dom"
nothing_is_held
fds=$(daemon_fds)
test_case "xapi's disk is served, and unplugged" xapi_disk_life
test_case "xapi may take the frontend away: the disk closes by itself" xapi_disk_by_force
test_case "xapi's NIC has no bridge, and is served, and unplugged" xapi_nic_life
test_case "xapi may take the frontend away: the NIC closes by itself" xapi_nic_by_force
test_case "Qubes' NIC is routed, and is served" qubes_nic
exit "$failed"
