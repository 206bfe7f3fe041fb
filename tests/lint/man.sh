#!/bin/sh
# SPDX-License-Identifier: MIT
# The man pages are well-formed and have the options and commands of --help, pvbackctl's completion offers them, and the
# example configuration is right.
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

# pvbackctl: each command with its words, as "NAME WORDS", and its example; and all options.
pvbackctl=${binary%/*}/pvbackctl
page=$(man -l man/pvbackctl.8 | col -bx)
commands=$("$pvbackctl" --help | sed -n '/^  [a-z]/s/^  \([a-z][^ ]*\( [^ ]*[A-Z][^ ]*\)*\)  .*/\1/p')
written=$(echo "$page" | sed -n '/^COMMANDS/,/^OPTIONS/s/^ \{7\}\([a-z]\)/\1/p' | sed 's/ *[A-Z][a-z].*//')
[ "$commands" = "$written" ] || {
	printf 'pvbackctl --help has:\n%s\npvbackctl(8) has:\n%s\n' "$commands" "$written"
	status=1
}
for command in $("$pvbackctl" --complete ''); do
	example=$("$pvbackctl" "$command" --help | sed -n 's/^example: //p')
	echo "$page" | grep -qF "              $example" || {
		echo "pvbackctl(8) lacks the example: $example"
		status=1
	}
	for option in $("$pvbackctl" "$command" --help | options); do
		echo "$page" | grep -q -e "$option" || {
			echo "pvbackctl(8) lacks $option"
			status=1
		}
	done
done

# completed LINE: what bash offers for it
completed() {
	PATH=${pvbackctl%/*}:$PATH bash -c '. completion/pvbackctl
		COMP_LINE=$1 COMP_POINT=${#1}
		_pvbackctl
		printf "%s\n" "${COMPREPLY[@]}"' - "$1"
}
{ [ "$(completed 'pvbackctl ')" = "$(echo "$commands" | sed 's/ .*//')" ] && [ "$(completed 'pvbackctl list --na')" = --names ]; } || {
	echo "completion/pvbackctl does not offer what there is"
	status=1
}

# What the queues count is explained, word for word as the lists have it.
counted=$("${binary%/*}/tests/lint/list-stats")
written=$(sed -n '/^\.SS Of each ring of a disk/,/^\.SH /{/^\.SH /!p}' man/pvbackd.8)
[ "$counted" = "$written" ] || {
	echo "pvbackd(8), COUNTERS, is not what tests/lint/list-stats writes"
	status=1
}

# The example has every option, and each line of it is right.
example=$(mktemp)
trap 'rm -f "$example"' EXIT
sed 's/^#\([a-z[]\)/\1/' examples/pvbackd.conf >"$example"
"$binary" --config="$example" --check-config >/dev/null 2>&1 || {
	"$binary" --config="$example" --check-config || :
	status=1
}
exit $status
