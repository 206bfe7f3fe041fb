/* SPDX-License-Identifier: MIT */
/* The network backend, as the daemon sees it. */
#ifndef PVB_NETBACK_VIF_H
#define PVB_NETBACK_VIF_H

#include "control/device.h"
#include "guest/worker.h"

extern const struct device_ops vif_device_ops;
extern const struct plane vif_plane; /* PLANE_NET */

#endif
