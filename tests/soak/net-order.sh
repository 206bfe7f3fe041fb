#!/bin/sh
# SPDX-License-Identifier: MIT
# Ten million frames of mixed kinds go through a vif and back: none is lost, doubled or out of order in its flow, and each byte is
# right. This is not part of `make check`. After `make xensim pvbackd`, in the build folder:
#
#   top_srcdir=SOURCE SOURCE/tests/soak/net-order.sh [FRAMES [QUEUES]]
#
# Prints the guest's and the peer's figures. Exit status 1 when a frame is missing or wrong.
# shellcheck disable=SC2154 # sim-lib.sh sets variables
set -eu
SOAK_FRAMES=${1:-${SOAK_FRAMES:-10000000}}
SOAK_QUEUES=${2:-${SOAK_QUEUES:-4}}
export SOAK_FRAMES SOAK_QUEUES
# shellcheck source=tests/integration/sim-net-lib.sh
. "${top_srcdir:-.}/tests/integration/sim-net-lib.sh"

start_daemon --workers=4
guest_with_nic mtu=9000
status=0
simnet --queues="$SOAK_QUEUES" --kinds=udp4,udp6,tcp4,tcp6,gso4,gso6,raw,vlan --csum6 --slots=18 --size=60:9000 \
	--window=256 --frames="$SOAK_FRAMES" --same-queue "$dom" 0 || status=1
stop_peer || status=1
cat "$XENSIM_DIR/peer"
xensim-xl destroy "$dom"
nothing_is_held
stop_daemon
exit $status
