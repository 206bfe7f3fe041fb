#!/bin/sh
# SPDX-License-Identifier: MIT
# The systemd unit says what restarts rest on, and systemd understands all of it.
set -eu
unit=${top_builddir:-.}/systemd/pvbackd.service
status=0

# What pvbackd(8) promises under RESTARTS; sim-watchdog.sh has the daemon at the other end.
for line in Type=notify Restart=always RestartSec=500ms StartLimitIntervalSec=300 StartLimitBurst=30 \
	RestartPreventExitStatus=2 WatchdogSec=30 RuntimeDirectoryPreserve=yes; do
	grep -qx "$line" "$unit" || { echo "pvbackd.service does not say $line"; status=1; }
done

command -v systemd-analyze >/dev/null || { echo "SKIP: no systemd-analyze; the rest is as it should be"; [ $status = 1 ] || status=77; exit $status; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# Neither the program nor its man pages need be installed here.
sed -e 's|^ExecStart=.*|ExecStart=/bin/true|' -e '/^Documentation=/d' "$unit" >"$dir/pvbackd.service"
words=$(systemd-analyze verify --man=no "$dir/pvbackd.service" 2>&1 | grep pvbackd || :)
[ -z "$words" ] || { echo "$words"; status=1; }
exit $status
