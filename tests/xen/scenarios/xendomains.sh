# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A host is shut down and started again. Xen's script xendomains saves the guests and restores them, and nothing is lost that they
# have written. As with systemd, the daemon stops after the script has saved the guests, and starts before it restores them.
# limit: 400

scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
footprint=$(backend_footprint)
xendomains=$(echo /usr/lib/xen-4.*/bin/xendomains)
mkdir -p /var/lock/subsys /etc/xen/auto /scratch/save
printf '%s\n' 'XENDOMAINS_MIGRATE=' 'XENDOMAINS_SAVE=/scratch/save' 'XENDOMAINS_SHUTDOWN=' 'XENDOMAINS_SHUTDOWN_ALL=' \
	'XENDOMAINS_RESTORE=true' 'XENDOMAINS_AUTO=/etc/xen/auto' 'XENDOMAINS_STOP_MAXWAIT=300' >/etc/default/xendomains
guest_config saved pvh 'memory = 224' "disk=[$(disk /dev/nvme0n2 xvda w)]" "vif=[$(vif 1)]"
need "a guest boots" guest_start saved 90
guest_net saved eth0 10.77.0.2
# The guest writes all the time, and counts how often it has read its data back.
verifies saved /dev/xvda --size=2M --ioengine=io_uring
check "the script saves it" "$xendomains" stop
check "the host has no guest then" no_guests
check "and a file with it" test -s /scratch/save/saved
check "the daemon is stopped" backend_stop
check "no process of a guest is left" wait_for 90 no_guest_pids
check "the daemon starts" backend_start
check "the script restores the guest" "$xendomains" start
check "the guest is there again" guest_moved saved
check "fio read back what it wrote, every time" verified saved
check "its NIC works" wait_for 30 guest_run saved "/usr/bin/ping -c 1 -W 2 10.77.0.1"
check "its kernel has seen no error" saw_no_error saved
check "it is destroyed" guest_stop saved
check "no tap, file descriptor or mapping is left over" settles_at "$footprint"
check "the log has no error" eval 'backend_is_kernel || hasnt "$(<"$LOG/pvbackd.log")" "error:"'
