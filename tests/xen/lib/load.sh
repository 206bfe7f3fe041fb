# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Work for a guest's devices: small amounts of it, always verified.

# fio_line DEVICE [OPTION...]: a command that writes, syncs, reads back and compares
fio_line() {
	local device=$1
	shift
	echo "fio --name=verify --filename=$device --size=16M --rw=randwrite --bsrange=4k-128k --ioengine=libaio" \
		"--iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1 --do_verify=1 --fsync=16 --end_fsync=1" \
		"--random_generator=tausworthe64 $*"
}

# busy_disk_line DEVICE: writes and verifies until it is killed, or something is wrong
busy_disk_line() { fio_line "$1" --size=4M --loops=1000; }

# verifies GUEST DEVICE [OPTION...]: its job "verified" is fio again and again, each time at other places, until verified GUEST
verifies() {
	guest_job "$1" verified "n=0; rm -f /run/stop; until [ -e /run/stop ]; do $(fio_line "${@:2}" --randrepeat=0) >/run/fio.out || { cat /run/fio.out; exit 1; }; n=\$((n + 1)); done; echo verified \$n times"
}

# verified GUEST: end that job, and check that each fio has read back what it wrote
verified() {
	local out
	guest_run "$1" ": >/run/stop"
	out=$(guest_job_end "$1" verified 120) || { printf '%s\n' "$out"; return 1; }
	note "fio in the guest: $out"
	has "$out" 'verified [1-9]'
}

# written DISK: print how many writes have reached the medium
written() {
	local n
	read -r _ _ _ _ n _ < <(disk_stat "$1") && echo "$n"
}
written_more() { [ "$(written "$1")" -gt "$2" ]; }
writes_on() { wait_for 20 written_more "$1" "$(written "$1")"; }

# iperf GUEST ADDRESS MB [OPTION...]: TCP to an iperf3 server in Dom0; prints its summary
iperf() {
	local guest=$1 address=$2 megabytes=$3
	shift 3
	iperf_server && guest_run "$guest" "iperf3 -c $address -n ${megabytes}M -i 1 -f m $*" 120 | grep -E 'receiver|sender|error'
	[ "${PIPESTATUS[0]}" -eq 0 ]
}

# send_file GUEST ADDRESS: send two megabytes from the guest's memory to Dom0 and back, and compare their
# sums. (The nc of busybox ends when its input ends, so the input of both is a FIFO to which nobody writes.)
send_file() {
	local sums
	guest_run "$1" "head -c 2097152 /dev/urandom >/tmp/sent; [ -e /tmp/never ] || mkfifo /tmp/never" || return
	busybox nc -l -p 9001 >/run/received <>/run/nap &
	wait_for 10 listens 9001
	guest_run "$1" "busybox nc $2 9001 </tmp/sent" 120 || return
	wait $!
	busybox nc -l -p 9002 </run/received &
	wait_for 10 listens 9002
	guest_run "$1" "busybox nc $2 9002 <>/tmp/never >/tmp/back" 120 || return
	wait $!
	sums=$(guest_run "$1" "md5sum </tmp/sent; md5sum </tmp/back" && md5sum </run/received)
	is "$(sort -u <<<"$sums" | grep -c -- -)" 1
}
