#!/bin/sh
# SPDX-License-Identifier: MIT
# The systemd unit has the settings that restarts depend on, and systemd accepts all of it.
set -eu
unit=${top_builddir:-.}/systemd/pvbackd.service
status=0

# The settings for what pvbackd-restart(7) promises. sim-watchdog.sh tests the daemon's part.
for line in Type=notify Restart=always RestartSec=500ms StartLimitIntervalSec=0 \
	RestartPreventExitStatus=2 WatchdogSec=30 RuntimeDirectoryPreserve=yes KillMode=process; do
	grep -qx "$line" "$unit" || { echo "pvbackd.service does not say $line"; status=1; }
done
# Services that start guests come after pvbackd, and services that images need before it.
for unit_after in xendomains.service libvirtd.service virtxend.service libvirt-guests.service; do
	grep "^Before=" "$unit" | grep -qw "$unit_after" || { echo "pvbackd.service is not before $unit_after"; status=1; }
done
for unit_before in xenstored.service remote-fs.target network.target; do
	grep "^After=" "$unit" | grep -qw "$unit_before" || { echo "pvbackd.service is not after $unit_before"; status=1; }
done

# The package cannot be removed while there are guests, which would hang without it; it can be upgraded.
prerm=${top_srcdir:-.}/debian/pvbackd.prerm
PVBACKD_RUNTIME_DIR=$(mktemp -d)
export PVBACKD_RUNTIME_DIR
prerm_says() { # STATUS ARGUMENT...
	_wanted=$1 _got=0
	shift
	sh "$prerm" "$@" >"$PVBACKD_RUNTIME_DIR/said" 2>&1 || _got=$?
	[ $_got = "$_wanted" ] || { echo "prerm $*: status $_got: $(cat "$PVBACKD_RUNTIME_DIR/said")"; status=1; }
}
: >"$PVBACKD_RUNTIME_DIR/lock"
prerm_says 0 remove
: >"$PVBACKD_RUNTIME_DIR/vbd-7-51712-0.journal"
: >"$PVBACKD_RUNTIME_DIR/vif-7-1.tap"
prerm_says 1 remove
for device in vbd.7/51712 vif.7/1; do
	grep -q "$device" "$PVBACKD_RUNTIME_DIR/said" || { echo "prerm does not name $device"; status=1; }
done
prerm_says 0 upgrade 0.2
PVBACKD_REMOVE=anyway prerm_says 0 remove
rm -rf "$PVBACKD_RUNTIME_DIR"

# pvbackctl set --config can write its file, and nothing else in /etc can be written.
grep -qx "ReadWritePaths=-/.*/pvbackd.conf.d" "$unit" || {
	echo "pvbackd.service keeps pvbackd.conf.d read-only"; status=1
}

# A reload fails when the daemon refuses the configuration. An upgrade checks the configuration before it restarts the daemon.
[ "$(grep "^ExecReload=" "$unit" | sed 's|=.*/|=|')" = "ExecReload=pvbackctl reload" ] || {
	echo "pvbackd.service does not reload by pvbackctl"; status=1
}
for answer in true false; do
	if PVBACKD=$answer sh "${top_srcdir:-.}/debian/pvbackd.postinst" configure 2>/dev/null; then went=true; else went=false; fi
	[ $went = $answer ] || { echo "postinst: $went where the check says $answer"; status=1; }
done

# The package does not start the daemon beside the kernel's backends, but an upgrade restarts it, because it serves guests.
# The sysctl file holds at once. A purge leaves nothing.
host=$(mktemp -d)
mkdir "$host/bin" "$host/modules"
for program in systemctl deb-systemd-invoke sysctl; do
	printf '#!/bin/sh\necho "$*" >>%s\n' "$host/asked" >"$host/bin/$program"
	chmod +x "$host/bin/$program"
done
postinst_asks() { # WHAT ARGUMENT...
	_wanted=$1
	shift
	: >"$host/asked"
	PATH=$host/bin:$PATH PVBACKD=true PVBACKD_SYSTEMD=$host PVBACKD_MODULES=$host/modules PVBACKD_PROC=$host/proc \
		sh "${top_srcdir:-.}/debian/pvbackd.postinst" configure "$@" 2>"$host/said"
	[ "$(grep -v daemon-reload "$host/asked")" = "$_wanted" ] || { echo "postinst $*: $(cat "$host/asked")"; status=1; }
}
postinst_asks "start pvbackd.service" ''
mkdir -p "$host/proc/sys/fs"
echo 65536 >"$host/proc/sys/fs/aio-max-nr"
postinst_asks "-q -p /usr/lib/sysctl.d/pvbackd.conf
start pvbackd.service" ''
echo 2000000 >"$host/proc/sys/fs/aio-max-nr"
mkdir "$host/modules/xen_netback"
postinst_asks "" ''
grep -q "modprobe -r xen-netback *$" "$host/said" || { echo "postinst says: $(cat "$host/said")"; status=1; }
postinst_asks "restart pvbackd.service" 0.1.0
mkdir -p "$host/etc/pvbackd.conf.d" "$host/etc/modprobe.d" "$host/run/pvbackd"
touch "$host/etc/pvbackd.conf" "$host/etc/pvbackd.conf.d/90-pvbackctl.conf" "$host/run/pvbackd/lock"
ln -s /dev/null "$host/etc/modprobe.d/pvbackd.conf"
PVBACKD_ROOT=$host sh "${top_srcdir:-.}/debian/pvbackd.postrm" remove
[ -e "$host/etc/pvbackd.conf" ] || { echo "a removal takes the configuration away"; status=1; }
PVBACKD_ROOT=$host sh "${top_srcdir:-.}/debian/pvbackd.postrm" purge
left=$(find "$host/etc" "$host/run" -name '*pvbackd*')
[ -z "$left" ] || { echo "a purge leaves: $left"; status=1; }
rm -rf "$host"

command -v systemd-analyze >/dev/null || { echo "SKIP: no systemd-analyze; the rest is as it should be"; [ $status = 1 ] || status=77; exit $status; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# The program and its man pages need not be installed here.
sed -e 's|^ExecStart=.*|ExecStart=/bin/true|' -e 's|^ExecReload=.*pvbackctl|ExecReload=/bin/true|' -e '/^Documentation=/d' "$unit" >"$dir/pvbackd.service"
words=$(systemd-analyze verify --man=no "$dir/pvbackd.service" 2>&1 | grep pvbackd || :)
[ -z "$words" ] || { echo "$words"; status=1; }
exit $status
