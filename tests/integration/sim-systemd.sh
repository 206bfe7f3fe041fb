#!/bin/sh
# SPDX-License-Identifier: MIT
# The unit under a real systemd, in a container. The test looks at what start, kill, reload, restart, upgrade, stop and the
# shutdown of the host do to the daemon and to the processes of its guests, while a guest uses its disk.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
PVB_ISOLATION=guest # as in the unit
export PVB_ISOLATION
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

[ "$(id -u)" = 0 ] || skip "a container of systemd is root's"
[ -x /lib/systemd/systemd ] || skip "no systemd here"
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
cgroup=$cgroups$(sed -n 's/^0:://p' /proc/self/cgroup)/box-$$
[ -n "$cgroups" ] || skip "no cgroups of version 2 here"
mkdir "$cgroup" 2>/dev/null || skip "no cgroup can be made in $cgroups"
daemon=$$ # test_case only checks that this process lives
box=$XENSIM_DIR/box

# --- the container ---

make_units() {
	# Standard output goes to the log, too, unless the unit itself says where it goes.
	sed "/^\[Service\]/a StandardOutput=append:$log" "$build/systemd/pvbackd.service" >"$box/units/pvbackd.service"
	for _unit in sysinit basic multi-user network remote-fs box; do
		printf '[Unit]\nDefaultDependencies=no\n' >"$box/units/$_unit.target"
	done
	for _unit in shutdown.target umount.target final.target poweroff.target systemd-poweroff.service; do
		cp "/lib/systemd/system/$_unit" "$box/units/"
	done
	cat >"$box/units/xendomains.service" <<-end
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/true
		ExecStop=/bin/sh -c 'systemctl is-active pvbackd >$box/at-shutdown; touch $XENSIM_DIR/enough'
		ExecStop=/bin/sh -c 'until [ -e $box/load-ended ]; do sleep 0.05; done'
	end
	mkdir "$box/units/pvbackd.service.d"
	cat >"$box/units/pvbackd.service.d/xensim.conf" <<-end
		[Unit]
		ConditionPathExists=
		[Service]
		Environment=XENSIM_DIR=$XENSIM_DIR XENSTORED_PATH=$XENSTORED_PATH LD_LIBRARY_PATH=$LD_LIBRARY_PATH
		StandardError=append:$log
	end
}

boot() {
	mkdir -p "$box/units" "$box/etc" "$box/etc.work" "$box/sbin"
	make_units
	cp "$PVBACKD" "$build/pvbackctl" "$box/sbin/"
	unshare --mount --pid --ipc --uts --fork --kill-child sh "$source/tests/integration/systemd-box.sh" "$cgroup" "$box" \
		>"$box/console" 2>&1 &
	booted=$!
	trap end_box EXIT
	until_true 20000 is_up || skip "no systemd starts in a container here: $(tail -n 3 "$box/console")"
}
end_box() {
	kill -9 "$booted" 2>/dev/null || :
	wait "$booted" || :
	until_true 5000 cgroup_is_gone || :
}
cgroup_is_gone() { find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null; }
first_process() { pgrep -P "$booted"; }
inside() { nsenter --target "$(first_process)" --all "$@"; }
is_up() { inside systemctl is-system-running 2>/dev/null | grep -q running; }
is_down() { ! kill -0 "$booted" 2>/dev/null; }

property() { inside systemctl show --value --property "$1" pvbackd; }
control() { pgrep -P "$(first_process)" -x pvbackd; }
is_active() { [ "$(property ActiveState)" = active ]; }
restarted() { [ "$(property NRestarts)" = "$1" ] && is_active; }

# --- the guest ---

begin_load() {
	new_disk disk 8
	dom=$(xensim-xl create web1)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	begin "$XENSIM_DIR/load" simblk --span=8192 --depth=4 --verify-all --requests=400000000 --until="$XENSIM_DIR/enough" \
		"$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
}
goes_on() { # PID: this process still serves the guest, and the guest has found no error
	[ "$(pvb_guest_pid "$dom")" = "$1" ] || fail "process $1 served, and now $(pvb_guest_pid "$dom")"
	_before=$(answers)
	until_true 10000 answers_since "$_before" || fail "the guest waits"
}
answers() { xensim-xl stat | sed 's/.* notifies=\([0-9]*\) .*/\1/'; }
answers_since() { [ "$(answers)" -gt $(($1 + 100)) ]; }

# --- what the unit does ---

starts() {
	inside systemctl start pvbackd || fail "$(inside systemctl status pvbackd)"
	is_active || fail "not active"
}

shows_guests() {
	inside systemctl status --no-pager --lines=0 pvbackd >"$box/status"
	grep -q "pvbackd: guest web1" "$box/status" || fail "$(cat "$box/status")"
	inside systemd-cgls --no-pager /system.slice/pvbackd.service | grep -q "pvbackd: guest web1" || fail "not in systemd-cgls"
}

# The unit must not forbid the calls by which the daemon takes the rights from its guests' processes.
filters() { sed -n 's/^Seccomp_filters:\t//p' "/proc/$1/status"; }
confines() {
	_serves=$(pvb_guest_pid "$dom")
	grep -q "^CapPrm:.0*$" "/proc/$_serves/status" || fail "it has capabilities"
	grep -q "^Uid:.1900000001" "/proc/$_serves/status" || fail "it is no user of its own"
	[ "$(filters "$_serves")" -gt "$(filters "$(control)")" ] || fail "its system calls are not filtered"
	! grep "sees the host's files" "$log" || fail "it sees the host's files"
}

comes_back() {
	_serves=$(pvb_guest_pid "$dom")
	inside kill -9 "$(property MainPID)"
	until_true 20000 restarted 1 || fail "not restarted: $(inside systemctl status pvbackd)"
	wait_line "$log" "is served still"
	goes_on "$_serves"
}

restarts() {
	_serves=$(pvb_guest_pid "$dom")
	inside systemctl restart pvbackd || fail "$(inside systemctl status pvbackd)"
	goes_on "$_serves"
}

reloads() {
	_serves=$(pvb_guest_pid "$dom")
	inside sh -c 'echo "log-level = debug" >/etc/pvbackd.conf'
	inside systemctl reload pvbackd || fail "$(tail -n 3 "$log")"
	wait_line "$log" "has been read again"
	inside sh -c 'echo "log-level = loud" >/etc/pvbackd.conf'
	! inside systemctl reload pvbackd 2>/dev/null || fail "a wrong configuration is taken"
	[ "$(grep -c "log-level cannot be .loud." "$log")" = 1 ] || fail "the log has the error more than once"
	_refused="refused, and what was in force stays: /etc/pvbackd.conf, line 1: log-level cannot be .loud."
	inside systemctl status --no-pager --lines=0 pvbackd | grep -q "Status: .*$_refused" || fail "$(property StatusText)"
	inside systemctl restart pvbackd
	property StatusText | grep -q "is left out: /etc/pvbackd.conf, line 1: log-level" || fail "$(property StatusText)"
	inside rm /etc/pvbackd.conf
	inside systemctl reload pvbackd || fail "$(tail -n 3 "$log")"
	[ -z "$(property StatusText)" ] || fail "$(property StatusText)"
	is_active || fail "not active"
	goes_on "$_serves"
}

stops() {
	_serves=$(pvb_guest_pid "$dom")
	inside systemctl stop pvbackd
	[ "$(property ActiveState)" = inactive ] || fail "$(inside systemctl status pvbackd)"
	[ "$(property Result)" = success ] || fail "$(property Result)"
	goes_on "$_serves"
	inside systemctl start pvbackd
	goes_on "$_serves"
}

# drop_in NAME LINE...: of the service
drop_in() {
	_name=$1
	shift
	printf '%s\n' '[Service]' "$@" >"$box/$_name"
	inside install -D "$box/$_name" "/etc/systemd/system/pvbackd.service.d/$_name.conf"
	inside systemctl daemon-reload
}

# The drop-in that the comment in the unit describes. If this systemd has no DelegateSubgroup=, a shell does the same.
ours=/sys/fs/cgroup/system.slice/pvbackd.service
gives_room() {
	drop_in room Delegate=yes "ReadWritePaths=$ours" ExecStart= \
		"ExecStart=/bin/sh -c 'mkdir -p $ours/control && echo 0 >$ours/control/cgroup.procs && exec pvbackd'"
	for _ in 1 2; do inside systemctl restart pvbackd || fail "$(inside systemctl status pvbackd)"; done
	pvb_kill_guest "$dom"
	inside systemd-cgls --no-pager /system.slice/pvbackd.service >"$box/cgls"
	grep -A 1 "guest-web1" "$box/cgls" | grep -q "pvbackd: guest web1" || fail "$(cat "$box/cgls")"
	inside grep -q "^usage_usec [1-9]" "$ours/guest-web1/cpu.stat" || fail "nothing of what it takes"
	comes_and_goes
	goes_on "$(pvb_guest_pid "$dom")"
}
comes_and_goes() {
	_other=$(xensim-xl create web2)
	new_disk other 8
	xensim-xl block-attach "$_other" "$XENSIM_DIR/other" xvda
	begin "$box/other" simblk --requests=100 --hold "$_other" 51712
	wait_line "$box/other" holding
	inside test -d "$ours/guest-web2" || fail "no cgroup of web2"
	xensim-xl destroy "$_other"
	until_true 20000 has_no_room || fail "$(inside ls "$ours")"
}
has_no_room() { ! inside test -d "$ours/guest-web2"; }

# Another version, as after an upgrade of the package (tests/sim/version.c makes it one).
upgrades() {
	_serves=$(pvb_guest_pid "$dom")
	drop_in next "Environment=LD_PRELOAD=$XENSIM_BUILD/lib/version.so XENSIM_VERSION=next"
	inside systemctl restart pvbackd || fail "$(inside systemctl status pvbackd)"
	wait_line "$log" "its process .* is from before an upgrade, and is replaced"
	until_true 20000 pvb_guest_is_replaced "$dom" "$_serves" || fail "an old process serves"
	goes_on "$(pvb_guest_pid "$dom")"
}

load_ended() { ! kill -0 "$load" 2>/dev/null; }
# The guests are shut down first, and are served until then. Afterwards nothing is left.
shuts_down() {
	inside systemctl start xendomains
	inside systemctl poweroff
	until_true 20000 load_ended || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	grep -q "errors=0 .* bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	touch "$box/load-ended"
	until_true 60000 is_down || fail "$(tail -n 5 "$box/console")"
	[ "$(cat "$box/at-shutdown")" = active ] || fail "the daemon was gone before the guests: $(cat "$box/at-shutdown")"
	stat_is 0 0 || fail "somebody serves yet: $(xensim-xl handles)"
}

boot
test_case "systemctl start returns when it serves" starts
begin_load || { tail -n 20 "$log" "$box/console"; exit 1; }
test_case "systemctl status and systemd-cgls show the guest's process by its name" shows_guests
test_case "it is confined under the unit's rules, too" confines
test_case "control is killed: another one is started, and the guest is served by the same process" comes_back
test_case "systemctl restart leaves the guest's process serving" restarts
test_case "systemctl reload takes a configuration that is right, and fails with one that is wrong" reloads
test_case "systemctl stop leaves the guest's process serving, for the next start" stops
test_case "where the service is given room for cgroups, each guest's process has one of its name" gives_room
test_case "an upgrade replaces the guest's process under its load" upgrades
test_case "a shutdown of the host ends the guests first, and leaves nothing" shuts_down
exit "$failed"
