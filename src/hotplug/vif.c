/* SPDX-License-Identifier: MIT */
/*
 * vif-pvbackd: put a vif's interface into its bridge.
 *
 * A vif may have two interfaces: the daemon's tap vifD.N (online, offline) and, for an HVM guest, that of QEMU's
 * emulated card, vifD.N-emu (add, remove). Both are treated alike. Only the result of the first one is written to
 * xenstore.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hotplug/backend.h"
#include "hotplug/host.h"
#include "hotplug/scripts.h"
#include "hotplug/vifconf.h"
#include "hotplug/vlan.h"
#include "control/rtnl.h"

/*
 * The largest address that is not a multicast one. A bridge takes the smallest address of its ports as its own, and
 * must never take a guest's.
 */
static const uint8_t port_mac[6] = { 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff };

struct vif {
	struct store *store;               /* borrowed */
	const struct hotplug_request *req; /* borrowed */
	struct hotplug_failure *failure;   /* borrowed */
	struct rtnl *rtnl;                 /* owned by vif_script_run() */
	char name[IFNAMSIZ];               /* the interface's final name */
	char bridge[IFNAMSIZ];
	struct rtnl_info bridge_info;
	unsigned int mtu;
	struct rtnl_port port;
	bool has_vlans;
	struct rtnl_vlans vlans;
};

static int read_name(struct vif *vif)
{
	char vifname[256];
	int err;

	err = hotplug_backend_read(vif->store, vif->req, "vifname", "", vifname, sizeof(vifname),
				   vif->failure);
	if (err)
		return err;
	return vifconf_final_name(vif->req->ifname, vifname, vif->req->iftype, vif->name,
				  vif->failure);
}

/* The default bridge, else the only one of this host. */
static int default_bridge(struct vif *vif)
{
	int err;

	if (rtnl_get_by_name(vif->rtnl, VIFCONF_DEFAULT_BRIDGE, &vif->bridge_info) == 0) {
		snprintf(vif->bridge, sizeof(vif->bridge), "%s", VIFCONF_DEFAULT_BRIDGE);
		return 0;
	}
	err = vifconf_only_bridge("/sys/class/net", vif->bridge);
	if (!err)
		err = rtnl_get_by_name(vif->rtnl, vif->bridge, &vif->bridge_info);
	if (!err)
		return 0;
	return hotplug_fail(vif->failure, err,
			    err == -E2BIG
				    ? "there are several bridges; choose one with bridge= in the "
				      "vif line"
				    : "there is no bridge; create one and name it with bridge= in "
				      "the vif line");
}

static int configured_bridge(struct vif *vif, const char *bridge)
{
	int err;

	if (!rtnl_name_is_valid(bridge))
		return hotplug_fail(
			vif->failure, -EINVAL,
			"bridge '%.64s' cannot be the name of a network interface; correct "
			"bridge= in the vif line",
			bridge);
	memcpy(vif->bridge, bridge, strlen(bridge) + 1); /* a valid name fits */
	err = rtnl_get_by_name(vif->rtnl, bridge, &vif->bridge_info);
	if (err == -ENODEV && vifconf_old_bridge_name(bridge, vif->bridge) &&
	    rtnl_get_by_name(vif->rtnl, vif->bridge, &vif->bridge_info) == 0 &&
	    strcmp(vif->bridge_info.kind, "bridge") == 0)
		return 0;
	if (err == -ENODEV)
		return hotplug_fail(
			vif->failure, err,
			"bridge '%s' does not exist; create it or correct bridge= in the "
			"vif line",
			bridge);
	if (err)
		return hotplug_fail(vif->failure, err, "bridge '%s' cannot be looked up: %s",
				    bridge, strerror(-err));
	return 0;
}

/* Read "NAME OPTION…", and the options in a key of their own, if somebody can write that. */
static int read_port(struct vif *vif, char *bridge)
{
	char more[256];
	size_t len = strcspn(bridge, " ");
	int err = hotplug_backend_read(vif->store, vif->req, "bridge-port", "", more, sizeof(more),
				       vif->failure);

	if (!err)
		err = vifconf_port(bridge + len, &vif->port, vif->failure);
	if (!err)
		err = vifconf_port(more, &vif->port, vif->failure);
	bridge[len] = '\0';
	return err;
}

static int find_bridge(struct vif *vif)
{
	char bridge[256];
	int err;

	err = hotplug_backend_read(vif->store, vif->req, "bridge", "", bridge, sizeof(bridge),
				   vif->failure);
	if (!err)
		err = read_port(vif, bridge);
	if (err)
		return err;
	err = bridge[0] ? configured_bridge(vif, bridge) : default_bridge(vif);
	if (err)
		return err;
	if (strcmp(vif->bridge_info.kind, "bridge") != 0)
		return hotplug_fail(vif->failure, -EINVAL,
				    "'%s' is not a bridge%s; correct bridge= in the vif line",
				    vif->bridge,
				    strcmp(vif->bridge_info.kind, "openvswitch") == 0
					    ? " but an Open vSwitch (script=vif-openvswitch)"
					    : "");
	return 0;
}

static int read_mtu(struct vif *vif)
{
	char mtu[64];
	int err;

	err = hotplug_backend_read(vif->store, vif->req, "mtu", "", mtu, sizeof(mtu), vif->failure);
	if (err)
		return err;
	return vifconf_mtu(mtu, vif->bridge_info.mtu, &vif->mtu, vif->failure);
}

static int read_vlans(struct vif *vif)
{
	char text[256];
	int err = hotplug_backend_read(vif->store, vif->req, "vlan", "", text, sizeof(text),
				       vif->failure);

	if (err || !text[0])
		return err;
	vif->has_vlans = true;
	err = vlan_parse(text, &vif->vlans, vif->failure);
	if (err || vifconf_bridge_filters_vlans("/sys/class/net", vif->bridge))
		return err;
	return hotplug_fail(
		vif->failure, -EOPNOTSUPP,
		"bridge '%s' does not keep VLANs apart; switch that on with: ip link set %s "
		"type bridge vlan_filtering 1",
		vif->bridge, vif->bridge);
}

/*
 * Find the interface by its first name, or by its final one if an earlier run has renamed it. With the final name it
 * must be a tap: vifname=eth0 must not touch the host's own card.
 */
static int find_interface(struct vif *vif, struct rtnl_info *ret_info)
{
	const char *first = vif->req->ifname;
	struct rtnl_info other;
	int err = rtnl_get_by_name(vif->rtnl, first, ret_info);

	if (strcmp(vif->name, first) == 0)
		return err;
	if (err == -ENODEV) {
		err = rtnl_get_by_name(vif->rtnl, vif->name, ret_info);
		return !err && strcmp(ret_info->kind, "tun") != 0 ? -ENODEV : err;
	}
	if (!err && rtnl_get_by_name(vif->rtnl, vif->name, &other) == 0)
		return -EEXIST;
	return err;
}

static int fail_to_find(struct vif *vif, int err)
{
	switch (-err) {
	case ENODEV:
		return hotplug_fail(vif->failure, err,
				    "interface %s does not exist; see why in the log of %s",
				    vif->req->ifname,
				    vif->req->iftype == HOTPLUG_IFTYPE_TAP
					    ? "the guest's device model (/var/log/xen)"
					    : "pvbackd (journalctl -u pvbackd)");
	case EEXIST:
		return hotplug_fail(
			vif->failure, err,
			"%s cannot be renamed: an interface '%s' exists already; choose "
			"another vifname in the vif line",
			vif->req->ifname, vif->name);
	default:
		return hotplug_fail(vif->failure, err, "interface %s cannot be looked up: %s",
				    vif->req->ifname, strerror(-err));
	}
}

/* The interface is taken down first: older kernels rename only such an interface, and no frame may pass half-way. */
static int set_up_port(struct vif *vif)
{
	struct rtnl_info port;
	const char *step;
	int err;

	err = find_interface(vif, &port);
	if (err)
		return fail_to_find(vif, err);

	step = "taken down";
	err = rtnl_set_down(vif->rtnl, port.ifindex);
	if (!err) {
		step = "renamed";
		err = rtnl_rename(vif->rtnl, port.ifindex, vif->name);
	}
	if (!err) {
		step = "given the address fe:ff:ff:ff:ff:ff";
		err = rtnl_set_mac(vif->rtnl, port.ifindex, port_mac);
	}
	if (!err) {
		step = "kept from taking an IPv6 address";
		err = rtnl_set_addr_gen_mode_none(vif->rtnl, port.ifindex);
	}
	if (!err) {
		step = "given its MTU";
		err = rtnl_set_mtu(vif->rtnl, port.ifindex, vif->mtu);
	}
	if (!err) {
		step = "put into its bridge";
		err = rtnl_set_master(vif->rtnl, port.ifindex, vif->bridge_info.ifindex);
	}
	if (!err) {
		step = "given the options of its port";
		err = rtnl_set_port(vif->rtnl, port.ifindex, &vif->port);
	}
	if (!err && vif->has_vlans) {
		step = "put into its VLANs";
		err = rtnl_set_vlans(vif->rtnl, port.ifindex, &vif->vlans);
	}
	if (!err) {
		step = "brought up";
		err = rtnl_set_up(vif->rtnl, port.ifindex);
	}
	if (err)
		return hotplug_fail(vif->failure, err, "%s cannot be %s (bridge %s, MTU %u): %s",
				    vif->name, step, vif->bridge, vif->mtu, strerror(-err));
	return 0;
}

static int report_connected(struct vif *vif)
{
	struct hotplug_result result = { .mtu = vif->mtu };
	char frontend[STORE_PATH_MAX];
	int err;

	err = hotplug_backend_read(vif->store, vif->req, "frontend", "", frontend, sizeof(frontend),
				   vif->failure);
	if (err)
		return err;
	if (vifconf_frontend_is_plausible(vif->req, frontend))
		result.frontend = frontend;
	return hotplug_backend_connected(vif->store, vif->req, &result, vif->failure);
}

static int plug(struct vif *vif)
{
	const bool is_ours = vif->req->iftype == HOTPLUG_IFTYPE_VIF;
	int err = 0;

	if (is_ours)
		err = hotplug_host_check_driver("/sys", vif->req, vif->failure);
	if (!err && is_ours)
		err = hotplug_host_check_daemon(vif->req->runtime_dir, vif->failure);
	if (!err)
		err = read_name(vif);
	if (!err)
		err = find_bridge(vif);
	if (!err)
		err = read_mtu(vif);
	if (!err)
		err = read_vlans(vif);
	if (!err)
		err = set_up_port(vif);
	if (!err && is_ours)
		err = report_connected(vif);
	return err;
}

/*
 * It is no error if the interface is gone, now or at any step. If a plug failed because the final name belongs to
 * somebody else, only the first name is ours.
 */
static int unplug(struct vif *vif)
{
	struct rtnl_info port;
	int err;

	err = read_name(vif);
	if (err)
		snprintf(vif->name, sizeof(vif->name), "%s", vif->req->ifname);
	err = find_interface(vif, &port);
	if (err == -EEXIST)
		err = rtnl_get_by_name(vif->rtnl, vif->req->ifname, &port);
	if (!err)
		err = rtnl_set_down(vif->rtnl, port.ifindex);
	if (!err)
		err = rtnl_set_nomaster(vif->rtnl, port.ifindex);
	if (err && err != -ENODEV)
		return hotplug_fail(vif->failure, err, "%s cannot be taken out of its bridge: %s",
				    vif->name, strerror(-err));
	return 0;
}

/* libxl does not use these combinations. The stock scripts ignore them, too. */
static bool is_nothing_to_do(const struct hotplug_request *req)
{
	const bool is_tap = req->iftype == HOTPLUG_IFTYPE_TAP;

	switch (req->command) {
	case HOTPLUG_COMMAND_ONLINE:
	case HOTPLUG_COMMAND_OFFLINE:
		return is_tap;
	case HOTPLUG_COMMAND_ADD:
	case HOTPLUG_COMMAND_REMOVE:
		return !is_tap;
	}
	return true;
}

int vif_script_run(struct store *store, const struct hotplug_request *req,
		   struct hotplug_failure *failure)
{
	struct vif vif = {
		.store = store, .req = req, .failure = failure, .port = RTNL_PORT_AS_IT_IS
	};
	int err;

	if (is_nothing_to_do(req))
		return 0;
	err = rtnl_new(&vif.rtnl);
	if (err)
		return hotplug_fail(failure, err, "the kernel's network cannot be reached: %s",
				    strerror(-err));
	if (req->command == HOTPLUG_COMMAND_ONLINE || req->command == HOTPLUG_COMMAND_ADD)
		err = plug(&vif);
	else
		err = unplug(&vif);
	rtnl_free(vif.rtnl);
	return err;
}
