# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
#
# The daemon on the simulated machine, for the benchmarks that need no Xen.

daemon_options=(--isolation=none) # what it costs is counted of one process; and more of them

# sim_enter ARG...: runs the benchmark again inside a fresh machine; returns there
sim_enter() {
	XENSIM_BUILD=$build/tests/sim
	export XENSIM_BUILD
	[ -x "$XENSIM_BUILD/xensim-hv" ] || die "the simulator is not built there: make xensim"
	[ -x "$daemon_program" ] || die "$daemon_program is not there"
	[ -n "${XENSIM_DIR:-}" ] || exec "$SOURCE/tests/sim/xensim-run" "$0" "$@"
	trap 'kill $(jobs -p) 2>/dev/null || :' EXIT # whatever happens, nothing of ours stays
	hv=$XENSIM_HV
}

# daemon_start [COMMAND...]: as $daemon, under the command when there is one
daemon_start() {
	local log=$XENSIM_DIR/daemon.log
	mkdir -p "$XENSIM_DIR/run"
	: >"$log"
	"$@" "$daemon_program" --runtime-dir="$XENSIM_DIR/run" "${daemon_options[@]}" >>"$log" 2>&1 &
	daemon=$!
	until grep -q ' serves with ' "$log"; do
		kill -0 "$daemon" 2>/dev/null || die "the daemon does not start: $(tail -n 1 "$log")"
		sleep 0.05
	done
}

daemon_stop() {
	kill "$daemon"
	wait "$daemon" || say "the daemon ended with status $?"
}

# cpu_ns PID: what all its threads have used
cpu_ns() { cat "/proc/$1"/task/*/schedstat | awk '{ n += $1 } END { print n }'; }

# wait_ns PID: what its threads have waited for a processor while they could run
wait_ns() { cat "/proc/$1"/task/*/schedstat | awk '{ n += $2 } END { print n }'; }

# count_syscalls PID FILE COMMAND...: runs the command; leaves the number of the process's system calls in
# FILE, or nothing where perf may not look
count_syscalls() {
	local pid=$1 file=$2 perf status=0
	shift 2
	perf stat -x, -e raw_syscalls:sys_enter -p "$pid" -o "$file.perf" 2>/dev/null &
	perf=$!
	sleep 0.3
	"$@" || status=$?
	kill -INT "$perf" 2>/dev/null
	wait "$perf" || :
	sed -n 's/^\([0-9]*\),.*sys_enter.*/\1/p' "$file.perf" >"$file"
	return $status
}
