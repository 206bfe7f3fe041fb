#!/bin/sh
# SPDX-License-Identifier: MIT
# sigkill.sh - the daemon is killed at random moments, a thousand times, under mixed and verified load
# on xensim: disks of depth 1 to 256 on 1 to 4 queues with all operations, and a NIC (as root, or
# where user namespaces are allowed; without, disks only and it says so). `make soak` runs it.
#
# usage: sigkill.sh [KILLS [SEED]]     default 1000, and a seed of the clock; both are printed
#
# Each round has a guest with a disk and a kind of load that the seed chooses. While it runs, the daemon is killed and started
# again after pauses of 0 to 150 ms; with PVB_ISOLATION=guest, control or the guest's process is killed. The load must end
# without an I/O error, a lost or doubled response, or a wrong sector. Frames may be lost and doubled at a kill, but not damaged,
# and the NIC must go on.
# shellcheck disable=SC2154,SC2119 # sim-lib.sh sets variables
set -eu
XENSIM_SLOW=${XENSIM_SLOW:-15} # on a busy machine many lives in a row end before the first answer
export XENSIM_SLOW
kills=${1:-1000}
seed=${2:-$(date +%s)}
nic=
if [ -n "${SIM_NET_NAMESPACE-}" ]; then
	nic=yes
elif [ -r /dev/net/tun ] && [ -w /dev/net/tun ]; then
	share=-n
	[ "$(id -u)" = 0 ] || share=-rn
	! unshare "$share" true 2>/dev/null ||
		SIM_NET_NAMESPACE=yes exec unshare "$share" sh "$0" "$kills" "$seed"
fi
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

# random LIMIT: the next number below LIMIT into $n. (A shell has no generator; 31 bits suffice.)
random() {
	seed=$(((seed * 1103515245 + 12345) & 0x7fffffff))
	n=$(((seed >> 8) % $1))
}

one_of() { # WORD...: into $word
	random $#
	shift "$n"
	word=$1
}

give_up() {
	echo "FAILED after $done_kills kills, in round $round ($options): $*"
	tail -n 20 "$log"
	exit 1
}

choose_load() {
	one_of 1 2 4 8 32 64 128 256
	_depth=$word
	one_of 1 2 3 4
	_queues=$word
	one_of 0 1 2 4
	options="--depth=$_depth --queues=$_queues --ring-order=$word"
	one_of 11 32 256
	while [ $((_depth * _queues * word)) -gt 20000 ]; do # pages; a guest has 32768
		word=$((word / 2))
	done
	options="$options --segs=$word"
	one_of "--mix=50:48:1:1" "--mix=30:40:20:10" "--ops=wrWRfbd" "--ops=wbrfWR" "--mix=10:90:0:0 --odd"
	options="$options $word"
	one_of --abi=64 --abi=64 --abi=32
	options="$options $word"
	one_of "" "" --persistent
	options="$options $word"
	random 1000000
	options="$options --seed=$n"
}

# A dead daemon cannot say what it has replayed, so the figures of its frontends are the proof.
begin_round() {
	round=$((round + 1))
	choose_load
	new_disk disk 8
	dom=$(xensim-xl create guest 32768)
	xensim-xl block-attach "$dom" "$XENSIM_DIR/disk" xvda
	# shellcheck disable=SC2086 # a list
	begin "$XENSIM_DIR/load" simblk --fill --span=8192 --verify-all --requests=400000000 --until="$XENSIM_DIR/enough" \
		$options "$dom" 51712
	load=$!
	wait_line "$XENSIM_DIR/load" connected || give_up "the disk: $(cat "$XENSIM_DIR/load")"
	[ -n "$nic" ] || return 0
	xensim-xl network-attach "$dom" 0
	begin "$XENSIM_DIR/peer" simpeer "vif$dom.0"
	peer=$!
	wait_line "$XENSIM_DIR/peer" ready
	begin "$XENSIM_DIR/frames" simnet --lossy --until="$XENSIM_DIR/enough" --frames=400000000 \
		--kinds=udp4,tcp6,gso4,raw --queues=2 "$dom" 0
	frames=$!
	wait_line "$XENSIM_DIR/frames" connected || give_up "the NIC: $(cat "$XENSIM_DIR/frames")"
}

end_round() {
	: >"$XENSIM_DIR/enough"
	wait "$load" || give_up "the disk: $(cat "$XENSIM_DIR/load")"
	grep -q "errors=0 .* bad_content=0 protocol_errors=0" "$XENSIM_DIR/load" || give_up "$(cat "$XENSIM_DIR/load")"
	nr_requests=$((nr_requests + $(sed -n 's/^requests=\([0-9]*\) .*/\1/p' "$XENSIM_DIR/load")))
	if [ -n "$nic" ]; then
		wait "$frames" || give_up "the NIC: $(cat "$XENSIM_DIR/frames")"
		kill "$peer"
		wait "$peer" || give_up "the peer: $(cat "$XENSIM_DIR/peer")"
		tail -n 1 "$XENSIM_DIR/frames" >>"$XENSIM_DIR/all-frames"
	fi
	xensim-xl destroy "$dom"
	nothing_is_held || give_up "something is held"
	rm -f "$XENSIM_DIR/enough"
}

round=0 done_kills=0 nr_requests=0
echo "seed $seed, $kills kills${nic:+, with a NIC}"
start_daemon --workers=4
while [ "$done_kills" -lt "$kills" ]; do
	begin_round
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		random 150
		sleep "0.$(printf %03d "$n")"
		random 2
		if is_isolated && [ "$n" = 0 ]; then
			pvb_kill_guest "$dom"
		else
			kill_daemon 2>/dev/null
			start_daemon --workers=4
		fi
		done_kills=$((done_kills + 1))
		kill -0 "$load" 2>/dev/null || give_up "the load ended: $(cat "$XENSIM_DIR/load")"
	done
	end_round
	: >"$log"
done
stop_daemon
left=$(find "$XENSIM_DIR/run" -name '*.journal*' -o -name '*.tap' -o -name '*.state')
[ -z "$left" ] || give_up "$left is left"
echo "$done_kills kills in $round rounds: $nr_requests requests, no error, none lost or doubled, no wrong sector"
if [ -n "$nic" ]; then
	sed 's/[a-z_]*=\([0-9]*\)/\1/g' "$XENSIM_DIR/all-frames" | awk '{ sent += $1; back += $2; lost += $3; dup += $8 } END {
		printf "%d frames sent, %d back, %d lost and %d doubled at the seams, none torn\n", sent, back, lost, dup }'
fi
