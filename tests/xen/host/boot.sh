# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The boots of a run: these functions pack Dom0, start QEMU and read what Dom0 reports. They use the variables that "run" has set
# from its command line (destdir, backend, dom0, shell, logs, scenarios, more, icount), and work, a folder for this run.
# shellcheck disable=SC2154,SC2034

passed=0 failed=0 skipped=0 boots=0

# tests/xen/README.md says under "Traps" why each of these is needed.
CPU=EPYC,-smap,-monitor,-rdtscp,-avx,-avx2,-f16c,-fma,-xsave,-xsaveopt,-xsavec,-xgetbv1
XEN_LINE="console=com1 com1=115200,8n1 dom0_mem=3G dom0_max_vcpus=2 dom0_vcpus_pin cpuidle=0 noreboot=1 spec-ctrl=no"
LINUX_LINE="console=hvc0 rdinit=/init quiet loglevel=4 mitigations=off cryptomgr.notests audit=0 apparmor=0"

# copy_build ROOT: copy the build under test, and those of its libraries that Dom0 does not have (of sanitizers)
copy_build() {
	local file path
	[ -n "$destdir" ] || return 0
	cp -a "$destdir/." "$1/"
	for file in lib bin sbin; do
		[ ! -d "$1/$file" ] || [ -h "$1/$file" ] || { cp -a "$1/$file" "$1/usr/" && rm -rf "${1:?}/$file"; }
	done
	for file in "$destdir"/usr/sbin/* "$destdir"/usr/bin/* "$destdir"/etc/xen/scripts/*; do
		[ ! -f "$file" ] || ldd "$file" 2>/dev/null || :
	done | awk '$2 == "=>" && $3 ~ "^/" { print $3 }' | sort -u | while IFS= read -r path; do
		[ -e "$CACHE/tree-amd64$path" ] || [ -e "$CACHE/tree-amd64/usr$path" ] ||
			{ mkdir -p "$1/usr/lib/x86_64-linux-gnu" && cp -L "$path" "$1/usr/lib/x86_64-linux-gnu/"; }
	done
}

# pack_boot SCENARIO...: make the initramfs of this boot, and its disks
pack_boot() {
	local root="$work/overlay"
	rm -rf "$root"
	mkdir -p "$root/lab/bin" "$root/etc/xen"
	copy_build "$root"
	cp -r "$LAB/lib" "$LAB/scenarios" "$root/lab/"
	[ -z "$more" ] || cp -r "$more/." "$root/lab/scenarios/"
	install -m 755 "$LAB/dom0/init" "$root/init"
	install -m 755 "$LAB/dom0/lab-run" "$root/lab/bin/lab-run"
	printf 'LAB_BACKEND=%s\nLAB_SHELL=%s\nLAB_PATIENCE=%d\nLAB_KILLS=%d\nLAB_ISOLATION=%s\nLAB_OPTIONS="%s"\nLAB_SCENARIOS="%s"\n' \
		"$backend" "$shell" "$patience" "${XEN_LAB_KILLS:-10}" "${XEN_LAB_ISOLATION:-guest}" "${XEN_LAB_OPTIONS:-}" "$*" >"$root/lab/run.conf"
	printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
	printf '127.0.0.1 localhost dom0\n' >"$root/etc/hosts"
	cp "$CACHE/dom0.cpio" "$work/dom0.cpio"
	(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) >>"$work/dom0.cpio"
	truncate -s 256M "$work/data1" "$work/data2"
	truncate -s 1G "$work/scratch"
	truncate -s 128M "$work/logs"
	mke2fs -q -F -t ext4 "$work/scratch"
}

# disk_options FILE[,OPTION]...: set QEMU's options for one NVMe namespace for each file, in this order
disk_options() {
	local n=0 disk
	disks=(-device "nvme,id=nvme,serial=lab")
	for disk; do
		n=$((n + 1))
		disks+=(-drive "if=none,id=disk$n,format=raw,file=$disk" -device "nvme-ns,bus=nvme,drive=disk$n,nsid=$n")
	done
}

# qemu_run SERIAL-OPTION...: run QEMU in the foreground
qemu_run() {
	local disks accel='-accel tcg,thread=multi' iommu='' kind=''
	[ "$icount" = no ] || accel='-accel tcg,thread=single -icount shift=3,sleep=off'
	[ "$dom0" = pv ] || { iommu='-device amd-iommu,intremap=on' && kind=dom0=pvh; }
	disk_options "$CACHE/root-amd64.ext4,snapshot=on" "$work/data1" "$work/data2" "$work/scratch" \
		"$CACHE/guests.ext4,readonly=on" "$work/logs"
	# shellcheck disable=SC2086
	TMPDIR=$work exec qemu-system-x86_64 -name xen-lab -machine q35 $accel -cpu "$CPU" -m 6G -smp 2 \
		-display none -no-reboot -nic none $iommu "${disks[@]}" -kernel "$CACHE/xen" -append "$XEN_LINE $kind ${XEN_LAB_XEN:-}" \
		-initrd "$CACHE/linux-amd64/vmlinuz $LINUX_LINE,$work/dom0.cpio" ${XEN_LAB_QEMU:-} "$@"
}

stop_qemu() {
	[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || :
	[ -z "$qemu" ] || wait "$qemu" 2>/dev/null || :
	qemu=
}

interactive() { (qemu_run -serial mon:stdio -serial "file:$work/report"); }

# tell LINE: print a line of the report if it is a result or a note, and count the results
tell() {
	case $1 in
	"ok "*) passed=$((passed + 1)) ;;
	"not ok "*) failed=$((failed + 1)) ;;
	"skip "*) skipped=$((skipped + 1)) ;;
	"note "*) ;;
	*) return 0 ;;
	esac
	printf '%s\n' "$1"
}

# follow: read what Dom0 reports, until Dom0 is done or silent for too long. Then "remaining" has the scenarios that have not begun,
# and "current" the one that has begun and not ended.
follow() {
	local line limit=$((120 * patience))
	current=boot
	while :; do
		if ! IFS= read -t "$limit" -r line; then
			why="nothing heard from Dom0 for $limit s, or QEMU ended"
			return 1
		fi
		line=${line%$'\r'}
		case $line in
		"boot failed") why="Xen's toolstack did not start" ;;
		"begin "*)
			read -r _ current limit <<<"$line"
			limit=$((limit + 150))
			remaining=("${remaining[@]:1}")
			started=$SECONDS
			;;
		"end "*)
			say "$current took $((SECONDS - started)) s"
			current=''
			limit=$((60 * patience))
			;;
		done) [ -z "$why" ]; return ;;
		*) tell "$line" ;;
		esac
	done
}

# reported: print what Dom0 reports, until QEMU has ended. (tail --pid would wait for a QEMU that is a zombie.)
reported() {
	tail -s 0.2 -n +1 -f "$work/report" &
	while grep -qs '^State:.[^Z]' "/proc/$qemu/status"; do sleep 0.5; done
	sleep 0.5
	kill $! 2>/dev/null # it has ended, if nobody reads it any more
}

# one_boot: boot Dom0 and run the remaining scenarios. If the machine dies or hangs, the scenario that was running has failed.
one_boot() {
	local started=$SECONDS current='' why=''
	boots=$((boots + 1))
	pack_boot "${remaining[@]}"
	: >"$work/report"
	(qemu_run -monitor none -serial "file:$work/console$boots.log" -serial "file:$work/report") </dev/null \
		>"$work/qemu$boots.log" 2>&1 &
	qemu=$!
	if follow < <(reported); then
		wait_for_end
		return 0
	fi
	stop_qemu
	tell "not ok ${current:-boot}: Dom0 lives on ($why)"
	printf '%s\n' "--- the end of Dom0's console:"
	tail -n 25 "$work/console$boots.log"
	cat "$work/qemu$boots.log"
	printf '%s\n' '---'
	[ "$current" != boot ]
}

# wait_for_end: wait until QEMU has ended, which it does when Dom0 powers off
wait_for_end() {
	local tries=0
	while kill -0 "$qemu" 2>/dev/null && [ $tries -lt 100 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	stop_qemu
}

run_scenarios() {
	local remaining=("${scenarios[@]}")
	while [ ${#remaining[@]} -gt 0 ]; do
		one_boot || break
		unpack_logs
	done
	unpack_logs
}

unpack_logs() {
	mkdir -p "$work/logs.d"
	cp "$work"/console*.log "$work"/qemu*.log "$work/logs.d/"
	tar -C "$work/logs.d" -xf "$work/logs" 2>/dev/null || :
}

# keep_logs: keep the logs in the folder that --keep-log names, or in the cache if something failed
keep_logs() {
	[ -n "$logs" ] || [ "$failed" -eq 0 ] || logs=$CACHE/failed-logs
	[ -n "$logs" ] || return 0
	rm -rf "$logs"
	mkdir -p "$(dirname "$logs")"
	cp -r "$work/logs.d" "$logs"
	say "logs are in $logs"
}
