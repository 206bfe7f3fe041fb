/* SPDX-License-Identifier: MIT */
/*
 * The saved requests of a queue's two rings (struct ring_undo), in a file that outlives the process (core/statefile.h):
 * one for each attached queue, and one for the control ring. Only vif_file.c knows the file's name. In a file of zeros
 * there is nothing to undo.
 */
#ifndef PVB_NETBACK_VIF_UNDO_H
#define PVB_NETBACK_VIF_UNDO_H

#include "core/messages.h"
#include "ring/ring.h"

struct vif_undo {
	struct ring_undo tx, rx;
};

/* The control ring's requests are in `tx`, under this number. */
enum { VIF_UNDO_CTRL = MESSAGE_NIC_QUEUES };

#endif
