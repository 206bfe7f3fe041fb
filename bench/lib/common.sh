# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
#
# What the benchmarks share: their options, their samples, the report. A benchmark sets NAME, sources
# this, calls bench_options "$@", writes samples (lib/report says how), and ends with bench_report.

BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SOURCE=$(dirname "$BENCH")

die() { printf '%s: %s\n' "$NAME" "$*" >&2; exit 1; }
say() { printf '%s: %s\n' "$NAME" "$*" >&2; }

# need_programs PROGRAM...
need_programs() {
	local program missing=()
	for program; do
		[ -n "$(type -P "$program")" ] || missing+=("$program")
	done
	[ ${#missing[@]} -eq 0 ] || die "these programs are missing: ${missing[*]} (packages: $BENCH/packages)"
}

bench_usage() {
	cat <<-END
		usage: bench/$NAME [OPTION...]
		${usage_more:-}${sim_usage:-}
		  --build DIR     the build folder (default: the current one)
		  --destdir DIR   measure the installed program in DIR (default: the built one)
		  --rounds N      alternations of each case (default $rounds)
		  --only PATTERN  cases whose name matches (default: all)
		  --out DIR       where the results go (default: bench-results)
		A table is printed, and $NAME.txt (samples), .json and .svg are written.
	END
}

# bench_options ARG...: read the options. An option that is unknown here goes to own_option, which returns how many words it took
bench_options() {
	build=$PWD destdir='' rounds=${rounds:-9} only='*' out=bench-results
	local taken
	while [ $# -gt 0 ]; do
		taken=2
		case $1 in
		--build) build=$2 ;;
		--destdir) destdir=$2 ;;
		--rounds) rounds=$2 ;;
		--only) only=$2 ;;
		--out) out=$2 ;;
		--help) bench_usage; exit 0 ;;
		*)
			taken=0
			own_option "$@" || taken=$?
			[ "$taken" -gt 0 ] || sim_option "$@" || taken=$?
			;;
		esac
		if [ "$taken" -eq 0 ] || [ $# -lt "$taken" ]; then
			bench_usage >&2
			exit 2
		fi
		shift "$taken"
	done
	mkdir -p "$out"
	out=$(cd "$out" && pwd) build=$(cd "$build" && pwd)
	daemon_program=$build/pvbackd
	[ -z "$destdir" ] || daemon_program=$destdir/usr/sbin/pvbackd
	samples=$out/$NAME.txt
}
[ "$(type -t own_option)" = function ] || own_option() { return 0; }
sim_option() { return 0; }

# wanted CASE: true if --only names this case, or if there is no --only
# shellcheck disable=SC2053
wanted() { [[ $1 == $only ]]; }

item() { printf '%s\n' "$*" >>"$samples"; }
sample() { item sample "$@"; }

# begin_samples TITLE: begin an empty file of samples, with a description of the machine
begin_samples() {
	: >"$samples"
	item title "$1"
	item fact "$("$daemon_program" --version 2>/dev/null || echo pvbackd), source $(git -C "$SOURCE" describe --always --dirty 2>/dev/null || echo unknown)"
	item fact "Linux $(uname -r), $(nproc) cores, $(sed -n 's/^model name[^:]*: //p;T;q' /proc/cpuinfo)"
	item fact "$rounds alternations of each case"
}

bench_report() { "$BENCH/lib/report" "$samples" "$out/$NAME"; }

# calc EXPRESSION: print its value
calc() { awk "BEGIN { printf \"%.6g\", $1 }"; }
