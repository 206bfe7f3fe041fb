#!/bin/sh
# SPDX-License-Identifier: MIT
# The daemon is stopped, killed and started again while guests have requests in flight: they notice nothing.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

daemon=$$ # each case starts its own daemon; test_case only checks that this process lives

# load_with OPTION...: start a load in the background that checks its data, and wait until it is connected
load_with() {
	rm -f "$XENSIM_DIR/load" # the output of an earlier one
	begin "$XENSIM_DIR/load" simblk "$@" "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
}

load_is_clean() {
	wait "$load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	grep -q "errors=0 .* bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
}

give_back() {
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
	journals_left=$(find "$XENSIM_DIR/run" -name '*.journal' | wc -l)
	[ "$journals_left" -eq 0 ] || fail "$journals_left journals are left"
}

# begin_often OPTION...: a load that lasts until enough() is called
begin_often() {
	rm -f "$XENSIM_DIR/enough"
	load_with --verify-all --requests=400000000 --until="$XENSIM_DIR/enough" "$@"
}

enough() {
	: >"$XENSIM_DIR/enough"
	load_is_clean
}

kill_in_turns() {
	_times=$1
	while [ "$_times" -gt 0 ]; do
		pvb_kill_in_turn "$dom"
		_times=$((_times - 1))
	done
}

# kill_often TIMES OPTION...: kill the daemon so often under a load. The load lasts as long, because a guest without a disk has no process
kill_often() {
	_times=$1
	shift
	start_daemon
	guest_with_disk 32
	xenstore-write "$(backend vbd "$dom" 51712)/persistent-grants" yes
	begin_often "$@"
	kill_in_turns "$_times"
	enough
	give_back
}

goes_by_uring() {
	kill -USR1 "$daemon"
	grep -q "dump: vbd $dom/51712/. .* registered=[1-9]" "$log"
}

# on_device TIMES OPTION...: the same on a block device. A guest's process uses an io_uring for it, whose requests may outlive the process
on_device() {
	_times=$1
	shift
	start_daemon
	new_disk disk 32
	device=$(losetup --find --show --direct-io=on "$XENSIM_DIR/disk")
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$device" xvda
	begin_often "$@"
	kill_in_turns "$_times"
	! is_isolated || until_true 20000 goes_by_uring || fail "no io_uring is used"
	enough
	give_back
	losetup --detach "$device"
}

terms() {
	start_daemon
	guest_with_disk 32
	load_with --requests=20000 --verify-all
	for _how in stop_daemon pvb_stop_all stop_daemon pvb_stop_all pvb_stop_all; do
		"$_how"
		start_daemon
	done
	load_is_clean
	grep -q ": resumed, replayed=" "$log" || fail "nothing says that it was resumed"
	give_back
}

deep() { kill_often 20; }
shallow() { kill_often 10 --depth=1; }
queues() { kill_often 15 --queues=2 --ring-order=2 --depth=128; }
indirect() { kill_often 15 --segs=64 --odd; }
persistent() {
	kill_often 10 --persistent --segs=32
	grep -q "persistent=1" "$XENSIM_DIR/load" || fail "not agreed"
}
device() { on_device 20; }
device_queues() { on_device 15 --queues=2 --ring-order=2 --depth=128 --mix=30:40:20:10; }
device_large() { on_device 15 --segs=64 --odd; }
narrow() { kill_often 10 --abi=32 --odd; }
mixed() { kill_often 15 --mix=30:40:20:10; }

# keep_locks DOMID: have the locks of that domain's disk, as the kernel has them while requests of an io_uring are under way
# (sim-storage has such requests)
keep_locks() {
	[ -p "$XENSIM_DIR/until" ] || mkfifo "$XENSIM_DIR/until"
	"${top_builddir:-$PWD}/tests/integration/hold-lock" "$(find "$XENSIM_DIR/run" -name 'medium-*.lock')" \
		$(((3 << 61) + ($1 << 32) + 51712)) $(((1 << 62) - 1 + (1 << 62))) \
		0<>"$XENSIM_DIR/until" >"$XENSIM_DIR/lock" &
	_lock=$!
	wait_line "$XENSIM_DIR/lock" ready
}
drop_locks() {
	kill "$_lock"
	wait "$_lock" || :
}

last_requests() {
	start_daemon
	guest_with_disk 32
	begin_often
	pvb_kill_all
	keep_locks "$dom"
	start_daemon
	wait_line "$log" "vbd $dom/51712: its image still has requests of an earlier process of this guest"
	! grep -q "vbd $dom/51712: resumed" "$log" || fail "it does not wait"
	drop_locks
	wait_line "$log" "vbd $dom/51712: resumed"
	enough
	give_back
}

# The guest is gone, too, and its disk has no journal any more.
last_requests_of_another() {
	start_daemon
	guest_with_disk 32
	load_with --verify-all --requests=2000
	pvb_kill_all
	keep_locks 4000
	start_daemon
	wait_line "$log" "vbd $dom/51712: its image still has requests of a guest that is gone"
	drop_locks
	load_is_clean
	give_back
}

# This holds while the disk is in use, and when the next frontend connects: it sees the features that were offered.
fewer_workers() {
	start_daemon --workers=2
	guest_with_disk 32
	load_with --verify-all --requests=8000 --queues=2 --depth=16
	pvb_stop_all
	start_daemon --workers=1
	load_is_clean
	load_with --verify-all --requests=500 --queues=2 --depth=16
	load_is_clean
	[ "$(grep -c "connected queues=2" "$XENSIM_DIR/load")" -eq 1 ] || fail "$(cat "$XENSIM_DIR/load")"
	give_back
}

# The frontend ends while no daemon runs; the next daemon must do what a running one would have done.
detached_meanwhile() {
	start_daemon
	guest_with_disk 32
	load_with --requests=4000000
	kill_daemon
	xensim-xl destroy "$dom" || :
	wait "$load" || :
	start_daemon
	nothing_is_held
	guest_with_disk 32
	simblk --requests=500 "$dom" 51712
	give_back
}

sectors_are() { [ "$(xenstore-read "$(backend vbd "$dom" 51712)/sectors")" = "$1" ]; }

# The size that the guest was told holds over a restart: a smaller size is not announced, a larger one is.
resized_meanwhile() {
	start_daemon
	guest_with_disk 32
	load_with --requests=4000000
	pvb_stop_all
	truncate -s 24M "$XENSIM_DIR/disk"
	start_daemon
	wait_line "$log" "vbd $dom/51712: resumed"
	truncate -s 28M "$XENSIM_DIR/disk"
	wait_line "$log" "vbd $dom/51712: the image grew to 28 MiB; the guest is not told"
	sectors_are 65536 || fail "the guest is told less than before"
	pvb_stop_all
	truncate -s 40M "$XENSIM_DIR/disk"
	start_daemon
	until_true 10000 sectors_are 81920 || fail "the growth is not announced"
	xensim-xl block-detach "$dom" xvda
	wait "$load" || :
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}

waits_for_its_image() { wait_line "$log" "vbd $dom/51712: $XENSIM_DIR/disk is not what this disk was attached with"; }
resumed_again() { [ "$(grep -c "vbd $dom/51712: resumed" "$log")" -gt "$1" ]; }

# The image was renamed or restored, or is another USB stick: the guest waits, its requests stay in the journal, and the other image is not touched.
swapped_meanwhile() {
	start_daemon
	guest_with_disk 16
	load_with --requests=12000 --fill --verify-all "$@"
	pvb_kill_all
	mv "$XENSIM_DIR/disk" "$XENSIM_DIR/right"
	truncate -s 16M "$XENSIM_DIR/disk"
	start_daemon
	waits_for_its_image
	xenstore-read "/local/domain/0/error/backend/vbd/$dom/51712/error" | grep -q "the guest waits" || fail "no reason in xenstore"
	[ "$(xenstore-read "$(backend vbd "$dom" 51712)/state")" = 4 ] || fail "the guest was told"
	cmp -n 16777216 "$XENSIM_DIR/disk" /dev/zero || fail "the other image was written"
	! no_file '*.journal' || fail "the journal is gone"
}
comes_back_by_itself() {
	swapped_meanwhile
	mv "$XENSIM_DIR/right" "$XENSIM_DIR/disk"
	xenstore-write "$(backend vbd "$dom" 51712)/retry" 1
	load_is_clean
	! xenstore-exists "/local/domain/0/error/backend/vbd/$dom/51712/error" || fail "the reason is left"
	give_back
}
comes_back_by_a_restart() {
	swapped_meanwhile --queues=2
	stop_daemon
	mv "$XENSIM_DIR/right" "$XENSIM_DIR/disk"
	start_daemon
	load_is_clean
	give_back
}
destroyed_without_its_image() {
	swapped_meanwhile
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held
	sleep 6 # after five seconds the daemon would have tried again to open the image of the disk that is gone
	kill -0 "$daemon" || fail "the daemon died"
	no_file_stays '*.journal'
	stop_daemon
}

# A frontend that connects again gets the medium that the disk was attached with. A disk that is attached again gets the new medium.
swapped_while_connected() {
	start_daemon
	guest_with_disk 16
	simblk --requests=100 --profile=kexec "$dom" 51712
	new_disk disk.new 16
	mv "$XENSIM_DIR/disk.new" "$XENSIM_DIR/disk"
	! simblk --requests=100 --profile=kexec "$dom" 51712 || fail "the other image is served"
	waits_for_its_image
	cmp -n 16777216 "$XENSIM_DIR/disk" /dev/zero || fail "the other image was written"
	xensim-xl block-detach "$dom" xvda
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	simblk --requests=100 "$dom" 51712
	give_back
}

damage() {
	start_daemon
	guest_with_disk 32
	load_with --requests=4000000
	pvb_kill_all
	for _file in "$XENSIM_DIR"/run/*.journal; do
		printf 'XXXX' | dd of="$_file" bs=1 seek=8 conv=notrunc status=none
	done
	start_daemon
	wait_line "$log" "journal that an earlier pvbackd left is"
	wait "$load" || :
	simblk --profile=kexec --requests=500 "$dom" 51712
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}

second_daemon() {
	start_daemon
	if "$PVBACKD" --runtime-dir="$XENSIM_DIR/run" 2>"$XENSIM_DIR/second"; then
		fail "two daemons run in one directory"
	fi
	grep -q "another pvbackd is running" "$XENSIM_DIR/second" || fail "$(cat "$XENSIM_DIR/second")"
	stop_daemon
}

test_case "five clean stops under load lose and double nothing" terms
test_case "SIGKILL with a full ring loses and doubles nothing" deep
test_case "SIGKILL with one request at a time loses nothing" shallow
test_case "SIGKILL of several queues of several pages loses nothing" queues
test_case "SIGKILL amid indirect requests loses nothing" indirect
test_case "SIGKILL with persistent grants loses nothing" persistent
test_case "SIGKILL with a block device loses and doubles nothing" device
test_case "SIGKILL with several queues on a block device, amid flushes and discards, loses nothing" device_queues
test_case "SIGKILL amid large requests to a block device loses nothing" device_large
test_case "requests of the process before are over before the next one begins" last_requests
test_case "requests of a guest that is gone are over before another one's begin" last_requests_of_another
test_case "SIGKILL under the 32-bit layout loses nothing" narrow
test_case "SIGKILL amid flushes and discards loses nothing" mixed
test_case "queues outlive a restart with fewer workers" fewer_workers
test_case "a guest that went while nobody looked is let go" detached_meanwhile
test_case "an image that grew or shrank while nobody looked is announced if it is more" resized_meanwhile
test_case "another image under the same name is never served; the right one is, with nothing lost" comes_back_by_itself
test_case "a guest whose image is missing waits for it over a restart" comes_back_by_a_restart
test_case "a guest whose image is missing can be destroyed" destroyed_without_its_image
test_case "a disk has the medium that it was attached with" swapped_while_connected
test_case "a damaged journal is an error, and the disk works again after a reconnect" damage
test_case "a second daemon in the same directory says why it ends" second_daemon
exit "$failed"
