/* SPDX-License-Identifier: MIT */
/* What a network frontend writes about itself in xenstore, read once and checked. Control thread. */
#ifndef PVB_NETBACK_VIF_FRONT_H
#define PVB_NETBACK_VIF_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "control/device.h"
#include "core/messages.h"
#include "netback/offload.h"

struct vif_front {
	bool ctrl; /* it has a control ring */
	uint32_t ctrl_ref;
	uint32_t ctrl_port;
	unsigned int nr_queues; /* 1..max_queues */
	bool rx_notify;         /* it notifies when it posts receive slots */
	uint16_t headroom;      /* xdp-headroom */
	struct offload_accept accept;
	bool finish_csum; /* the checksum of its frames is completed here */
	bool is_freebsd;  /* judged by its keys */
	struct message_nic_queue queues[MESSAGE_NIC_QUEUES];
};

/*
 * Read the frontend's keys. 0, or -errno after device_reason(): -EOPNOTSUPP when it does not accept
 * copies, else what is missing or malformed.
 */
int vif_front_read(struct device *dev, unsigned int max_queues, struct vif_front *ret);

/* Apply quirks (bits of enum quirk) to what was read. */
void vif_front_apply_quirks(struct vif_front *front, unsigned int quirks);

/* Read xdp-headroom alone, in state 7. As above, but without a message to the admin. */
int vif_front_read_headroom(struct device *dev, uint16_t *ret);

#endif
