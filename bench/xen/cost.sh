# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the scenarios of bench/xen-cost share: windows in which a guest does N or 2N requests, and the memory maps that are
# needed later to name the functions that ran.
# shellcheck disable=SC2154

# shellcheck source=bench/xen/bench.sh
. /lab/scenarios/bench.sh

windows=0 turns=0

marks_start() {
	coproc MARK { /lab/scenarios/mark; }
}

# window GUEST COMMAND: run the command in a window; it must end within the window. Its output goes to $output. Meanwhile this
# shell sleeps. The plugin numbers the windows in the same way.
window() {
	REQUEST=$((REQUEST + 1))
	echo "$window_ms" >&"${MARK[1]}"
	printf '%s %s\n' "$REQUEST" "$2" >"${CONSOLE_TTY[$1]}" || return
	read -r -u "${MARK[0]}" windows || return
	if ! console_until "$1" 0 "@$REQUEST=" >"$output"; then
		echo "the window of $window_ms ms was too short"
		console_until "$1" 120 "@$REQUEST=" >"$output"
		return 1
	fi
	return "${ANSWER#*=}"
}

# count GUEST CASE WHO N MAKE-COMMAND...: run pairs of windows with N and 2N requests; their difference is what N cost. A first
# run does what happens only once: mapping pages and allocating buffers.
count() {
	local guest=$1 case=$2 who=$3 n=$4 round factor
	shift 4
	wanted "$case" || return 0
	doing "$case" "$LOG/window.out"
	window "$guest" "$("$@" "$n")" || return
	for ((round = 1; round <= rounds; round++)); do
		for factor in 1 2; do
			window "$guest" "$("$@" $((n * factor)))" || return
			note "window $windows $case $who $round $((n * factor)) $turns"
		done
	done
}

# counted PARTY: run its turn, up to three times, because the emulator loses a guest now and then. A new count replaces the
# old one.
counted() {
	local tries
	for ((tries = 1; tries <= 3; tries++)); do
		doing "the beginning"
		turn "$1" && return
		note "the turn of $1 was lost at $(why_lost)"
		recover "$1" || return
	done
	return 1
}

# remember: write down the memory maps of Dom0, which hold from now on
remember() {
	local dir=$LOG/turn$((++turns)) pid words
	mkdir "$dir"
	cp /proc/modules "$dir/modules"
	grep '\[' /proc/kallsyms >"$dir/kallsyms"
	[ -e "$LOG/kallsyms" ] || grep -v '\[' /proc/kallsyms >"$LOG/kallsyms"
	for pid in /proc/[0-9]*; do
		words=$(tr '\0' ' ' <"$pid/cmdline") && [ -n "$words" ] || continue
		printf 'process %s %s\n' "${pid#/proc/}" "$words"
		grep ' r-xp ' "$pid/maps"
	done >"$dir/maps" 2>/dev/null
}

# remember_guest GUEST: write down the addresses of the guest's modules
remember_guest() { guest_run "$1" "grep -E ' [tT] .*\[xen_(blk|net)front' /proc/kallsyms" >"$LOG/guest-kallsyms"; }
