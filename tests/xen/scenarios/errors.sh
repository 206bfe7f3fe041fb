# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Mistakes of an admin: each command fails at once with one line that says why, and pvbackd goes on serving the other guests.
# limit: 400

backend_is_kernel && skip "these are promises of pvbackd"
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
image /scratch/errors.img 32
guest_config steady pvh "disk=[$(disk /dev/nvme0n2 xvda w)]" "vif=[$(vif 1)]"
need "a PVH guest boots" guest_start steady 90
guest_net steady eth0 10.77.0.2
guest_job steady disk "$(busy_disk_line /dev/xvda)"
guest_job steady net "/usr/bin/ping -q -i 0.05 -c 1000000 10.77.0.1"
footprint=$(backend_footprint)

# "At once" means within ten seconds, or within four times what a good disk needs on this machine if that is more.
start=$SECONDS
good_disk() {
	xl block-attach steady "$(disk_words /scratch/errors.img xvdb w)" && wait_for 20 guest_run steady "test -b /dev/xvdb" &&
		xl block-detach steady xvdb
}
check "a good disk attaches and detaches" good_disk
at_once=$(((SECONDS - start) * 4))
[ $at_once -gt 10 ] || at_once=10

# fails_saying PATTERN COMMAND...: the command must fail at once, and its output must match PATTERN
fails_saying() {
	local pattern=$1 start=$SECONDS out took
	shift
	mark=$(wc -l <"$LOG/pvbackd.log")
	if out=$("$@" 2>&1); then
		echo "it did not fail: $*"
		return 1
	fi
	took=$((SECONDS - start))
	printf '%s\n' "$out"
	note "$took s for the failure of: $*"
	hasnt "$out" 'timed out' && has "$out" "$pattern" &&
		{ [ $took -lt $at_once ] || { echo "it took $took s"; return 1; }; }
}
# logged PATTERN: exactly one line that the daemon has logged since the last fails_saying must match
logged() {
	local lines
	tail -n "+$((mark + 1))" "$LOG/pvbackd.log"
	lines=$(tail -n "+$((mark + 1))" "$LOG/pvbackd.log" | grep -Ec -- "$1")
	is "$lines lines with $1" "1 lines with $1"
}
served() {
	guest_job_runs steady disk && guest_job_runs steady net && settles_at "$footprint"
}

check "a wrong image path fails at once and is named" fails_saying '/scratch/absent.img' \
	xl block-attach steady "$(disk_words /scratch/absent.img xvdb w)"
check "the log has one line about the wrong path" wait_for 5 logged '/scratch/absent.img'
# After a failed attach, libxl leaves the device in xenstore. It is there until the admin detaches it.
check "the disk that failed is detached" xl block-detach steady xvdb
check "the guest is served on after the wrong path" served

check "a missing bridge fails at once and is named" fails_saying 'absentbr' \
	xl network-attach steady mac=00:16:5e:02:09:02 bridge=absentbr
check "the log has one line about the missing bridge" wait_for 5 logged 'absentbr'
check "the NIC that failed is detached" xl network-detach steady 1
check "the guest is served on after the missing bridge" served

# The image is mounted in Dom0. (An image of another disk of the same guest would not do: two disks of a guest may share an image.)
check "a busy image is refused at once and named" fails_saying '/dev/nvme0n4' \
	xl block-attach steady "$(disk_words /dev/nvme0n4 xvdb w)"
check "the log has one line about the busy image" wait_for 5 logged '/dev/nvme0n4'
check "the busy disk is detached" xl block-detach steady xvdb
check "the guest is served on after the busy image" served

guest_config wrong pvh "disk=[$(disk /scratch/absent.img xvda w)]"
check "xl create with a wrong image path fails at once" fails_saying '/scratch/absent.img' xl create /run/wrong.cfg
check "no half of the guest is left over" eval '[ "$(xl list | grep -c wrong)" = 0 ]'

# When a module is loaded, it takes all devices of its kind, also those in use. pvbackd goes on serving the devices of the other kind.
# taken KIND MODULE COMMAND...: COMMAND, which attaches a device, must fail and name the module, and pvbackd must log that once
taken() {
	local kind=$1 module=$2
	shift 2
	fails_saying "$module" "$@" && logged "$kind $(guest_id steady)/.*$module is loaded and takes this device"
}
seen_taken() { grep -Eq "$1 $(guest_id steady)/$2: $3 is loaded and takes this device" "$LOG/pvbackd.log"; }

modprobe -i xen-netback
check "xen-netback takes the running NIC, and the log says so" wait_for 20 seen_taken vif 0 xen-netback
check "with xen-netback loaded a new NIC fails at once with the module named there and in the log" taken vif xen-netback \
	xl network-attach steady mac=00:16:5e:02:09:03 bridge=xenbr0
check "the guest's disk is served on with xen-netback loaded" guest_job_runs steady disk
check "the guest is destroyed" guest_stop steady
modprobe -r xen-netback

need "the guest boots again" guest_start steady 90
guest_net steady eth0 10.77.0.2
guest_job steady net "/usr/bin/ping -q -i 0.05 -c 1000000 10.77.0.1"
modprobe -i xen-blkback
check "xen-blkback takes the running disk, and the log says so" wait_for 20 seen_taken vbd 51712 xen-blkback
check "with xen-blkback loaded a new disk fails at once with the module named there and in the log" taken vbd xen-blkback \
	xl block-attach steady "$(disk_words /scratch/errors.img xvdb w)"
check "the guest's NIC is served on with xen-blkback loaded" guest_job_runs steady net
check "the guest is destroyed after that, too" guest_stop steady
modprobe -r xen-blkback

need "with both modules gone the guest boots" guest_start steady 90
check "and a good disk attaches and detaches" good_disk
check "the guest is destroyed at last" guest_stop steady
check "no guest is left over" no_guests
warned() {
	modprobe -i -a xen-blkback xen-netback && backend_stop && backend_start || return
	modprobe -r xen-blkback xen-netback
	has "$(<"$LOG/pvbackd.log")" 'xen-blkback is loaded' && has "$(<"$LOG/pvbackd.log")" 'xen-netback is loaded'
}
check "a daemon that starts while the modules are loaded says so" warned
