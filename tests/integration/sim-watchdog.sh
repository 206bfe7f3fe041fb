#!/bin/sh
# SPDX-License-Identifier: MIT
# A daemon whose worker hangs does not serve. So it no longer feeds systemd's watchdog, and systemd restarts it.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

daemon=$$ # test_case only checks that this process lives
limit=$((1200 * ${XENSIM_SLOW:-1}))

# under_systemd [VARIABLE=VALUE]: run the daemon as its unit would
under_systemd() {
	mkdir -p "$XENSIM_DIR/run"
	rm -f "$XENSIM_DIR/notify"
	: >"$log"
	# shellcheck disable=SC2086 # perhaps none
	begin "$XENSIM_DIR/heard" env "$@" "$build/tests/integration/like-systemd" "$XENSIM_DIR/notify" "$limit" \
		"$PVBACKD" --runtime-dir="$XENSIM_DIR/run" $isolation --confine=no --workers=2
	systemd=$!
	wait_line "$XENSIM_DIR/heard" "READY=1"
}

end() {
	xensim-xl destroy "$dom"
	nothing_is_held
	kill -TERM "$systemd"
	wait "$systemd" || fail "it left with status $?"
	grep -q "STOPPING=1" "$XENSIM_DIR/heard" || fail "it did not say that it stops"
}

fed_often() { [ "$(grep -c "WATCHDOG=1" "$XENSIM_DIR/heard")" -ge 5 ]; }

healthy() {
	under_systemd XENSIM_NOTHING=
	until_true 20000 fed_often || fail "the watchdog is not fed: $(cat "$XENSIM_DIR/heard")"
	guest_with_disk 8
	simblk --requests=500 --verify-all "$dom" 51712
	end
}

# During the load, a call of the worker never returns; the other worker and the main thread live.
hung() {
	under_systemd "XENSIM_FAIL=$1:HANG"
	guest_with_disk 8
	simblk --requests=500 --verify-all --fill --queues=2 "$dom" 51712 || fail "the guest noticed: $(cat "$XENSIM_DIR/heard")"
	grep -q "hangs on purpose" "$XENSIM_DIR/heard" || fail "it did not hang"
	if is_isolated; then # only that guest's process is replaced
		grep -q "guest $dom: its process .* has not answered" "$XENSIM_DIR/heard" || fail "it was left alone"
		[ "$(grep -c "READY=1" "$XENSIM_DIR/heard")" = 1 ] || fail "control was restarted for it"
	else
		grep -q "it hangs, and is killed" "$XENSIM_DIR/heard" || fail "the watchdog was fed all the same"
		[ "$(grep -c "READY=1" "$XENSIM_DIR/heard")" -ge 2 ] || fail "it did not come back"
	fi
	end
}

in_a_copy() { hung xengnttab_grant_copy:20; }
in_a_notification() { hung xenevtchn_notify:10; }

test_case "a healthy daemon feeds the watchdog and says READY and STOPPING" healthy
test_case "a worker that hangs in a grant copy is restarted, the guest notices nothing" in_a_copy
test_case "a worker that hangs in a notification is restarted, too" in_a_notification
exit "$failed"
