/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "control/names.h"
#include "control/store.h"

void name_guest(const struct device_env *env, uint32_t domid, char name[GUEST_NAME_MAX])
{
	char home[32];

	snprintf(home, sizeof(home), "/local/domain/%u", domid);
	if (store_read(env->store, XBT_NULL, home, "name", name, GUEST_NAME_MAX) || !*name)
		snprintf(name, GUEST_NAME_MAX, "%u", domid);
}

void names_read(const struct device *dev, struct names *ret)
{
	const char *prefix = dev->ops->number_prefix;

	name_guest(dev->env, dev->domid, ret->guest);
	snprintf(ret->number, sizeof(ret->number), "%u", dev->devid);
	ret->prefixed[0] = '\0';
	if (prefix)
		snprintf(ret->prefixed, sizeof(ret->prefixed), "%s%u", prefix, dev->devid);
	if (store_read(dev->env->store, XBT_NULL, dev->be_path, dev->ops->name_key, ret->own,
		       sizeof(ret->own)))
		ret->own[0] = '\0';
}

const char *names_printed(const struct names *names)
{
	return *names->prefixed ? names->prefixed : *names->own ? names->own : names->number;
}

void name_device(const struct device *dev, char name[DEVICE_NAME_MAX])
{
	struct names names;

	names_read(dev, &names);
	snprintf(name, DEVICE_NAME_MAX, "%s/%s", names.guest, names_printed(&names));
}

static bool is_guest(const struct device *dev, const struct names *names, const char *text,
		     size_t len)
{
	char number[16], whole[32];

	snprintf(number, sizeof(number), "%u", dev->domid);
	snprintf(whole, sizeof(whole), "%s/%u", dev->ops->kind, dev->domid);
	return (strlen(names->guest) == len && !memcmp(text, names->guest, len)) ||
	       (strlen(number) == len && !memcmp(text, number, len)) ||
	       (strlen(whole) == len && !memcmp(text, whole, len));
}

/* A guest's name may have a slash, a device's has none. */
bool name_fits(const struct device *dev, const char *text)
{
	const char *slash = strrchr(text, '/');
	struct names names;

	if (!strcmp(text, dev->name))
		return true;
	if (!slash)
		return false;
	names_read(dev, &names);
	return is_guest(dev, &names, text, (size_t)(slash - text)) && slash[1] &&
	       (!strcasecmp(slash + 1, names.own) || !strcasecmp(slash + 1, names.prefixed) ||
		!strcmp(slash + 1, names.number));
}
