/* SPDX-License-Identifier: MIT */
/* A vif's `vlan` key: which VLANs its bridge port is in. Pure. */
#ifndef PVB_HOTPLUG_VLAN_H
#define PVB_HOTPLUG_VLAN_H

#include "hotplug/failure.h"
#include "control/rtnl_bridge.h"

/*
 * The syntax is that of vif-bridge in Xen 4.20 and later. Terms are separated by slashes. Each is a VLAN (10), a range
 * (10-15), or start, step and count (100+10x9). A VLAN may be followed by "p": untagged frames belong to it, and its
 * frames leave untagged. Any term may be followed by "u": its frames leave untagged. A single VLAN is "p" without being
 * marked. Of several, one needs the "p".
 *
 * 0, or -EINVAL with *failure filled in.
 */
int vlan_parse(const char *text, struct rtnl_vlans *ret, struct hotplug_failure *failure);

#endif
