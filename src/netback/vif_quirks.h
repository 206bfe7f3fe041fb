/* SPDX-License-Identifier: MIT */
/* Whose word on a driver's quirks counts. */
#ifndef PVB_NETBACK_VIF_QUIRKS_H
#define PVB_NETBACK_VIF_QUIRKS_H

#include "control/device.h"
#include "netback/vif_front.h"
#include "netback/vif_options.h"

/*
 * The enum quirk bits of a vif's driver: by its `quirks` key, else by the configuration, else by what its
 * frontend's keys tell. Says in the log what it could not use. Control thread.
 */
unsigned int vif_quirks_find(struct device *dev, const struct vif_front *front,
			     const struct vif_quirks_choice *otherwise);

#endif
