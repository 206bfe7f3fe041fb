# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What "build" and "run" share on the host: paths and messages.
# shellcheck disable=SC2034

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Each release of Debian has its own parts.
RELEASE=${XEN_LAB_RELEASE:-12}
CACHE=${XEN_LAB_CACHE:-$LAB/cache}
[ "$RELEASE" = 12 ] || CACHE=$CACHE/debian-$RELEASE
BUSYBOX=/bin/busybox
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

say() { printf 'xen-lab: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# need_programs NAME...: if programs are missing, print their names and exit
need_programs() {
	local name missing=()
	for name; do
		command -v "$name" >/dev/null || missing+=("$name")
	done
	[ ${#missing[@]} -eq 0 ] || die "missing programs: ${missing[*]} (install what tests/xen/packages lists)"
}
