# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The base of all that runs in Dom0: reports, checks, waiting.

# shellcheck source=/dev/null
. /lab/run.conf
LOG=/lab/log/${SCENARIO:-shell}
FAILED=0
mkdir -p "$LOG"

# report WORDS: a line for the host (see dom0/init) and for the log
report() {
	printf '%s\n' "$*" >/dev/ttyS1
	printf '=== %3d s: %s\n' "$SECONDS" "$*"
}

# nap SECONDS: without a fork, which is slow here
nap() { read -rt "$1" <>/run/nap || :; }

# wait_for SECONDS COMMAND...: repeat the command until it succeeds; fail after the time. The time is for an idle machine, and is
# multiplied by LAB_PATIENCE
wait_for() {
	local limit=$((SECONDS + $1 * LAB_PATIENCE))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $limit ] || { echo "in vain waited for: $*"; return 1; }
		nap 0.1
	done
}

# last_line FILE: the last that is not blank
last_line() {
	local line last=
	while IFS= read -r line; do
		[ -z "${line// /}" ] || last=$line
	done <"$1"
	printf '%s' "${last//$'\r'/}"
}

# check SENTENCE COMMAND...: one check of the scenario; the command runs in this shell, and the last
# line it prints is the reason when it fails
check() {
	local sentence=$1 status=0
	shift
	"$@" >"$LOG/check.out" 2>&1 || status=$?
	cat "$LOG/check.out"
	if [ $status -eq 0 ]; then
		report "ok $SCENARIO: $sentence"
	else
		FAILED=$((FAILED + 1))
		report "not ok $SCENARIO: $sentence ($(last_line "$LOG/check.out"))"
	fi
	return $status
}

# need SENTENCE COMMAND...: a check without which the scenario cannot go on
need() { check "$@" || exit 0; }

# skip REASON: of the whole scenario
skip() {
	report "skip $SCENARIO: $*"
	exit 0
}

# disk_stat NAME: print the kernel's counters of /dev/NAME, which may have another name in the kernel
disk_stat() {
	local numbers
	numbers=$(stat -c '0x%t 0x%T' "/dev/$1")
	# shellcheck disable=SC2086 # two
	cat "/sys/dev/block/$(printf '%d:%d' $numbers)/stat"
}

# note WORDS: a figure or a fact for the reader, no check
note() { report "note $SCENARIO: $*"; }

# is VALUE WANTED; has TEXT PATTERN (extended regular expression, by lines); hasnt likewise
is() { [ "$1" = "$2" ] || { echo "is '$1', not '$2'"; return 1; }; }
has() { grep -Eq -- "$2" <<<"$1" || { echo "no '$2' in: $(one_line "$1")"; return 1; }; }
hasnt() { ! grep -Eq -- "$2" <<<"$1" || { echo "'$2' in: $(one_line "$1")"; return 1; }; }
one_line() { printf '%s' "${1:0:300}" | tr '\n' ' '; }
