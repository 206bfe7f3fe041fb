# SPDX-License-Identifier: MIT
# sim-net-lib.sh - sourced instead of sim-lib.sh by the tests of NICs. It makes a network namespace for the test, and a guest
# whose vif has a peer that sends each frame back.
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2119 # sim-lib.sh sets variables
set -eu

# A network namespace of our own, as root or by a user namespace.
if [ -z "${SIM_NET_NAMESPACE-}" ]; then
	share=-n
	[ "$(id -u)" = 0 ] || share=-rn
	for need in "test -r /dev/net/tun -a -w /dev/net/tun" "unshare $share true"; do
		$need 2>/dev/null || { echo "SKIP: no \"$need\" here"; exit 77; }
	done
	SIM_NET_NAMESPACE=yes exec unshare "$share" sh "$0" "$@"
fi
# shellcheck source=tests/integration/sim-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-lib.sh"

peer=

# guest_with_nic [ATTACH-OPTION...]: make $dom with vif 0, and a peer behind its tap.
guest_with_nic() {
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0 "$@"
	start_peer
}

# From now on the host sends no frames by itself on a new interface.
no_chatter() { echo 1 2>/dev/null >/proc/sys/net/ipv6/conf/default/disable_ipv6 || :; }

start_peer() { # [OPTION...]
	: >"$XENSIM_DIR/peer"
	rm -f "$XENSIM_DIR/peer" # the output of an earlier one
	begin "$XENSIM_DIR/peer" simpeer "$@" "vif$dom.0"
	peer=$!
	wait_line "$XENSIM_DIR/peer" ready
}

# Check that the peer has found no damaged frame.
stop_peer() {
	kill "$peer"
	wait "$peer" || fail "the peer: $(cat "$XENSIM_DIR/peer")"
}

end_guest() {
	stop_peer
	xensim-xl destroy "$dom"
	nothing_is_held "$fds"
	until_true 5000 no_tap || fail "a tap is left behind: $(ip -o link show type tun)"
}

no_tap() {
	! ip link show "vif$dom.0" >/dev/null 2>&1
}

# Run a check of simnet, see tests/sim/net_check.c.
check() { # NAME [ATTACH-OPTION...]
	_name=$1
	shift
	guest_with_nic "$@"
	simnet --check="$_name" "$dom" 0 || fail "simnet --check=$_name"
	end_guest
}

# One guest is made and destroyed, so that the daemon has opened what it opens only once. Then $fds counts the descriptors.
count_fds() {
	guest_with_nic
	simnet --frames=20 "$dom" 0 >/dev/null
	stop_peer
	xensim-xl destroy "$dom"
	nothing_is_held
	fds=$(daemon_fds)
}

# dump [QUEUES]: write the current counters of so many queues of vif 0 into the file dump.
dump_came() { [ "$(grep -c "dump: vif $dom/0/" "$log")" -ge "$1" ]; }
dump() {
	_dumps=$(grep -c "dump: vif $dom/0/" "$log" || :)
	kill -USR1 "$daemon"
	until_true 20000 dump_came "$((_dumps + ${1:-1}))" || fail "no dump of vif $dom/0"
	grep "dump: vif $dom/0/" "$log" | tail -n "${1:-1}" >"$XENSIM_DIR/dump"
}

counter() { # NAME
	dump
	sed -n "s/.* $1=\([0-9]*\).*/\1/p" "$XENSIM_DIR/dump"
}

counter_is() { # NAME NUMBER
	_value=$(counter "$1")
	[ "$_value" = "$2" ] || fail "$1=$_value, not $2: $(cat "$XENSIM_DIR/dump")"
}
