# SPDX-License-Identifier: MIT
# The disk and the NIC of a small guest work.
# limit: 300
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
guest_config smoke pvh "disk=[$(disk /dev/nvme0n2 xvda w)]" "vif=[$(vif 1)]"
need "a PVH guest boots" guest_start smoke
check "it has its disk" guest_run smoke "grep xvda /proc/partitions"
check "it pings Dom0" eval 'guest_net smoke eth0 10.77.0.2 && guest_run smoke "/usr/bin/ping -c 3 -i 0.2 10.77.0.1"'
check "it is destroyed" guest_stop smoke
