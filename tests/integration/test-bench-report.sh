#!/bin/sh
# SPDX-License-Identifier: MIT
# bench/lib/report: medians, ratios of pairs, and when a goal is met. docs/bench.svg shows the tables of bench/README.md.
set -eu
[ -n "$(command -v python3)" ] || { echo "SKIP: python3 is missing"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
report=${top_srcdir:-.}/bench/lib/report

cat >"$dir/samples" <<END
title A machine's try
noise that is no sample
goal fast-* iops pvbackd >= 0.95 peer
goal wide iops pvbackd >= 0.95 peer
goal slow iops pvbackd >= 0.95 peer
goal slow calls pvbackd <= 0.5
END
# The machine was differently busy during each pair; the ratios do not depend on that.
for pair in '100 100' '210 200' '30 30' '400 390'; do
	echo "sample fast-1 pvbackd iops ${pair% *}"
	echo "sample fast-1 peer iops ${pair#* }"
	echo "sample slow pvbackd iops 50"
	echo "sample slow peer iops ${pair#* }"
	echo "sample slow pvbackd calls 0.25"
done >>"$dir/samples"

for mine in 90 94 94 98; do
	echo "sample wide pvbackd iops $mine"
	echo "sample wide peer iops 100"
done >>"$dir/samples"

failed=0
has() { # TEXT SENTENCE
	grep -qF -- "$1" "$dir/table" || { echo "FAILED: $2"; cat "$dir/table"; failed=1; }
}
status=0
python3 "$report" "$dir/samples" "$dir/out" >"$dir/table" || status=$?
[ $status = 1 ] || { echo "FAILED: a missed goal is status 1"; failed=1; }
has '155 [30.00..400]' "a figure is the median and the extremes"
has '1.01 [1.00..1.03]' "a ratio is that of the pairs"
has '0.94 [0.93..0.95]  >= 0.950 of peer: missed?' "a goal inside the spread is missed with a question mark"
has '0.38 [0.22..0.79]   >= 0.950 of peer: missed' "a ratio far from the goal misses it"
has '<= 0.500: met' "a goal may be an absolute number"
python3 -c 'import json, sys
run = json.load(open(sys.argv[1]))
assert run["figures"]["iops"]["fast-1"]["peer"]["median"] == 150, "median"
assert len(run["goals"]) == 4, "goals"' "$dir/out.json" || failed=1

# Another gnuplot draws the same figures differently.
drawn=${top_srcdir:-.}/docs/bench.svg
if command -v gnuplot >/dev/null && grep -q "$(gnuplot --version | cut -d' ' -f2,3,4) *<" "$drawn"; then
	python3 "${top_srcdir:-.}/bench/plots" "$dir/bench.svg" || failed=1
	cmp "$dir/bench.svg" "$drawn" || { echo "FAILED: docs/bench.svg is older than bench/README.md; run bench/plots"; failed=1; }
fi
exit $failed
