# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# One HVM guest that keeps QEMU's emulated devices beside the frontends: the same disk by IDE and by pvbackd, and the same
# bridge through an e1000, an rtl8139 and a NIC of pvbackd.
# limit: 4000
# shellcheck source=bench/xen/bench.sh
. /lab/scenarios/bench.sh

guests=(hvm)
# By default a guest unplugs the emulated devices. With this option of its kernel it keeps both, and uses frontends only for
# disks that are called xvd*. libxl also emulates the first four of those.
guests_up() {
	cat /guests/small-amd64.cpio /lab/scenarios/emulated.cpio >/scratch/emulated.cpio &&
		guest_config hvm hvm "cmdline = \"$GUEST_LINE lab.root=/dev/xvda xen_emul_unplug=unnecessary\"" \
			'ramdisk = "/scratch/emulated.cpio"' 'memory = 512' \
			"vif=['mac=00:16:5e:0b:00:11,bridge=xenbr0,model=e1000','mac=00:16:5e:0b:00:12,bridge=xenbr0,model=rtl8139']" \
			"disk=['phy:/dev/nvme0n1,xvda,w','phy:/dev/nvme0n2,xvdb,w']" &&
		guest_start hvm 240 && learn_idle_rate hvm
}

# net_device DRIVER: set "interface" to the guest's interface with this driver
net_device() {
	interface=$(guest_run hvm "for i in /sys/class/net/*; do case \$(readlink \$i/device/driver) in */$1) echo \${i##*/};; esac; done | sort | head -n 1")
	interface=${interface//[[:space:]]/}
	[ -n "$interface" ] || { echo "no interface of $1"; return 1; }
}
# Only one interface is up at a time, because two of them have the same MAC address.
use_net() {
	net_device "$1" && in_guest hvm "for i in /sys/class/net/e*; do ip link set \${i##*/} down; ip addr flush dev \${i##*/}; done" &&
		guest_net hvm "$interface" 10.77.0.4 && wait_for 30 in_guest hvm "/usr/bin/ping -c 1 -W 2 10.77.0.1"
}

turn() { # ROUND WHO
	local load megabytes
	case $2 in
	pvbackd) device=/dev/xvdb divide=1 megabytes=$(amount 60 16) ;;
	*) device=/dev/sdb divide=8 megabytes=$(amount 4 2) ;;
	esac
	[ "$2" = rtl8139 ] || for load in randread-4k-d32 randwrite-4k-d32 randread-4k-d1 read-128k-d8; do
		wanted "$load" || continue
		fio_load hvm "$1" "${2/e1000/ide}" "$load" || return
	done
	case $2 in
	pvbackd) use_net vif ;;
	e1000) use_net e1000 ;;
	rtl8139) use_net 8139cp ;;
	esac || return
	! wanted tcp-from-guest || tcp_load hvm 10.77.0.1 "$1" "$2" tcp-from-guest "$megabytes" || return
	! wanted tcp-to-guest || tcp_load hvm 10.77.0.1 "$1" "$2" tcp-to-guest "$megabytes" -R
}
# The daemon also serves the guest's root disk all the time.
party_on() { :; }
party_off() { backend_runs || backend_start; }

cpu_start
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
need "iperf3 waits in Dom0" iperf_start
need "an HVM guest boots with both kinds of devices" guests_up
check "all parties take their turns" all_rounds turn pvbackd e1000 rtl8139
