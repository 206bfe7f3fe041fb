/* SPDX-License-Identifier: MIT */
/* The keys of a vif that may change while its rings are attached: rate limits and port security. Control thread only. */
#ifndef PVB_NETBACK_VIF_TUNE_H
#define PVB_NETBACK_VIF_TUNE_H

#include "control/device.h"
#include "core/messages.h"
#include "netback/vif_options.h"

/*
 * Read them from the vif's own directory, else from `options`. If a limit cannot be read, the value in force stays, for
 * a new vif that of `options`. If rules cannot be read, nothing passes. The log says so. *any_ip: whether the rules ask
 * for the addresses of ip=, and there are none, so that the guest may use any; false for a new vif.
 */
void vif_tune_read(struct message_nic_tuning *tuning, bool *any_ip, struct device *dev,
		   const struct vif_options *options);
/* Whether a change of this key matters here. */
bool vif_tune_reads(const char *key);

#endif
