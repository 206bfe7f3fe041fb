/* SPDX-License-Identifier: MIT */
/* The rate limits of one vif: set by the control thread from its keys, drawn on by its workers. */
#ifndef PVB_NETBACK_VIF_LIMITS_H
#define PVB_NETBACK_VIF_LIMITS_H

#include "control/device.h"
#include "core/rate.h"
#include "netback/vif_options.h"

struct vif_limits {
	struct rate_pair tx; /* from the guest */
	struct rate_pair rx; /* to the guest */
};

/* Once, before any other use: no limits. */
void vif_limits_init(struct vif_limits *limits);

/*
 * Read `rate`, `rate-rx`, `packet-rate` and `packet-rate-rx` of the vif's own directory, else of `options`. One
 * that cannot be read leaves in force what was, and the log says so.
 */
void vif_limits_read(struct vif_limits *limits, struct device *dev,
		     const struct vif_options *options);

/* Does a change of this key concern us? */
bool vif_limits_reads(const char *key);

#endif
