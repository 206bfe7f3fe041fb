#!/bin/sh
# SPDX-License-Identifier: MIT
# Control and the process of a guest die at each message of their protocol: right before they send it, and right after they have
# received it. The guest notices nothing, and what the message was about is done all the same.
#
# In `make check`, there is one death at the first message of each kind. With SIM_WALK_STEP=1 (`make walk`), there is a death at each
# message of these lives, also at those by which the two find each other again after an earlier death.
# shellcheck disable=SC2317,SC2154,SC2119,SC2034 # walk_case calls the functions; the libraries set variables and use ours
set -eu
PVB_ISOLATION=guest
export PVB_ISOLATION
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"
# shellcheck source=tests/integration/sim-walk-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-walk-lib.sh"
command -v nbdkit >/dev/null || skip "no nbdkit here"

step=1
XENSIM_FAULTS=$XENSIM_DIR/trouble
export XENSIM_FAULTS
mkdir -p "$XENSIM_FAULTS/guest"

# at_each LIFE MESSAGE...: die at the first message of each kind; ">NAME" is one from control, "<NAME" one to control.
at_each() {
	_life=$1
	shift
	for _message in "$@"; do
		case $role$_message in
		"control>"* | "guest<"*) _moment="to be sent" ;;
		*) _moment=taken ;;
		esac
		only="message ${_message#?} $_moment" deaths="${before-} 1"
		"$_life"
		[ "$(died)" -gt 0 ] || fail "nobody died at $only"
		echo "$role $_message" >>"$XENSIM_DIR/deaths"
	done
}

# everywhere LIFE [BEFORE]: die at each message of this life; with BEFORE, after a death at an earlier message
everywhere() {
	only="message " life_of=$1
	walk "${2-}"
}
twice_everywhere() { # LIFE
	for _first in 1 2 3 4 5 6 7 8 9 10; do everywhere "$1" "$_first"; done
}

# --- the parts of a life ---

until_it_is() { # COMMAND...
	until_true 20000 "$@" || fail "moments $deaths $only: not $*"
}

# to_control SIGNAL: send the signal to the control that lives
to_control() {
	until_it_is settled >/dev/null
	kill -"$1" "$(settled)" 2>/dev/null || :
}

key() { # KIND NAME VALUE, of the backend
	case $1 in vbd) _devid=51712 ;; vif) _devid=0 ;; esac
	xenstore-write "$(backend "$1" "$dom" "$_devid")/$2" "$3"
}

load_ends() {
	: >"$XENSIM_DIR/enough"
	wait "$load" || fail "moments $deaths $only: the guest says: $(cat "$XENSIM_DIR/load")"
}

end_life() {
	xensim-xl destroy "$dom"
	nothing_is_held || fail "moments $deaths $only"
	end_lives
}

policy=stall
begin_disk() { # [OPTION...]
	begin_lives
	rm -f "$XENSIM_DIR/enough"
	new_disk disk 4
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda be.error-policy="$policy"
	begin "$XENSIM_DIR/load" simblk --span=1024 --depth=4 --verify-all --requests=400000000 --until="$XENSIM_DIR/enough" \
		"$@" "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected || fail "moments $deaths $only: $(cat "$XENSIM_DIR/load")"
}

end_disk() {
	load_ends
	grep -q "errors=0 .* bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" ||
		fail "moments $deaths $only: $(cat "$XENSIM_DIR/load")"
	xensim-xl block-detach "$dom" xvda || fail "moments $deaths $only: no detach"
	end_life
}

begin_nic() { # [OPTION...]
	begin_lives
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0 || fail "moments $deaths $only: no attach"
	start_peer
	rm -f "$XENSIM_DIR/go" "$XENSIM_DIR/enough"
	begin "$XENSIM_DIR/load" simnet "$@" "$dom" 0
	load=$!
}

# One guest is busy, and one runs a check of simnet.
begin_frames() {
	begin_nic --lossy --window=4 --frames=400000000 --until="$XENSIM_DIR/enough"
	wait_line "$XENSIM_DIR/load" connected || fail "moments $deaths $only: $(cat "$XENSIM_DIR/load")"
}
begin_talk() { # NAME
	begin_nic --check="$1"
	wait_line "$XENSIM_DIR/load" waiting || fail "moments $deaths $only: $(cat "$XENSIM_DIR/load")"
}

end_nic() {
	stop_peer || fail "moments $deaths $only"
	end_life
	until_it_is no_tap
}

# --- a disk ---

# Limits, a suspend that is cancelled, figures.
disk_life() {
	begin_disk
	key vbd iops 1000000
	xensim-xl suspend "$dom"
	to_control USR1
	xensim-xl resume "$dom"
	end_disk
}
disk() {
	at_each disk_life ">hello" "<hello" ">log-level" ">trace" ">start-disk" "<started" ">tune-disk" ">halt" ">dump" ">stop" "<stopped"
}
disk_everywhere() { everywhere disk_life; }
disk_twice() { twice_everywhere disk_life; }

sectors_are() { [ "$(xenstore-read "$(backend vbd "$dom" 51712)/sectors")" = "$1" ]; }
growing_life() {
	begin_disk
	truncate -s 5M "$XENSIM_DIR/disk"
	until_it_is sectors_are 10240
	end_disk
}
growing() { at_each growing_life "<size"; }

# Control asks the process every few seconds whether it lives, so the disk stays that long.
somebody_died() { [ "$(died)" -gt 0 ]; }
pinged_life() {
	begin_disk
	until_it_is somebody_died
	end_disk
}
pinged() { at_each pinged_life ">ping" "<pong"; }

# There is no space, until an admin has made some and runs retry.
is_stalled() { xenstore-read "$(backend vbd "$dom" 51712)/stalled" >/dev/null 2>&1; }
full_life() {
	begin_disk
	touch "$XENSIM_FAULTS/enospc"
	until_it_is is_stalled
	rm "$XENSIM_FAULTS/enospc"
	key vbd retry 1
	end_disk
}
full() { preload=$XENSIM_BUILD/lib/medium.so && at_each full_life "<stalled" ">tune-disk"; }
full_everywhere() { preload=$XENSIM_BUILD/lib/medium.so && everywhere full_life; }

is_unflushed() { xenstore-read "$(backend vbd "$dom" 51712)/flush-failed" >/dev/null 2>&1; }
unflushed_life() {
	policy=report
	begin_disk --mix=40:40:20:0
	touch "$XENSIM_FAULTS/eflush"
	until_it_is is_unflushed
	rm "$XENSIM_FAULTS/eflush"
	: >"$XENSIM_DIR/enough"
	wait "$load" || : # its writes fail from then on
	xensim-xl block-detach "$dom" xvda || fail "moments $deaths $only: no detach"
	end_life
}
unflushed() { preload=$XENSIM_BUILD/lib/medium.so && at_each unflushed_life "<flush-failed"; }

is_late() { grep -q "vbd $dom/51712: its image has not answered" "$log"; }
late_life() {
	begin_disk
	touch "$XENSIM_FAULTS/guest/hang-disk"
	until_it_is is_late
	rm "$XENSIM_FAULTS/guest/hang-disk"
	end_disk
}
late() { preload=$XENSIM_BUILD/lib/medium.so && at_each late_life "<late"; }

broken_life() {
	begin_lives
	guest_with_disk 4
	timeout 60 simblk --attack=runaway-producer "$dom" 51712 >"$XENSIM_DIR/load" 2>&1 ||
		fail "moments $deaths $only: $(cat "$XENSIM_DIR/load")"
	end_life
}
broken() { at_each broken_life "<broke"; }

# Ctrl-C ends all processes, when the media have completed their requests. The next daemon takes the disk up again.
ended_life() {
	begin_disk
	until_it_is all_ended_by INT
	wait "$_lives" || fail "moments $deaths $only: the daemon left with status $?"
	until_it_is stat_is 0 0
	life >>"$log" 2>&1 &
	_lives=$!
	end_disk
}
ended() { at_each ended_life ">end"; }
# Threads are asked before, so this is not for processes.
asked() {
	isolation=--isolation=none
	[ "$role" = guest ] || at_each ended_life ">flow" "<flowed"
}

# A process that has outlived control tells the next control what it serves.
control_is_killed() {
	until_it_is settled >/dev/null
	echo "killed by the test" >>"$log"
	kill -9 "$(settled)"
	until_it_is taken_up
}
adopted_disk() {
	begin_disk
	control_is_killed
	end_disk
}
adopted_nic() {
	begin_frames
	control_is_killed
	load_ends
	end_nic
}
adopted() {
	[ "$role" = guest ] || before=1000000 # the first control waits for this test
	at_each adopted_disk "<device" "<start-disk"
	at_each adopted_nic "<start-nic"
}

sock=$XENSIM_DIR/nbd
nbd_life() {
	new_disk disk 4
	rm -f "$sock"
	nbdkit --exit-with-parent -f -U "$sock" file "$XENSIM_DIR/disk" 2>>"$XENSIM_DIR/nbdkit" &
	_server=$!
	until_it_is test -S "$sock"
	begin_lives
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "nbd:unix:$sock" xvda
	simblk --span=1024 --depth=4 --requests=100 --mix=40:40:20:0 --verify-all "$dom" 51712 >"$XENSIM_DIR/load" 2>&1 ||
		fail "moments $deaths $only: $(cat "$XENSIM_DIR/load")"
	xensim-xl block-detach "$dom" xvda || fail "moments $deaths $only: no detach"
	end_life
	kill "$_server" 2>/dev/null || :
	wait "$_server" || :
}
nbd() { at_each nbd_life "<nbd-connect" ">nbd-connected" ">stop" "<stopped"; }
nbd_everywhere() { everywhere nbd_life; }

# --- a NIC ---

nic_life() {
	begin_frames
	key vif packet-rate 1000000,1000
	key vif pcap on
	xensim-xl suspend "$dom"
	xensim-xl resume "$dom"
	until_it_is test -s "$XENSIM_DIR/run/vif-$dom-0.pcapng"
	key vif pcap off
	load_ends
	xensim-xl network-detach "$dom" 0 || fail "moments $deaths $only: no detach"
	end_nic
}
nic() { at_each nic_life ">start-nic" "<started" ">tune-nic" "<tuned" ">capture" ">halt" ">stop" "<stopped"; }
nic_everywhere() { everywhere nic_life; }

# A capture ends when its file is full. If a death hides this end, the capture begins and ends once more.
is_full() { [ "$(grep -c "its size limit is reached" "$log")" -gt "$_full_before" ]; }
full_capture_life() {
	_full_before=$(grep -c "its size limit is reached" "$log" || :)
	begin_frames
	key vif pcap size=1
	until_it_is is_full
	until_it_is somebody_died
	load_ends
	end_nic
}
full_capture() { at_each full_capture_life "<captured"; }
nic_twice() { twice_everywhere nic_life; }

# A guest that posts no slots has no carrier until it posts some. A process that was started later has no frame for this guest.
carrier() { ip -o link show "vif$dom.0" | grep -q "$1"; }
has_no_carrier() { carrier NO-CARRIER || [ "$role $(died)" = "guest 1" ]; }
slotless_life() {
	begin_talk stall
	until_it_is has_no_carrier
	touch "$XENSIM_DIR/go"
	load_ends
	until_it_is carrier LOWER_UP
	end_nic
}
slotless() { options="--rx-drain-timeout=100 --rx-stall-timeout=300" && at_each slotless_life "<carrier"; }

hash_life() {
	begin_talk hash-restart
	dies_now
	until_it_is taken_up
	touch "$XENSIM_DIR/go"
	load_ends
	end_nic
}
hashes() { at_each hash_life "<hash"; }

# --- all messages, from any sender ---

all_messages() {
	sed -n 's/^\t\[MESSAGE_[A-Z_]*\] = { "\([a-z-]*\)".* \(true\|false\), \(true\|false\) },$/\1 \2 \3/p' \
		"$source/src/core/messages.c" | while read -r _name _from_control _from_guest; do
		[ "$_from_control" = false ] || echo ">$_name"
		[ "$_from_guest" = false ] || echo "<$_name"
	done
}
none_is_left_out() {
	[ "$(all_messages | wc -l)" -gt 20 ] || fail "which messages are there?"
	for _message in $(all_messages); do
		grep -q "^control $_message$" "$XENSIM_DIR/deaths" || fail "control has not died at $_message"
		case $_message in ">flow" | "<flowed") continue ;; esac
		grep -q "^guest $_message$" "$XENSIM_DIR/deaths" || fail "the process of a guest has not died at $_message"
	done
}

walk_case "a disk that is changed under load, killed at each message" disk
walk_case "an image that grows" growing
walk_case "a process that is asked whether it lives" pinged
walk_case "a disk without space" full
walk_case "a disk that cannot be flushed" unflushed
walk_case "a medium that does not answer" late
walk_case "an impossible ring" broken
walk_case "an end of all processes" ended
walk_case "a daemon of threads that ends" asked control
walk_case "a process that outlives control" adopted
walk_case "a disk by NBD" nbd
walk_case "a NIC that is changed under load" nic
walk_case "a capture that ends by itself" full_capture
walk_case "a guest that takes no frames" slotless
walk_case "a guest that chooses its hash" hashes
[ -n "${SIM_WALK_CASE-}" ] || test_case "no message is left out" none_is_left_out
if [ "${SIM_WALK_STEP-}" = 1 ]; then
	for only in disk full nbd nic; do walk_case "$only: at each message, one by one" "${only}_everywhere"; done
	for only in disk nic; do walk_case "$only: and at each message after that" "${only}_twice"; done
fi
exit "$failed"
