#!/bin/sh
# SPDX-License-Identifier: MIT
# The man pages are well-formed, and pvbackd(8) names the same options as --help.
set -eu
cd "${top_srcdir:-.}"
binary=${pvbackd:-./pvbackd}
status=0

for page in man/*.[1-8]; do
	! grep -q '^\.so ' "$page" || continue # a second name of another page
	warnings=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
	[ -z "$warnings" ] || { echo "$page: $warnings"; status=1; }
done

options() { grep -oE -- '--[a-z][a-z-]+' | sort -u; }
helped=$("$binary" --help | options)
written=$(man -l man/pvbackd.8 | col -b | sed -n '/^OPTIONS/,/^SIGNALS/p' | grep -E '^ {7}--' | options)
[ "$helped" = "$written" ] || {
	printf 'pvbackd --help has:\n%s\npvbackd(8) has:\n%s\n' "$helped" "$written"
	status=1
}

# Each counter of the dump is explained.
counters=$(sed -n 's/^\tX(\([a-z0-9_]*\)).*/\1/p' src/netback/vif_stats.h)
for counter in $counters; do
	grep -qw "$counter" man/pvbackd.8 || { echo "pvbackd(8) does not name the counter $counter"; status=1; }
done
exit $status
