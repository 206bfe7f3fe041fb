#!/bin/sh
# SPDX-License-Identifier: MIT
# The admin's socket: what is there, by which names, with which figures; and who serves it.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

daemon=$$ # each case starts its own; test_case only looks whether this one lives
socket=$XENSIM_DIR/run/ctl
first=/result/devices/0

# about COMMAND DEVICE
about() { echo "{\"command\":\"$1\",\"device\":\"$2\"}"; }
figure_is() { # NAME VALUE
	answer_is "$first/queues/0/figures/$1/value" "$2" "$(about show "$dom/xvda")"
}
attached() { [ "$(ask "$(about show "$dom/xvda")" "$first/attached")" = true ]; }

# A guest whose disk is connected while `load` lives; then it was used, and waits.
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
	answer_is "$first/state" connected '{"command":"list"}'
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

# Of the process that serves it, by the memory that it shows control: exactly, and over the deaths of both.
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
	kill_daemon
	start_daemon
	until_true 10000 attached || fail "$(ask "$(about show "$dom/xvda")")"
	if is_isolated; then
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
	answer_is /code usage '{"command":"list","device":"x"}'
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

test_case "the socket is for root alone" is_for_root_alone
test_case "a device goes by its guest's name, its own, and its numbers" all_names
test_case "what is set is shown, and where it comes from" settings_and_limits
test_case "the figures are those of whoever serves it" its_figures
test_case "who serves whom, of which version" who_serves
test_case "what is no request is answered in words" nonsense
exit "$failed"
