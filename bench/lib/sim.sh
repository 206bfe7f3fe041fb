# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
#
# The daemon on the simulated machine, for the benchmarks that need no Xen.

daemon_options=() # options for every daemon
isolation=guest   # "guest" or "none"; see pvbackd(8)
against=''        # the build folder of another pvbackd, which takes turns with this one
count=yes          # whether to count what a request costs: "yes", "no", or "only" (without any time)
sim_usage='
  --isolation=guest|none  a process for each guest (default), or one for all'
count_usage='  --instructions  only count what a request costs: instructions, system calls, sleeps; repeats on a busy machine
  --no-count      do not
  --against DIR   the build folder of another pvbackd, to take turns with instead of others'

# sim_option OPTION...: read an option that all these benchmarks have
sim_option() {
	case $1 in
	--isolation=guest | --isolation=none) isolation=${1#*=}; return 1 ;;
	esac
}

# count_option OPTION...: read an option of the benchmarks that count
count_option() {
	case $1 in
	--against) against=$2; return 2 ;;
	--instructions) count=only; return 1 ;;
	--no-count) count=no; return 1 ;;
	esac
}

# name_parties PEER: set $daemons (the builds of pvbackd), and $parties (these, or this build and its peer)
name_parties() {
	daemons=(pvbackd) parties=("$1" pvbackd)
	[ -z "$against" ] || daemons=(before pvbackd) parties=(before pvbackd)
}

# sim_enter ARG...: run the benchmark again inside a new simulated machine; the function returns only there
sim_enter() {
	XENSIM_BUILD=$build/tests/sim
	export XENSIM_BUILD
	[ -x "$XENSIM_BUILD/xensim-hv" ] || die "the simulator is not built there: make xensim"
	[ -x "$daemon_program" ] || die "$daemon_program is not there"
	[ -n "${XENSIM_DIR:-}" ] || exec "$SOURCE/tests/sim/xensim-run" "$0" "$@"
	trap 'kill $(jobs -p) 2>/dev/null || :' EXIT # at every exit, end all that we have started
	hv=$XENSIM_HV
}

# daemon_of WHO: choose the build whose daemon is started from now on: "pvbackd", or "before", the other build, which may not
# have the option --isolation
daemon_of() {
	program=$daemon_program program_options=()
	[ "$1" = pvbackd ] || program=$against/pvbackd
	! "$program" --help | grep -q -e --isolation || program_options=(--isolation="$isolation")
}

# daemon_start [COMMAND...]: start the daemon, under COMMAND if one is given; its PID is in $daemon
daemon_start() {
	local log=$XENSIM_DIR/daemon.log
	[ -n "${program:-}" ] || daemon_of pvbackd
	mkdir -p "$XENSIM_DIR/run"
	: >"$log"
	"$@" "$program" --runtime-dir="$XENSIM_DIR/run" "${program_options[@]}" "${daemon_options[@]}" >>"$log" 2>&1 &
	daemon=$!
	until grep -q ' serves with ' "$log"; do
		kill -0 "$daemon" 2>/dev/null || die "the daemon does not start: $(tail -n 1 "$log")"
		sleep 0.05
	done
}

# daemon_under_callgrind FILE: start the daemon; callgrind counts what the process that serves the rings executes, into FILE
daemon_under_callgrind() {
	if [ ${#program_options[@]} -eq 0 ]; then # an older build, whose daemon serves the rings itself
		daemon_start valgrind -q --tool=callgrind --callgrind-out-file="$1"
		return
	fi
	[ -e "$build/bench/lib/callgrind.so" ] || die "its programs are not built there: make bench-programs"
	program_options+=(--confine=no)
	daemon_start env BENCH_CALLGRIND="$1" LD_PRELOAD="$build/bench/lib/callgrind.so"
}

daemon_stop() {
	local pid pids
	pids=$(guest_pids)
	kill -INT "$daemon" # SIGINT ends the processes of the guests, too
	wait "$daemon" || say "the daemon ended with status $?"
	for pid in $pids; do # the processes of the guests may end later than the daemon
		while [ -e "/proc/$pid" ]; do sleep 0.02; done
	done
}

# hold_process GUEST: give the guest a disk that it does not use, so that the same process serves it all the time
hold_process() {
	truncate -s 1M "$XENSIM_DIR/idle"
	xensim-xl block-attach "$1" "$XENSIM_DIR/idle" xvdp
	[ -p "$XENSIM_DIR/stay" ] || mkfifo "$XENSIM_DIR/stay"
	simidle "$1" $((51712 + 16 * 15)) 1 <>"$XENSIM_DIR/stay" >"$XENSIM_DIR/holder.log" 2>&1 &
	holder=$!
	until grep -qs idle "$XENSIM_DIR/holder.log"; do sleep 0.02; done
}

# guest_ends GUEST: end a guest after hold_process
guest_ends() {
	kill "$holder"
	xensim-xl destroy "$1"
}

# simblk_figure NAME FILE...: print this figure of the result line that simblk has written into each file
simblk_figure() { sed -n "s/^plain .*\\<$1=\\([0-9.]*\\).*/\\1/p" "${@:2}"; }

# guest_pids: print the PIDs of the processes that the daemon has started
guest_pids() { pgrep -P "$daemon" -x pvbackd-guest || :; }

# daemon_pids: print the PIDs of the daemon and of these processes
daemon_pids() { echo "$daemon" && guest_pids; }

# room_for_contexts: raise the limit of aio requests; each process has libaio contexts of its own, and the default is too small
room_for_contexts() {
	sysctl -qp "$SOURCE/systemd/sysctl-pvbackd.conf" 2>/dev/null || say "fs.aio-max-nr is $(sysctl -n fs.aio-max-nr)"
}

# cpu_ns PID...: print the CPU time of all their threads, including those that have ended (CPUCLOCK_SCHED of a process)
cpu_ns() {
	python3 -c 'import sys, time; print(sum(time.clock_gettime_ns(~int(pid) << 3 | 2) for pid in sys.argv[1:]))' "$@"
}

# wait_ns PID...: print how long their threads were ready to run and waited for a processor
wait_ns() {
	local pid
	for pid; do cat "/proc/$pid"/task/*/schedstat; done | awk '{ n += $2 } END { print n }'
}

# private_kib PID...: print the private memory of each
private_kib() {
	local pid
	for pid; do cat "/proc/$pid/smaps_rollup"; done | awk '/^Private_/ { n += $2 } END { print n }'
}

# sleeps PID...: print how often their threads have gone to sleep
sleeps() {
	local pid
	for pid; do cat "/proc/$pid"/task/*/status; done | awk '/^voluntary/ { n += $2 } END { print n }'
}

# --- what a request costs, counted ---
#
# The difference between a load of 10,000 requests and one of 2,000 is what the requests themselves cost. The benchmark
# defines guest_load CASE N, begin_daemon CASE WHO, end_daemon and make_guest CASE.
FEW=2000 MANY=10000
# per_request LESS MORE
per_request() { calc "($2 - $1) / ($MANY - $FEW)"; }

# count_syscalls FILE COMMAND...: run the command, and write the number of the daemon's system calls into FILE. The file is
# empty where perf is not allowed
count_syscalls() {
	local file=$1 pids perf status=0
	shift
	pids=$(daemon_pids | paste -sd ,)
	perf stat -x, -e raw_syscalls:sys_enter -p "$pids" -o "$file.perf" 2>/dev/null &
	perf=$!
	sleep 0.3
	"$@" || status=$?
	kill -INT "$perf" 2>/dev/null
	wait "$perf" || :
	sed -n 's/^\([0-9]*\),.*sys_enter.*/\1/p' "$file.perf" >"$file"
	return $status
}

# count_calls CASE WHO: count system calls, and how often a thread slept
count_calls() {
	local n before pids calls=() slept=()
	begin_daemon "$1" "$2"
	mapfile -t pids < <(daemon_pids)
	for n in $FEW $MANY; do
		before=$(sleeps "${pids[@]}")
		count_syscalls "$XENSIM_DIR/calls" guest_load "$1" "$n" >/dev/null || die "the load failed while perf counted"
		slept+=($(($(sleeps "${pids[@]}") - before))) calls+=("$(cat "$XENSIM_DIR/calls")")
	done
	sample "$1" "$2" sleeps "$(per_request "${slept[@]}")"
	[ -z "${calls[0]}" ] || sample "$1" "$2" syscalls "$(per_request "${calls[@]}")"
}

# run_counted CASE WHO N: run a load of N requests under callgrind. False if callgrind has written nothing: on a busy machine
# it is so slow that control may kill the process before.
run_counted() {
	local written=$XENSIM_DIR/callgrind.$3
	rm -f "$written" # it may be left from the other build
	daemon_of "$2"
	daemon_under_callgrind "$written"
	make_guest "$1"
	guest_load "$1" "$3" >/dev/null || die "the load failed under callgrind"
	guest_ends "$guest"
	daemon_stop
	grep -qs '^totals: [1-9]' "$written"
}

# count_instructions CASE WHO: count by place, under callgrind, without the simulated libraries, whose work Xen does on a host
count_instructions() {
	local n what
	end_daemon
	for n in $FEW $MANY; do
		run_counted "$@" "$n" || run_counted "$@" "$n" || die "callgrind wrote nothing"
	done
	"$BENCH/lib/callgrind-objects" "$XENSIM_DIR/callgrind.$FEW" "$XENSIM_DIR/callgrind.$MANY" $((MANY - FEW)) |
		while read -r what n; do
			sample "$1" "$2" "$what" "$n"
		done
}

# can_count WHO: false if the counted program needs pidfd_open() (control does), which valgrind does not know
can_count() {
	daemon_of "$1"
	[ -n "$(type -P valgrind)" ] && [ "${program_options[*]}" != --isolation=none ]
}

# count_all CASE WHO
count_all() {
	[ -z "$(type -P perf)" ] || count_calls "$1" "$2"
	! can_count "$2" || count_instructions "$1" "$2"
}

# take_turns N COMMAND CASE PARTY...: run COMMAND for all parties N times, every second time in reverse order
take_turns() {
	local n i command=$2 case=$3 times=$1
	shift 3
	for ((n = 0; n < times; n++)); do
		for ((i = 0; i < $#; i++)); do
			local at=$((n % 2 ? $# - i : i + 1))
			"$command" "$case" "${!at}"
		done
	done
}

# bench_cases: for each case of $CASES that is wanted, call run CASE WHO for all $parties, and count_all for $daemons
bench_cases() {
	local case
	[ "$count" = only ] || for case in $CASES; do
		wanted "$case" && say "$case" && take_turns "$rounds" run "$case" "${parties[@]}"
	done
	end_daemon
	[ "$count" = no ] || for case in $CASES; do
		wanted "$case" && say "$case, counting" &&
			take_turns "$([ "$count" = only ] && echo "$rounds" || echo 1)" count_all "$case" "${daemons[@]}"
	done
	end_daemon
}
