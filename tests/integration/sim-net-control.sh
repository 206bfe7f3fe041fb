#!/bin/sh
# SPDX-License-Identifier: MIT
# What a network frontend asks of its backend beside frames, and that a restart of the daemon forgets
# none of it.
# shellcheck disable=SC2317,SC2154,SC2119 # test_case calls the functions; sim-lib.sh sets variables
set -eu
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"

# A conversation that "go" continues.
begin_check() { # NAME
	start_daemon --workers=4
	guest_with_nic
	rm -f "$XENSIM_DIR/go"
	begin "$XENSIM_DIR/check" simnet --check="$1" "$dom" 0
	check=$!
	wait_line "$XENSIM_DIR/check" waiting
}

end_check() {
	touch "$XENSIM_DIR/go"
	wait "$check" || fail "simnet: $(cat "$XENSIM_DIR/check")"
	stop_peer
	xensim-xl destroy "$dom"
	nothing_is_held
	until_true 5000 no_tap || fail "a tap is left behind"
	until_true 5000 no_state || fail "left behind: $(ls "$XENSIM_DIR/run")"
	stop_daemon
}

restart() { # SIGNAL
	kill -"$1" "$daemon"
	wait "$daemon" || :
	[ $# -eq 1 ] || rm "$XENSIM_DIR"/run/vif-*.state
	start_daemon --workers=4
	attached_again
}

check_restart() { # NAME SIGNAL
	begin_check "$1"
	restart "$2"
	end_check
}

# The rings of one NIC are mapped again.
attached_again() {
	until_true 10000 rings_mapped || fail "not attached again: $(xensim-xl stat)"
}

rings_mapped() { xensim-xl stat | grep -q "^mapped=[1-9]"; }

no_state() { [ -z "$(find "$XENSIM_DIR/run" -name '*.state')" ]; }

multicast() { check multicast; }
multicast_dynamic() { check multicast-dynamic; }
multicast_stop() { check_restart multicast-restart TERM; }
multicast_kill() { check_restart multicast-restart KILL; }

# A list that is lost keeps nothing from the guest.
multicast_lost() {
	begin_check multicast-lost
	restart KILL forget
	wait_line "$log" "the multicast list that an earlier pvbackd kept is gone"
	end_check
}

ctrl() { check ctrl; }
hash() { check hash; }
hash_stop() { check_restart hash-restart TERM; }
hash_kill() { check_restart hash-restart KILL; }

# Steering is a program in the kernel, which not everybody may load.
may_steer() { ! grep -q "cannot be spread by their guests' hash" "$log"; }

hash_queues() {
	guest_with_nic
	if ! simnet --check=hash-queues "$dom" 0; then
		may_steer && fail "simnet --check=hash-queues"
		echo "    not here: $(grep "guests' hash" "$log" | tail -n 1)"
	fi
	end_guest
}

hash_queues_kill() {
	may_steer || return 0
	check_restart hash-queues-restart KILL
}

xdp() { check xdp; }
xdp_busy() { check xdp-busy; }

mtu_is() { [ "$(xenstore-read "/local/domain/$dom/device/vif/0/mtu")" = "$1" ]; }

# Only the interface knows what a script has set.
script_mtu() {
	cat >"$XENSIM_DIR/script" <<-EOF
		#!/bin/sh
		[ "\$1" = online ] || exit 0
		ip link set "\$vif" mtu 4321
		xenstore-write "\$XENBUS_PATH/hotplug-status" connected
	EOF
	chmod +x "$XENSIM_DIR/script"
	dom=$(xensim-xl create guest)
	xensim-xl network-attach "$dom" 0 script="$XENSIM_DIR/script"
	until_true 5000 mtu_is 4321 || fail "the guest is told $(xenstore-read "/local/domain/$dom/device/vif/0/mtu")"
	xensim-xl destroy "$dom"
}

largest_mtu() {
	guest_with_nic mtu=65521
	[ "$(cat "/sys/class/net/vif$dom.0/mtu")" = 65521 ] || fail "the interface has another MTU"
	mtu_is 65521 || fail "the guest is told another MTU"
	simnet --kinds=udp4,udp6,raw,vlan --size=60:65535 --slots=18 --window=16 --frames=1000 "$dom" 0
	! grep -q "longer ones are dropped" "$log" || fail "a warning for nothing"
	end_guest
}

# It connects and is served; who asked for the MTU reads why long frames do not come.
large_mtu_without_sg() {
	guest_with_nic mtu=9000
	simnet --no-sg --frames=200 "$dom" 0
	grep -q "vif $dom/0: the MTU is 9000, but .* longer ones are dropped" "$log" ||
		fail "no word about the MTU"
	end_guest
}

start_daemon --workers=4
count_fds
test_case "a guest gets the multicast groups of its list and no others" multicast
test_case "multicast control is switched on and off while connected" multicast_dynamic
test_case "every control message is answered as netif.h says" ctrl
test_case "frames carry the hash that the guest asked for" hash
test_case "frames come on the queue that their hash says" hash_queues
test_case "frames begin at the headroom that the guest asked for" xdp
test_case "no frame has an old headroom once a new one is agreed" xdp_busy
test_case "an MTU of 65521 is used end to end" largest_mtu
test_case "a guest is told the MTU that its script has set" script_mtu
test_case "a large MTU and a guest without scatter-gather are told to the admin" large_mtu_without_sg
stop_daemon
daemon=$$ # from here on each case starts its own; test_case only looks whether this one lives
test_case "a stop of the daemon forgets no multicast group" multicast_stop
test_case "SIGKILL forgets no multicast group" multicast_kill
test_case "a multicast list that is lost keeps nothing from the guest" multicast_lost
test_case "a stop of the daemon forgets no hash" hash_stop
test_case "SIGKILL forgets no hash" hash_kill
test_case "SIGKILL leaves frames on the queue of their hash" hash_queues_kill
exit "$failed"
