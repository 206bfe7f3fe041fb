/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "hotplug/vlan.h"
#include "core/parse.h"

/* One term: `count` VLANs from `first` on, in steps of `step`. */
struct term {
	unsigned int first, step, count;
	enum rtnl_vlan kind;
};

static bool parse_vlan(const char **at, unsigned int *ret)
{
	return parse_digits_u32(at, RTNL_VLAN_MAX, ret);
}

/* Parse "-LAST" or "+STEPxCOUNT" after the first number, or nothing. */
static bool parse_extent(const char **at, struct term *term)
{
	unsigned int last;

	term->step = term->count = 1;
	if (**at == '-') {
		(*at)++;
		if (!parse_vlan(at, &last) || last < term->first)
			return false;
		term->count = last - term->first + 1;
	} else if (**at == '+') {
		(*at)++;
		if (!parse_vlan(at, &term->step) || *(*at)++ != 'x' ||
		    !parse_vlan(at, &term->count))
			return false;
		return term->step && term->count;
	}
	return true;
}

static bool parse_term(const char **at, struct term *term)
{
	bool single;

	if (!parse_vlan(at, &term->first))
		return false;
	single = **at != '-' && **at != '+';
	if (!parse_extent(at, term))
		return false;
	term->kind = RTNL_VLAN_TAGGED;
	if (**at == 'u')
		term->kind = RTNL_VLAN_UNTAGGED;
	else if (**at == 'p' && single)
		term->kind = RTNL_VLAN_PVID;
	if (term->kind != RTNL_VLAN_TAGGED)
		(*at)++;
	return **at == '/' || **at == '\0';
}

/* Each VLAN is from 1 to 4094, and is named only once. */
static bool add_term(const struct term *term, struct rtnl_vlans *vlans)
{
	for (unsigned int i = 0, id = term->first; i < term->count; i++, id += term->step) {
		if (id < 1 || id > RTNL_VLAN_MAX || vlans->kind[id] != RTNL_VLAN_NONE)
			return false;
		vlans->kind[id] = (uint8_t)term->kind;
	}
	return true;
}

static unsigned int count(const struct rtnl_vlans *vlans, unsigned int *ret_pvids,
			  unsigned int *ret_id)
{
	unsigned int nr = 0;

	*ret_pvids = 0;
	for (unsigned int id = 1; id <= RTNL_VLAN_MAX; id++) {
		if (vlans->kind[id] == RTNL_VLAN_NONE)
			continue;
		*ret_pvids += vlans->kind[id] == RTNL_VLAN_PVID;
		*ret_id = id;
		nr++;
	}
	return nr;
}

/* Exactly one VLAN is for untagged frames. */
static int settle_pvid(const char *text, struct rtnl_vlans *vlans, struct hotplug_failure *failure)
{
	unsigned int pvids, id = 0, nr = count(vlans, &pvids, &id);

	if (nr == 1) {
		vlans->kind[id] = RTNL_VLAN_PVID;
		return 0;
	}
	if (pvids == 1)
		return 0;
	return hotplug_fail(
		failure, -EINVAL,
		"vlan '%.64s' needs one VLAN for untagged frames; put a p behind it in the "
		"vif line (10p/20-30)",
		text);
}

int vlan_parse(const char *text, struct rtnl_vlans *ret, struct hotplug_failure *failure)
{
	const char *at = text;
	struct term term;

	memset(ret, 0, sizeof(*ret));
	do {
		if (!parse_term(&at, &term) || !add_term(&term, ret))
			return hotplug_fail(
				failure, -EINVAL,
				"vlan '%.64s' is not understood; use VLANs from 1 to 4094, "
				"each once, like 10p/20-30 in the vif line",
				text);
	} while (*at++ == '/');
	return settle_pvid(text, ret, failure);
}
