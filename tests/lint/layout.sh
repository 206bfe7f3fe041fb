#!/bin/sh
# SPDX-License-Identifier: MIT
# The rules of CONTRIBUTING.md that a program can check: layout, which files may include which, licences.
set -eu
cd "${top_srcdir:-.}"
status=0
complain() {
	echo "$1"
	status=1
}

sources=$(find src tests bench -name '*.[ch]' ! -path 'tests/xen/cache/*' | sort)
scripts=$(grep -rlE '^#!/bin/(ba)?sh' tools tests bench debian .ci autogen.sh --include='*' --exclude-dir=cache 2>/dev/null | sort)

if command -v clang-format >/dev/null; then
	# shellcheck disable=SC2086
	clang-format --dry-run --Werror $sources >/dev/null 2>&1 ||
		complain "not laid out as .clang-format says; run: make format"
else
	echo "clang-format is missing: layout not looked at"
fi
if command -v shellcheck >/dev/null; then
	# shellcheck disable=SC2086
	shellcheck -x -e SC1091 $scripts completion/* || complain "shellcheck has something to say"
else
	echo "shellcheck is missing: scripts not looked at"
fi

if command -v codespell >/dev/null; then
	# These are names here: a disk, an option of groff, neighbour discovery, a shared ring.
	# shellcheck disable=SC2086
	codespell -q 3 -L hda,bu,te,nd,nin,sring,hasnt $sources $scripts man examples packaging bench/README.md tests/xen/README.md \
		tests/sim/README.md README.md NEWS CONTRIBUTING.md SECURITY.md systemd ||
		complain "codespell finds a slip"
else
	echo "codespell is missing: spelling not looked at"
fi

for file in $sources $scripts completion/* $(find src man systemd tests bench -name '*.mk' ! -path 'tests/xen/cache/*') configure.ac Makefile.am; do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || complain "$file has no SPDX line"
done

# includes FILE...: what they include in quotes, as FILE:NAME
includes() { grep -Ho '^#include "[^"]*"' "$@" | sed 's/#include "\(.*\)"/\1/'; }
forbid() {
	why=$1 pattern=$2
	shift 2
	found=$(includes "$@" | grep -E ":($pattern)" || true)
	[ -z "$found" ] || complain "$why: $found"
}
forbid "ring/ sees C headers and itself only" '[^r]|r[^i]' src/ring/*.[ch]
forbid "core/ sees itself only" '[^c]|c[^o]|con[^tf]|cont[^a]' src/core/*.[ch]
forbid "xenbus sees C headers and itself only" '(control/[^x]|[^c])' src/control/xenbus.[ch]
forbid "ctl/ speaks with the daemon, and sees of it core/ only" '(control|guest|ring|hotplug|blkback|netback)/' src/ctl/*.[ch]
forbid "blkback/ never sees netback/" 'netback/' src/blkback/*.[ch]
forbid "netback/ never sees blkback/" 'blkback/' src/netback/*.[ch]
forbid "control/ reaches disks and NICs through struct device_ops" '(blk|net)back/' \
	src/control/device.[ch] src/control/registry.[ch] src/control/store.[ch]
files() { # FOLDER NAME...: both files of each, as far as there are two
	dir=$1
	shift
	for name; do ls "$dir/$name".[ch]; done
}
# shellcheck disable=SC2086
nic_data=$(files src/netback nic vif_queue vif_tx vif_rx vif_emit vif_ctrl vif_shared vif_capture vif_pool vif_stats vif_kept \
	vif_undo merge offload segment checksum hash mcast filter frame capture pcapng tap_batch)
nic_control=$(files src/netback vif vif_front vif_file vif_options vif_pcap pcap_filter vif_quirks vif_state vif_steer vif_tune quirks \
	steer tap tap_keeper tap_mark tap_share budget filter_conf)
# shellcheck disable=SC2086
forbid "who serves a NIC's rings knows nothing of control/" 'control/' $nic_data
# shellcheck disable=SC2086
forbid "control serves no NIC's rings" 'guest/|netback/(nic|vif_queue|vif_ctrl|vif_shared)' $nic_control
for file in src/netback/*.[ch]; do
	printf '%s\n' "$nic_data" "$nic_control" | grep -qx "$file" ||
		complain "$file is on neither side: name it in $0"
done
forbid "guest/ serves rings of both kinds, and sees neither kind nor control/" '(blk|net)back/|control/' src/guest/*.[ch]
# The half of a disk to which a file belongs. The two halves talk only by messages (core/messages.h).
disk_control=$(echo src/blkback/vbd.[ch] src/blkback/vbd_attach.c src/blkback/vbd_file.[ch] src/blkback/vbd_front.c \
	src/blkback/vbd_image.c src/blkback/vbd_lock.c src/blkback/vbd_resize.c src/blkback/vbd_tune.c src/blkback/disk_options.[ch] \
	src/blkback/image_find.[ch] src/blkback/image_open.[ch] src/blkback/nbd_dial.[ch] src/blkback/nbd_fence.[ch] \
	src/blkback/vbd_dial.c src/blkback/xentop_file.c)
disk_data=$(for file in src/blkback/*.[ch]; do case " $disk_control " in *" $file "*) ;; *) echo "$file" ;; esac; done)
# shellcheck disable=SC2086
forbid "the data side of a disk sees nothing of control" 'control/|blkback/(vbd|vbd_file|disk_options|image_find|image_open|nbd_dial)\.h' \
	$disk_data
# shellcheck disable=SC2086
forbid "a disk's control side reaches rings by messages" 'guest/|blkback/(aio|disk|kept|nbd_conn|nbd_link|vbd_queue)\.h' \
	$disk_control
# shellcheck disable=SC2086
if grep -nE '#include <(libaio|xengnttab|xenevtchn)' $disk_control; then
	complain "a disk's control side does no I/O and maps no grant"
fi
if grep -nE '#include <(xen|libaio|libnl|netlink)' src/ring/*.[ch] src/control/xenbus.[ch]; then
	complain "ring/ and xenbus are pure"
fi
# shellcheck disable=SC2086
if grep -nwE 'TODO|FIXME|XXX' $sources; then
	complain "a promise in a comment: make it an issue, or do it"
fi
exit $status
