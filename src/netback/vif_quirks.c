/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "netback/quirks.h"
#include "netback/vif_quirks.h"

unsigned int vif_quirks_find(struct device *dev, const struct vif_front *front,
			     const struct vif_quirks_choice *otherwise)
{
	char text[STORE_VALUE_MAX];
	unsigned int quirks = 0;
	int err = store_read(dev->env->store, XBT_NULL, dev->be_path, "quirks", text, sizeof(text));

	if (!err && quirks_parse(text, &quirks) == 0)
		return quirks;
	if (err != -ENOENT)
		device_log(dev, LOG_LEVEL_WARNING,
			   "`quirks` is left out, it is not a list of: " QUIRKS_NAMES);
	if (otherwise->given)
		return otherwise->bits;
	if (!front->is_freebsd)
		return 0;
	device_log(dev, LOG_LEVEL_INFO,
		   "its driver looks like FreeBSD's: no checksum offload (quirks=none to have it)");
	return QUIRK_NO_CSUM;
}
