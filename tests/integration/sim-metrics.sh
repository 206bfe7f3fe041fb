#!/bin/sh
# SPDX-License-Identifier: MIT
# The metrics are what the guests did, in a format that Prometheus' own parser accepts, and the alert rules work.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

command -v promtool >/dev/null || skip "promtool is missing (package prometheus)"
examples=${top_srcdir:-.}/examples/prometheus
daemon=$$ # each case starts its own daemon; test_case only checks that this process lives

metrics() { "${pvbackd%/*}/pvbackctl" --runtime-dir="$XENSIM_DIR/run" metrics; }
metric_is() { # NAME LABELS VALUE
	_line=$(metrics | grep -F "$1{domain=\"guest\",$2} ") || fail "there is no $1{$2}"
	[ "${_line##* }" = "$3" ] || fail "$_line is not $3"
}
is_told() { metrics | grep -q "^$1"; }

counts_what_was_done() {
	start_daemon
	guest_with_disk 16
	begin "$XENSIM_DIR/load" simblk --hold --ops=rrrwwf --requests=600 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	_disk='device="xvda",kind="vbd"'
	metric_is pvbackd_disk_requests_total "$_disk,op=\"read\"" 300
	metric_is pvbackd_disk_requests_total "$_disk,op=\"write\"" 200
	metric_is pvbackd_disk_requests_total "$_disk,op=\"flush\"" 100
	metric_is pvbackd_disk_request_seconds_count "$_disk" 600
	metric_is pvbackd_disk_request_seconds_bucket "$_disk,le=\"+Inf\"" 600
	metric_is pvbackd_disk_in_flight_requests "$_disk" 0
	metric_is pvbackd_device_attached "$_disk" 1
	is_told 'process_cpu_seconds_total [0-9.e-]*[1-9]' || fail "the daemon has taken no time"
	! is_isolated || is_told 'pvbackd_process_cpu_seconds_total{domain="guest"} [0-9.e-]*[1-9]' || fail "its process has taken no time"
	xensim-xl block-detach "$dom" xvda
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	! is_told "pvbackd_disk_requests_total{" || fail "a disk that is gone is told of"
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
	[ ! -e "$XENSIM_DIR/run/metrics" ] || fail "the socket is left behind"
}

is_well_formed() {
	start_daemon
	metrics >"$XENSIM_DIR/none"
	guest_with_disk 16
	begin "$XENSIM_DIR/load" simblk --hold --requests=200 --queues=2 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	metrics >"$XENSIM_DIR/some"
	for _text in none some; do
		promtool check metrics <"$XENSIM_DIR/$_text" || fail "promtool complains"
	done
	kill "$load"
	wait "$load" || :
	xensim-xl destroy "$dom"
	stop_daemon
}

is_for_root_alone() {
	start_daemon
	[ "$(stat -c %a "$XENSIM_DIR/run/metrics")" = 600 ] || fail "$(ls -l "$XENSIM_DIR/run/metrics")"
	stop_daemon
}

alerts_come_when_they_should() {
	promtool check rules "$examples/pvbackd.rules.yml" || fail "the rules are wrong"
	promtool test rules "$examples/pvbackd.rules.test.yml" || fail "the rules do not do what they should"
}
# Each metric that the rules and the dashboard name exists.
names_are_ours() {
	start_daemon
	metrics | sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' | sort -u >"$XENSIM_DIR/families"
	stop_daemon
	grep -ohE 'pvbackd_[a-z_]+' "$examples/pvbackd.rules.yml" "$examples/grafana.json" | sed 's/_bucket$//' | sort -u |
		comm -23 - "$XENSIM_DIR/families" >"$XENSIM_DIR/unknown"
	[ ! -s "$XENSIM_DIR/unknown" ] || fail "no such metrics: $(cat "$XENSIM_DIR/unknown")"
}

test_case "the metrics are what the guest did, to the request" counts_what_was_done
test_case "Prometheus' own parser has nothing to say" is_well_formed
test_case "the socket is root's, and gone with the daemon" is_for_root_alone
test_case "the alert rules do what they should" alerts_come_when_they_should
test_case "the rules and the dashboard name metrics that there are" names_are_ours
exit "$failed"
