/* SPDX-License-Identifier: MIT */
/*
 * Connecting to an NBD server, once no earlier connection to it may still bring writes (nbd_fence.h): a question for the
 * opener, and its answer. A name server, a route or a full backlog can hold that up.
 */
#ifndef PVB_NBD_DIAL_H
#define PVB_NBD_DIAL_H

#include <stdbool.h>

#include "control/opener.h"
#include "core/messages.h"
#include "core/nbd_name.h"

struct nbd_dial {
	struct nbd_name name;
	/* the answer: with a connected socket, or */
	int err;                   /* -EBUSY: an earlier connection is not over; else -errno */
	char why[MESSAGE_WHY_MAX]; /* for the admin, then */
	bool fenced;               /* all earlier connections are over */
};

extern const struct opener_kind nbd_dial_kind;

#endif
