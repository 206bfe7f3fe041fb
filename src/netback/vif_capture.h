/* SPDX-License-Identifier: MIT */
/*
 * The capture of one NIC. Its loop switches it on and off, and its workers add frames. When it is off it costs a load and a
 * branch for each frame.
 */
#ifndef PVB_NETBACK_VIF_CAPTURE_H
#define PVB_NETBACK_VIF_CAPTURE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "netback/capture.h"

struct vif_capture_entry;

/* Zero-initialised: off. */
struct vif_capture {
	_Atomic(struct capture *) now;
	struct vif_capture_entry *all; /* owned; a worker may be adding to an older one */
};

/* End the capture that runs, and begin another if it is wanted: as capture_start(), which then owns `fd`. */
int vif_capture_switch(struct vif_capture *capture, const struct message_capture *what,
		       const char *name, int fd);
/* As capture_ended(), for the capture that runs. If true, it is forgotten. */
bool vif_capture_ended(struct vif_capture *capture, struct message_captured *ret);
/*
 * End and forget the capture; no queue may be attached. Idempotent. `wait`: until the file is complete, or for a
 * second.
 */
void vif_capture_done(struct vif_capture *capture, bool wait);

/* The capture to add to, or NULL. */
static inline struct capture *vif_capture_get(struct vif_capture *capture)
{
	return atomic_load_explicit(&capture->now, memory_order_acquire);
}

#endif
