#!/bin/sh
# SPDX-License-Identifier: MIT
# Print the line coverage of each part of src/, from all that a build with --enable-coverage has run so far.
# Usage: coverage.sh BUILD_DIR
set -eu
cd "$1"
find src -name '*.gcda' -o -name 'libpvb_a-*.gcda' | grep -q . || {
	echo "nothing has run: configure with --enable-coverage, then make check" >&2
	exit 1
}
# gcov names a source file on one line and its figures on the next.
find src -name '*.gcda' -exec gcov -n {} + 2>/dev/null | awk '
	/^File / { file = $2; gsub("\047", "", file); next }
	/^Lines executed:/ {
		split($0, part, /[:% ]+/)
		if (!match(file, /src\/.*\.c$/)) next
		file = substr(file, RSTART)
		lines = $NF
		if (file in seen) next
		seen[file] = 1
		where = file
		if (sub(/^src\//, "", where) && sub(/\/[^\/]*$/, "", where)) place = "src/" where; else place = file
		if (place !~ /^src\/[a-z]+$/ && place != "src/control/xenbus.c") place = "src"
		total[place] += lines
		hit[place] += lines * part[3] / 100
	}
	END { for (place in total) printf "%-14s %5.1f %% of %d lines\n", place, 100 * hit[place] / total[place], total[place] }
' | sort
