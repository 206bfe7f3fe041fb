/* SPDX-License-Identifier: MIT */
/* What a vif's configuration means; see vifconf.h. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "hotplug/vifconf.h"
#include "core/parse.h"
#include "control/rtnl.h"

#define EMULATED_SUFFIX "-emu"

int vifconf_final_name(const char *ifname, const char *vifname, enum hotplug_iftype iftype,
		       char ret_name[IFNAMSIZ], struct hotplug_failure *failure)
{
	const char *suffix = iftype == HOTPLUG_IFTYPE_TAP ? EMULATED_SUFFIX : "";
	const size_t limit = IFNAMSIZ - 1 - strlen(suffix);
	char name[IFNAMSIZ] = "";

	if (!vifname[0]) {
		snprintf(ret_name, IFNAMSIZ, "%s", ifname);
		return 0;
	}
	if (strlen(vifname) > limit)
		return hotplug_fail(
			failure, -EINVAL,
			"vifname '%.64s' is too long; shorten it to at most %zu characters "
			"in the vif line",
			vifname, limit);
	strcat(strcat(name, vifname), suffix); /* the limit was checked above */
	if (!rtnl_name_is_valid(name))
		return hotplug_fail(
			failure, -EINVAL,
			"vifname '%s' cannot be the name of a network interface; use one "
			"without '/', ':' and spaces in the vif line",
			vifname);
	memcpy(ret_name, name, sizeof(name));
	return 0;
}

int vifconf_mtu(const char *mtu, unsigned int bridge_mtu, unsigned int *ret_mtu,
		struct hotplug_failure *failure)
{
	uint32_t n;

	if (!mtu[0]) {
		*ret_mtu = bridge_mtu > RTNL_MTU_MAX ? RTNL_MTU_MAX : bridge_mtu;
		return 0;
	}
	if (parse_u32(mtu, RTNL_MTU_MIN, RTNL_MTU_MAX, &n))
		return hotplug_fail(failure, -ERANGE,
				    "mtu '%.64s' is out of range; use %d to %d in the vif line",
				    mtu, RTNL_MTU_MIN, RTNL_MTU_MAX);
	*ret_mtu = n;
	return 0;
}

/* "on" and "1", "off" and "0"; -1 for anything else. */
static int parse_switch(const char *text)
{
	if (!strcmp(text, "on") || !strcmp(text, "1"))
		return 1;
	return !strcmp(text, "off") || !strcmp(text, "0") ? 0 : -1;
}

static bool set_option(struct rtnl_port *port, const char *word)
{
	const struct {
		const char *name;
		int *to;
	} options[] = {
		{ "isolated", &port->isolated },
		{ "learning", &port->learning },
		{ "flood", &port->flood },
		{ "mcast_flood", &port->mcast_flood },
		{ "bcast_flood", &port->bcast_flood },
		{ "neigh_suppress", &port->neigh_suppress },
		{ "hairpin", &port->hairpin },
	};
	size_t len = strcspn(word, "=");

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strlen(options[i].name) != len || strncmp(options[i].name, word, len) != 0)
			continue;
		*options[i].to = word[len] ? parse_switch(word + len + 1) : -1;
		return *options[i].to >= 0;
	}
	return false;
}

int vifconf_port(const char *text, struct rtnl_port *port, struct hotplug_failure *failure)
{
	char copy[256], *rest = copy, *word;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return hotplug_fail(failure, -EINVAL,
				    "the options of the bridge's port are too long");
	while ((word = strsep(&rest, " ")))
		if (*word && !set_option(port, word))
			return hotplug_fail(failure, -EINVAL,
					    "'%.64s' is no option of a bridge's port; use "
					    "isolated, learning, flood, "
					    "mcast_flood, bcast_flood, neigh_suppress or hairpin "
					    "with =on or =off",
					    word);
	return 0;
}

bool vifconf_bridge_filters_vlans(const char *class_net, const char *bridge)
{
	char path[PATH_MAX];
	FILE *file;
	int value;

	snprintf(path, sizeof(path), "%s/%s/bridge/vlan_filtering", class_net, bridge);
	file = fopen(path, "re");
	if (!file)
		return false;
	value = fgetc(file);
	fclose(file);
	return value == '1';
}

bool vifconf_old_bridge_name(const char *bridge, char ret_name[IFNAMSIZ])
{
	static const char prefix[] = "xenbr";
	const char *number = bridge + sizeof(prefix) - 1;

	if (strncmp(bridge, prefix, sizeof(prefix) - 1) != 0 || !*number ||
	    number[strspn(number, "0123456789")] != '\0' || strlen(number) > 8)
		return false;
	snprintf(ret_name, IFNAMSIZ, "eth%.8s", number);
	return true;
}

int vifconf_only_bridge(const char *class_net, char ret_name[IFNAMSIZ])
{
	char found[IFNAMSIZ] = "";
	unsigned int nr_found = 0;
	char path[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	dir = opendir(class_net);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (!rtnl_name_is_valid(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s/bridge", class_net, entry->d_name);
		if (stat(path, &st) < 0)
			continue;
		snprintf(found, sizeof(found), "%.15s", entry->d_name);
		nr_found++;
	}
	closedir(dir);

	if (nr_found != 1)
		return nr_found ? -E2BIG : -ENOENT;
	memcpy(ret_name, found, sizeof(found));
	return 0;
}

bool vifconf_frontend_is_plausible(const struct hotplug_request *req, const char *path)
{
	char expected[96];

	snprintf(expected, sizeof(expected), "/local/domain/%u/device/vif/%u", req->domid,
		 req->devid);
	return strcmp(path, expected) == 0;
}
