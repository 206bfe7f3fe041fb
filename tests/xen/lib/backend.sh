# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The backend under test: pvbackd, or those of the kernel, to test the lab itself.

PIDFILE=/run/lab-pvbackd.pid
BACKEND=/usr/sbin/pvbackd # what backend_start runs
ISOLATION=$LAB_ISOLATION  # its --isolation

backend_is_kernel() { [ "$LAB_BACKEND" = kernel ]; }
backend_pid() { cat "$PIDFILE"; }
backend_is_isolated() { ! backend_is_kernel && [ "$ISOLATION" = guest ]; }
backend_runs() { [ -e "$PIDFILE" ] && kill -0 "$(backend_pid)" 2>/dev/null; }

# backend_start [OPTION...]
backend_start() {
	if backend_is_kernel; then
		modprobe -i -a xen-blkback xen-netback
		return
	fi
	backend_run "$@" >>"$LOG/pvbackd.log" 2>&1 &
	echo $! >"$PIDFILE"
	nap 0.5
	backend_runs || { last_line "$LOG/pvbackd.log"; return 1; }
}

# backend_run [OPTION...]: replace this shell by the backend, without the descriptors of the guests' consoles
backend_run() {
	local fd
	for fd in "${CONSOLE_FD[@]}"; do
		exec {fd}<&-
	done
	# shellcheck disable=SC2086 # a list
	exec "$BACKEND" --isolation="$ISOLATION" $LAB_OPTIONS "$@"
}

# guest_pids [DOMID]: print the PIDs of the processes that serve all guests, or this guest
guest_pids() { pgrep -f -- "--internal-guest ${1:+$1 }"; }
no_guest_pids() { ! guest_pids ""; }
no_zombies() { backend_is_kernel || ! pgrep -r Z -P "$(backend_pid)"; }

# backend_stop: end the backend by SIGTERM; the guests' processes go on serving. Prints how it ended
backend_stop() {
	local pid
	if backend_is_kernel; then
		modprobe -r xen-blkback xen-netback
		return
	fi
	pid=$(backend_pid)
	kill "$pid" || return
	wait_for 20 process_gone "$pid" || { kill -9 "$pid"; echo "pvbackd had to be killed"; return 1; }
	wait "$pid" 2>/dev/null
	rm -f "$PIDFILE"
}

# backend_dump: write into its log what the backend and the bridges know of every ring and port
backend_dump() {
	backend_is_kernel || { kill -USR1 "$(backend_pid)" && nap 0.5; }
	{ cat /proc/net/dev; bridge link; bridge fdb; } >>"$LOG/pvbackd.log" 2>&1
}

# backend_kill: end the backend by SIGKILL
backend_kill() {
	local pid
	pid=$(backend_pid) && kill -9 "$pid" && wait_for 20 process_gone "$pid" || return
	wait "$pid" 2>/dev/null
	rm -f "$PIDFILE"
}
process_gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

# image FILE MEGABYTES: a sparse image file
image() { rm -f "$1" && truncate -s "$2M" "$1"; }

# disk_words TARGET VDEV MODE: print the arguments for xl block-attach, with our own script. The kernel's backend
# and the stock script cannot use files, so for them the file gets a loop device.
disk_words() {
	local target=$1
	if backend_is_kernel; then
		[ -b "$target" ] || target=$(losetup -j "$1" -O NAME -n | head -n 1)
		[ -n "$target" ] || target=$(losetup -f --show "$1")
		printf 'phy:%s,%s,%s' "$target" "$2" "$3"
	else
		printf 'format=raw,vdev=%s,access=%s,script=block-pvbackd,target=%s' "$2" "$3" "$1"
	fi
}

# disk TARGET VDEV MODE: the same as an entry of disk=[]
disk() { printf "'%s'" "$(disk_words "$@")"; }

# vif NUMBER [MORE]: an entry of vif=[] with a mac made of the number
vif() { printf "'mac=00:16:5e:02:07:%02x,bridge=xenbr0%s'" "$1" "${2:+,$2}"; }

# kept_pages: print how many pages of guests stay mapped for their disks (persistent grants)
kept_pages() {
	local _ value sum=0
	while read -r _ value; do
		sum=$((sum + value))
	done < <(pvbackctl metrics | grep '^pvbackd_disk_kept_pages{')
	echo "$sum"
}

# mapped_pages PROC-DIR...: print how many pages of guests are mapped, without those whose number depends on the load. It counts
# pages, because the kernel joins mappings that are side by side.
mapped_pages() {
	local kept='' pages begin end
	until [ "$kept" = "$(kept_pages)" ]; do
		kept=$(kept_pages) pages=0
		while IFS='- ' read -r begin end _; do
			pages=$((pages + (0x$end - 0x$begin) / 4096))
		done < <(cat "${@/%//maps}" | grep gntdev)
	done
	echo $((pages - kept))
}

# backend_footprint: print what the daemon holds for its guests, in one line to compare. Descriptors that a worker makes
# or closes when it gets its first disk or NIC do not count.
backend_footprint() {
	local pid pids fds taps
	taps=$(cd /sys/class/net && echo vif*)
	if backend_is_kernel; then
		echo "interfaces: $taps"
		return
	fi
	mapfile -t pids < <(backend_pid; guest_pids "")
	pids=("${pids[@]/#//proc/}")
	fds=$(find "${pids[@]/%//fd}" -mindepth 1 ! -lname '*eventfd*' ! -lname '*gntalloc' | wc -l)
	echo "interfaces: $taps; processes: ${#pids[@]}; fds: $fds; pages of guests: $(mapped_pages "${pids[@]}")"
}
footprint_is() { is "$(backend_footprint)" "$1"; }
# settles_at FOOTPRINT: wait until the footprint is this
settles_at() { wait_for 15 footprint_is "$1" >/dev/null || footprint_is "$1"; }

# scripts FOR: choose the hotplug scripts of vifs from now on: own or stock
scripts() {
	if [ "$1" = own ] && ! backend_is_kernel; then
		printf '%s\n' 'vif.default.script="vif-pvbackd"' >/etc/xen/xl.conf
	else
		: >/etc/xen/xl.conf
	fi
}

# lab_clean: end all that a scenario has left running
lab_clean() {
	local name rest
	fsfreeze -u /scratch 2>/dev/null
	while read -r name rest; do
		case $name in
		Name | Domain-0) ;;
		*) xl destroy "$name" ;;
		esac
	done < <(xl list)
	backend_runs && { kill -INT "$(backend_pid)"; wait_for 10 process_gone "$(backend_pid)" || kill -9 "$(backend_pid)"; }
	wait_for 10 no_guest_pids || { echo "left over after the scenario:"; pgrep -af -- --internal-guest; pkill -9 -f -- --internal-guest; }
	rm -f "$PIDFILE"
	modprobe -r xen-blkback xen-netback 2>/dev/null
	for name in /sys/class/net/xenbr*; do
		[ ! -e "$name" ] || ip link del "${name##*/}"
	done
	for name in /sys/class/net/vif*; do
		[ ! -e "$name" ] || echo "left over after the scenario: $name"
	done
	losetup -D
	rm -rf /scratch/*
	no_guests
}
