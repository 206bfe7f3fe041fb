#!/bin/sh
# SPDX-License-Identifier: MIT
# The man pages are well-formed and have the options and commands of --help. The completion of pvbackctl offers these, and the
# example configuration has no error.
set -eu
cd "${top_srcdir:-.}"
binary=${pvbackd:-./pvbackd}
status=0

for page in man/*.[1-8]; do
	! grep -q '^\.so ' "$page" || continue # a second name of another page
	warnings=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
	[ -z "$warnings" ] || { echo "$page: $warnings"; status=1; }
	! command -v mandoc >/dev/null || mandoc -T lint -W warning "$page" || status=1
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

# The man page explains all counters of the queues, in the words of the lists.
counted=$("${binary%/*}/tests/lint/list-stats")
written=$(sed -n '/^\.SS Of each ring of a disk/,/^\.SH /{/^\.SH /!p}' man/pvbackd-counters.7)
[ "$counted" = "$written" ] || {
	echo "pvbackd-counters(7), COUNTERS, is not what tests/lint/list-stats writes"
	status=1
}

# The man page explains each key of xenstore that the code names. Keys that an admin sets are described as in the tables of options.
settable=$("${binary%/*}/tests/lint/list-keys")
written=$(sed -n '/^\.SH KEYS THAT AN ADMIN SETS/,/^\.SS Without/p' man/pvbackd-keys.7 | sed -n '/^\.SS Of/,$p' | sed '$d')
[ "$settable" = "$written" ] || {
	echo "pvbackd-keys(7), KEYS THAT AN ADMIN SETS, is not what tests/lint/list-keys writes"
	status=1
}
explained=$(sed 's/\\-/-/g' man/pvbackd-keys.7 | grep -oE '[a-z][a-z0-9-]+' | sort -u)
# f and k begin names of watches; phy is a value; target and vm are of the domain, not of a device.
for key in $(grep -hE 'store_(read|write|exists|remove)|front_(has|text|number|optional|flag)|read_(ref|port|key|own)|backend_read|watch_key|_KEY |\{ "feature-' \
	src/blkback/vbd*.c src/netback/vif*.c src/control/device.c src/control/owner.c src/control/front.c src/control/reason.c \
	src/hotplug/backend.[ch] src/hotplug/block.c src/hotplug/claims.c src/hotplug/vif.c src/hotplug/vifconf.c |
	grep -oE '"[a-z][a-z0-9]*(-[a-z0-9]+)*(%u)?"' | tr -d '"' | sed 's/%u$/0/' | grep -vxE 'f|k|phy|target|vm' | sort -u); do
	echo "$explained" | grep -qx -e "$key" || {
		echo "pvbackd-keys(7) lacks $key"
		status=1
	}
done

# Each page and each section that a page names exists.
for page in man/*.[1-8]; do
	for other in $(sed 's/\\-/-/g' "$page" | grep -oE '(pvback[a-z-]*|block-pvbackd|vif-pvbackd)(\.conf)? ?\([578]\)' | tr -d ' ' | sort -u); do
		name=${other%(*} section=${other#*(}
		[ -e "man/$name.${section%)}" ] || { echo "$page names $other, which is not there"; status=1; }
	done
done

# The example has each option, and each of its lines is accepted.
example=$(mktemp)
trap 'rm -f "$example"' EXIT
sed 's/^#\([a-z[]\)/\1/' examples/pvbackd.conf >"$example"
"$binary" --config="$example" --check-config >/dev/null 2>&1 || {
	"$binary" --config="$example" --check-config || :
	status=1
}
exit $status
