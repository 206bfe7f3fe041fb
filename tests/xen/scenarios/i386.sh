# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A 32-bit guest kernel uses the x86_32 layout of the ring.
# limit: 200

[ -e /guests/vmlinux-i386 ] || skip "this release of Debian has no 32-bit kernel"
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
guest_config old pvh-i386 "disk=[$(disk /dev/nvme0n2 xvda w)]" "vif=[$(vif 1)]"
need "a 32-bit guest boots" guest_start old 90
check "its kernel is a 32-bit one" eval 'has "$(guest_run old "uname -m")" "^i686"'
check "its frontend asks for the x86_32 ring" eval \
	'has "$(xenstore-read "/local/domain/$(guest_id old)/device/vbd/51712/protocol")" "^x86_32-abi"'
check "fio reads back what it wrote" guest_run old "$(fio_line /dev/xvda)" 180
check "eth0 comes up" guest_net old eth0 10.77.0.2
check "a file crosses the network and comes back the same" send_file old 10.77.0.1
check "iperf3 sends TCP to Dom0" iperf old 10.77.0.1 8
check "iperf3 receives TCP from Dom0" iperf old 10.77.0.1 8 -R
check "the guest is destroyed" guest_stop old
check "no guest is left over" no_guests
