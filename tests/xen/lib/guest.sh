# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Guests: their configs, their life, and commands in them over the Xen console.

# The kernel command line of every guest: the console, and options that leave out slow and useless work.
GUEST_LINE="console=hvc0 quiet edd=off mitigations=off cryptomgr.notests audit=0 apparmor=0"

# How often Dom0 reads the console while it waits for a guest, in seconds; each look costs some CPU time.
CONSOLE_NAP=0.05

declare -A CONSOLE_FD=() CONSOLE_TTY=()
REQUEST=0

# guest_config NAME TYPE [LINE...]: write /run/NAME.cfg. TYPE is hvm, pvh or pvh-i386; the lines are
# for xl, and override the lines here.
guest_config() {
	local name=$1 type=$2 kernel=/guests/vmlinux-amd64 initramfs=/guests/guest-amd64.cpio
	shift 2
	case $type in
	hvm) kernel=/guests/vmlinuz-amd64 initramfs=/guests/small-amd64.cpio ;;
	pvh-i386) kernel=/guests/vmlinux-i386 initramfs=/guests/guest-i386.cpio ;;
	esac
	{
		cat <<-EOF
			name = "$name"
			type = "${type%-i386}"
			kernel = "$kernel"
			ramdisk = "$initramfs"
			cmdline = "$GUEST_LINE"
			memory = 384
			vcpus = 1
			cpus = "1"
			tsc_mode = "native"
			on_crash = "destroy"
		EOF
		if [ "$type" = hvm ]; then
			printf '%s\n' 'xen_platform_pci = 1' 'serial = "pty"' 'vnc = 0' 'boot = "c"'
		fi
		printf '%s\n' "$@"
	} >"/run/$name.cfg"
}

# guest_console NAME: what it will say from now on is read
guest_console() {
	local log=/lab/log/console/guest-$1.log
	[ -e "$log" ] || : >"$log"
	[ -n "${CONSOLE_FD[$1]:-}" ] || {
		# shellcheck disable=SC1083,SC2093
		exec {CONSOLE_FD[$1]}<"$log"
		cat <&"${CONSOLE_FD[$1]}" >/dev/null
	}
}

# guest_create NAME: xl create, without waiting for what is in it
guest_create() {
	guest_console "$1"
	xl create "/run/$1.cfg"
}

# guest_start NAME [SECONDS]: xl create, until its agent answers
guest_start() { guest_create "$1" && guest_ready "$1" "${2:-90}"; }

# guest_ready NAME SECONDS: until a newly booted guest's agent answers
guest_ready() {
	if ! console_until "$1" "$2" '@ready' >"$LOG/ready.out"; then
		xl list
		xenctx "$(guest_id "$1")" 0
		cat "$LOG/ready.out"
		return 1
	fi
	guest_attach "$1"
}

# guest_attach NAME: finds the way to its console
guest_attach() {
	local id
	id=$(xl domid "$1") || return
	CONSOLE_TTY[$1]=$(xenstore-read "/local/domain/$id/console/tty") || return
}

# guest_moved NAME [LOG]: find the console of a guest that was restored or migrated, and so has another domain. LOG is the
# first name of that domain.
guest_moved() {
	wait_for 30 guest_attach "$1" || return
	# shellcheck disable=SC1083
	if [ $# -gt 1 ]; then
		exec {CONSOLE_FD[$1]}<&-
		exec {CONSOLE_FD[$1]}<"/lab/log/console/guest-$2.log"
	fi
	guest_run "$1" true
}

# console_until NAME SECONDS TEXT: reads its console until a line is TEXT; lines of the answer to
# request $REQUEST are printed
console_until() {
	local limit=$((SECONDS + $2 * LAB_PATIENCE)) fd=${CONSOLE_FD[$1]} line='' part
	while :; do
		if IFS= read -r -u "$fd" part; then
			line=${line}${part%$'\r'}
			case $line in
			"@$REQUEST|"*) printf '%s\n' "${line#*|}" ;;
			"$3"*) ANSWER=$line; return 0 ;;
			esac
			line=
		else
			line=$line$part
			[ $SECONDS -lt $limit ] || break
			nap "$CONSOLE_NAP"
		fi
	done
	echo "guest $1 did not say '$3' within $(($2 * LAB_PATIENCE)) s; the last it said: $(last_line "/lab/log/console/guest-$1.log")"
	return 1
}

# guest_run NAME COMMAND [SECONDS]: its output and its exit status
guest_run() {
	REQUEST=$((REQUEST + 1))
	printf '%s %s\n' "$REQUEST" "$2" >"${CONSOLE_TTY[$1]}" || return
	console_until "$1" "${3:-60}" "@$REQUEST=" || return
	return "${ANSWER#*=}"
}

# guest_send NAME COMMAND: one that will not answer (reboot, crash)
guest_send() { printf '%s %s\n' 0 "$2" >"${CONSOLE_TTY[$1]}"; }

# guest_job NAME JOB COMMAND: starts it in the background
guest_job() { guest_run "$1" "job $2 '$3'"; }

# guest_job_end NAME JOB SECONDS: waits for it; its output and its status
guest_job_end() {
	local limit=$((SECONDS + $3 * LAB_PATIENCE)) status
	until status=$(guest_run "$1" "job_status $2") && [ -n "${status//[[:space:]]/}" ]; do
		[ $SECONDS -lt $limit ] || { echo "job $2 in $1 runs on after $(($3 * LAB_PATIENCE)) s"; return 1; }
		nap 0.3
	done
	guest_run "$1" "job_result $2"
}

# guest_job_runs NAME JOB: it has not ended yet
guest_job_runs() { [ -z "$(guest_run "$1" "job_status $2" | tr -d '[:space:]')" ]; }

# guest_dump NAME: what each process in it waits for; its log has their stacks and what the block layer holds
# shellcheck disable=SC2016 # the guest expands it
guest_dump() {
	guest_run "$1" 'for p in /proc/[0-9]*; do [ ! -s $p/cmdline ] || echo "$(cut -d" " -f1-3 $p/stat) $(cat $p/wchan)"; done'
	{
		guest_run "$1" 'for p in /proc/[0-9]*; do cat $p/stat $p/syscall $p/stack; done; cat /run/fio.out'
		guest_run "$1" 'mount -t debugfs debug /sys/kernel/debug; cd /sys/kernel/debug/block && grep -r . xvd*'
		guest_run "$1" 'echo w >/proc/sysrq-trigger; dmesg | tail -n 100; cat /proc/interrupts /proc/timer_list'
	} >"$LOG/guest-$1.dump" 2>&1
}

# saw_no_error NAME: its kernel's log has none
saw_no_error() {
	local out
	out=$(guest_run "$1" dmesg) && printf '%s\n' "$out" && hasnt "$out" 'I/O error|blkfront.*(fail|error)|netfront.*(fail|error)|WARNING|BUG|hung'
}

guest_id() { xl domid "$1"; }
guest_gone() { ! xl domid "$1" >/dev/null 2>&1; }

# guest_stop NAME: for good
guest_stop() { xl destroy "$1" && wait_for 30 guest_gone "$1"; }

# no_guests: xl list knows only Dom0, and no zombie
no_guests() {
	local list
	list=$(xl list) || return
	[ "$(wc -l <<<"$list")" -eq 2 ] || { echo "left over: ${list##*$'\n'}"; return 1; }
}
