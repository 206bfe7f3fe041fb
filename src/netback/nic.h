/* SPDX-License-Identifier: MIT */
/* The data side of a NIC. */
#ifndef PVB_NETBACK_NIC_H
#define PVB_NETBACK_NIC_H

#include "guest/guest.h"

extern const struct guest_device_ops nic_device_ops;
extern const struct plane vif_plane; /* PLANE_NET */

#endif
