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
	start_daemon --workers=8
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

restart() { # HOW the daemon goes [forget]
	"$1"
	[ $# -eq 1 ] || rm "$XENSIM_DIR"/run/vif-*.state
	start_daemon --workers=8
	attached_again
}

check_restart() { # NAME HOW
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
multicast_stop() { check_restart multicast-restart stop_daemon; }
multicast_kill() { check_restart multicast-restart pvb_kill_all; }

# A list that is lost keeps nothing from the guest.
multicast_lost() {
	begin_check multicast-lost
	restart pvb_kill_all forget
	wait_line "$log" "the multicast list that an earlier pvbackd kept is gone"
	end_check
}

stream_merges() { check merge; }
ctrl() { check ctrl; }
hash() { check hash; }
hash_stop() { check_restart hash-restart stop_daemon; }
hash_kill() { check_restart hash-restart pvb_kill_all; }

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
	check_restart hash-queues-restart pvb_kill_all
}

# Of the dump, what control knows: how often the kernel has been told of its hash.
ctrl_dumps() { grep -c "dump: vif $dom/0 state=" "$log" || :; }
ctrl_dump_came() { [ "$(ctrl_dumps)" -gt "$1" ]; }
ctrl_dump() {
	_dumps=$(ctrl_dumps)
	kill -USR1 "$daemon"
	until_true 5000 ctrl_dump_came "$_dumps" || fail "no dump of the vif"
	grep "dump: vif $dom/0 state=" "$log" | tail -n 1
}
steer_updates() { ctrl_dump | sed "s/.* steer_updates=\([0-9]*\).*/\1/"; }
is_told_of_the_last() { ! ctrl_dump | grep -q " steer=no "; }

# Once for the start.
ctrl_idle() {
	begin_check ctrl-idle
	_updates=$(steer_updates)
	end_check
	[ "$_updates" = 1 ] || fail "the kernel has been told $_updates times of the same hash"
}

ctrl_storm() {
	_start=$(date +%s)
	begin_check ctrl-storm
	_updates=$(steer_updates)
	_most=$((($(date +%s) - _start + 1) * 10 + 1))
	[ "$_updates" -le "$_most" ] || fail "the kernel has been told $_updates times"
	until_true 10000 is_told_of_the_last || fail "the last change is lost: $(ctrl_dump)"
	end_check
}

# All that a data thread does for a NIC, with every call of it looked at.
no_rtnl_on_data_threads() {
	preload=$XENSIM_BUILD/lib/xensim-faults.so
	start_daemon --workers=8
	for _check in ctrl hash hash-queues multicast xdp; do
		guest_with_nic
		simnet --check="$_check" "$dom" 0 || [ "$_check" = hash-queues ] || fail "simnet --check=$_check"
		end_guest
	done
	order_in 8
	! grep "is made on a data thread" "$log" || fail "it takes RTNL"
	stop_daemon
}

unit=$build/systemd/pvbackd.service
unit_says() { sed -n "s/^$1=//p" "$unit"; } # KEY: each line's value

# The names of the system calls in SystemCallFilter=.
calls_of() { # NAME|@SET...
	for _name; do
		case $_name in
		@*) # shellcheck disable=SC2046
			calls_of $(systemd-analyze syscall-filter "$_name" | sed '1d; s/#.*//') ;;
		*) echo "$_name" ;;
		esac
	done
}
allowed_calls() {
	unit_says SystemCallFilter | while read -r _line; do
		# shellcheck disable=SC2086
		case $_line in
		"~"*) calls_of ${_line#"~"} | sed 's/^/-/' ;;
		*) calls_of $_line ;;
		esac
	done | awk '/^-/ { delete names[substr($0, 2)]; next } { names[$0] } END { for (n in names) print n }'
}
# Their numbers, as this machine's headers have them.
allowed_numbers() {
	allowed_calls | sort >"$XENSIM_DIR/names"
	echo "#include <sys/syscall.h>" | ${CC:-cc} -E -dM - |
		sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$/\1 \2/p' | sort | join "$XENSIM_DIR/names" - | cut -d ' ' -f 2
}
# CAP_X CAP_Y -> -all,+x,+y
allowed_caps() { unit_says CapabilityBoundingSet | tr "[:upper:]" "[:lower:]" | sed 's/^cap_/ cap_/; s/ cap_/,+/g; s/^/-all/'; }

# With the unit's capabilities and system calls. It must work there when it works without (hash_queues).
steers_as_installed() {
	may_steer || return 0
	cat >"$XENSIM_DIR/restricted" <<-EOF
		#!/bin/sh
		exec setpriv --bounding-set=$(allowed_caps) "$build/tests/integration/like-unit" "$(allowed_numbers | tr "\n" " ")" \
			"$PVBACKD" "\$@"
	EOF
	chmod +x "$XENSIM_DIR/restricted"
	PVBACKD=$XENSIM_DIR/restricted
	start_daemon --workers=8
	grep -q "^Seccomp:.*2" "/proc/$daemon/status" || fail "it runs unrestricted"
	check_hash_queues_strictly
	! grep "no process to hold their taps" "$log" || fail "nothing holds the taps"
	kill_daemon
	start_daemon --workers=8 # what holds the taps does not hold the lock
	stop_daemon
}
check_hash_queues_strictly() {
	guest_with_nic
	simnet --check=hash-queues "$dom" 0 || fail "simnet --check=hash-queues: $(grep "guests' hash" "$log")"
	end_guest
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
	ip -o link show "vif$dom.0" | grep -q " mtu 65521 " || fail "the interface has another MTU"
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

with_quirks() { # QUIRKS SIMNET-OPTION...
	guest_with_nic
	xenstore-write "$(backend vif "$dom" 0)/quirks" "$1"
	shift
	simnet "$@" "$dom" 0 || fail "simnet $*"
	end_guest
}

# The frontend says that it takes all that, and gets none of it.
quirk_no_csum() {
	with_quirks freebsd --kinds=udp4,udp6,tcp4,tcp6 --csum6 --expect=no-csum --slots=9
	grep -q "frames=.* blank=0" "$XENSIM_DIR/peer" || fail "the host got a blank checksum: $(cat "$XENSIM_DIR/peer")"
}
quirk_single_slot() { with_quirks single-slot --kinds=udp4,tcp4,gso4 --expect=single-slot; }
quirk_no_gso() { with_quirks no-gso --kinds=gso4,tcp4 --frames=200 --window=2 --expect=no-gso; }
quirk_poll() { with_quirks poll --frames=300; }
quirk_unknown() {
	with_quirks windows-95 --frames=50
	grep -q "vif $dom/0: \`quirks\` is left out, it is not a list of: no-csum" "$log" || fail "no word about it"
}
freebsd_by_itself() {
	guest_with_nic
	simnet --kinds=udp4,tcp4 --freebsd --expect=no-csum "$dom" 0
	grep -q "vif $dom/0: its driver looks like FreeBSD's" "$log" || fail "not told"
	end_guest
}

no_rx_notify() { load_once --no-rx-notify --kinds=udp4,gso4 --frames=300; }
load_once() {
	guest_with_nic
	simnet "$@" "$dom" 0 || fail "simnet $*"
	end_guest
}

# "on": the flag LOWER_UP; without it NO-CARRIER is shown.
carrier_is_on() { ip -o link show "vif$stalled.0" | grep -q LOWER_UP; }
carrier_is_off() { ip -o link show "vif$stalled.0" | grep -q NO-CARRIER; }

stalled_guest() {
	start_daemon --workers=1 --rx-drain-timeout=100 --rx-stall-timeout=300
	guest_with_nic
	stalled=$dom stalled_peer=$peer
	rm -f "$XENSIM_DIR/go"
	begin "$XENSIM_DIR/check" simnet --check=stall "$stalled" 0
	check=$!
	wait_line "$XENSIM_DIR/check" waiting
	until_true 10000 carrier_is_off || fail "the carrier stays on"
	wait_line "$log" "vif $stalled/0: queue 0: the guest takes no frames, carrier off"
	guest_with_nic
	simnet --kinds=udp4,gso4,tcp6 --csum6 --frames=3000 "$dom" 0 || fail "another guest suffers"
	stop_peer
	touch "$XENSIM_DIR/go"
	wait "$check" || fail "simnet: $(cat "$XENSIM_DIR/check")"
	until_true 10000 carrier_is_on || fail "the carrier stays off"
	kill -USR1 "$daemon"
	wait_line "$log" "vif $stalled/0/0 .* rx_stalled=1 rx_drop_stalled=[1-9]"
	kill "$stalled_peer"
	wait "$stalled_peer" || fail "the peer of the stalled guest"
	xensim-xl destroy "$dom"
	xensim-xl destroy "$stalled"
	nothing_is_held
	stop_daemon
}

# What the guest sends and gets is what an admin is told, exactly.
shown() { ask "{\"command\":\"show\",\"device\":\"$dom/vif0\"}" "/result/devices/0/queues/0/figures/$1/value"; }
all_came_back() { [ "$(shown rx_packets)" = 300 ]; }
by_the_guests_count() {
	start_daemon
	guest_with_nic
	rm -f "$XENSIM_DIR/load"
	begin "$XENSIM_DIR/load" simnet --frames=300 --size=100:100 --blind --hold "$dom" 0
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	until_true 10000 all_came_back || fail "$(shown rx_packets) came back"
	_figures="$(shown tx_packets) $(shown tx_bytes) $(shown rx_read) $(shown rx_bytes)"
	[ "$_figures" = "300 30000 300 30000" ] || fail "$_figures"
	kill "$load"
	wait "$load" || :
	stop_peer
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}

now_ms() { date +%s%3N; }

# Its time without slots is known from both sides: it has none when it is seen, and has some when the check is through.
guest_without_slots() {
	start_daemon
	guest_with_nic
	rm -f "$XENSIM_DIR/go"
	_began=$(now_ms)
	begin "$XENSIM_DIR/check" simnet --check=stall "$dom" 0
	check=$!
	wait_line "$XENSIM_DIR/check" waiting
	until_true 10000 is_starved || fail "it has slots"
	_seen=$(now_ms)
	sleep 0.5
	dump
	[ "$(in_dump rx_no_slots)" -ge 500000000 ] || fail "it does not say since when: $(cat "$XENSIM_DIR/dump")"
	_least=$(($(now_ms) - _seen))
	touch "$XENSIM_DIR/go"
	wait "$check" || fail "simnet: $(cat "$XENSIM_DIR/check")"
	dump
	[ "$(in_dump rx_no_slots)" = 0 ] || fail "it says so still: $(cat "$XENSIM_DIR/dump")"
	_took=$(($(in_dump time_rx_slots_count) * $(in_dump time_rx_slots_mean_us) / 1000))
	_most=$(($(now_ms) - _began))
	{ [ "$_took" -ge $((_least * 99 / 100)) ] && [ "$_took" -le "$_most" ]; } ||
		fail "without slots for $_least to $_most ms, says $_took"
	[ "$(in_dump time_rx_p50_us)" -lt $((_least * 500)) ] || fail "what waited in the tap counts as read"
	stop_peer
	xensim-xl destroy "$dom"
	nothing_is_held
	stop_daemon
}
in_dump() { sed -n "s/.* $1=\([0-9]*\).*/\1/p" "$XENSIM_DIR/dump"; }
is_starved() {
	dump
	[ "$(in_dump rx_starved)" -gt 0 ]
}

mixed_kinds=udp4,udp6,tcp4,tcp6,gso4,gso6,raw,vlan

# Frames of all kinds and cuts; each flow in its order, and on the queue it went on.
order_in() { # QUEUES
	guest_with_nic mtu=9000
	simnet --queues="$1" --kinds="$mixed_kinds" --csum6 --slots=18 --size=60:9000 --window=128 \
		--frames=6000 --same-queue "$dom" 0 || fail "simnet with $1 queues"
	end_guest
}

order_in_one_queue() { order_in 1; }
order_in_eight_queues() { order_in 8; }

# counter NAME: summed over the vif's queues, in the dump just made
counter() {
	sed -n "s,.*dump: vif $dom/0/[0-9]* .* $1=\([0-9]*\).*,\1,p" "$log" | tail -n "$queues" |
		awk '{ n += $1 } END { print n + 0 }'
}

dump_is_made() { [ "$(grep -c "dump: vif $dom/0/[0-9]* " "$log")" -ge "$queues" ]; }

# figure NAME FILE
figure() { sed -n "s/.*\<$1=\([0-9]*\).*/\1/p" "$2" | tail -n 1; }

# The guest posts buffers that are none. What it did not get is what we say that it did not get. By the
# 30,000 grants that this takes, each reference was somebody's once: a bad one must stay bad.
losses_add_up() {
	queues=2
	no_chatter
	guest_with_nic mtu=9000
	begin "$XENSIM_DIR/load" simnet --queues="$queues" --kinds="$mixed_kinds" --csum6 --size=60:9000 \
		--slots=18 --lose=50 --frames=4000 --hold "$dom" 0
	load=$!
	wait_line "$XENSIM_DIR/load" holding
	kill -USR1 "$daemon"
	until_true 5000 dump_is_made || fail "no dump"
	xensim-xl network-detach "$dom" 0
	wait "$load" || fail "$(cat "$XENSIM_DIR/load")"
	kill "$peer"
	wait "$peer" || fail "the peer: $(cat "$XENSIM_DIR/peer")"
	sums_are_right
	xensim-xl destroy "$dom"
	nothing_is_held
}

sums_are_right() {
	_peer=$(figure frames "$XENSIM_DIR/peer")
	_got=$(($(figure packets "$XENSIM_DIR/load") + $(figure other "$XENSIM_DIR/load"))) _failed=$(figure failed "$XENSIM_DIR/load")
	_words="peer=$_peer guest=$_got+$_failed read=$(counter rx_read) packets=$(counter rx_packets)"
	_words="$_words copy=$(counter rx_drop_copy) sent=$(counter tx_packets)"
	[ "$_failed" -gt 10 ] || fail "hardly a loss: $_words"
	[ "$_peer" = "$(counter tx_packets)" ] || fail "from the guest: $_words"
	[ "$_failed" = "$(counter rx_drop_copy)" ] || fail "lost: $_words"
	[ "$_got" = "$(counter rx_packets)" ] || fail "got: $_words"
	[ "$(counter rx_read)" = $((_got + _failed)) ] || fail "in between: $_words"
}

start_daemon --workers=8
count_fds
test_case "a guest gets the multicast groups of its list and no others" multicast
test_case "multicast control is switched on and off while connected" multicast_dynamic
test_case "every control message is answered as netif.h says" ctrl
test_case "frames carry the hash that the guest asked for" hash
test_case "frames come on the queue that their hash says" hash_queues
test_case "frames begin at the headroom that the guest asked for" xdp
test_case "no frame has an old headroom once a new one is agreed" xdp_busy
test_case "frames of a stream reach the guest in fewer and larger ones, nothing lost" stream_merges
test_case "an MTU of 65521 is used end to end" largest_mtu
test_case "a guest is told the MTU that its script has set" script_mtu
test_case "a large MTU and a guest without scatter-gather are told to the admin" large_mtu_without_sg
test_case "quirks=freebsd: no blank checksum either way" quirk_no_csum
test_case "quirks=single-slot: no chain" quirk_single_slot
test_case "quirks=no-gso: no large frame" quirk_no_gso
test_case "quirks=poll: served without being told of receive slots" quirk_poll
test_case "unknown quirks are left out and told" quirk_unknown
test_case "FreeBSD is known by its keys" freebsd_by_itself
test_case "a frontend without rx-notify is served" no_rx_notify
test_case "mixed frames keep their order" order_in_one_queue
test_case "on eight queues each flow keeps its order and its queue" order_in_eight_queues
test_case "frames that the guest loses are in the counters, one by one" losses_add_up
stop_daemon
daemon=$$ # from here on each case starts its own; test_case only looks whether this one lives
test_case "what the guest sends and gets is counted, exactly" by_the_guests_count
test_case "how long a guest had no slots is told" guest_without_slots
test_case "a guest that takes nothing loses its carrier and costs nobody else" stalled_guest
test_case "a stop of the daemon forgets no multicast group" multicast_stop
test_case "SIGKILL forgets no multicast group" multicast_kill
test_case "a multicast list that is lost keeps nothing from the guest" multicast_lost
test_case "a stop of the daemon forgets no hash" hash_stop
test_case "SIGKILL forgets no hash" hash_kill
test_case "questions of the control ring, and what is so already, are not told to the kernel" ctrl_idle
test_case "of a storm of changes the kernel is told of ten a second and of the last one" ctrl_storm
test_case "frames come on the queue of their hash within what the systemd unit allows" steers_as_installed
test_case "no data thread takes the kernel's RTNL lock" no_rtnl_on_data_threads
test_case "SIGKILL leaves frames on the queue of their hash" hash_queues_kill
exit "$failed"
