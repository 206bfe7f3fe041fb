#!/bin/sh
# SPDX-License-Identifier: MIT
# The next daemon has another version, or another protocol for the guests' processes (tests/sim/version.c). It replaces these
# processes one after the other, and their guests notice nothing.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
PVB_ISOLATION=guest
export PVB_ISOLATION
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"

daemon=$$ # each case starts its own daemon; test_case only checks that this process lives
both="$XENSIM_BUILD/lib/version.so $XENSIM_BUILD/lib/medium.so"
XENSIM_FAULTS=$XENSIM_DIR/trouble
export XENSIM_FAULTS
mkdir "$XENSIM_FAULTS"

# start_other WHAT: start a daemon of another version: XENSIM_VERSION=... or XENSIM_PROTOCOL=...
start_other() {
	export "${1?}"
	preload=$both
	start_daemon --workers=1
	unset "${1%%=*}"
	preload=$XENSIM_BUILD/lib/medium.so
}

# busy_disk NAME: make a guest with a disk and a load that checks its data
busy_disk() {
	new_disk "$1" 16
	dom=$(xensim-xl create "$1")
	xensim-xl block-attach "$dom" "$XENSIM_DIR/$1" xvda
	begin "$XENSIM_DIR/$1.load" simblk --requests=400000000 --verify-all "$dom" 51712
	eval "$1=$dom ${1}_load=$!"
	wait_line "$XENSIM_DIR/$1.load" connected
}

ends_well() { # NAME
	eval "dom=\$$1 load=\$${1}_load"
	xensim-xl block-detach "$dom" xvda
	wait "$load" || fail "$1: $(tail -n 5 "$XENSIM_DIR/$1.load")"
	grep -q "errors=0 .*bad_content=0 protocol_errors=0" "$XENSIM_DIR/$1.load" || fail "$1: $(tail -n 5 "$XENSIM_DIR/$1.load")"
	xensim-xl destroy "$dom"
}

guests_are_busy() {
	for _name in one two three; do busy_disk "$_name"; done
	xensim-xl network-attach "$two" 0
	dom=$two
	start_peer
	rm -f "$XENSIM_DIR/enough"
	begin "$XENSIM_DIR/nic" simnet --lossy --frames=400000000 --until="$XENSIM_DIR/enough" "$two" 0
	nic=$!
	wait_line "$XENSIM_DIR/nic" connected
}

guests_are_well() {
	: >"$XENSIM_DIR/enough"
	wait "$nic" || fail "the NIC: $(cat "$XENSIM_DIR/nic")"
	grep -q " bad=0 tx_errors=0 protocol_errors=0 " "$XENSIM_DIR/nic" || fail "$(cat "$XENSIM_DIR/nic")"
	dom=$two
	stop_peer
	for _name in one two three; do ends_well "$_name"; done
	nothing_is_held
}

# Print what the log has since the last start of a daemon.
since_start() { awk '/ serves with / { s = "" } { s = s $0 "\n" } END { printf "%s", s }' "$log"; }
# Of it, print which process is replaced, and which guest is served again.
turns() {
	since_start | awk '
		/: its process .* is from before an upgrade, and is replaced/ { sub(":", "", $3); print "end " $3 }
		/: resumed/ { split($3, at, "/"); print "back " at[1] }'
}
nr_turns() { turns | grep -c "$1" || :; }
all_are_back() { [ "$(nr_turns back)" -ge 4 ]; }

# Check that all devices of a guest are served again before the next guest's turn, and that there was no error.
one_after_the_other() {
	until_true 20000 all_are_back || fail "not all are back: $(turns)"
	[ "$(nr_turns end)" = 3 ] || fail "not three were replaced: $(turns)"
	turns | awk '$1 == "end" { if (n) exit 1; n = $2 == '"$two"' ? 2 : 1; at = $2 }
		$1 == "back" { if ($2 != at) exit 1; n-- }' || fail "not one after the other: $(turns)"
	! since_start | grep "has sent what it must not\|is ended\|have not come to an end" || fail "not as it should be"
}

# And back again, as after a downgrade.
upgrade_and_back() {
	: >"$log"
	start_daemon --workers=1
	guests_are_busy
	for _how in stop_daemon kill_daemon; do
		"$_how"
		start_other "$1"
		one_after_the_other
		"$_how"
		start_daemon --workers=1
		one_after_the_other
	done
	guests_are_well
	stop_daemon
}
version() { upgrade_and_back XENSIM_VERSION=99; }
protocol() { upgrade_and_back XENSIM_PROTOCOL=999; }

# Control dies during the turn of the first guest, whose medium hangs. It dies alone, or together with a process: that of this
# guest, or one that waits for its turn. The next control of that version goes on, and at the end all processes have its
# version.
shown() { ask '{"command":"version"}' "/result/processes/$1/$2"; }
all_are_like() { # MEMBER VALUE
	for _nr in 0 1 2; do
		[ "$(shown "$_nr" "$1")" = "$2" ] && [ "$(shown "$_nr" state)" = serving ] || return 1
	done
}
dies_amid() { # XENSIM_...=VALUE MEMBER
	: >"$log"
	preload=$XENSIM_BUILD/lib/medium.so
	start_daemon --workers=1
	guests_are_busy
	_own=$(shown 0 "$2")
	for _dies in nobody one two; do
		touch "$XENSIM_FAULTS/hang-one"
		stop_daemon
		start_other "$1"
		until_true 10000 has_begun || fail "nobody is replaced"
		! all_are_like "$2" "$_own" || fail "who waits is of that version already"
		eval "_domid=\${$_dies-}"
		[ -z "$_domid" ] || pvb_kill_processes "$_domid" # it may just have ended by itself
		kill_daemon
		rm "$XENSIM_FAULTS/hang-one"
		start_other "$1"
		until_true 30000 all_are_like "$2" "$_own" || fail "not all are replaced: $(ask '{"command":"version"}')"
		stop_daemon
		start_daemon --workers=1
		one_after_the_other
	done
	guests_are_well
	stop_daemon
}
version_dies() { dies_amid XENSIM_VERSION=99 version; }
protocol_dies() { dies_amid XENSIM_PROTOCOL=999 protocol; }

# Another build of the same version, as a distribution makes it to fix a security hole in the program or in one of its libraries.
build() {
	cp "$PVBACKD" "$XENSIM_DIR/pvbackd"
	cp "$XENSIM_BUILD/lib/medium.so" "$XENSIM_DIR/library.so"
	PVBACKD=$XENSIM_DIR/pvbackd
	preload=$XENSIM_DIR/library.so
	: >"$log"
	start_daemon --workers=1
	guests_are_busy
	for _file in "$PVBACKD" "$preload"; do
		stop_daemon
		start_daemon --workers=1
		[ "$(nr_turns end)" = 0 ] || fail "replaced by the same build"
		kill_daemon
		cp "$_file" "$_file.new"
		mv "$_file.new" "$_file"
		start_daemon --workers=1
		one_after_the_other
	done
	guests_are_well
	stop_daemon
}

# The medium of the first guest hangs, so that the others wait for their turn.
has_begun() { [ "$(nr_turns end)" -ge 1 ]; }
while_one_hangs() {
	: >"$log"
	preload=$XENSIM_BUILD/lib/medium.so
	start_daemon --workers=1
	for _name in one two three; do busy_disk "$_name"; done
	touch "$XENSIM_FAULTS/hang-one"
	wait_line "$log" "vbd $one/51712: its image has not answered for 5 s"
	stop_daemon
	start_other "$1"
	until_true 10000 has_begun || fail "nobody is replaced"
	kill -9 "$three_load"
	wait "$three_load" || :
	xensim-xl destroy "$three" || fail "the toolstack waits: $(tail -n 5 "$log")"
	! xensim-xl handles | grep "restricted=$three" || fail "somebody serves it"
	rm "$XENSIM_FAULTS/hang-one"
	wait_line "$log" "vbd $one/51712: resumed"
	wait_line "$log" "vbd $two/51712: resumed"
	ends_well one
	ends_well two
	nothing_is_held
	stop_daemon
}
version_hangs() { while_one_hangs XENSIM_VERSION=99; }
protocol_hangs() { while_one_hangs XENSIM_PROTOCOL=999; }

test_case "processes of another version are replaced one after the other, and nothing is lost" version
test_case "processes that speak another protocol, too" protocol
test_case "processes of another build of the same version, or with an older library, too" build
test_case "control dies between two turns, with or without a process: the next one goes on" version_dies
test_case "also where they speak another protocol" protocol_dies
test_case "a guest is destroyed before its process of another version has its turn" version_hangs
test_case "and one whose process speaks another protocol" protocol_hangs
exit "$failed"
