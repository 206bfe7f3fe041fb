#!/bin/sh
# SPDX-License-Identifier: MIT
# block-pvbackd as libxl runs it, on a simulated xenstore. Needs no root.
set -eu

# shellcheck source=tests/integration/hotplug-lib.sh
. "${srcdir:-.}/tests/integration/hotplug-lib.sh"

# guest DOMID UUID NAME
guest() {
	xenstore-write "/local/domain/$1/vm" "/vm/$2" "/local/domain/$1/name" "$3"
}

# disk DOMID DEVID PARAMS MODE: write the keys that libxl writes, after the daemon has gone to state 2.
disk() {
	d=backend/vbd/$1/$2
	xenstore-write "$d/frontend-id" "$1" "$d/online" 1 "$d/state" 2 "$d/type" phy \
		"$d/params" "$3" "$d/mode" "$4"
}

# script DOMID DEVID COMMAND: run the script; $rc is its status, and the file err its messages.
script() {
	rc=0
	XENBUS_PATH=backend/vbd/$1/$2 XENBUS_TYPE=vbd "$work/bin/block-pvbackd" "$3" 2>"$work/err" ||
		rc=$?
}

a_plain_file_is_connected_without_a_loop_device() {
	guest 5 a web
	disk 5 51712 "$image" w
	script 5 51712 add
	expect "exit code" "$rc" 0
	expect "hotplug-status" "$(node backend/vbd/5/51712/hotplug-status)" connected
	expect "physical-device-path" "$(node backend/vbd/5/51712/physical-device-path)" "$image"
	expect "physical-device" "$(node backend/vbd/5/51712/physical-device)" "(none)"
	expect_part "pvbackd-medium" "$(node backend/vbd/5/51712/pvbackd-medium)" " $(stat -c %i "$image") "
	expect "stderr" "$(cat "$work/err")" ""
}

a_second_writer_is_refused_and_told_who_has_it() {
	guest 5 a web
	guest 6 b db
	disk 5 51712 "$image" w
	script 5 51712 add
	disk 6 51728 "file:$image" w
	script 6 51728 add
	expect "exit code" "$rc" 1
	expect "hotplug-status" "$(node backend/vbd/6/51728/hotplug-status)" busy
	expect_part "hotplug-error" "$(node backend/vbd/6/51728/hotplug-error)" "by guest web (domain 5"
	expect_part "stderr" "$(cat "$work/err")" "$(node backend/vbd/6/51728/hotplug-error)"
	expect "physical-device-path" "$(node backend/vbd/6/51728/physical-device-path)" "(none)"
}

readers_share_an_image_until_a_writer_comes() {
	guest 5 a web
	guest 6 b db
	disk 5 51712 "$image" r
	script 5 51712 add
	disk 6 51712 "$image" r
	script 6 51712 add
	expect "exit code of the second reader" "$rc" 0
	disk 6 51728 "$image" w
	script 6 51728 add
	expect "exit code of the writer" "$rc" 1
	xenstore-write backend/vbd/6/51728/mode 'w!'
	script 6 51728 add
	expect "exit code of the writer with w!" "$rc" 0
	expect "hotplug-error" "$(node backend/vbd/6/51728/hotplug-error)" "(none)"
}

a_link_and_another_name_are_the_same_image() {
	guest 5 a web
	guest 6 b db
	ln -sf "$image" "$work/link"
	ln -f "$image" "$work/hard"
	disk 5 51712 "$work/link" w
	script 5 51712 add
	expect "physical-device-path" "$(node backend/vbd/5/51712/physical-device-path)" "$image"
	disk 6 51712 "$work/hard" w
	script 6 51712 add
	expect "exit code" "$rc" 1
}

a_local_migration_opens_the_image_twice() {
	guest 5 a web
	guest 6 a web--incoming
	disk 5 51712 "$image" w
	script 5 51712 add
	disk 6 51712 "$image" w
	script 6 51712 add
	expect "exit code" "$rc" 0
}

a_closed_or_dead_guest_frees_its_image() {
	guest 5 a web
	guest 6 b db
	disk 5 51712 "$image" w
	script 5 51712 add
	xenstore-write backend/vbd/5/51712/online 0 backend/vbd/5/51712/state 6
	disk 6 51712 "$image" w
	script 6 51712 add
	expect "exit code after a detach" "$rc" 0
	xenstore-write backend/vbd/5/51712/online 1 backend/vbd/5/51712/state 4
	xenstore-rm /local/domain/5
	script 6 51712 add
	expect "exit code after a destroy" "$rc" 0
}

a_disk_whose_script_has_not_run_does_not_count() {
	guest 5 a web
	guest 6 b db
	disk 5 51712 "$image" w
	disk 6 51712 "$image" w
	script 6 51712 add
	expect "exit code" "$rc" 0
}

a_disk_of_the_stock_script_and_one_of_qemu_count() {
	guest 5 a web
	guest 6 b db
	disk 5 51712 "$image" w
	xenstore-write backend/vbd/5/51712/physical-device 7:0
	disk 6 51712 "$image" w
	script 6 51712 add
	expect "exit code beside a loop device" "$rc" 1
	xenstore-rm backend/vbd/5
	xenstore-write backend/qdisk/5/51712/state 4 backend/qdisk/5/51712/online 1 \
		backend/qdisk/5/51712/params "raw:$image" backend/qdisk/5/51712/mode w \
		backend/qdisk/5/51712/hotplug-status connected
	script 6 51712 add
	expect "exit code beside a qdisk" "$rc" 1
}

of_many_that_start_at_once_one_wins() {
	for domid in 5 6 7; do
		guest "$domid" "uuid-$domid" "guest-$domid"
	done
	for round in 1 2 3 4 5 6 7 8; do
		xenstore-rm backend
		for domid in 5 6 7; do
			disk "$domid" 51712 "$image" w
		done
		pids=
		for domid in 5 6 7; do
			XENBUS_PATH=backend/vbd/$domid/51712 "$work/bin/block-pvbackd" add \
				2>/dev/null 8>&- 9>&- &
			pids="$pids $!"
		done
		for pid in $pids; do
			wait "$pid" || true
		done
		connected=0
		for domid in 5 6 7; do
			[ "$(node "backend/vbd/$domid/51712/hotplug-status")" = connected ] || continue
			connected=$((connected + 1))
		done
		expect "winners of round $round" "$connected" 1
	done
}

an_empty_drive_is_connected() {
	guest 5 a web
	disk 5 5632 "" r
	script 5 5632 add
	expect "exit code" "$rc" 0
	expect "hotplug-status" "$(node backend/vbd/5/5632/hotplug-status)" connected
	expect "physical-device-path" "$(node backend/vbd/5/5632/physical-device-path)" "(none)"
}

# refused PARAMS MODE PART: the disk is refused with status error and a sentence that has PART.
refused() {
	disk 5 51712 "$1" "$2"
	script 5 51712 add
	expect "exit code for $1" "$rc" 1
	expect "hotplug-status for $1" "$(node backend/vbd/5/51712/hotplug-status)" error
	expect_part "hotplug-error for $1" "$(node backend/vbd/5/51712/hotplug-error)" "$3"
	xenstore-rm backend/vbd/5
}

what_cannot_be_served_is_refused_with_a_reason() {
	guest 5 a web
	refused /nonexistent/image w "/nonexistent/image does not exist"
	refused vg/no-such-volume w "/dev/vg/no-such-volume does not exist"
	: >"$work/empty"
	refused "$work/empty" w "$work/empty is empty (0 bytes)"
	refused "$work" w "neither a block device nor a plain file"
	refused "qcow:$image" w "format 'qcow' is not served by pvbackd; raw, qcow2"
	refused "$image" x "access mode 'x' is not known"
}

# long CHARACTER NUMBER
long() {
	printf "%0$2d" 0 | tr 0 "$1"
}

what_the_daemon_does_not_read_is_refused() {
	guest 5 a web
	refused "$work/$(long i 1020)" w "params is longer than the 1023 bytes that pvbackd serves"
	deep=$work
	for name in a b c d e; do
		deep=$deep/$(long $name 220)
	done
	mkdir -p "$deep"
	mv "$image" "$deep"
	ln -s "$deep/image" "$work/link-to-deep"
	refused "$work/link-to-deep" w "without links is longer than the 1023 bytes"
	mv "$deep/image" "$image"
	disk 5 51712 "$image" w
	xenstore-write backend/vbd/5/51712/frontend "/local/domain/5/$(long f 440)"
	script 5 51712 add
	expect "exit code for a long frontend" "$rc" 1
	expect_part "hotplug-error" "$(node backend/vbd/5/51712/hotplug-error)" "frontend is longer than"
}

a_removed_device_is_not_brought_back() {
	guest 5 a web
	script 5 51712 add
	expect "exit code without the directory" "$rc" 1
	expect "the directory" "$(xenstore-list backend 2>/dev/null)" ""
	disk 5 51712 "$image" w
	xenstore-rm backend/vbd/5/51712/state
	script 5 51712 add
	expect "exit code without state" "$rc" 1
	expect "hotplug-status without state" "$(node backend/vbd/5/51712/hotplug-status)" "(none)"
	disk 5 51712 "$image" w
	xenstore-write backend/vbd/5/51712/state 5
	script 5 51712 add
	expect "exit code while closing" "$rc" 1
	expect "physical-device-path while closing" \
		"$(node backend/vbd/5/51712/physical-device-path)" "(none)"
}

without_a_daemon_it_says_so_at_once() {
	guest 5 a web
	stop_daemon
	refused "$image" w "pvbackd is not running; start it"
	start_daemon
}

remove_has_nothing_to_undo() {
	guest 5 a web
	disk 5 51712 "$image" w
	script 5 51712 add
	before_remove=$(xenstore-ls -f backend)
	script 5 51712 remove
	expect "exit code" "$rc" 0
	expect "the store" "$(xenstore-ls -f backend)" "$before_remove"
	xenstore-rm backend/vbd/5/51712
	script 5 51712 remove
	expect "exit code for what is gone" "$rc" 0
}

a_block_device_is_connected_by_number() {
	loop=$(losetup --find --show "$image" 2>/dev/null) || {
		leave_out "needs root and a loop device"
		return 0
	}
	guest 5 a web
	guest 6 b db
	disk 5 51712 "phy:$loop" w
	script 5 51712 add
	expect "exit code" "$rc" 0
	expect "physical-device" "$(node backend/vbd/5/51712/physical-device)" \
		"$(stat -c %t:%T "$loop")"
	expect "physical-device-path" "$(node backend/vbd/5/51712/physical-device-path)" "$loop"
	disk 6 51712 "$loop" r
	script 6 51712 add
	expect "exit code of a second guest" "$rc" 1
	losetup --detach "$loop"
}

# --- one storage under several names ---

# make_loop: make a loop device $loop on $image, with two partitions $one and $two
make_loop() {
	loop=$(losetup --find --show "$image" 2>/dev/null) || {
		leave_out "needs root and a loop device"
		return 1
	}
	addpart "$loop" 1 64 4096
	addpart "$loop" 2 8192 4096
	one=$(partition 1)
	two=$(partition 2)
}

# partition NUMBER: print its device; the test makes the node where udev does not
partition() {
	_name=${loop#/dev/}p$1
	# shellcheck disable=SC2046 # two words: major and minor
	[ -b "/dev/$_name" ] || mknod "$work/$_name" b $(tr : ' ' <"/sys/block/${loop#/dev/}/$_name/dev")
	if [ -b "/dev/$_name" ]; then echo "/dev/$_name"; else echo "$work/$_name"; fi
}

drop_loop() {
	delpart "$loop" 1 2>/dev/null || true
	delpart "$loop" 2 2>/dev/null || true
	losetup --detach "$loop"
	rm -f "$work/${loop#/dev/}p"*
}

# second FIRST SECOND [MODE]: guest 5 writes to FIRST, and guest 6 wants SECOND; $rc and err are those of the script for guest 6
second() {
	xenstore-rm backend 2>/dev/null || true
	disk 5 51712 "$1" w
	script 5 51712 add
	expect "exit code for $1" "$rc" 0
	disk 6 51712 "$2" "${3:-w}"
	script 6 51712 add
}

one_storage_has_one_writer_whatever_its_names() {
	make_loop || return 0
	guest 5 a web
	guest 6 b db
	for pair in "$loop $image" "$image $loop" "$one $loop" "$loop $one" "$two $image" "$image $two" \
		"$loop $loop"; do
		for mode in w r; do
			second "${pair% *}" "${pair#* }" "$mode"
			expect "exit code of $mode for $pair" "$rc" 1
			expect_part "stderr for $pair" "$(cat "$work/err")" "read-write by guest web (domain 5"
		done
	done
	second "$one" "$two"
	expect "exit code for its neighbour" "$rc" 0
	drop_loop
}

a_disk_of_another_script_has_one_writer_too() {
	make_loop || return 0
	guest 5 a web
	guest 6 b db
	disk 5 51712 "" w
	xenstore-write backend/vbd/5/51712/physical-device "$(stat -c %t:%T "$loop")"
	for name in "$image" "$one" "$loop"; do
		disk 6 51712 "$name" w
		script 6 51712 add
		expect "exit code for $name" "$rc" 1
	done
	drop_loop
}

# used_here PART: no guest gets storage that shares a part with $one, and the script says why
used_here() {
	for name in "$one" "$loop" "$image"; do
		for mode in ${2:-w r}; do
			xenstore-rm backend 2>/dev/null || true
			disk 5 51712 "$name" "$mode"
			script 5 51712 add
			expect "exit code of $mode for $name" "$rc" 1
			expect "hotplug-status" "$(node backend/vbd/5/51712/hotplug-status)" busy
			expect_part "stderr for $name" "$(cat "$work/err")" "$1"
		done
	done
	disk 5 51712 "$two" w
	script 5 51712 add
	expect "exit code for its neighbour" "$rc" 0
}

what_is_mounted_is_not_given_away() {
	make_loop || return 0
	guest 5 a web
	mkfs.ext4 -q "$one"
	mkdir -p "$work/mnt"
	mount "$one" "$work/mnt"
	used_here "is mounted on $work/mnt"
	mount -o remount,ro "$work/mnt"
	used_here "is mounted on $work/mnt" w
	disk 5 51712 "$loop" r
	script 5 51712 add
	expect "exit code of a reader beside a reader" "$rc" 0
	umount "$work/mnt"
	drop_loop
}

what_is_swapped_to_is_not_given_away() {
	make_loop || return 0
	guest 5 a web
	mkswap "$one" >/dev/null
	if swapon "$one" 2>/dev/null; then
		used_here "is swapped to"
		swapoff "$one"
	else
		leave_out "needs swap"
	fi
	drop_loop
}

what_device_mapper_is_made_of_is_not_given_to_a_writer() {
	make_loop || return 0
	guest 5 a web
	guest 6 b db
	if dmsetup create pvbackd-test --table "0 2000 linear $one 0" 2>/dev/null; then
		used_here "/dev/mapper/pvbackd-test is made of it" w
		xenstore-rm backend
		disk 5 51712 mapper/pvbackd-test w
		script 5 51712 add
		expect "exit code for the upper one" "$rc" 0
		disk 6 51712 "$loop" r
		script 6 51712 add
		expect "exit code for a reader of the lower one" "$rc" 1
		dmsetup remove pvbackd-test
	else
		leave_out "needs device mapper"
	fi
	drop_loop
}

what_is_mounted_elsewhere_is_not_given_to_a_writer() {
	make_loop || return 0
	guest 5 a web
	mkfs.ext4 -q "$one"
	cat >"$work/elsewhere" <<-END
		#!/bin/sh
		exec unshare --mount --propagation private sh -c "mount \$1 $work/mnt && echo ready && read -r end"
	END
	chmod +x "$work/elsewhere"
	start elsewhere "$work/elsewhere" "$one"
	elsewhere=$!
	for name in "$one" "$loop"; do
		disk 5 51712 "$name" w
		script 5 51712 add
		expect "exit code for $name" "$rc" 1
		expect_part "stderr for $name" "$(cat "$work/err")" "has it to itself"
	done
	exec 7>&-
	wait "$elsewhere" || true
	drop_loop
}

# --- storage that does not answer ---

dead_script() { # DEAD DOMID
	XENSIM_DEAD=$1
	export XENSIM_DEAD
	LD_PRELOAD=$build/tests/sim/lib/dead.so ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0 \
		script "$2" 51712 add
	unset XENSIM_DEAD
}

a_dead_image_of_another_guest_blocks_nobody() {
	guest 5 a web
	guest 6 b db
	truncate -s 1M "$work/dead"
	disk 5 51712 "$work/dead" w
	script 5 51712 add
	disk 6 51712 "$image" w
	began=$(date +%s)
	dead_script "$work/dead" 6
	expect "exit code beside a disk of ours" "$rc" 0
	[ $(($(date +%s) - began)) -le 2 ] || expect "the time beside a disk of ours" long short
	xenstore-rm backend/vbd/5/51712/pvbackd-storage
	xenstore-rm backend/vbd/6
	disk 6 51712 "$image" w
	dead_script "$work/dead" 6
	expect "exit code beside one of another script" "$rc" 0
}

# A qemu-nbd that fails, but only when the test tells it to.
a_slow_server_keeps_no_other_disk_waiting() {
	guest 5 a web
	guest 6 b db
	mkdir -p "$work/slow"
	mkfifo "$work/go"
	printf '#!/bin/sh\nread -r go <%s\nexit 1\n' "$work/go" >"$work/slow/qemu-nbd"
	chmod +x "$work/slow/qemu-nbd"
	truncate -s 1M "$work/other"
	disk 5 51712 "qcow2:$image" w
	PATH=$work/slow:$PATH XENBUS_PATH=backend/vbd/5/51712 "$work/bin/block-pvbackd" add 2>/dev/null 8>&- 9>&- &
	slow=$!
	until xenstore-exists backend/vbd/5/51712/pvbackd-storage; do
		sleep 0.02
	done
	disk 6 51712 "$work/other" w
	script 6 51712 add
	expect "exit code of another disk" "$rc" 0
	disk 6 51728 "$image" w
	script 6 51728 add
	expect "exit code of the same disk" "$rc" 1
	expect "hotplug-status of another disk" "$(node backend/vbd/5/51712/hotplug-status)" "(none)"
	echo >"$work/go"
	wait "$slow" && expect "exit code without a server" 0 1
	script 6 51728 add
	expect "exit code of the same disk then" "$rc" 0
}

ones_own_dead_image_is_said_in_time() {
	guest 5 a web
	disk 5 51712 "$image" w
	dead_script "$image" 5
	expect "exit code" "$rc" 1
	expect_part "stderr" "$(cat "$work/err")" "$image does not answer"
	expect "hotplug-status" "$(node backend/vbd/5/51712/hotplug-status)" error
}

set_up
image=$work/image
truncate -s 8M "$image"

run_test a_plain_file_is_connected_without_a_loop_device
run_test a_second_writer_is_refused_and_told_who_has_it
run_test readers_share_an_image_until_a_writer_comes
run_test a_link_and_another_name_are_the_same_image
run_test a_local_migration_opens_the_image_twice
run_test a_closed_or_dead_guest_frees_its_image
run_test a_disk_whose_script_has_not_run_does_not_count
run_test a_disk_of_the_stock_script_and_one_of_qemu_count
run_test of_many_that_start_at_once_one_wins
run_test an_empty_drive_is_connected
run_test what_cannot_be_served_is_refused_with_a_reason
run_test what_the_daemon_does_not_read_is_refused
run_test a_removed_device_is_not_brought_back
run_test without_a_daemon_it_says_so_at_once
run_test remove_has_nothing_to_undo
run_test a_block_device_is_connected_by_number
run_test one_storage_has_one_writer_whatever_its_names
run_test a_disk_of_another_script_has_one_writer_too
run_test what_is_mounted_is_not_given_away
run_test what_is_swapped_to_is_not_given_away
run_test what_device_mapper_is_made_of_is_not_given_to_a_writer
run_test what_is_mounted_elsewhere_is_not_given_to_a_writer
run_test a_dead_image_of_another_guest_blocks_nobody
run_test a_slow_server_keeps_no_other_disk_waiting
run_test ones_own_dead_image_is_said_in_time
finish
