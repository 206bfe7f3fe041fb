/* SPDX-License-Identifier: MIT */
/* The network backend, as the daemon sees it. */
#ifndef PVB_NETBACK_VIF_H
#define PVB_NETBACK_VIF_H

#include "control/device.h"

extern const struct device_ops vif_device_ops;

#endif
