# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What goes wrong is said at once and clearly, and the other guests never notice.
# limit: 400

backend_is_kernel && skip "these are promises of pvbackd"
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
image /scratch/errors.img 32
guest_config steady pvh "disk=[$(disk /dev/nvme0n2 xvda w)]" "vif=[$(vif 1)]"
need "a PVH guest boots" guest_start steady 120
guest_net steady eth0 10.77.0.2
guest_job steady disk "$(busy_disk_line /dev/xvda)"
guest_job steady net "/usr/bin/ping -q -i 0.05 -c 1000000 10.77.0.1"
footprint=$(backend_footprint)

# fails_saying PATTERN COMMAND...: it fails within ten seconds, and what it prints says why
fails_saying() {
	local pattern=$1 start=$SECONDS out
	shift
	if out=$("$@" 2>&1); then
		echo "it did not fail: $*"
		return 1
	fi
	printf '%s\n' "$out"
	note "$((SECONDS - start)) s for the failure of: $*"
	hasnt "$out" 'timed out' && has "$out" "$pattern" && [ $((SECONDS - start)) -lt 10 ]
}
# logged PATTERN: exactly one line of the daemon's log since the last time it was asked
seen=0
logged() {
	local lines
	lines=$(tail -n "+$((seen + 1))" "$LOG/pvbackd.log" | grep -Ec -- "$1")
	echo "$lines lines of the log match $1"
	tail -n "+$((seen + 1))" "$LOG/pvbackd.log"
	seen=$(wc -l <"$LOG/pvbackd.log")
	echo "$lines lines of the log match $1"
	[ "$lines" -eq 1 ]
}
served() {
	guest_job_runs steady disk && guest_job_runs steady net && wait_for 15 footprint_is "$footprint"
}
logged nothing >/dev/null

check "a wrong image path fails at once and is named" fails_saying '/scratch/absent.img' \
	xl block-attach steady "$(disk_words /scratch/absent.img xvdb w)"
check "the log has one line about the wrong path" wait_for 5 logged '/scratch/absent.img'
check "the guest is served on after the wrong path" served

check "a missing bridge fails at once and is named" fails_saying 'absentbr' \
	xl network-attach steady mac=00:16:5e:02:09:02 bridge=absentbr
check "the log has one line about the missing bridge" wait_for 5 logged 'absentbr'
check "the guest is served on after the missing bridge" served

check "a busy image is refused at once and named" fails_saying '/dev/nvme0n2' \
	xl block-attach steady "$(disk_words /dev/nvme0n2 xvdb w)"
check "the log has one line about the busy image" wait_for 5 logged '/dev/nvme0n2'
check "the guest is served on after the busy image" served

guest_config wrong pvh "disk=[$(disk /scratch/absent.img xvda w)]"
check "xl create with a wrong image path fails at once" fails_saying '/scratch/absent.img' xl create /run/wrong.cfg
check "no half of the guest is left over" eval '[ "$(xl list | grep -c wrong)" = 0 ]'
logged nothing >/dev/null

modprobe xen-blkback
check "with xen-blkback loaded a disk fails at once and the module is named" fails_saying 'xen-blkback' \
	xl block-attach steady "$(disk_words /scratch/errors.img xvdb w)"
check "the log has one line about xen-blkback" wait_for 5 logged 'xen-blkback'
check "the guest is served on with xen-blkback loaded" served
modprobe -r xen-blkback
modprobe xen-netback
logged nothing >/dev/null
check "with xen-netback loaded a NIC fails at once and the module is named" fails_saying 'xen-netback' \
	xl network-attach steady mac=00:16:5e:02:09:03 bridge=xenbr0
check "the log has one line about xen-netback" wait_for 5 logged 'xen-netback'
check "the guest is served on with xen-netback loaded" served
modprobe -r xen-netback

works_again() {
	xl block-attach steady "$(disk_words /scratch/errors.img xvdb w)" && wait_for 20 guest_run steady "test -b /dev/xvdb" &&
		xl block-detach steady xvdb
}
check "after all that a good disk still attaches" works_again
check "the guest is destroyed" guest_stop steady
