# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# scenario.sh FILE: the shell a scenario runs in.
set -u
. /lab/lib/dom0.sh
. /lab/lib/guest.sh
. /lab/lib/backend.sh
. /lab/lib/net.sh
. /lab/lib/load.sh
# shellcheck source=/dev/null
. "$1"
