# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The daemon in a driver domain: a guest, in which `xl devd` also runs, serves the disk and the NIC of another guest. The image is
# a disk of the driver domain, which the daemon in Dom0 serves.
# limit: 400

scripts own
need "the backend starts" backend_start

# libraries_of FILE...: print the libraries that the dynamic linker finds for these files
libraries_of() {
	local arrow library
	while read -r _ arrow library _; do
		[ "$arrow" != "=>" ] || echo "$library"
	done < <(for file; do /lib64/ld-linux-x86-64.so.2 --list "$file"; done) | sort -u
}
# Copy what an admin would install in a driver domain from Dom0 into an initramfs.
driver_initramfs() {
	local root=/scratch/driver.root programs=(/usr/sbin/pvbackd "$(command -v xl)") path modules libraries dirs
	local -A in_dir=()
	mapfile -t modules < <(modprobe -a --show-depends xen-evtchn xen-gntdev xenfs tun bridge |
		sed -n 's/^insmod \([^ ]*\).*/\1/p')
	mapfile -t libraries < <(libraries_of "${programs[@]}")
	for path in "${programs[@]}" "${libraries[@]}" "${modules[@]}"; do
		path=/usr${path#/usr}
		in_dir[${path%/*}]+="$path "
	done
	dirs=("${!in_dir[@]}")
	rm -rf $root && mkdir -p $root/etc/xen "${dirs[@]/#/$root}" && cp -rL /etc/xen/scripts $root/etc/xen/ || return
	for path in "${dirs[@]}"; do
		# shellcheck disable=SC2086
		cp -L ${in_dir[$path]} "$root$path/" || return
	done
	printf '%s\n' "${modules[@]}" >$root/usr/driver.modules
	(cd $root && find . | busybox cpio -o -H newc) >/scratch/driver.cpio &&
		cat /guests/guest-amd64.cpio /scratch/driver.cpio >/scratch/driver-all.cpio
}
check "what a driver domain needs is packed" driver_initramfs

guest_config driver pvh "driver_domain = 1" 'ramdisk = "/scratch/driver-all.cpio"' "memory = 512" \
	"disk=[$(disk /dev/nvme0n1 xvda w)]"
need "a guest boots that may be a driver domain" guest_start driver 120

serve="pvbackd </dev/null >>/run/pvbackd.log 2>&1 &"
become_driver() {
	guest_run driver "while read -r module; do insmod \$module; done </usr/driver.modules; mount -t xenfs xenfs /proc/xen && mkdir -p /run/xen /run/lock /var/lib/xen /var/log/xen /var/run && ip link add xenbr0 type bridge forward_delay 0 && ip addr add 10.78.0.1/24 dev xenbr0 && ip link set xenbr0 up" &&
		guest_run driver "$serve" &&
		guest_run driver "$(command -v xl) devd -F </dev/null >/run/devd.log 2>&1 &" &&
		guest_run driver "sleep 1; pidof pvbackd && pidof xl || { cat /run/pvbackd.log /run/devd.log; false; }"
}
need "the daemon and xl devd run in it" become_driver

guest_config client pvh \
	"disk=['format=raw,vdev=xvda,access=w,backend=driver,script=block-pvbackd,target=/dev/xvda']" \
	"vif=['mac=00:16:5e:02:07:31,bridge=xenbr0,backend=driver,script=vif-pvbackd']"
told_by_driver() { guest_run driver "cat /run/pvbackd.log /run/devd.log; ls /sys/class/net"; }
client_starts() { guest_start client 90 || { told_by_driver; return 1; }; }
need "a guest boots whose disk and NIC it serves" client_starts

served_by_driver() {
	local id kind
	id=$(guest_id client) || return
	for kind in vbd/51712 vif/0; do
		is "$(xenstore-read "/local/domain/$id/device/$kind/backend-id")" "$(guest_id driver)" || return
	done
}
check "neither is Dom0's" served_by_driver
check "fio reads back what it wrote" guest_run client "$(fio_line /dev/xvda)" 180
check "eth0 comes up" guest_net client eth0 10.78.0.2
check "the guest pings the driver domain" wait_for 20 guest_run client "ping -c 1 -W 2 10.78.0.1"
tcp() { # [IPERF3-OPTION]...
	guest_job driver iperf "iperf3 -s -1" && wait_for 10 guest_run driver "grep -E ':1451 0+:0000 0A ' /proc/net/tcp6 /proc/net/tcp" >/dev/null &&
		guest_run client "iperf3 -c 10.78.0.1 -n 8M -i 1 -f m $*" 120 && guest_job_end driver iperf 30 >/dev/null
}
check "iperf3 sends TCP to it" tcp
check "iperf3 receives TCP from it" tcp -R

killed_there() {
	guest_run client "dmesg -c >/dev/null"
	guest_job client busy "$(fio_line /dev/xvda --size=6M --loops=2)" || return
	for _ in 1 2 3; do
		nap 1
		guest_run driver "kill -9 \$(pidof pvbackd)" && nap 0.5 && guest_run driver "$serve" || return
	done
	guest_job_end client busy 180
}
check "fio reads back what it wrote while the daemon there is killed and started three times" killed_there
check "the NIC lives on, too" wait_for 20 guest_run client "ping -c 1 -W 2 10.78.0.1"
check "the guest's kernel has said nothing about its disk or its NIC" nothing_noticed client

check "the guest is destroyed" guest_stop client
all_let_go() {
	local left
	left=$(guest_run driver "ls /sys/class/net | grep vif; find /run/pvbackd -name '*.journal*' -o -name 'vif-*'")
	[ -z "${left//[[:space:]]/}" ] || { echo "left in the driver domain: $left"; return 1; }
}
check "nothing of it is left in the driver domain" wait_for 10 all_let_go
check "its log has no error" eval 'hasnt "$(guest_run driver "cat /run/pvbackd.log")" "error:|warning:"'
check "the driver domain is destroyed" guest_stop driver
check "no guest is left over" no_guests
