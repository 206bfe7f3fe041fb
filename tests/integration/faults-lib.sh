# SPDX-License-Identifier: MIT
# faults-lib.sh - sourced by the sim-faults*.sh tests after sim-lib.sh.
# shellcheck shell=sh disable=SC2154,SC2086 # sim-lib.sh sets variables; $isolation is one option
#
# A call fails at its first, second, third use and so on, during a whole life of a device: life() attaches the device, runs a
# load on it and detaches it. The disk of another guest stays connected all the time; after each fault the test reads and
# writes it.

# After the first eight uses, about every fourth use fails. With SIM_FAULTS_ALL=yes (`make walk`), each use fails.
# In a test that sets `sparse`, the first use fails, the third, the ninth and so on.
sparse=
next_use() {
	if [ -n "${SIM_FAULTS_ALL-}" ]; then
		echo $(($1 + 1))
	elif [ -n "$sparse" ]; then
		echo $(($1 * 3))
	elif [ "$1" -lt 8 ]; then
		echo $(($1 + 1))
	else
		echo $(($1 + $1 / 3))
	fi
}

# start_faulty WHAT-FAILS: start a daemon whose calls fail; "later" means that xensim-xl fail chooses them. The preloaded library reads
# files, so a guest's process is not confined. The function returns when the daemon serves or has ended.
start_faulty() {
	mkdir -p "$XENSIM_DIR/run"
	: >"$log"
	XENSIM_FAIL=$1 LD_PRELOAD=$XENSIM_BUILD/lib/xensim-faults.so \
		ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0 \
		"$PVBACKD" --runtime-dir="$XENSIM_DIR/run" $isolation --confine=no --workers=2 >>"$log" 2>&1 &
	daemon=$!
	until_true 20000 serves_or_left || fail "$1: neither serves nor leaves"
}

serves_or_left() {
	serves 0 || ! kill -0 "$daemon" 2>/dev/null
}

reached() { # CALL
	grep -q " of $1 fails on purpose" "$log"
}

rounds_are() { [ "$(grep -c holding "$XENSIM_DIR/other.log")" -ge "$1" ]; }

other_begins() {
	new_disk other 2
	other=$(xensim-xl create other)
	xensim-xl block-attach "$other" "$XENSIM_DIR/other" xvda
	begin "$XENSIM_DIR/other.log" simblk --again --requests=20 --depth=4 --verify-all --span=256 "$other" 51712
	load=$!
	wait_line "$XENSIM_DIR/other.log" holding
}

other_is_served() {
	_rounds=$(grep -c holding "$XENSIM_DIR/other.log")
	kill -USR1 "$load" || fail "the other guest: $(cat "$XENSIM_DIR/other.log")"
	until_true 20000 rounds_are $((_rounds + 1)) || fail "the other guest waits"
}

other_ends_well() {
	xensim-xl block-detach "$other" xvda
	wait "$load" || fail "the other guest: $(cat "$XENSIM_DIR/other.log")"
	grep -q " errors=0 .*bad_content=0 protocol_errors=0" "$XENSIM_DIR/other.log" ||
		fail "the other guest: $(cat "$XENSIM_DIR/other.log")"
	xensim-xl destroy "$other"
}

# Print what the daemon holds (grants, ports, descriptors). This must be the same before and after each life.
held() {
	xensim-xl stat | sed -n 's/ maps=.* watches=/ watches=/p'
	for _pid in "$daemon" $(pvb_guest_pids); do
		find "/proc/$_pid/fd" -mindepth 1 -printf '%l\n' | sed 's/:.*//' | sort | uniq -c
	done
	ls "$XENSIM_DIR/run"
	ip -o link show type tun 2>/dev/null | wc -l
}

as_before() { [ "$(held)" = "$before" ]; }

# A child that opens images stays for a second, and a guest's process may end after its guest. Control has descriptors for
# both until they end.
only_other() {
	! pgrep -x -P "$daemon" pvbackd-opener >/dev/null &&
		! find "$XENSIM_DIR/run" -name 'guest-*.socket' ! -name "guest-$other.socket" | grep -q .
}
note_held() {
	until_true 20000 only_other || fail "a child that opens images stays, or a guest's process"
	before=$(held)
}

nothing_stays() {
	until_true 10000 as_before || fail "$1: held before and now:
$before
-- now:
$(held)"
}

# After the fault, run the same life without a fault: nothing of the fault may be left.
one_fault() { # CALL USE ERRNO
	: >"$log"
	xensim-xl fail "$1:$2:$3"
	life
	xensim-xl fail none
	daemon_lives
	nothing_stays "use $2 of $1"
	other_is_served
	if reached "$1"; then
		good_life
		nothing_stays "the life after use $2 of $1"
	fi
}

# Begin with the first use, and end with the first use that a life does not reach.
every_use() { # CALL ERRNO
	_use=1
	one_fault "$1" "$_use" "$2"
	reached "$1" || fail "$1 is never used"
	while reached "$1"; do
		_use=$(next_use "$_use")
		one_fault "$1" "$_use" "$2"
	done
	echo "$1: $_use uses"
}
