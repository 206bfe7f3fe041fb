/* SPDX-License-Identifier: MIT */
/* What a vif's configuration means: names, bridge, MTU. No netlink and no xenstore here. */
#ifndef PVB_HOTPLUG_VIFCONF_H
#define PVB_HOTPLUG_VIFCONF_H

#include <net/if.h>
#include <stdbool.h>

#include "hotplug/failure.h"
#include "hotplug/request.h"
#include "control/rtnl_bridge.h"

#define VIFCONF_DEFAULT_BRIDGE "xenbr0"

/*
 * The final name of the interface: `ifname` itself, or the admin's `vifname` ("" if none), with "-emu"
 * behind it for the emulated card. 0, or -EINVAL with *failure filled in if the kernel could not
 * have that name.
 */
int vifconf_final_name(const char *ifname, const char *vifname, enum hotplug_iftype iftype,
		       char ret_name[IFNAMSIZ], struct hotplug_failure *failure);

/*
 * The MTU in bytes: the key's text `mtu` or, if it is "", the bridge's MTU as far as a tap can take it. 0, or -ERANGE
 * with *failure filled in.
 */
int vifconf_mtu(const char *mtu, unsigned int bridge_mtu, unsigned int *ret_mtu,
		struct hotplug_failure *failure);

/*
 * Parse the options of the bridge port, "NAME=on NAME=off …", with the names of bridge(8). They replace those in *port.
 * 0, or -EINVAL with *failure filled in.
 */
int vifconf_port(const char *text, struct rtnl_port *port, struct hotplug_failure *failure);

/* Whether the bridge filters VLANs. `class_net` is "/sys/class/net". */
bool vifconf_bridge_filters_vlans(const char *class_net, const char *bridge);

/*
 * Old Xen installations named the bridge ethN where configurations say xenbrN. True with "ethN" in ret_name if `bridge`
 * is "xenbrN".
 */
bool vifconf_old_bridge_name(const char *bridge, char ret_name[IFNAMSIZ]);

/*
 * The only bridge of this host, for a vif that names none. `class_net` is "/sys/class/net". 0,
 * -ENOENT if there is none, -E2BIG if there are several, else -errno.
 */
int vifconf_only_bridge(const char *class_net, char ret_name[IFNAMSIZ]);

/*
 * Whether `path` is the frontend directory of this vif: /local/domain/DOMID/device/vif/N. No other path may be written
 * to.
 */
bool vifconf_frontend_is_plausible(const struct hotplug_request *req, const char *path);

#endif
