#!/bin/sh
# SPDX-License-Identifier: MIT
# The admin's socket: it has all devices, by all their names, with the right figures, and names the process that serves each.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

daemon=$$ # each case starts its own daemon; test_case only checks that this process lives
socket=$XENSIM_DIR/run/ctl
first=/result/devices/0

# about COMMAND DEVICE
about() { echo "{\"command\":\"$1\",\"device\":\"$2\"}"; }
figure_is() { # NAME VALUE
	answer_is "$first/queues/0/figures/$1/value" "$2" "$(about show "$dom/xvda")"
}
attached() { [ "$(ask "$(about show "$dom/xvda")" "$first/attached")" = true ]; }

# Make a guest whose disk is connected while `load` lives. It has been used, and is idle.
connected_guest() {
	guest_with_disk 16
	begin "$XENSIM_DIR/load" simblk --hold --ops=rrrwwf --requests=600 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
}
end_guest() {
	xensim-xl block-detach "$dom" xvda
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl destroy "$dom"
	nothing_is_held
}

is_for_root_alone() {
	start_daemon
	[ "$(stat -c %a "$socket")" = 600 ] || fail "$(ls -l "$socket")"
	stop_daemon
	[ ! -e "$socket" ] || fail "the socket is left behind"
}

all_names() {
	start_daemon
	connected_guest
	_name=$(xenstore-read "/local/domain/$dom/name")
	answer_is /result/devices/0/name "$_name/xvda" '{"command":"list"}'
	answer_is /result/devices/1 - '{"command":"list"}'
	for name in "$_name/xvda" "$_name/51712" "$dom/xvda" "$dom/51712" "vbd/$dom/51712" "$_name/XVDA"; do
		answer_is "$first/devid" 51712 "$(about show "$name")"
	done
	for name in "$_name/xvdb" "${_name}2/xvda" "$dom" xvda / "$_name/" "/xvda" "vif/$dom/51712" "$_name/517120" ""; do
		answer_is /code no-such-device "$(about show "$name")"
	done
	ask '{"command":"list"}' "$first/names" | grep -q "\"$_name/xvda\",\"$_name/51712\"" ||
		fail "$(ask '{"command":"list"}')"
	answer_is "$first/target" "$XENSIM_DIR/disk" '{"command":"list"}'
	answer_is "$first/state" connected '{"command":"list","guest":"guest"}'
	answer_is /code no-such-device '{"command":"list","guest":"nobody"}'
	answer_is "$first/attached" true '{"command":"list"}'
	answer_is "$first/pid" "$(pvb_guest_pid "$dom")" '{"command":"list"}'
	end_guest
	until_true 10000 nothing_is_listed || fail "$(ask '{"command":"list"}')"
	stop_daemon
}
nothing_is_listed() { [ "$(ask '{"command":"list"}' "$first")" = - ]; }

setting_is() { # KEY VALUE FROM
	ask "$(about show "$dom/xvda")" "$first/settings" | tr '}' '\n' | grep "\"key\":\"$1\"" >"$XENSIM_DIR/setting"
	grep -q "\"value\":\"$2\",\"from\":\"$3\"" "$XENSIM_DIR/setting" || fail "$(cat "$XENSIM_DIR/setting")"
}
settings_and_limits() {
	start_daemon
	connected_guest
	setting_is iops 0 default
	answer_is "$first/limits/0" - "$(about show "$dom/xvda")"
	xenstore-write "$(backend vbd "$dom" 51712)/iops" 5000
	until_true 10000 limit_is iops 5000 || fail "$(ask "$(about show "$dom/xvda")")"
	setting_is iops 5000 xenstore
	end_guest
	stop_daemon
}
limit_is() { [ "$(ask "$(about show "$dom/xvda")" "$first/limits/0/key" "$first/limits/0/value" | xargs)" = "$*" ]; }

# The figures come from memory that the serving process shares with control. They are exact, also after either has died.
its_figures() {
	start_daemon
	connected_guest
	figure_is read 300
	figure_is write 200
	figure_is flush 100
	ask "$(about show "$dom/xvda")" "$first/queues/0/figures/time_total/count" \
		"$first/queues/0/figures/in_flight/value" | xargs >"$XENSIM_DIR/total"
	[ "$(cat "$XENSIM_DIR/total")" = "600 0" ] || fail "$(cat "$XENSIM_DIR/total")"
	answer_is "$first/queues/0/figures/time_total/buckets" - "$(about show "$dom/xvda")"
	ask "$(about stats "$dom/xvda")" "$first/queues/0/figures/time_total/buckets" | tr -d '[]' | tr , '\n' |
		awk 'NR % 2 == 0 { sum += $1 } END { exit sum != 600 }' || fail "$(ask "$(about stats "$dom/xvda")" | cut -c1-800)"
	[ "$(ask "$(about show "$dom/xvda")" "$first/cpu_ns")" -gt 1000000 ] || fail "600 requests have taken no time"
	[ "$(ask '{"command":"version"}' /result/cpu_ns)" -gt 1000000 ] || fail "the daemon has taken no time"
	kill_daemon
	start_daemon
	until_true 10000 attached || fail "$(ask "$(about show "$dom/xvda")")"
	if is_isolated; then
		[ "$(ask '{"command":"version"}' /result/processes/0/cpu_ns)" -gt 1000000 ] || fail "its process has taken no time"
		answer_is "$first/queues/0/figures/time_total/count" 600 "$(about show "$dom/xvda")"
		answer_is /result/processes/0/restarts 0 '{"command":"version"}'
		pvb_kill_guest "$dom"
		until_true 10000 attached || fail "$(ask "$(about show "$dom/xvda")")"
		answer_is /result/processes/0/restarts 1 '{"command":"version"}'
	fi
	answer_is "$first/queues/0/figures/time_total/count" 0 "$(about show "$dom/xvda")"
	end_guest
	stop_daemon
}

who_serves() {
	start_daemon
	answer_is /result/pid "$daemon" '{"command":"version"}'
	answer_is /result/isolation "${isolation#*=}" '{"command":"version"}'
	connected_guest
	if is_isolated; then
		ask '{"command":"version"}' /result/processes/0/domid /result/processes/0/pid /result/processes/0/state \
			/result/processes/0/version | xargs >"$XENSIM_DIR/process"
		[ "$(cat "$XENSIM_DIR/process")" = "$dom $(pvb_guest_pid "$dom") serving $("$PVBACKD" --version | cut -d' ' -f2)" ] ||
			fail "$(cat "$XENSIM_DIR/process")"
	else
		answer_is /result/processes '[]' '{"command":"version"}'
	fi
	end_guest
	stop_daemon
}

nonsense() {
	start_daemon
	answer_is /code unknown-command '{"command":"dance"}'
	answer_is /code usage '{"command":"version","device":"x"}'
	answer_is /code usage '{"command":"show","device":7}'
	answer_is /code usage '{"command":"show","device":"guest\u0000/xvda"}'
	answer_is /code usage '{"command":7}'
	answer_is /code usage '{}'
	answer_is /code usage '[]'
	answer_is /code usage '{"command":"list"} {"command":"list"}'
	answer_is /code usage ''
	answer_is /code usage 'list'
	answer_is /ok true '{"command":"list"}'
	stop_daemon
}

# set_key KEY VALUE [,"config":true]
set_key() { echo "{\"command\":\"set\",\"device\":\"$dom/xvda\",\"key\":\"$1\",\"value\":\"$2\"${3-}}"; }
unset_key() { echo "{\"command\":\"unset\",\"device\":\"$dom/xvda\",\"key\":\"$1\"${2-}}"; }
key_is() { [ "$(xenstore-read "$(backend vbd "$dom" 51712)/$1" 2>/dev/null || echo none)" = "$2" ]; }

setting() {
	start_daemon
	connected_guest
	answer_is /ok true "$(set_key iops 5k)"
	key_is iops 5k || fail "it is not in xenstore"
	setting_is iops 5000 xenstore
	answer_is /code bad-value "$(set_key iops many)"
	ask "$(set_key iops many)" /error | grep -q "it takes a number from 0 to" || fail "$(ask "$(set_key iops many)")"
	ask "$(set_key iosp 5)" /error | grep -q "is it .iops.?" || fail "$(ask "$(set_key iosp 5)")"
	setting_is iops 5000 xenstore
	answer_is /result/note "this holds when the device connects the next time" "$(set_key cache-mode writeback)"
	answer_is /ok true "$(unset_key iops)"
	key_is iops none || fail "it is in xenstore still"
	setting_is iops 0 default
	answer_is /result/note "it was not set" "$(unset_key iops)"
	answer_is /code usage '{"command":"set","device":"'"$dom"'/xvda","key":"iops"}'
	answer_is /code usage "$(set_key iops '5\\n')"
	end_guest
	stop_daemon
}

# The value goes into a separate file, and holds after a reboot. If any of the files has an error, nothing is changed.
lasting() {
	_drop_in=$XENSIM_DIR/conf.d/90-pvbackctl.conf
	configure "iops = 900" "[disk guest/xvdb]" "iops = 7"
	start_daemon --config="$XENSIM_DIR/conf"
	connected_guest
	setting_is iops 900 configuration
	answer_is /result/file "$_drop_in" "$(set_key iops 5000 ',"config":true')"
	answer_is /ok true "$(set_key bps 1G ',"config":true')"
	answer_is /ok true "$(set_key iops 6000 ',"config":true')"
	printf '%s\n' "iops = 6000" "bps = 1G" >"$XENSIM_DIR/wanted"
	sed '1,/^\[disk guest\/xvda\]$/d' "$_drop_in" | cmp - "$XENSIM_DIR/wanted" || fail "$(cat "$_drop_in")"
	end_guest
	connected_guest
	setting_is iops 6000 configuration
	echo "bps = much" >>"$XENSIM_DIR/conf"
	answer_is /code failed "$(set_key iops 7000 ',"config":true')"
	grep -q 6000 "$_drop_in" || fail "$(cat "$_drop_in")"
	setting_is iops 6000 configuration
	configure "iops = 900"
	answer_is /code bad-value "$(set_key iops -1 ',"config":true')"
	ask "$(unset_key iops)" /result/value /result/from /result/by | xargs >"$XENSIM_DIR/unset"
	[ "$(cat "$XENSIM_DIR/unset")" = "6000 configuration $_drop_in" ] || fail "$(cat "$XENSIM_DIR/unset")"
	answer_is /ok true "$(unset_key iops ',"config":true')"
	! grep -q iops "$_drop_in" || fail "$(cat "$_drop_in")"
	setting_is iops 900 configuration
	answer_is /ok true "$(unset_key bps ',"config":true')"
	! grep -q '^\[' "$_drop_in" || fail "$(cat "$_drop_in")"
	answer_is /result/note "it was not set" "$(unset_key bps ',"config":true')"
	end_guest
	stop_daemon
	rm -r "$XENSIM_DIR/conf.d"
}

a_wrong_file() {
	configure "iops = 900"
	start_daemon --config="$XENSIM_DIR/conf"
	answer_is /result/errors '[]' '{"command":"check"}'
	configure "iops = 800" "bps = much"
	ask '{"command":"check"}' /result/errors/0/file /result/errors/0/line /result/errors/0/key /result/errors/0/value |
		xargs >"$XENSIM_DIR/fault"
	[ "$(cat "$XENSIM_DIR/fault")" = "$XENSIM_DIR/conf 2 bps much" ] || fail "$(cat "$XENSIM_DIR/fault")"
	answer_is /result/reloaded false '{"command":"reload"}'
	connected_guest
	setting_is iops 900 configuration
	configure "iops = 800"
	answer_is /result/reloaded true '{"command":"reload"}'
	setting_is iops 800 configuration
	end_guest
	stop_daemon
}

# The figures of the next process begin at 0; the guest has noticed nothing.
restarting() {
	start_daemon
	connected_guest
	if is_isolated; then
		_was=$(pvb_guest_pid "$dom")
		answer_is /code no-such-device '{"command":"restart","guest":"nobody"}'
		ask '{"command":"restart","guest":"guest"}' /ok /result/was /result/pid | xargs >"$XENSIM_DIR/restarted"
		[ "$(cat "$XENSIM_DIR/restarted")" = "true $_was $(pvb_guest_pid "$dom")" ] || fail "$(cat "$XENSIM_DIR/restarted")"
		[ "$_was" != "$(pvb_guest_pid "$dom")" ] || fail "it is the same"
		answer_is "$first/attached" true "$(about show "$dom/xvda")"
	else
		answer_is /code unsupported '{"command":"restart","guest":"guest"}'
	fi
	end_guest
	stop_daemon
}

draining() {
	start_daemon
	connected_guest
	answer_is /ok true '{"command":"drain","guest":"guest"}'
	answer_is /ok true "$(about drain "$dom/xvda")"
	answer_is /code usage '{"command":"drain"}'
	end_guest
	stop_daemon
}

what_changed() {
	start_daemon
	connected_guest
	ask "$(set_key iops 500)" >/dev/null
	ask '{"command":"events"}' /result/events | tr '{' '\n' >"$XENSIM_DIR/events"
	grep -q '"device":"guest/xvda","level":"info","text":"connected"' "$XENSIM_DIR/events" || fail "$(cat "$XENSIM_DIR/events")"
	grep -q '"text":"an admin sets .iops. to 500"' "$XENSIM_DIR/events" || fail "$(cat "$XENSIM_DIR/events")"
	end_guest
	ask '{"command":"events"}' /result/events | grep -q "\"device\":\"vbd $dom/51712\",\"level\":\"info\",\"text\":\"removed\"" ||
		fail "$(ask '{"command":"events"}')"
	stop_daemon
}

test_case "the socket is for root alone" is_for_root_alone
test_case "a device goes by its guest's name, its own, and its numbers" all_names
test_case "what is set is shown, and where it comes from" settings_and_limits
test_case "the figures are those of whoever serves it" its_figures
test_case "who serves whom, of which version" who_serves
test_case "what is no request is answered in words" nonsense
test_case "a key is set and unset at once, and a bad value is refused with what is allowed" setting
test_case "what is set lastingly is in a file, and holds when the guest comes again" lasting
test_case "a wrong configuration is told fault by fault, and changes nothing" a_wrong_file
test_case "a guest's process is replaced, and the guest is served on" restarting
test_case "drained is what the medium has given back" draining
test_case "what changed of late is told, with the device" what_changed
exit "$failed"
