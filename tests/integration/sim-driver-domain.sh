#!/bin/sh
# SPDX-License-Identifier: MIT
# The daemon in a driver domain: the backend is not domain 0. It has the rights of a domU in xenstore, and no rights for
# hypercalls.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"

preload=$XENSIM_BUILD/lib/medium.so
XENSIM_FAULTS=$XENSIM_DIR/trouble
export XENSIM_FAULTS
mkdir "$XENSIM_FAULTS"
back=$(xensim-xl create driver)
backend() { # KIND DOMID DEVID
	echo "/local/domain/$back/backend/$1/$2/$3"
}

start_there() {
	export XENSIM_DOMID="$back"
	_dom0=$XENSTORED_PATH
	XENSTORED_PATH=$_dom0.$back
	start_daemon "$@"
	XENSTORED_PATH=$_dom0
	unset XENSIM_DOMID
}

a_disk() {
	new_disk disk 32
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda backend="$back"
	simblk --requests=500 --verify-all "$dom" 51712
	xensim-xl block-detach "$dom" xvda
	[ "$(xenstore-read "$(backend vbd "$dom" 51712)/state" 2>/dev/null || echo none)" = none ] ||
		fail "the backend directory is still there"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

a_nic() {
	guest_with_nic backend="$back" be.antispoof=on "be.ip=10.99.0.1 fd00::1"
	simnet --kinds=udp4,tcp6,gso4 --frames=300 "$dom" 0
	end_guest
}

the_script() {
	ip link add xenbr0 type bridge
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0 backend="$back" hotplug=none
	ln -sf "$build/src/hotplug/block-pvbackd" "$XENSIM_DIR/vif-pvbackd"
	XENSTORED_PATH=$XENSTORED_PATH.$back XENSIM_DOMID=$back PVBACKD_RUNTIME_DIR=$XENSIM_DIR/run \
		XENBUS_PATH=$(backend vif "$dom" 0) vif=vif$dom.0 \
		"$XENSIM_DIR/vif-pvbackd" online type_if=vif || fail "the script fails"
	[ "$(xenstore-read "$(backend vif "$dom" 0)/hotplug-status")" = connected ] || fail "not connected"
	ip link show "vif$dom.0" | grep -q "master xenbr0" || fail "not in the bridge"
	start_peer
	simnet --kinds=udp4 --frames=100 "$dom" 0
	end_guest
	ip link del xenbr0
}

a_mistake_is_told() {
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/nowhere" xvda backend="$back" || :
	begin "$XENSIM_DIR/load" simblk --requests=10 "$dom" 51712
	_load=$!
	until_true 10000 xenstore-read "/local/domain/$back/error/backend/vbd/$dom/51712/error" >"$XENSIM_DIR/why" ||
		fail "no error node"
	xensim-xl destroy "$dom"
	wait "$_load" || :
	nothing_is_held "$fds"
	nothing_is_told
}

nothing_is_told() {
	until_true 10000 no_reason || fail "left: $(xenstore-ls -f "/local/domain/$back/error")"
}
no_reason() { [ -z "$(xenstore-list "/local/domain/$back/error")" ]; }

mistake() {
	rm -f "$XENSIM_DIR/disk"
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda backend="$back"
	! simblk --requests=1 "$dom" 51712 || fail "a frontend connected to nothing"
	! no_reason || fail "no error node"
}

a_mistake_is_mended() {
	mistake
	new_disk disk 16
	begin "$XENSIM_DIR/load" simblk --profile=windows --requests=50 --hold "$dom" 51712
	_load=$!
	wait_line "$XENSIM_DIR/load" holding
	nothing_is_told
	xensim-xl destroy "$dom"
	wait "$_load" || :
	nothing_is_held "$fds"
}

a_mistake_ends_while_nobody_looks() {
	mistake
	stop_daemon
	xenstore-rm "/local/domain/$back/backend/vbd/$dom"
	start_there
	nothing_is_told
	xensim-xl destroy "$dom" || :
}

the_advice() {
	guest_with_disk_there
	xenstore-write "$(backend vbd "$dom" 51712)/error-policy" stall
	touch "$XENSIM_FAULTS/enospc"
	begin "$XENSIM_DIR/load" simblk --requests=500 --verify-all "$dom" 51712
	_load=$!
	wait_line "$log" "vbd $dom/51712: .* requests are held"
	rm "$XENSIM_FAULTS/enospc"
	_advice=$(sed -n "s/.*vbd $dom.51712.*When that is mended: pvbackctl //p" "$log" | tail -n 1)
	# shellcheck disable=SC2086 # its words
	"$build/pvbackctl" --runtime-dir="$XENSIM_DIR/run" $_advice || fail "\"pvbackctl $_advice\" fails"
	wait "$_load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

death_outside_the_toolstack() {
	guest_with_nic backend="$back"
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simnet --frames=400000000 "$dom" 0
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	xensim-xl kill "$dom"
	wait "$load" || :
	kill "$peer" 2>/dev/null || :
	wait "$peer" || :
	xenstore-rm "/local/domain/$back/backend/vif/$dom"
	until_true 5000 no_tap || fail "a tap is left behind"
	nothing_is_held "$fds"
}

a_restart() {
	guest_with_disk_there
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simblk --requests=3000 --verify-all "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	stop_daemon
	start_there
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held
}

guest_with_disk_there() {
	new_disk disk 32
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda backend="$back"
}

start_there --workers=2
guest_with_disk_there
simblk --requests=10 "$dom" 51712 >/dev/null
xensim-xl destroy "$dom"
nothing_is_held
guest_with_nic backend="$back"
simnet --frames=20 "$dom" 0 >/dev/null
stop_peer
xensim-xl destroy "$dom"
nothing_is_held
fds=$(daemon_fds)
test_case "a driver domain serves a disk" a_disk
test_case "a driver domain serves a NIC" a_nic
test_case "the script works there" the_script
test_case "what is wrong is told in its own home" a_mistake_is_told
test_case "nothing of it stays when it works" a_mistake_is_mended
test_case "the advice that the log gives is right there" the_advice
test_case "a guest that died is let go when the toolstack cleans up" death_outside_the_toolstack
# This case runs in this shell, because it stops and starts the daemon.
a_mistake_ends_while_nobody_looks
echo "ok: what was wrong with a device that went meanwhile goes too"
a_restart
echo "ok: a restart in a driver domain loses nothing"
finish
