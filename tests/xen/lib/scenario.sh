# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# scenario.sh FILE: the shell a scenario runs in.
set -u
# shellcheck source=tests/xen/lib/dom0.sh
. /lab/lib/dom0.sh
# shellcheck source=tests/xen/lib/guest.sh
. /lab/lib/guest.sh
# shellcheck source=tests/xen/lib/backend.sh
. /lab/lib/backend.sh
# shellcheck source=tests/xen/lib/net.sh
. /lab/lib/net.sh
# shellcheck source=tests/xen/lib/load.sh
. /lab/lib/load.sh
# shellcheck source=tests/xen/lib/kills.sh
. /lab/lib/kills.sh
# shellcheck source=/dev/null
. "$1"
