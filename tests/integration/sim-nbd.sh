#!/bin/sh
# SPDX-License-Identifier: MIT
# Real programs on top of the ring: simblk serves the guest's disk by NBD.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

for need in qemu-img qemu-io mke2fs e2fsck; do
	PATH=$PATH:/usr/sbin:/sbin command -v "$need" >/dev/null || skip "no $need here"
done
PATH=$PATH:/usr/sbin:/sbin

# disk_by_nbd SIMBLK-OPTION...: set $url to the disk of guest $dom, 64 MiB.
disk_by_nbd() {
	guest_with_disk 64
	connect_nbd "$@"
}

connect_nbd() {
	begin "$XENSIM_DIR/nbd.log" simblk --nbd="$XENSIM_DIR/nbd" "$@" "$dom" 51712
	server=$!
	wait_line "$XENSIM_DIR/nbd.log" "^nbd+unix"
	url=$(grep "^nbd+unix" "$XENSIM_DIR/nbd.log")
}

end_nbd() {
	kill "$server"
	wait "$server" || fail "simblk: $(tail -n 5 "$XENSIM_DIR/nbd.log")"
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

an_image_with_noise() { # FILE: 64 MiB, mostly noise
	dd if=/dev/urandom of="$1" bs=1M count=48 status=none
	truncate -s 64M "$1"
}

copied_there_and_back() {
	an_image_with_noise "$XENSIM_DIR/noise"
	disk_by_nbd --segs=64 --ring-order=1
	qemu-img convert -n -f raw -O raw "$XENSIM_DIR/noise" "$url"
	qemu-img compare -f raw -F raw "$XENSIM_DIR/noise" "$url"
	end_nbd
	cmp "$XENSIM_DIR/noise" "$XENSIM_DIR/disk"
}

fs_is_clean() {
	e2fsck -f -n "$1" >"$XENSIM_DIR/fsck" 2>&1 || fail "e2fsck: $(cat "$XENSIM_DIR/fsck")"
}

a_file_system() {
	disk_by_nbd
	# The file system is made in a file, and copied through the ring and back.
	truncate -s 64M "$XENSIM_DIR/fs"
	mke2fs -q -t ext4 -F "$XENSIM_DIR/fs"
	qemu-img convert -n -f raw -O raw "$XENSIM_DIR/fs" "$url"
	qemu-img convert -f raw -O raw "$url" "$XENSIM_DIR/back"
	fs_is_clean "$XENSIM_DIR/back"
	end_nbd
	fs_is_clean "$XENSIM_DIR/disk"
}

# Write as QEMU's emulated disk does until the guest unplugs it: through the page cache, without a sync.
what_the_firmware_wrote() {
	an_image_with_noise "$XENSIM_DIR/noise"
	new_disk disk 64
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	dd if="$XENSIM_DIR/noise" of="$XENSIM_DIR/disk" bs=1M conv=notrunc status=none
	connect_nbd
	qemu-img compare -f raw -F raw "$XENSIM_DIR/noise" "$url" >/dev/null || fail "the ring reads stale bytes"
	end_nbd
}

# In the other direction: a program that has read the image before finds what the guest has written.
what_the_guest_wrote() {
	an_image_with_noise "$XENSIM_DIR/noise"
	disk_by_nbd
	cksum "$XENSIM_DIR/disk" >/dev/null
	qemu-img convert -n -f raw -O raw "$XENSIM_DIR/noise" "$url"
	end_nbd
	cmp "$XENSIM_DIR/noise" "$XENSIM_DIR/disk"
}

# The loop device of Xen's script has a page cache of its own, in addition to that of the file.
what_lies_in_a_loop_device() {
	new_disk disk 64
	_loop=$(losetup --find --show "$XENSIM_DIR/disk" 2>/dev/null) || return 0 # not root
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda hotplug=none
	an_image_with_noise "$XENSIM_DIR/noise"
	dd if="$XENSIM_DIR/noise" of="$_loop" bs=1M count=4 status=none
	dd if="$XENSIM_DIR/noise" of="$XENSIM_DIR/start" bs=1M count=4 status=none
	_dir=$(backend vbd "$dom" 51712)
	xenstore-write "$_dir/physical-device-path" "$_loop" "$_dir/physical-device" "$(stat -c %t:%T "$_loop")"
	connect_nbd
	qemu-img dd -f raw -O raw bs=1M count=4 if="$url" of="$XENSIM_DIR/back" >/dev/null
	cmp "$XENSIM_DIR/start" "$XENSIM_DIR/back" || fail "the ring reads stale bytes"
	end_nbd
	losetup --detach "$_loop"
}

beyond_the_end() { qemu-io -f raw -c "read 60M 1M" "$url" 2>&1 | grep -q "read failed"; }

a_shrunken_disk() {
	disk_by_nbd
	qemu-io -f raw -c "write -P 0x55 0 64M" "$url" >/dev/null
	truncate -s 48M "$XENSIM_DIR/disk"
	wait_line "$log" "vbd $dom/51712: the image shrank to 48 MiB"
	until_true 5000 beyond_the_end || fail "what is beyond the end can be read"
	qemu-io -f raw -c "read -P 0x55 0 48M" "$url" >"$XENSIM_DIR/io"
	! grep -i "failed\|error" "$XENSIM_DIR/io" || fail "$(cat "$XENSIM_DIR/io")"
	! qemu-io -f raw -c "write 60M 1M" "$url" >/dev/null 2>&1 || fail "what is beyond the end can be written"
	[ "$(stat -c %s "$XENSIM_DIR/disk")" -eq 50331648 ] || fail "a write made it larger again"
	kill "$server"
	! wait "$server" || fail "the guest has seen no error"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

patterns_at_odd_places() {
	disk_by_nbd --persistent --segs=32
	qemu-io -f raw -c "write -P 0x11 512 1536" -c "write -P 0x22 1M 3M" -c "write -P 0x33 5120 512" \
		-c flush -c "read -P 0x11 512 1536" -c "read -P 0x22 1M 3M" -c "read -P 0x33 5120 512" \
		-c "read -P 0 0 512" -c "discard 1M 1M" -c "read -P 0x22 2M 2M" "$url" >"$XENSIM_DIR/io"
	! grep -i "failed\|error" "$XENSIM_DIR/io" || fail "$(cat "$XENSIM_DIR/io")"
	end_nbd
}

# How another client uses the export; it is not installed everywhere.
size_as_libnbd_sees_it() {
	command -v nbdinfo >/dev/null || return 0
	disk_by_nbd
	[ "$(nbdinfo --size "$url")" = 67108864 ] || fail "nbdinfo: $(nbdinfo "$url" 2>&1)"
	nbdinfo --can flush "$url" || fail "no flush"
	end_nbd
}

start_daemon
guest_with_disk 16
simblk --requests=100 "$dom" 51712 >/dev/null
xensim-xl destroy "$dom"
nothing_is_held
fds=$(daemon_fds)
test_case "an image copied there and back is the same" copied_there_and_back
test_case "a file system survives the way through the ring" a_file_system
test_case "patterns at odd places are read where they were written" patterns_at_odd_places
test_case "what was written through the page cache before the connect is read" what_the_firmware_wrote
test_case "what lies in the page cache of a loop device is read" what_lies_in_a_loop_device
test_case "what the guest wrote is read through the page cache" what_the_guest_wrote
test_case "a disk that shrank is an error beyond its end, and nowhere else" a_shrunken_disk
test_case "libnbd sees the disk as it is" size_as_libnbd_sees_it
finish
