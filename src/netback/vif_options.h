/* SPDX-License-Identifier: MIT */
/* What an admin may choose in pvbackd.conf or on the command line. A NIC's own keys in xenstore come first. */
#ifndef PVB_VIF_OPTIONS_H
#define PVB_VIF_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/keys.h"
#include "core/messages.h"

struct vif_quirks_choice {
	bool given;
	unsigned int bits; /* enum quirk */
};

struct vif_options {
	unsigned int antispoof; /* enum filter_want */
	struct vif_quirks_choice quirks;
	struct message_rate rate, rate_rx;               /* bytes: from the guest, and to it */
	struct message_rate packet_rate, packet_rate_rx; /* likewise packets */
	uint32_t rx_drain_ms;    /* frames that a guest has not taken for so long are dropped */
	uint32_t rx_stall_ms;    /* after so long its carrier goes off; 0: never */
	char pcap_dir[PATH_MAX]; /* where captures go; "": the run-time directory */
};

extern const struct vif_options vif_options_default;
extern const struct key vif_keys[]; /* of struct vif_options */
/* The keys that an admin may write to a NIC's backend directory. Keys without a size are not options. */
extern const struct key vif_own_keys[];

#endif
