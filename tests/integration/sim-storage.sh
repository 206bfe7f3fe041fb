#!/bin/sh
# SPDX-License-Identifier: MIT
# Images on file systems that stop answering: one whose server on the network is gone (FUSE, tests/sim/holdfs.c), and one that is
# frozen (ext4 on a loop device). The test needs root, to mount. It leaves out what this machine does not have, and says so.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu

build=${top_builddir:-$PWD}

# --- the file systems, in a mount namespace that outlives the test, because processes may wait for them without end ---

mount_served() {
	mkdir "$storage/files" "$storage/held" "$storage/served"
	[ -c /dev/fuse ] || { echo "no /dev/fuse here" && return 1; }
	mkfifo "$storage/word"
	"$build/tests/sim/holdfs" "$storage/files" "$storage/held" "$storage/served" >"$storage/word" &
	read -r _ <"$storage/word" || { echo "no file system can be mounted by FUSE" && return 1; }
}

mount_frozen() {
	mkdir "$storage/frozen"
	truncate -s 128M "$storage/frozen.img"
	mke2fs -q -t ext4 "$storage/frozen.img"
	mount -o loop "$storage/frozen.img" "$storage/frozen" 2>&1
}

end_storage() {
	fsfreeze -u "$storage/frozen" 2>/dev/null || :
	rm -f "$storage"/held/*
	umount -l "$storage/frozen" "$storage/served" 2>/dev/null || :
	rm -rf "$storage"
}

if [ -z "${SIM_STORAGE-}" ]; then
	unshare -m true 2>/dev/null || { echo "SKIP: nobody may mount here"; exit 77; }
	[ -x "$build/tests/sim/holdfs" ] || { echo "SKIP: tests/sim/holdfs is not built (make xensim)"; exit 77; }
	SIM_STORAGE=none exec unshare -m sh "$0" "$@"
fi
if [ "$SIM_STORAGE" = none ]; then
	storage=$(mktemp -d)
	trap end_storage EXIT
	trap 'exit 130' INT TERM
	SIM_STORAGE=$storage
	export SIM_STORAGE
	for medium in served frozen; do
		if why=$(mount_$medium); then touch "$storage/has-$medium"; else echo "left out, the $medium file system: $why"; fi
	done
	[ -e "$storage/has-served" ] || [ -e "$storage/has-frozen" ] || exit 77
	status=0
	sh "$0" "$@" || status=$?
	exit "$status"
fi
storage=$SIM_STORAGE

# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"
# shellcheck source=tests/integration/stall-lib.sh
. "${top_srcdir:-.}/tests/integration/stall-lib.sh"

daemon=$$ # each case starts its own daemon; test_case only checks that this process lives
hold_lock=$build/tests/integration/hold-lock

hold() {
	case $medium in
	served) touch "$storage/held/slow" ;;
	frozen) fsfreeze -f "$storage/frozen" ;;
	esac
}
let_go() {
	case $medium in
	served) rm "$storage/held/slow" ;;
	frozen) fsfreeze -u "$storage/frozen" ;;
	esac
}

# What need not wait for the medium is done before the toolstack's own limits.
at_once() { "$@" || fail "not at once: $*: $(tail -n 5 "$log")"; }

# One guest has an image that will stop answering (all of it is written before), and a disk on other storage. Another guest has only a disk on other storage.
two_guests_and_a_disk() {
	start_daemon --workers=1
	image=$storage/$medium/slow
	dd if=/dev/zero of="$storage/$([ "$medium" = frozen ] && echo frozen || echo files)/slow" bs=1M count=16 conv=fsync 2>/dev/null
	guest_in_rounds slow "$image" 45:40:5:10
	for _name in beside fast; do new_disk "$_name" 16; done
	xensim-xl block-attach "$slow" "$XENSIM_DIR/beside" xvdb
	begin "$XENSIM_DIR/beside.load" simblk --requests=300 --mix=45:40:5:10 --again "$slow" 51728
	beside_load=$!
	wait_line "$XENSIM_DIR/beside.load" holding
	guest_in_rounds fast "$XENSIM_DIR/fast" 45:40:5:10
}
all_go() {
	kill -9 "$slow_load" "$fast_load" "$beside_load" 2>/dev/null || :
	wait "$slow_load" "$fast_load" "$beside_load" || :
	for _dom in "$slow" "$fast"; do
		xensim-xl destroy "$_dom" || :
	done
	nothing_is_held
	stop_daemon
}

stops_answering() {
	hold
	kill -USR1 "$slow_load"
	until_true 10000 waits_in_vain "$slow" || fail "nothing waits, or its worker does: $(tail -n 5 "$log")"
}
a_guest_comes_and_goes() {
	new_disk new 16
	_new=$(xensim-xl create new)
	at_once xensim-xl block-attach "$_new" "$XENSIM_DIR/new" xvda
	simblk --requests=300 --verify-all "$_new" 51712
	at_once xensim-xl destroy "$_new"
}
others_go_on() {
	goes_on fast
	goes_on beside
	others_come_and_go
	a_guest_comes_and_goes
}
still_waits() { ! another_round slow 1 || fail "the slow one did not wait"; }

# Only this disk waits. When its medium answers again, all data is right.
waits_alone_until_it_answers() {
	others_go_on
	still_waits
	let_go
	until_true 10000 another_round slow 1 || fail "$(cat "$XENSIM_DIR/slow.load")"
	goes_on slow
	all_go
}

holds_up_its_disk() {
	two_guests_and_a_disk
	stops_answering
	waits_alone_until_it_answers
}

# Without a process for each guest, a killed daemon cannot end before its medium answers, and keeps its rings until then.
control_dies() {
	PVB_ISOLATION=guest isolation=--isolation=guest
	two_guests_and_a_disk
	stops_answering
	kill_daemon
	_began=$(date +%s)
	start_daemon --workers=1
	[ $(($(date +%s) - _began)) -le 5 ] || fail "the next one waited"
	waits_alone_until_it_answers
}

# The process of its guest is killed, and cannot end; the other guests notice nothing.
process_dies() {
	PVB_ISOLATION=guest isolation=--isolation=guest
	two_guests_and_a_disk
	stops_answering
	kill -9 "$(pvb_guest_pid "$slow")"
	goes_on fast
	a_guest_comes_and_goes
	let_go
	until_true 20000 another_round slow 1 || fail "$(cat "$XENSIM_DIR/slow.load")"
	goes_on slow
	goes_on beside
	all_go
}

# A process that closes a descriptor of the image waits, and many processes may have one, also control.
nobody_closes() {
	touch "$storage/held/slow.flush"
	two_guests_and_a_disk
	others_go_on
	goes_on slow
	at_once xensim-xl destroy "$slow"
	goes_on fast
	a_guest_comes_and_goes
	rm "$storage/held/slow.flush"
	until_true 10000 has_closed "$image" || fail "it is still open: $(tail -n 5 "$log")"
	all_go
}

destroyed() {
	two_guests_and_a_disk
	stops_answering
	at_once xensim-xl destroy "$slow"
	stat_is 1 1 || fail "it is a zombie: $(xensim-xl stat)"
	no_file_stays "vbd-$slow-*.journal"
	goes_on fast
	a_guest_comes_and_goes
	has_open "$image" || fail "nobody has the image open, and the kernel its requests"
	let_go
	until_true 10000 has_closed "$image" || fail "it is still open: $(tail -n 5 "$log")"
	guest_in_rounds slow "$image" 45:40:5:10
	goes_on slow
	all_go
}

# A block device whose requests go by an io_uring. They outlive the guest's process, which ends at once.
a_device_stops_answering() {
	PVB_ISOLATION=guest isolation=--isolation=guest
	start_daemon --workers=1
	dd if=/dev/zero of="$storage/frozen/slow" bs=1M count=16 conv=fsync 2>/dev/null
	device=$(losetup --find --show --direct-io=on "$storage/frozen/slow")
	guest_in_rounds slow "$device" 50:50:0:0
	hold
	kill -USR1 "$slow_load"
	until_true 10000 waits_in_vain "$slow" || fail "nothing waits, or its worker does: $(tail -n 5 "$log")"
	wait_line "$log" "dump: vbd $slow/51712/0 .* registered=[1-9]"
	pvb_kill_processes "$slow"
}
the_device_goes() {
	kill -9 "$slow_load" 2>/dev/null || :
	wait "$slow_load" || :
	xensim-xl destroy "$slow"
	nothing_is_held
	losetup --detach "$device"
	stop_daemon
}

lock_is_free() { "$hold_lock" "$XENSIM_DIR"/run/medium-*.lock </dev/null >/dev/null 2>&1; }

# Nobody is left but the kernel, with the requests and the lock of the medium.
process_leaves_requests() {
	a_device_stops_answering
	kill_daemon
	! lock_is_free || fail "the kernel does not keep the lock"
	let_go
	until_true 20000 lock_is_free || fail "the kernel keeps the lock"
	start_daemon --workers=1
	wait_line "$log" "vbd $slow/51712: resumed, replayed=[1-9]"
	until_true 20000 another_round slow 1 || fail "$(cat "$XENSIM_DIR/slow.load")"
	goes_on slow
	the_device_goes
}

medium=served
[ ! -e "$storage/has-served" ] || test_case "nobody waits for who closes an image" nobody_closes
for medium in served frozen; do
	[ -e "$storage/has-$medium" ] || continue
	test_case "$medium: who stops answering holds up its own disk alone" holds_up_its_disk
	test_case "$medium: control is killed, and the next one is there at once" control_dies
	test_case "$medium: the guest's process is killed, and the others go on" process_dies
	test_case "$medium: the guest is destroyed at once, and all is whole when it answers again" destroyed
	let_go 2>/dev/null || : # a case that failed may not have done it
done
if [ -e "$storage/has-frozen" ]; then
	test_case "a medium is locked until what a killed process has sent to it is over" process_leaves_requests
	let_go 2>/dev/null || :
fi
exit "$failed"
