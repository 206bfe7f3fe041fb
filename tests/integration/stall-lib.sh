# SPDX-License-Identifier: MIT
# stall-lib.sh - sourced by tests after sim-lib.sh: two guests; the medium of one of them does not answer.
# shellcheck shell=sh disable=SC2154,SC2034 # sim-lib.sh sets variables; tests use ours

# guest_in_rounds NAME IMAGE MIX: make a guest; $NAME is its domid. Its load is connected, and runs a round at each signal
guest_in_rounds() {
	dom=$(xensim-xl create "$1")
	xensim-xl block-attach "$dom" "$2" xvda
	begin "$XENSIM_DIR/$1.load" simblk --requests=300 --mix="$3" --again "$dom" 51712
	eval "$1=$dom ${1}_load=$!"
	wait_line "$XENSIM_DIR/$1.load" holding
}
# two_guests MIX: make two guests, one with the image slow and one with the image fast
two_guests() {
	start_daemon --workers=1
	for _name in slow fast; do
		new_disk "$_name" 16
		guest_in_rounds "$_name" "$XENSIM_DIR/$_name" "$1"
	done
}
rounds() { grep -c holding "$XENSIM_DIR/$1.load"; }
another_round() { [ "$(rounds "$1")" -gt "$2" ]; }
goes_on() { # GUEST: run another round of its load, which must end
	_before=$(rounds "$1")
	eval "kill -USR1 \$${1}_load"
	until_true 10000 another_round "$1" "$_before" || fail "$1 does not go on: $(cat "$XENSIM_DIR/$1.load")"
}
others_come_and_go() {
	new_disk other 16
	xensim-xl block-attach "$fast" "$XENSIM_DIR/other" xvdb
	simblk --requests=300 --verify-all "$fast" 51728
	xensim-xl block-detach "$fast" xvdb
}
two_guests_go() {
	kill -9 "$slow_load" "$fast_load" 2>/dev/null || :
	wait "$slow_load" "$fast_load" || :
	xensim-xl destroy "$slow"
	xensim-xl destroy "$fast"
	nothing_is_held
	stop_daemon
}

# The frontend has done its part.
waits_for_us() { [ "$(xenstore-read "/local/domain/$1/device/vbd/$2/state")" = 3 ]; }
# Its requests do not complete: nothing changes between two looks at its ring. Its worker lives, because the worker answers
# these looks.
_dumps=0 _ring=
waits_in_vain() { # GUEST
	_seen=$_dumps _was=$_ring
	_dumps=$(grep -c "dump: vbd $1/51712/0 ring" "$log" || :)
	_ring=$(grep "dump: vbd $1/51712/0 ring" "$log" | tail -n 1)
	kill -USR1 "$daemon"
	[ "$_dumps" -gt "$_seen" ] && [ "$_ring" = "$_was" ] && echo "$_ring" | grep -q " submitted=[1-9]"
}
has_open() { find /proc/[0-9]*/fd -lname "$1" 2>/dev/null | grep -q .; } # IMAGE
has_closed() { ! has_open "$1"; }
