#!/bin/sh
# SPDX-License-Identifier: MIT
# Images by NBD: each byte is right, and nothing is lost when the server, the daemon, or both die.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

command -v nbdkit >/dev/null || skip "no nbdkit here"
grep -q '^#define HAVE_LIBNBD 1' "$build/config.h" || skip "built without libnbd"
sock=$XENSIM_DIR/nbd
keys= # parameters for the server's filters

# server [OPTION...]: start a server that, when it is killed, forgets what it has acknowledged but not flushed.
server() {
	rm -f "$sock"
	# shellcheck disable=SC2086 # several keys
	nbdkit --exit-with-parent -f -U "$sock" "$@" --filter=cache file "$XENSIM_DIR/disk" cache=writeback $keys \
		2>>"$XENSIM_DIR/nbdkit" &
	server=$!
	until_true 10000 test -S "$sock" || fail "no server: $(cat "$XENSIM_DIR/nbdkit")"
}

# nbdkit 1.32 may abort when its client dies during a request. For the test that is the same as being killed.
kill_server() {
	kill -9 "$server" 2>/dev/null || grep -q 'raw_send_socket: Assertion' "$XENSIM_DIR/nbdkit" ||
		fail "the server is gone: $(cat "$XENSIM_DIR/nbdkit")"
	wait "$server" || :
}

# A server that lives on when a client goes away during a request.
qemu_server() {
	rm -f "$sock"
	qemu-nbd -t -e 4 -f raw -k "$sock" "$XENSIM_DIR/disk" 2>>"$XENSIM_DIR/nbdkit" &
	server=$!
	until_true 10000 test -S "$sock" || fail "no server: $(cat "$XENSIM_DIR/nbdkit")"
}
start_server=server

# guest_on_nbd MIB NAME [OPTION...]
guest_on_nbd() {
	new_disk disk "$1"
	_name=$2
	shift 2
	$start_server
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$_name" xvda "$@"
}

load_with() {
	rm -f "$XENSIM_DIR/load" # the output of an earlier one
	begin "$XENSIM_DIR/load" simblk "$@" "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
}

load_is_clean() {
	wait "$load" || fail "the guest says: $(cat "$XENSIM_DIR/load")"
	grep -q "errors=0 .* bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
}

give_back() {
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
	nothing_is_held "$@"
	kill_server
	until_true 3000 nothing_is_left || fail "files are left: $(left)"
}

every_byte() {
	guest_on_nbd 16 "nbd:unix:$sock"
	simblk --requests=700 --fill --verify-all --odd "$dom" 51712
	simblk --requests=300 --verify-all --segs=256 --depth=8 "$dom" 51712
	simblk --requests=500 --queues=2 --mix=30:40:20:10 --verify-all "$dom" 51712
	[ "$(xenstore-read "$(backend vbd "$dom" 51712)/sectors")" = 32768 ] || fail "the size"
	[ "$(xenstore-read "$(backend vbd "$dom" 51712)/feature-discard")" = 1 ] || fail "no discard"
	give_back "$fds"
}

uri() {
	guest_on_nbd 16 "nbd+unix:///some%20disk?socket=$sock"
	simblk --requests=100 "$dom" 51712
	give_back "$fds"
}

# The first word of each written sector is the sector's number: sector 5 is at byte 2560.
flush_reaches_the_file() {
	guest_on_nbd 16 "nbd:unix:$sock"
	simblk --requests=2000 --mix=0:95:5:0 --span=64 --verify-all --hold "$dom" 51712 >"$XENSIM_DIR/load" &
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	[ "$(od -A n -t u8 -j 2560 -N 8 "$XENSIM_DIR/disk" | tr -d ' ')" = 5 ] || fail "sector 5 is not in the file"
	give_back "$fds"
	wait "$load" || :
}

read_only() {
	guest_on_nbd 16 "nbd:unix:$sock" mode=r
	simblk --requests=100 "$dom" 51712
	cmp -n 16777216 "$XENSIM_DIR/disk" /dev/zero || fail "the image changed"
	give_back "$fds"
}

refused() { # TEXT
	! simblk "$dom" 51712 || fail "a frontend connected"
	grep -q "$1" "$log" || fail "no \"$1\" in the log"
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
}

read_only_export() {
	rm -f "$sock"
	guest_on_nbd 16 "nbd:unix:$sock"
	kill_server
	server -r
	refused "export is read-only; use r"
	kill_server
}

no_server() {
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "nbd:unix:$XENSIM_DIR/nobody" xvda
	refused "cannot use the image nbd:unix:$XENSIM_DIR/nobody: No such file"
}

bad_name() {
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "nbds://host/disk" xvda
	refused "TLS is not spoken"
}

blocks_of() { # BYTES: the block size that server() demands from now on
	keys="blocksize-minimum=$1 blocksize-preferred=$1 blocksize-error-policy=error"
}

# The simulated frontend is an NBD server, too: qemu-io writes through it, and ends without a flush.
unflushed_writes() { # BLOCK OFFSET...
	new_disk disk 16
	blocks_of "$1"
	server --filter=blocksize-policy
	shift
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "nbd:unix:$sock" xvda
	load_with --segs=256 --depth=4 --nbd="$XENSIM_DIR/front"
	until_true 10000 test -S "$XENSIM_DIR/front" || fail "no frontend"
	for _at; do
		qemu-io -f raw -t writeback -c "write -P 0x42 8M 4k" -c "write -P 0x41 $_at 1M" -c abort \
			"nbd:unix:$XENSIM_DIR/front" >"$XENSIM_DIR/io" 2>&1 || :
		_outages=$(grep -c "is back" "$log" || :)
		kill_server
		server --filter=blocksize-policy
		until_true 10000 came_back "$_outages" || fail "it does not come back"
		qemu-io -r -f raw -c "read -P 0x42 8M 4k" -c "read -P 0x41 $_at 1M" "nbd:unix:$XENSIM_DIR/front" >"$XENSIM_DIR/io"
		! grep -i "failed\|error" "$XENSIM_DIR/io" || fail "at $_at: $(cat "$XENSIM_DIR/io")"
	done
	kill "$load"
	wait "$load" || :
	keys=
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
	kill_server
}
came_back() { [ "$(grep -c "is back" "$log")" -gt "$1" ]; }

large_blocks() {
	PATH=$PATH:/usr/bin command -v qemu-io >/dev/null || return 0
	unflushed_writes 4096 512 4096 3584 15728128
	unflushed_writes 1024 512
}

# The plain disk grows after the NBD disk was attached. When the guest learns that, the daemon has read the size of the NBD disk again.
a_size_within_a_block() {
	new_disk disk 16
	truncate -s $((16777216 + 1536)) "$XENSIM_DIR/disk"
	blocks_of 4096
	server --filter=blocksize-policy
	keys=
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "nbd:unix:$sock" xvda
	new_disk plain 16
	xensim-xl block-attach "$dom" "$XENSIM_DIR/plain" xvdb
	simblk --requests=100 --hold "$dom" 51728 >"$XENSIM_DIR/plain.load" &
	_plain=$!
	begin "$XENSIM_DIR/load" simblk --requests=300 --odd --verify-all --hold "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	wait_line "$XENSIM_DIR/plain.load" holding
	truncate -s 32M "$XENSIM_DIR/plain"
	wait_line "$log" "vbd $dom/51728: the image grew"
	! grep "vbd $dom/51712: the image grew" "$log" || fail "it did not"
	[ "$(xenstore-read "$(backend vbd "$dom" 51712)/sectors")" = 32768 ] || fail "the size"
	kill "$load" "$_plain"
	wait "$load" "$_plain" || :
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
	kill_server
}

# Each outage makes one warning, even if many requests wait.
server_dies() {
	guest_on_nbd 16 "nbd:unix:$sock"
	_before=$(grep -c "is away" "$log" || :)
	load_with --requests=9000 --fill --verify-all --mix=40:58:1:1
	for _ in 1 2 3; do
		sleep 0.1
		kill_server
		server
		until_true 10000 is_quiet || fail "it does not come back"
	done
	_outages=$(($(grep -c "is away" "$log") - _before))
	[ "$_outages" -ge 1 ] || fail "no outage was noticed"
	[ "$_outages" -le 3 ] || fail "$_outages warnings of 3 outages"
	load_is_clean
	give_back "$fds"
}

# The log says as often that the server is back.
is_quiet() { [ "$(grep -c "is away" "$log")" -eq "$(grep -c "is back" "$log")" ]; }

# The writes that the dead server had acknowledged are only in the file in the runtime directory.
both_die() {
	start_daemon --nbd-timeout=20
	guest_on_nbd 16 "nbd:unix:$sock"
	load_with --requests=6000 --fill --verify-all --mix=40:58:1:1
	for _ in 1 2 3; do
		sleep 0.1
		pvb_kill_all
		kill_server
		server
		start_daemon --nbd-timeout=20
	done
	load_is_clean
	give_back
	stop_daemon
}

stopped_while_away() {
	start_daemon --nbd-timeout=20
	guest_on_nbd 16 "nbd:unix:$sock"
	load_with --requests=6000 --fill --verify-all --mix=40:58:1:1
	kill_server
	wait_line "$log" "vbd $dom/51712: nbd:unix:$sock is away"
	pvb_stop_all
	start_daemon --nbd-timeout=20
	server
	load_is_clean
	give_back
	stop_daemon
}

destroyed_while_away() {
	guest_on_nbd 16 "nbd:unix:$sock"
	load_with --requests=4000000
	kill_server
	wait_line "$log" "vbd $dom/51712: nbd:unix:$sock is away"
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held "$fds"
}

no_retry() { ! xenstore-read "$(backend vbd "$dom" 51712)/retry" 2>/dev/null; }
go_on_after_a_failed_flush() {
	xenstore-write "$(backend vbd "$dom" 51712)/retry" 1
	until_true 10000 no_retry || fail "the daemon does not hear"
}

away_for_too_long() {
	start_daemon --nbd-timeout=1
	guest_on_nbd 16 "nbd:unix:$sock"
	begin "$XENSIM_DIR/load" simblk --requests=1000000 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	kill_server
	wait_line "$log" "vbd $dom/51712: nbd:unix:$sock is away for 1 s; requests fail"
	! wait "$load" || fail "the guest saw no error"
	grep -q "errors=[1-9].* protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	server
	go_on_after_a_failed_flush
	simblk --requests=100 --profile=kexec "$dom" 51712
	xensim-xl destroy "$dom" # the old kernel never closes
	nothing_is_held
	kill_server
	stop_daemon
}

# A server that is stopped: it is connected, and does not answer.
silent_for_a_while() {
	start_daemon --nbd-timeout=3
	guest_on_nbd 16 "nbd:unix:$sock"
	load_with --requests=9000 --fill --verify-all --mix=40:58:1:1
	kill -STOP "$server"
	wait_line "$log" "vbd $dom/51712: nbd:unix:$sock is away (no answer for 3 s)"
	kill -CONT "$server"
	load_is_clean
	give_back
	[ "$(grep -c "vbd $dom/51712: .* is away" "$log")" -eq 1 ] || fail "said more than once"
	stop_daemon
}

silent_for_too_long() {
	start_daemon --nbd-timeout=1
	guest_on_nbd 16 "nbd:unix:$sock"
	begin "$XENSIM_DIR/load" simblk --requests=1000000 "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected
	kill -STOP "$server"
	wait_line "$log" "vbd $dom/51712: nbd:unix:$sock is away for 1 s; requests fail"
	! wait "$load" || fail "the guest saw no error"
	grep -q "errors=[1-9].* protocol_errors=0" "$XENSIM_DIR/load" || fail "$(cat "$XENSIM_DIR/load")"
	xensim-xl block-detach "$dom" xvda
	xensim-xl destroy "$dom"
	nothing_is_held
	kill_server
	stop_daemon
}

destroyed_while_silent() {
	start_daemon
	guest_on_nbd 16 "nbd:unix:$sock"
	load_with --requests=4000000
	kill -STOP "$server"
	xensim-xl destroy "$dom"
	wait "$load" || :
	nothing_is_held
	kill_server
	stop_daemon
}

stopped_while_silent() {
	start_daemon
	guest_on_nbd 16 "nbd:unix:$sock"
	load_with --requests=9000 --fill --verify-all --mix=40:58:1:1
	kill -STOP "$server"
	pvb_stop_all
	start_daemon
	kill -CONT "$server"
	load_is_clean
	give_back
	stop_daemon
}

# server_with_gate OPTION...: start a server in which a write of 0x41 at 0 waits as long as the file "gate" exists.
server_with_gate() {
	rm -f "$XENSIM_DIR/taken" "$XENSIM_DIR/nbdkit.pid"
	D=$XENSIM_DIR
	export D
	# shellcheck disable=SC2016 # the server's shell expands it
	nbdkit --exit-with-parent -f -P "$D/nbdkit.pid" "$@" eval thread_model='echo parallel' get_size='echo 16777216' \
		can_write='exit 0' can_flush='exit 0' flush='exit 0' \
		pread='dd if=$D/disk skip=$4 count=$3 iflag=skip_bytes,count_bytes 2>/dev/null' \
		pwrite='cat >$D/w.$$; if [ "$(head -c 1 $D/w.$$)" = A ]; then
			touch $D/taken; while [ -e $D/gate ]; do sleep 0.02; done; fi
			dd if=$D/w.$$ of=$D/disk seek=$4 oflag=seek_bytes conv=notrunc 2>/dev/null; rm $D/w.$$' \
		2>>"$XENSIM_DIR/nbdkit" &
	server=$!
	until_true 10000 listens_or_ended && test -e "$XENSIM_DIR/nbdkit.pid"
}
listens_or_ended() { test -e "$XENSIM_DIR/nbdkit.pid" || ! kill -0 "$server" 2>/dev/null; }

# The guest writes 0x41, 0x42 and flushes; the daemon dies when the server has the first one.
killed_amid_a_write() { # NAME
	new_disk disk 16
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "$1" xvda
	rm -f "$XENSIM_DIR/front"
	load_with --depth=4 --nbd="$XENSIM_DIR/front"
	until_true 10000 test -S "$XENSIM_DIR/front" || fail "no frontend"
	begin "$XENSIM_DIR/io" qemu-io -f raw -t writeback -c "write -P 0x41 0 4k" -c "write -P 0x42 0 4k" -c flush \
		"nbd:unix:$XENSIM_DIR/front"
	io=$!
	until_true 10000 test -e "$XENSIM_DIR/taken" || fail "the server has no write"
	pvb_kill_all
	start_daemon
}
end_of_gate() {
	rm -f "$XENSIM_DIR/gate"
	wait "$io" || fail "$(cat "$XENSIM_DIR/io")"
	kill "$load"
	wait "$load" || :
	xensim-xl destroy "$dom"
	nothing_is_held
	kill_server
	stop_daemon
}

# When the daemon dies, one write is in the server; the guest's next write to the same place is newer.
late_write() {
	command -v qemu-io >/dev/null || return 0
	start_daemon
	touch "$XENSIM_DIR/gate"
	rm -f "$sock"
	server_with_gate -U "$sock" || fail "no server: $(cat "$XENSIM_DIR/nbdkit")"
	killed_amid_a_write "nbd:unix:$sock"
	wait_line "$log" "vbd $dom/51712: nbd:unix:$sock is away (an earlier connection is not over)"
	! grep "^wrote" "$XENSIM_DIR/io" || fail "a write was answered before the old one had ended"
	end_of_gate
	qemu-io -r -f raw -c "read -P 0x42 0 4k" "$XENSIM_DIR/disk" >"$XENSIM_DIR/io"
	! grep -i "failed\|error" "$XENSIM_DIR/io" || fail "$(cat "$XENSIM_DIR/io")"
}

tcp_server_with_gate() { # on $_port
	_port=20000
	until server_with_gate -i 127.0.0.1 -p "$_port"; do # another program has that port
		_port=$((_port + 1))
		[ "$_port" -lt 20100 ] || fail "no server: $(cat "$XENSIM_DIR/nbdkit")"
	done
}

# On the first address of the host (::1), no server may listen.
named_host() {
	getent hosts localhost >/dev/null || return 0
	start_daemon
	new_disk disk 16
	tcp_server_with_gate
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "nbd://localhost:$_port" xvda
	simblk --requests=100 "$dom" 51712
	xensim-xl destroy "$dom"
	kill_server
	nothing_is_held
	stop_daemon
}

# The other disk has the same worker.
connecting_hangs() {
	preload=$XENSIM_BUILD/lib/medium.so
	[ -e "$preload" ] || return 0
	XENSIM_FAULTS=$XENSIM_DIR/trouble
	export XENSIM_FAULTS
	mkdir "$XENSIM_FAULTS"
	start_daemon --workers=1 --nbd-timeout=600
	guest_on_nbd 16 "nbd:unix:$sock"
	_served=$dom
	load_with --requests=300 --verify-all --again
	wait_line "$XENSIM_DIR/load" holding
	ln -s "$sock" "$XENSIM_DIR/far"
	touch "$XENSIM_FAULTS/dead-far.connect"
	dom=$(xensim-xl create guest)
	xensim-xl block-attach "$dom" "nbd:unix:$XENSIM_DIR/far" xvda
	begin "$XENSIM_DIR/far.load" simblk --requests=300 "$dom" 51712
	_far=$!
	kill -USR1 "$load"
	wait_line "$log" "cannot use the image nbd:unix:$XENSIM_DIR/far: the server does not answer"
	until_true 10000 rounds_are 2 || fail "the other disk waits: $(cat "$XENSIM_DIR/load")"
	! wait "$_far" || fail "it was served"
	kill_daemon
	start_daemon --workers=1 --nbd-timeout=600
	kill -USR1 "$load"
	until_true 10000 rounds_are 3 || fail "the other disk waits: $(cat "$XENSIM_DIR/load")"
	rm "$XENSIM_FAULTS/dead-far.connect"
	kill -9 "$load"
	wait "$load" || :
	xensim-xl destroy "$dom"
	xensim-xl destroy "$_served"
	nothing_is_held
	kill_server
	stop_daemon
	preload=
}
rounds_are() { [ "$(grep -c holding "$XENSIM_DIR/load")" -ge "$1" ]; }

# Over TCP the daemon cannot know; the log says so. Which of the two writes comes last is not promised, so the test does not read.
late_write_by_tcp() {
	command -v qemu-io >/dev/null || return 0
	start_daemon
	touch "$XENSIM_DIR/gate"
	tcp_server_with_gate
	killed_amid_a_write "nbd://127.0.0.1:$_port"
	wait_line "$log" "vbd $dom/51712: the server may still execute what the last pvbackd had sent"
	end_of_gate
}

start_daemon --nbd-timeout=20
guest_with_disk 16
simblk --requests=100 "$dom" 51712 >/dev/null
xensim-xl destroy "$dom"
nothing_is_held
fds=$(daemon_fds)
test_case "every byte goes to an NBD export and comes back" every_byte
test_case "the URI form of a name works" uri
test_case "what the guest has flushed is in the server's file" flush_reaches_the_file
test_case "a read-only disk is never written" read_only
test_case "an export that is read-only is an error for a writer, and says so" read_only_export
test_case "a missing server is an error that says so" no_server
test_case "a name that cannot be is an error that says so" bad_name
test_case "a server that dies and forgets loses nothing" server_dies
test_case "an unflushed write of the largest size, widened to large blocks, outlives the server" large_blocks
test_case "a size within a block is rounded once, and is no growth" a_size_within_a_block
test_case "a guest can be destroyed while the server is away" destroyed_while_away
stop_daemon
daemon=$$ # each case starts its own daemon; test_case only checks that this process lives
test_case "a server and a daemon that die together lose nothing" both_die
test_case "a daemon stopped while the server is away loses nothing" stopped_while_away
test_case "a server that stays away is an error after the time-out" away_for_too_long
test_case "what the server still executes of a killed daemon's comes before anything new" late_write
test_case "a server by TCP may still execute such a request, and the log says so" late_write_by_tcp
test_case "a server's host may have a name" named_host
test_case "a server that cannot be connected to holds up its own disk alone, and nobody's end" connecting_hangs
command -v qemu-nbd >/dev/null || exit "$failed"
start_server=qemu_server
test_case "a server that is silent for a while is away, once, and nothing is lost" silent_for_a_while
test_case "a server that stays silent is an error after the time-out, and holds up no detach" silent_for_too_long
test_case "a guest can be destroyed while the server is silent" destroyed_while_silent
test_case "a daemon stopped while the server is silent loses nothing" stopped_while_silent
exit "$failed"
