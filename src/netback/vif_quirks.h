/* SPDX-License-Identifier: MIT */
/* Where a driver's quirks come from. */
#ifndef PVB_NETBACK_VIF_QUIRKS_H
#define PVB_NETBACK_VIF_QUIRKS_H

#include "control/device.h"
#include "netback/vif_front.h"
#include "netback/vif_options.h"

/*
 * The enum quirk bits of a vif's driver: from its `quirks` key, else from the configuration, else from its frontend's
 * other keys. A value that cannot be used is logged. Control thread.
 */
unsigned int vif_quirks_find(struct device *dev, const struct vif_front *front,
			     const struct vif_quirks_choice *otherwise);

#endif
