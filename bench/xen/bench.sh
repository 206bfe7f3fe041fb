# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the benchmarks share inside Dom0: backends ("parties") that serve the same guest in turns, Dom0's CPU time, samples.
# A scenario sources this file. bench.conf comes from the host and sets rounds, only and small.
# shellcheck disable=SC2154

# shellcheck source=/dev/null
. /lab/scenarios/bench.conf

# shellcheck disable=SC2034
CONSOLE_NAP=0.4 # so that waiting uses little of Dom0

# take_sample CASE WHO METRIC VALUE: print a sample; on the host lib/report reads it
take_sample() { note "sample $*"; }

# shellcheck disable=SC2053
wanted() { [[ $1 == $only ]]; }

# amount USUAL SMALL: print the amount of work; with the clock that counts instructions it is SMALL
amount() { if [ "$small" = yes ]; then echo "$2"; else echo "$1"; fi; }

# ---- Dom0's CPU, as Xen counts it: in "cpu_ns" and "at_us" ----

cpu_start() {
	coproc CPU { /lab/scenarios/domcpu; }
	idle_rate=0
}
read_cpu() {
	echo 0 >&"${CPU[1]}"
	read -r -u "${CPU[0]}" cpu_ns
	at_us=${EPOCHREALTIME/./}
}

# spend COMMAND...: run the command. Sets spent_ns to the CPU time that it cost Dom0, without what Dom0 uses while a guest
# does nothing, and took_us to the time that it took
spend() {
	local before since
	read_cpu
	before=$cpu_ns since=$at_us
	"$@" || return
	read_cpu
	took_us=$((at_us - since))
	spent_ns=$((cpu_ns - before - took_us * idle_rate / 1000))
	[ $spent_ns -ge 0 ] || spent_ns=0
}

# learn_idle_rate GUEST: find how many ns of CPU time Dom0 uses for each ms in which the guest sleeps and Dom0 waits for its answer.
# The smallest of several measurements counts, because a program that was just started may still be busy
learn_idle_rate() {
	local least='' looks
	for ((looks = 0; looks < 4; looks++)); do
		idle_rate=0
		spend guest_run "$1" "sleep 2" >/dev/null || return
		idle_rate=$((spent_ns * 1000 / took_us))
		[ -n "$least" ] && [ "$least" -le "$idle_rate" ] || least=$idle_rate
	done
	idle_rate=$least
	note "Dom0 alone uses $idle_rate ns of CPU each ms"
}

# ---- parties ----

# party_on WHO: from now on this backend serves new devices; party_off WHO: no backend does
party_on() {
	doing "the start of $1"
	case $1 in
	pvbackd) backend_start ;;
	blkback) modprobe -i xen-blkback ;;
	netback) modprobe -i xen-netback ;;
	esac
}
party_off() {
	doing "the end of $1"
	case $1 in
	pvbackd*) backend_stop ;;
	blkback) wait_for 10 modprobe -r xen-blkback ;;
	netback) wait_for 10 modprobe -r xen-netback ;;
	esac
}

# in_turn ROUND WORD...: print the words; each round begins with another one
in_turn() {
	local round=$1 n
	shift
	for ((n = 0; n < $#; n++)); do
		printf '%s ' "${@:(n + round) % $# + 1:1}"
	done
}

# doing WHAT [FILE]: remember what a turn is doing, and the file with its output, to report it if the turn is lost
doing() { step=$1 output=${2:-}; }

why_lost() {
	printf '%s' "$step"
	[ ! -s "$output" ] || printf ': %s' "$(last_line "$output")"
}

# all_rounds TURN PARTY...: run "TURN ROUND PARTY" for all; round 0 warms up (its samples do not count). If the emulator
# loses a guest, guests_up starts it again, and the turn is lost
all_rounds() {
	local turn=$1 round who losses=0
	shift
	for ((round = 0; round <= rounds; round++)); do
		for who in $(in_turn "$round" "$@"); do
			note "round $round: $who"
			doing "the beginning"
			"$turn" "$round" "$who" && continue
			note "the turn of $who in round $round was lost at $(why_lost)"
			losses=$((losses + 1))
			[ $losses -le $((rounds + 2)) ] || return 1
			recover "$who" || return 1
		done
	done
}

recover() { # PARTY
	local name
	for name in "${guests[@]}"; do
		xl destroy "$name"
		wait_for 30 guest_gone "$name"
	done
	party_off "$1"
	guests_up
}

in_guest() { guest_run "$@" >/dev/null; }

# fio_words RW BYTES DEPTH IOS [JOBS]
fio_words() {
	echo "fio --name=load --filename=$device --size=128M --rw=$1 --bs=$2 --iodepth=$3 --number_ios=$4 --numjobs=${5:-1}" \
		"--group_reporting --ioengine=libaio --direct=1 --norandommap --randrepeat=0 --minimal"
}

# fio_figures FILE RW: set iops, p50_us and p99_us from fio's terse line
fio_figures() {
	local line fields at=0 field
	line=$(grep '^3;' "$1") || { echo "no figures: $(last_line "$1")"; return 1; }
	IFS=';' read -ra fields <<<"$line"
	case $2 in
	*write) at=41 ;;
	esac
	iops=${fields[at + 7]} p50_us='' p99_us=''
	for field in "${fields[@]:at + 17:20}"; do
		case $field in
		50.0*) p50_us=${field#*=} ;;
		99.0*) p99_us=${field#*=} ;;
		esac
	done
}

# fio_load GUEST ROUND WHO CASE: CASE is RW-SIZE-dDEPTH[-jJOBS][-WORDS]; the device is $device. A slow device gets only a
# part of the work: see "divide".
divide=1
fio_load() {
	local rw size depth jobs ios
	IFS=- read -r rw size depth jobs <<<"$4"
	case $jobs in
	j[0-9]*) jobs=${jobs%%-*} jobs=${jobs#j} ;;
	*) jobs=1 ;;
	esac
	case $size-$depth-$jobs in
	4k-d1-1) ios=$(amount 300 150) ;;
	4k-d8-1) ios=$(amount 1000 300) ;;
	4k-*-1) ios=$(amount 1500 600) ;;
	4k-*) ios=$(amount 500 200) ;;
	*) ios=$(amount 300 100) ;;
	esac
	ios=$((ios / divide))
	doing "$4" "$LOG/fio.out"
	spend guest_run "$1" "$(fio_words "$rw" "$size" "${depth#d}" "$ios" "$jobs")" 180 >"$LOG/fio.out" || return
	fio_figures "$LOG/fio.out" "$rw" || return
	[ "$2" -gt 0 ] || return 0
	take_sample "$4" "$3" iops "$iops"
	take_sample "$4" "$3" dom0_us "$(calc_ratio "$spent_ns" $((ios * jobs)) 1 1000)"
	take_sample "$4" "$3" p50_us "$p50_us"
	take_sample "$4" "$3" p99_us "$p99_us"
}

# ---- iperf3; its server runs in Dom0 during the whole scenario ----

iperf_start() {
	iperf3 -s >"$LOG/iperf3-server.log" 2>&1 &
	wait_for 10 grep -q ':1451 ' /proc/net/tcp6 /proc/net/tcp
}

# tcp_load GUEST ADDRESS ROUND WHO CASE MEGABYTES [OPTION...]
tcp_load() {
	local guest=$1 address=$2 round=$3 who=$4 case=$5 megabytes=$6 line mbps=''
	shift 6
	doing "$case" "$LOG/iperf3.out"
	spend guest_run "$guest" "iperf3 -c $address -n ${megabytes}M -i 0 -f m $*" 180 >"$LOG/iperf3.out" || return
	while IFS= read -r line; do
		[[ $line =~ ([0-9.]+)\ Mbits/sec.*receiver ]] && mbps=${BASH_REMATCH[1]}
	done <"$LOG/iperf3.out"
	[ -n "$mbps" ] || { echo "no figures"; return 1; }
	[ "$round" -gt 0 ] || return 0
	take_sample "$case" "$who" mbps "$mbps"
	take_sample "$case" "$who" dom0_s_per_gib "$(calc_ratio "$spent_ns" "$megabytes" 1024 1000000000)"
}

# udp_load GUEST ADDRESS ROUND WHO CASE [OPTION...]: send frames of 64 bytes for a second, as fast as possible; the rate is that
# of the frames that arrive. (In the reverse direction iperf3 would not end after a number of packets if some are lost.)
udp_load() {
	local guest=$1 address=$2 round=$3 who=$4 case=$5 line seconds='' lost='' total=''
	shift 5
	doing "$case" "$LOG/iperf3.out"
	spend guest_run "$guest" "iperf3 -c $address -u -l 18 -b 0 -t 1 -i 0 -f m $*" 180 >"$LOG/iperf3.out" || return
	while IFS= read -r line; do
		if [[ $line =~ -([0-9.]+)\ +sec.*\ ([0-9]+)/([0-9]+)\ \(.*receiver ]]; then
			seconds=${BASH_REMATCH[1]} lost=${BASH_REMATCH[2]} total=${BASH_REMATCH[3]}
		fi
	done <"$LOG/iperf3.out"
	[ "${total:-0}" -gt "${lost:-0}" ] || { echo "no figures"; return 1; }
	[ "$round" -gt 0 ] || return 0
	take_sample "$case" "$who" pps "$(calc_ratio $((total - lost)) "${seconds/./}" 100 1)"
	take_sample "$case" "$who" lost_percent "$(calc_ratio "$lost" "$total" 100 1)"
	take_sample "$case" "$who" dom0_us_per_packet "$(calc_ratio "$spent_ns" $((total - lost)) 1 1000)"
}

# fetch_program GUEST: the guest loads tcpload over the network, once. (The nc of busybox ends at the end of its input; so its
# input is a FIFO to which nobody writes.)
fetch_program() {
	in_guest "$1" "test -x /tmp/tcpload" && return
	busybox nc -l -p 9002 </lab/scenarios/tcpload &
	wait_for 10 grep -q ':232A ' /proc/net/tcp /proc/net/tcp6
	in_guest "$1" "mkfifo /tmp/never; busybox nc 10.77.0.1 9002 <>/tmp/never >/tmp/tcpload && chmod 755 /tmp/tcpload" 120
}

# calc_ratio A B FACTOR DIVISOR: print A / B * FACTOR / DIVISOR of whole numbers, with three decimals
calc_ratio() {
	local by=$((10#$2)) thousandths
	[ $by -gt 0 ] || by=1
	thousandths=$((10#$1 * 1000 * $3 / $4 / by))
	printf '%d.%03d' $((thousandths / 1000)) $((thousandths % 1000))
}
