#!/bin/sh
# SPDX-License-Identifier: MIT
# Images that are not raw: block-pvbackd starts a qemu-nbd for each, and stops it.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

for need in qemu-img qemu-nbd; do
	command -v "$need" >/dev/null || skip "no $need here"
done
grep -q '^#define HAVE_LIBNBD 1' "$build/config.h" || skip "built without libnbd"
script=$build/src/hotplug/block-pvbackd
PVBACKD_RUNTIME_DIR=$XENSIM_DIR/run
export PVBACKD_RUNTIME_DIR

# End the qemu-nbd of a case that failed; it is not a process of the simulated machine.
stop_servers() {
	for _file in "$XENSIM_DIR"/run/*.pid; do
		[ ! -e "$_file" ] || kill "$(cat "$_file")" 2>/dev/null || :
	done
}
trap stop_servers EXIT

server_pid() { cat "$XENSIM_DIR/run/vbd-$dom-51712.pid"; }

# guest_on FORMAT: make $dom with $image (32 MiB) as xvda.
guest_on() {
	image=$XENSIM_DIR/image.$1
	rm -f "$image"
	case $1 in vhd) _driver=vpc ;; *) _driver=$1 ;; esac
	qemu-img create -q -f "$_driver" "$image" 32M
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$1:$image" xvda script="$script"
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }

detach() {
	_pid=$(server_pid)
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
	until_true 3000 is_gone "$_pid" || fail "qemu-nbd still runs"
	nothing_is_held "$fds"
	until_true 3000 nothing_is_left || fail "files are left: $(left)"
}

# qemu-img finds in the file what the guest has written through the ring.
noise_goes_there() {
	guest_on "$1"
	dd if=/dev/urandom of="$XENSIM_DIR/noise" bs=1M count=20 status=none
	truncate -s "$(qemu-img info -U -f "$_driver" --output=json "$image" |
		sed -n 's/.*"virtual-size": \([0-9]*\).*/\1/p' | head -n 1)" "$XENSIM_DIR/noise"
	begin "$XENSIM_DIR/nbd.log" simblk --nbd="$XENSIM_DIR/nbd" --segs=64 "$dom" 51712
	_guest=$!
	wait_line "$XENSIM_DIR/nbd.log" "^nbd+unix"
	qemu-img convert -n -f raw -O raw "$XENSIM_DIR/noise" "$(grep "^nbd+unix" "$XENSIM_DIR/nbd.log")"
	kill "$_guest"
	wait "$_guest" || fail "simblk: $(tail -n 5 "$XENSIM_DIR/nbd.log")"
	detach
	qemu-img compare -q -f raw -F "$_driver" "$XENSIM_DIR/noise" "$image" || fail "$1: the image differs"
}
qcow2() { noise_goes_there qcow2 && qemu-img check -q "$image"; }
vhd() { noise_goes_there vhd; }
vhdx() { noise_goes_there vhdx; }
vmdk() { noise_goes_there vmdk; }

verified_load() {
	guest_on qcow2
	simblk --requests=2000 --fill --verify-all --mix=40:50:5:5 "$dom" 51712
	detach
	qemu-img check -q "$image" || fail "qemu-img check"
}

# A disk that was filled and discarded is small again.
discard_shrinks() {
	guest_on qcow2
	[ "$(xenstore-read "$(backend vbd "$dom" 51712)/physical-device-path")" = \
		"nbd:unix:$XENSIM_DIR/run/vbd-$dom-51712.nbd" ] || fail "physical-device-path"
	simblk --requests=0 --fill "$dom" 51712
	_full=$(du -k "$image" | cut -f 1)
	begin "$XENSIM_DIR/nbd.log" simblk --nbd="$XENSIM_DIR/nbd" "$dom" 51712
	_guest=$!
	wait_line "$XENSIM_DIR/nbd.log" "^nbd+unix"
	qemu-io -f raw -d unmap -c "discard 0 32M" "$(grep "^nbd+unix" "$XENSIM_DIR/nbd.log")" >/dev/null
	kill "$_guest"
	wait "$_guest" || fail "simblk"
	detach
	_empty=$(du -k "$image" | cut -f 1)
	[ "$_empty" -lt $((_full / 2)) ] || fail "$_full KiB before, $_empty after"
}

# qemu-nbd is killed. The admin runs the script again, and the guest notices nothing.
server_dies() {
	guest_on qcow2
	begin "$XENSIM_DIR/load" simblk --requests=6000 --fill --verify-all "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	kill -9 "$(server_pid)"
	wait_line "$log" "vbd $dom/51712: nbd:unix:.* is away"
	XENBUS_PATH=backend/vbd/$dom/51712 "$script" add
	wait "$load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	detach
	qemu-img check -q "$image" || [ $? -eq 3 ] || fail "qemu-img check" # 3: only leaked space
}

daemon_restarts() {
	start_daemon
	guest_on qcow2
	begin "$XENSIM_DIR/load" simblk --requests=5000 --fill --verify-all "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	pvb_kill_all
	start_daemon
	wait "$load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	detach
	stop_daemon
}

stale_socket() {
	image=$XENSIM_DIR/image.qcow2
	dom=$(xensim-xl create guest)
	: >"$XENSIM_DIR/run/vbd-$dom-51712.nbd"
	echo $$ >"$XENSIM_DIR/run/vbd-$dom-51712.pid" # another process has this PID now
	xensim-xl block-attach "$dom" "qcow2:$image" xvda script="$script"
	simblk --requests=100 "$dom" 51712
	detach
}

refused() { # PARAMS TEXT [NAME=VALUE]
	dom=$(xensim-xl create other)
	! env ${3:+"$3"} xensim-xl block-attach "$dom" "$1" xvda script="$script" 2>"$XENSIM_DIR/why" ||
		fail "$1 was taken"
	grep -q "$2" "$XENSIM_DIR/why" || fail "not \"$2\" but: $(cat "$XENSIM_DIR/why")"
	[ ! -e "$XENSIM_DIR/run/vbd-$dom-51712.nbd" ] || fail "a server was left"
	xensim-xl destroy "$dom"
}

second_guest() {
	guest_on qcow2
	_first=$dom
	xenstore-write "/local/domain/$_first/vm" /vm/first
	refused "qcow2:$image" "is in use read-write by guest guest"
	refused "$image" "is in use read-write by guest guest"
	dom=$_first
	detach
}

wrong_format() { refused "vmdk:$XENSIM_DIR/image.qcow2" "qemu-nbd cannot serve .*image.qcow2: "; }

mkdir "$XENSIM_DIR/bin"
for program in sh rm; do ln -s "$(command -v "$program")" "$XENSIM_DIR/bin"; done
without_qemu() {
	refused "qcow2:$XENSIM_DIR/image.qcow2" "install qemu-utils" \
		"PATH=$XENSIM_DIR/bin:$build/tests/sim"
}

start_daemon
guest_with_disk 16
simblk --requests=100 "$dom" 51712 >/dev/null
xensim-xl destroy "$dom"
nothing_is_held
fds=$(daemon_fds)
test_case "a guest's data is in its qcow2 image" qcow2
test_case "a guest's data is in its VHD image" vhd
test_case "a guest's data is in its VHDX image" vhdx
test_case "a guest's data is in its VMDK image" vmdk
test_case "every sector of a qcow2 disk is where it belongs" verified_load
test_case "what a guest discards makes a qcow2 image smaller" discard_shrinks
test_case "a qemu-nbd that dies is started again by the script, and nothing is lost" server_dies
test_case "what an earlier server left behind is in nobody's way" stale_socket
test_case "a second guest does not get the image" second_guest
test_case "an image of another format is an error with qemu-nbd's words" wrong_format
test_case "without qemu-nbd the error says what to install" without_qemu
stop_daemon
daemon=$$ # the case starts its own daemon; test_case only checks that this process lives
test_case "a daemon that is killed finds its server again" daemon_restarts
exit "$failed"
