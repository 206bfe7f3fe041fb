#!/bin/sh
# SPDX-License-Identifier: MIT
# A daemon that starts finds what has changed while none ran, and does what it would have done then. sim-meanwhile-net.sh has the
# same for NICs.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

daemon=$$ # each case starts its own daemon; test_case only checks that this process lives

# busy_guest OPTION...: make a guest with a load on its disk, then kill the daemon by $how; after pvb_kill_all no process serves the guest.
busy_guest() {
	start_daemon
	guest_with_disk 8
	rm -f "$XENSIM_DIR/enough"
	begin "$XENSIM_DIR/load" simblk --requests=400000000 --until="$XENSIM_DIR/enough" "$@" "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	"${how:-kill_daemon}"
}

is_clean() { # FILE
	grep -q "errors=0 .* bad_content=0 protocol_errors=0" "$1" || fail "$(cat "$1")"
}

own_state_is() { # STATE
	xensim-xl wait "$(backend vbd "$dom" 51712)/state" "$1"
}

works_again() {
	simblk --requests=200 --verify-all "$@" "$dom" 51712
}

# Check that nothing is held any more, and that no file is left.
end() {
	xensim-xl destroy "$dom"
	nothing_is_held
	no_file_stays '*.journal*'
	stop_daemon
}

guest_ends() {
	kill -9 "$load"
	wait "$load" 2>/dev/null || :
}

# The frontend wrote 5 while no daemon ran.
closed() {
	busy_guest
	guest_ends
	_front=$(xenstore-read "$(backend vbd "$dom" 51712)/frontend")
	xenstore-write "$_front/state" 5
	start_daemon
	own_state_is 5
	xenstore-write "$_front/state" 6
	own_state_is 6
	end
}

crashed() {
	busy_guest
	xensim-xl crash "$dom"
	guest_ends
	start_daemon
	end
}

rebooted() {
	busy_guest
	xenstore-rm "$(backend vbd "$dom" 51712)" # as xl does after its time limit
	xensim-xl kill "$dom"
	wait "$load" || :
	start_daemon
	nothing_is_held
	guest_with_disk 8
	works_again
	end
}

# comes_back PROFILE: a new frontend takes over the disk of one that ended without closing it
comes_back() {
	busy_guest --profile="$1"
	guest_ends
	begin "$XENSIM_DIR/load" simblk --profile="$1" --requests=200 "$dom" 51712
	load=$!
	start_daemon
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	is_clean "$XENSIM_DIR/load"
	end
}
kexec() { comes_back kexec; }       # a kernel that was started by kexec finds state 4, and goes through 5, 6 and 1
straight() { comes_back straight; } # a driver that writes 1 over its own 4

detached() {
	busy_guest
	xensim-xl block-detach "$dom" xvda &
	_detach=$!
	own_state_is 5 # which the toolstack has written
	start_daemon
	wait "$_detach" || fail "the detach timed out"
	wait "$load" || :
	is_clean "$XENSIM_DIR/load"
	end
}

# The next daemon takes the disk up again, or the same process still serves it.
taken_up() { grep -cE "vbd $dom/51712: (resumed|is served still)" "$log"; }
is_taken_up() { [ "$(taken_up)" -ge "$1" ]; }

# The guest has mounted the disk and does not close it, so the daemon must go on serving it.
detached_in_use() {
	busy_guest --in-use --verify-all
	_back=$(backend vbd "$dom" 51712)
	xenstore-write "$_back/online" 0
	xenstore-write "$_back/state" 5
	start_daemon
	until_true 10000 is_taken_up 1 || fail "it was not taken up"
	kill_daemon # and a second time, after it was taken up in this state
	start_daemon
	until_true 10000 is_taken_up 2 || fail "it was not taken up again"
	: >"$XENSIM_DIR/enough"
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	is_clean "$XENSIM_DIR/load"
	own_state_is 6
	end
}

forced_off() {
	busy_guest
	xenstore-rm "$(backend vbd "$dom" 51712)"
	start_daemon
	nothing_is_held
	guest_ends
	xenstore-rm "/local/domain/$dom/device/vbd/51712"
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	works_again
	end
}

# The device goes while the next daemon starts: before the daemon has set its watch, or after it has found the device and before it reads it.
goes() { # CALL
	busy_guest
	start_daemon_while "$1" xenstore-rm "$(backend vbd "$dom" 51712)"
	guest_ends
	end
}
goes_early() { goes xc_interface_open; }
goes_late() { goes xc_domain_getinfolist; }

added() {
	start_daemon
	kill_daemon
	new_disk disk 8
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda &
	_attach=$!
	until_true 5000 xenstore-exists "$(backend vbd "$dom" 51712)/state"
	start_daemon
	wait "$_attach" || fail "the attach timed out"
	works_again
	end
}

# The frontend has written state 3 and its keys, and waits for 4.
connecting() {
	start_daemon
	guest_with_disk 8
	kill_daemon
	begin "$XENSIM_DIR/load" simblk --requests=200 --verify-all "$dom" 51712
	load=$!
	xensim-xl wait "/local/domain/$dom/device/vbd/51712/state" 3
	start_daemon
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	is_clean "$XENSIM_DIR/load"
	end
}

# The domain stays a zombie until the daemon unmaps its pages; nothing changes in xenstore.
domain_gone() {
	busy_guest
	xensim-xl kill "$dom"
	wait "$load" || :
	start_daemon
	nothing_is_held
	! xensim-xl list | grep -q "^$dom " || fail "a zombie domain: $(xensim-xl list)"
	xenstore-rm "/local/domain/0/backend/vbd/$dom"
	wait_line "$log" "vbd $dom/51712: removed"
	no_file_stays '*.journal*'
	stop_daemon
}

image_gone() {
	how=pvb_kill_all busy_guest
	mv "$XENSIM_DIR/disk" "$XENSIM_DIR/elsewhere"
	start_daemon
	wait_line "$log" "cannot open the image $XENSIM_DIR/disk.*; the guest waits until the right one is there"
	until_true 5000 xenstore-exists "/local/domain/0/error/backend/vbd/$dom/51712/error" || fail "no error node"
	mv "$XENSIM_DIR/elsewhere" "$XENSIM_DIR/disk"
	wait_line "$log" "resumed"
	touch "$XENSIM_DIR/enough"
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	end
}

# spoilt OFFSET BYTES WORDS: bytes written into the journal lead to an error with WORDS.
spoilt() { # OFFSET BYTES WORDS
	how=pvb_kill_all busy_guest
	for _file in "$XENSIM_DIR"/run/*.journal; do
		# shellcheck disable=SC2059 # bytes
		printf "$2" | dd of="$_file" bs=1 seek="$1" conv=notrunc status=none
	done
	start_daemon
	own_state_is 5
	wait_line "$log" "vbd $dom/51712: .*$3"
	xenstore-read "/local/domain/0/error/backend/vbd/$dom/51712/error" | grep -q "$3"
	guest_ends
	works_again --profile=kexec
	end
}

damaged_shape() { spoilt 12 '\1\1\1\1' "is damaged"; }
from_the_future() { spoilt 8 '\143\0\0\0' "of a version that this one cannot read"; }

planted() {
	how=pvb_kill_all busy_guest
	for _file in "$XENSIM_DIR"/run/*.journal; do
		chmod 666 "$_file"
	done
	start_daemon
	own_state_is 5
	wait_line "$log" "vbd $dom/51712: .*others may write to it"
	guest_ends
	works_again --profile=kexec
	end
}

open_house() {
	mkdir -p "$XENSIM_DIR/run"
	chmod 777 "$XENSIM_DIR/run"
	if "$PVBACKD" --runtime-dir="$XENSIM_DIR/run" 2>"$XENSIM_DIR/second"; then
		fail "it trusts a directory that anybody may write to"
	fi
	grep -q "nobody else may write to it" "$XENSIM_DIR/second" || fail "$(cat "$XENSIM_DIR/second")"
	chmod 700 "$XENSIM_DIR/run"
}

test_case "a frontend that closed is closed" closed
test_case "a guest that crashed is let go" crashed
test_case "a guest that rebooted finds its disk" rebooted
test_case "a frontend that reconnects after a kexec is connected" kexec
test_case "a frontend that begins anew without closing is connected" straight
test_case "a device that is being detached is detached in time" detached
test_case "a disk in use is served on though a detach waits" detached_in_use
test_case "a device that was forced off is forgotten" forced_off
test_case "a device that is forced off before a starting daemon watches leaves nothing" goes_early
test_case "a device that is forced off before a starting daemon looks at it leaves nothing" goes_late
test_case "a device that was added is attached in time" added
test_case "a frontend that waits for 4 gets it" connecting
test_case "a domain that is gone is let go" domain_gone
test_case "an image that is gone at a start is named, and its guest waits until it is back" image_gone
test_case "a journal of another shape is an error that says so, and heals" damaged_shape
test_case "a journal of a later version is an error that says so, and heals" from_the_future
test_case "a journal that others may write to is an error that says so, and heals" planted
test_case "a runtime directory that others may write to is refused" open_house
exit "$failed"
