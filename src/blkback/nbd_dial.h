/* SPDX-License-Identifier: MIT */
/*
 * Connect to an NBD server, once no earlier connection to it can still bring writes (nbd_fence.h): a question for the
 * opener, and its answer. A name server, a route or a full backlog may hold this up.
 */
#ifndef PVB_NBD_DIAL_H
#define PVB_NBD_DIAL_H

#include <stdbool.h>

#include "control/opener.h"
#include "core/messages.h"
#include "core/nbd_name.h"

struct nbd_dial {
	struct nbd_name name;
	/* the answer: a connected socket, or */
	int err;                   /* -EBUSY: an earlier connection is not over; else -errno */
	char why[MESSAGE_WHY_MAX]; /* for the admin, if there is an error */
	bool fenced;               /* no earlier connection is left */
};

extern const struct opener_kind nbd_dial_kind;

#endif
