#!/bin/sh
# SPDX-License-Identifier: MIT
# Disks are attached and detached, and guests are destroyed, crash or make mistakes, while the disks have a load.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

# busy_guest NAME: make $dom with a load on its disk, which goes on until the test stops it.
busy_guest() {
	guest_with_disk 32
	rm -f "$XENSIM_DIR/$1" # the output of an earlier one
	begin "$XENSIM_DIR/$1" simblk --requests=4000000 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/$1" connected
}

detach_under_load() {
	busy_guest load
	xensim-xl block-detach "$dom" xvda
	wait "$load"
	grep -q "errors=0 .* bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" ||
		fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

forced_detach() {
	busy_guest load
	xensim-xl block-detach "$dom" xvda --force
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held "$fds"
}

destroy_under_load() {
	busy_guest load
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held "$fds"
	! xensim-xl list | grep -q "^$dom " || fail "a zombie domain: $(xensim-xl list)"
}

# The domain dies, and nothing in xenstore says so.
death_outside_the_toolstack() {
	busy_guest load
	xensim-xl kill "$dom"
	wait "$load" || :
	nothing_is_held
	! xensim-xl list | grep -q "^$dom " || fail "a zombie domain: $(xensim-xl list)"
	xensim-xl destroy "$dom" || :
	nothing_is_held "$fds"
}

# With on_crash=preserve, the domain stays as it is until it is destroyed.
crash_and_preserve() {
	busy_guest load
	xensim-xl crash "$dom"
	daemon_lives
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held "$fds"
}

# The frontend's process dies without closing; the domain lives on.
frontend_dies() {
	busy_guest load
	kill -9 "$load"
	wait "$load" || :
	simblk --profile=kexec --requests=500 "$dom" 51712
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

attach_and_detach_often() {
	dom=$(xensim-xl create guest)
	new_disk disk 8
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
		simblk --requests=100 "$dom" 51712
		xensim-xl block-detach "$dom" xvda
	done
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

detach_before_anybody_connected() {
	guest_with_disk 32
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

destroy_before_the_script_reported() {
	new_disk disk 8
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda hotplug=none
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

two_guests_two_disks() {
	new_disk a 16 && new_disk b 16 && new_disk c 16
	one=$(xensim-xl create one)
	two=$(xensim-xl create two)
	xensim-xl block-attach "$one" "$XENSIM_DIR/a" xvda
	xensim-xl block-attach "$one" "$XENSIM_DIR/b" xvdb
	xensim-xl block-attach "$two" "$XENSIM_DIR/c" xvda
	simblk --requests=2000 --verify-all --seed=1 "$one" 51712 &
	first=$!
	simblk --requests=2000 --verify-all --seed=2 "$one" 51728 &
	second=$!
	simblk --requests=2000 --verify-all --seed=3 "$two" 51712
	wait "$first"
	wait "$second"
	xensim-xl destroy "$one"
	xensim-xl destroy "$two"
	nothing_is_held "$fds"
}

read_only_stays_unchanged() {
	new_disk disk 8
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda mode=r
	simblk --requests=500 "$dom" 51712
	xensim-xl destroy "$dom"
	cmp -n 8388608 "$XENSIM_DIR/disk" /dev/zero || fail "the image changed"
	nothing_is_held "$fds"
}

# The content that the guest wrote is in the image, sector for sector.
image_holds_the_data() {
	new_disk disk 8
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	simblk --requests=200 --mix=0:1:0:0 --span=64 --verify-all "$dom" 51712
	# The first word of each written sector is the sector's number: sector 5 is at byte 2560.
	[ "$(od -A n -t u8 -j 2560 -N 8 "$XENSIM_DIR/disk" | tr -d ' ')" = 5 ] || fail "sector 5"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

missing_image() {
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/no-such-image" xvda
	! simblk "$dom" 51712 || fail "a frontend connected to nothing"
	xenstore-exists "/local/domain/0/error/backend/vbd/$dom/51712/error" ||
		fail "no error node: $(tail -n 3 "$log")"
	xensim-xl destroy "$dom"
	wait_line "$log" "vbd $dom/51712: removed"
	! xenstore-exists /local/domain/0/error/backend || fail "an error node is left"
	nothing_is_held "$fds"
}

# Xen's own script writes the numbers of the device before its path. The daemon finds the device without /dev/block.
numbers_before_path() {
	new_disk disk 8
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda hotplug=none
	_loop=$(losetup --find --show "$XENSIM_DIR/disk")
	xenstore-write "$(backend vbd "$dom" 51712)/physical-device" "$(stat -c %t:%T "$_loop")"
	simblk --requests=100 "$dom" 51712
	grep -q "vbd $dom/51712: image $XENSIM_DIR/disk," "$log" || fail "another image than params names"
	xensim-xl block-detach "$dom" xvda
	losetup --detach "$_loop"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

# through_loop IMAGE OPTION...: a script of the admin gives the guest a loop device; params names the file "disk"
through_loop() {
	_image=$1
	shift
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda hotplug=none
	_loop=$(losetup --find --show "$@" "$XENSIM_DIR/$_image")
	_dir=$(backend vbd "$dom" 51712)
	xenstore-write "$_dir/physical-device" "$(stat -c %t:%T "$_loop")" "$_dir/physical-device-path" "$_loop" \
		"$_dir/hotplug-status" connected
	simblk --requests=100 "$dom" 51712
	grep -q "vbd $dom/51712: image $_loop," "$log" || fail "$*: $(tail -n 3 "$log")"
	xensim-xl destroy "$dom"
	losetup --detach "$_loop"
}

# The loop device shows more or less than the whole file, or another file.
loop_is_not_the_file() {
	new_disk disk 8
	new_disk another 8
	through_loop disk --offset=1M
	through_loop disk --sizelimit=4M
	through_loop disk --partscan
	through_loop another
	nothing_is_held "$fds"
}

# A device has the same number, but it is another USB stick.
device_swapped() {
	new_disk disk 8
	new_disk another 8
	_loop=$(losetup --find --show "$XENSIM_DIR/disk")
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$_loop" xvda
	simblk --requests=100 "$dom" 51712
	losetup --detach "$_loop"
	losetup "$_loop" "$XENSIM_DIR/another"
	! simblk --requests=100 "$dom" 51712 || fail "another medium is served"
	wait_line "$log" "vbd $dom/51712: $_loop is not what this disk was attached with"
	cmp -n 8388608 "$XENSIM_DIR/another" /dev/zero || fail "another medium was written"
	xensim-xl destroy "$dom"
	losetup --detach "$_loop"
	nothing_is_held "$fds"
}

# The device with that number is another one now: the daemon believes what the script has written.
device_renumbered() {
	new_disk disk 8
	_loop=$(losetup --find --show "$XENSIM_DIR/disk")
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$_loop" xvda hotplug=none
	_dir=$(backend vbd "$dom" 51712)
	xenstore-write "$_dir/physical-device" fd:3 "$_dir/physical-device-path" "$_loop" "$_dir/hotplug-status" connected
	! simblk --requests=100 "$dom" 51712 || fail "another device is served"
	wait_line "$log" "vbd $dom/51712: $_loop is not what this disk was attached with (fd:3, now"
	xensim-xl destroy "$dom"
	losetup --detach "$_loop"
	nothing_is_held "$fds"
}

empty_image() {
	: >"$XENSIM_DIR/empty"
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/empty" xvda
	! simblk "$dom" 51712 || fail "a frontend connected to nothing"
	wait_line "$log" "cannot open the image $XENSIM_DIR/empty: it is empty"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

sectors_are() { [ "$(xenstore-read "$(backend vbd "$dom" 51712)/sectors")" = "$1" ]; }

# The daemon tells the frontend by writing 4 again. What the frontend then writes to the new part is in the image.
online_growth() {
	busy_guest load
	sectors_are 65536 || fail "not 32 MiB at first"
	truncate -s 48M "$XENSIM_DIR/disk"
	until_true 10000 sectors_are 98304 || fail "the growth is not announced"
	truncate -s 40M "$XENSIM_DIR/disk"
	wait_line "$log" "vbd $dom/51712: the image shrank to 40 MiB"
	sectors_are 98304 || fail "a shrunken image is announced"
	truncate -s 44M "$XENSIM_DIR/disk"
	wait_line "$log" "vbd $dom/51712: the image grew to 44 MiB; the guest is not told"
	sectors_are 98304 || fail "the guest is told less than before"
	truncate -s 52M "$XENSIM_DIR/disk"
	until_true 10000 sectors_are 106496 || fail "the second growth is not announced"
	xensim-xl block-detach "$dom" xvda
	wait "$load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

# The next kernel of the same guest sees it, too.
growth_is_used() {
	guest_with_disk 16
	simblk --requests=300 --verify-all --profile=kexec "$dom" 51712
	truncate -s 24M "$XENSIM_DIR/disk"
	until_true 10000 sectors_are 49152 || fail "the growth is not announced"
	simblk --requests=2000 --fill --verify-all --profile=kexec "$dom" 51712
	[ "$(od -A n -t u8 -j $((45056 * 512)) -N 8 "$XENSIM_DIR/disk" | tr -d ' ')" = 45056 ] ||
		fail "sector 45056 is not in the image"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

device_growth() {
	new_disk disk 16
	_loop=$(losetup --find --show "$XENSIM_DIR/disk" 2>/dev/null) || return 0 # not root
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$_loop" xvda
	begin "$XENSIM_DIR/load" simblk --requests=4000000 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	truncate -s 24M "$XENSIM_DIR/disk"
	losetup --set-capacity "$_loop"
	until_true 10000 sectors_are 49152 || fail "the growth of a device is not announced"
	xensim-xl block-detach "$dom" xvda
	wait "$load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	losetup --detach "$_loop"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

failed_script() {
	new_disk disk 8
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda hotplug=none
	_dir=$(backend vbd "$dom" 51712)
	xenstore-write "$_dir/hotplug-error" "there is no such image" "$_dir/hotplug-status" error
	wait_line "$log" "vbd $dom/51712: the hotplug script failed: there is no such image"
	answer_is /result/devices/0/reason "the hotplug script failed: there is no such image" '{"command":"list"}'
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

no_xen() {
	_status=0
	XENSTORED_PATH=$XENSIM_DIR/nobody "$PVBACKD" --runtime-dir="$XENSIM_DIR/other" 2>"$XENSIM_DIR/no-xen" || _status=$?
	[ "$_status" -eq 1 ] || fail "status $_status"
	[ "$(grep -c . "$XENSIM_DIR/no-xen")" -eq 2 ] || fail "$(cat "$XENSIM_DIR/no-xen")"
	head -n 1 "$XENSIM_DIR/no-xen" | grep -q "cannot reach xenstore: .* must run in Dom0" || fail "$(cat "$XENSIM_DIR/no-xen")"
	tail -n 1 "$XENSIM_DIR/no-xen" | grep -q "xenstore still cannot be reached: .*; pvbackd ends$" || fail "$(cat "$XENSIM_DIR/no-xen")"
}

start_daemon
guest_with_disk 32
simblk --requests=100 "$dom" 51712 >/dev/null
xensim-xl destroy "$dom"
fds=$(daemon_fds)
test_case "what the guest writes is in the image" image_holds_the_data
test_case "a detach under load loses nothing" detach_under_load
test_case "a forced detach under load gives everything back" forced_detach
test_case "a destroy under load leaves no zombie" destroy_under_load
test_case "a domain that dies without a word leaves no zombie" death_outside_the_toolstack
test_case "a crashed and preserved domain can be destroyed" crash_and_preserve
test_case "a disk whose frontend vanished serves the next one" frontend_dies
test_case "attach and detach ten times" attach_and_detach_often
test_case "a disk nobody connected to is detached at once" detach_before_anybody_connected
test_case "a disk can go before its script reported" destroy_before_the_script_reported
test_case "two guests and three disks do not disturb each other" two_guests_two_disks
test_case "a read-only disk is never written" read_only_stays_unchanged
if losetup --find >/dev/null 2>&1; then # root
	test_case "a script that writes numbers before a path is enough" numbers_before_path
	test_case "a loop device that is not the whole file of params is used itself" loop_is_not_the_file
	test_case "another medium under a device's name is not served" device_swapped
	test_case "a device whose number is not the script's is not served" device_renumbered
fi
test_case "an empty image is an error that says so" empty_image
test_case "an image may grow under a guest, and shrinks without its knowing, and never below what it was told" online_growth
test_case "what an image grew by holds data" growth_is_used
test_case "a block device may grow under a guest" device_growth
test_case "a script's failure is in the log, with its reason" failed_script
test_case "a missing image is an error that says so" missing_image
test_case "without Xen it says at once what it needs, and later that it ends" no_xen
finish
