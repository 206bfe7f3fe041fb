/* SPDX-License-Identifier: MIT */
/* A vif's `vlan` key: which VLANs its bridge port is in. Pure. */
#ifndef PVB_HOTPLUG_VLAN_H
#define PVB_HOTPLUG_VLAN_H

#include "hotplug/failure.h"
#include "control/rtnl_bridge.h"

/*
 * The syntax is that of vif-bridge in Xen 4.20 and later: terms separated by slashes, each a VLAN (10),
 * a range (10-15), or start, step and count (100+10x9); a VLAN may have a "p" behind it (what comes
 * untagged is in this one, and it leaves untagged), all may have a "u" (leaves untagged). A single VLAN
 * is "p" by itself, several need one with a "p".
 *
 * 0, or -EINVAL with *failure filled in.
 */
int vlan_parse(const char *text, struct rtnl_vlans *ret, struct hotplug_failure *failure);

#endif
