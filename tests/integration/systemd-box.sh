#!/bin/sh
# SPDX-License-Identifier: MIT
# systemd-box.sh CGROUP DIR - become the first process of a container: systemd with only the units in DIR/units, and with
# DIR/etc and DIR/sbin mounted over those of the host. Run it by "unshare --mount --pid --fork --kill-child --ipc --uts".
set -eu
cgroup=$1
dir=$2
sbin=$(sed -n 's/^ExecStart=\(.*\)\/pvbackd$/\1/p' "$dir/units/pvbackd.service")

echo 0 >"$cgroup/cgroup.procs"
[ -n "${3-}" ] || exec unshare --cgroup sh "$0" "$cgroup" "$dir" again
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys # a change there would also change the host
! mountpoint -q /sys/fs/cgroup || umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t overlay -o "lowerdir=/etc,upperdir=$dir/etc,workdir=$dir/etc.work" overlay /etc
mount -t overlay -o "lowerdir=$dir/sbin:$sbin" overlay "$sbin"
mount --bind "$dir/units" /lib/systemd/system
mount -t tmpfs tmpfs /run
mkdir -p /run/lock
exec env -i container=box PATH="$PATH" /lib/systemd/systemd --system --unit=box.target --log-target=console
