# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Guests reboot and crash; frontends disconnect and connect again.
# limit: 300

scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
footprint=$(backend_footprint)
guest_config life pvh "disk=[$(disk /dev/nvme0n2 xvda w)]" "vif=[$(vif 1)]" 'on_reboot = "restart"'
need "a PVH guest boots" guest_start life 90
guest_net life eth0 10.77.0.2
first=$(guest_id life)
check "the guest writes and syncs a mark" guest_run life \
	"seq 1 1000 >/tmp/mark && dd if=/tmp/mark of=/dev/xvda bs=4096 conv=fsync,sync"
xl_pid=$(pgrep -f 'xl create /run/life.cfg' | head -n 1)
echo "xl waits as process $xl_pid"
guest_send life "reboot -f"
check "the guest reboots" guest_ready life 90
check "as another domain" eval '[ "$(guest_id life)" != "$first" ]'
check "the mark is still there" guest_run life "seq 1 1000 >/tmp/mark && dd if=/dev/xvda bs=3893 count=1 | cmp - /tmp/mark"
check "the network works again" eval 'guest_net life eth0 10.77.0.2 && guest_run life "/usr/bin/ping -c 3 -i 0.2 10.77.0.1"'

rebind() {
	guest_run life "echo vif-0 >/sys/bus/xen/drivers/vif/unbind && echo vif-0 >/sys/bus/xen/drivers/vif/bind" 60 &&
		wait_for 20 guest_run life "test -e /sys/class/net/eth0" &&
		guest_net life eth0 10.77.0.2 && wait_for 20 guest_run life "/usr/bin/ping -c 1 -W 2 10.77.0.1"
}
check "netfront leaves and comes back in the same domain" rebind
check "and once more" rebind

state() { xenstore-read "/local/domain/0/backend/vbd/$(guest_id life)/51712/state"; }
state_is() { is "$(state)" "$1"; }
frontend=/local/domain/$(guest_id life)/device/vbd/51712
check "blkfront leaves" guest_run life "echo vbd-51712 >/sys/bus/xen/drivers/vbd/unbind"
check "the backend's disk is then closed" wait_for 15 state_is 6
xenstore-write "$frontend/state" 1
check "a new frontend's first word brings it back to InitWait" wait_for 15 state_is 2

guest_send life "echo c >/proc/sysrq-trigger"
check "a guest that crashes is gone" wait_for 60 guest_gone life
check "xl list shows no zombie" no_guests
check "no tap, file descriptor or mapping is left over" settles_at "$footprint"
check "the backend still runs" eval 'backend_is_kernel || backend_runs'
