/* SPDX-License-Identifier: MIT */
/*
 * The capture of one vif: switched on and off by the control thread, fed by its workers. One load and
 * one branch for each frame when it is off.
 */
#ifndef PVB_NETBACK_VIF_CAPTURE_H
#define PVB_NETBACK_VIF_CAPTURE_H

#include <stdatomic.h>

#include "control/device.h"
#include "netback/capture.h"

struct vif_capture_entry;

/* Zero-initialised: off. */
struct vif_capture {
	_Atomic(struct capture *) now;
	struct vif_capture_entry *all; /* owned; a worker may be adding to an older one */
	char *keys;                    /* owned; as last read: the same again is no news */
};

/*
 * Read `pcap` and `pcap-filter` of the vif's own directory, and begin or end a capture into a file in `dir`; `ifname`
 * is for the file. What is wrong is logged, and there is no capture.
 */
void vif_capture_read(struct vif_capture *capture, struct device *dev, const char *ifname,
		      const char *dir);

/* Does a change of this key concern us? */
bool vif_capture_reads(const char *key);

/*
 * End it, and forget; no queue may be attached. Idempotent. `wait`: until the file is complete, or a
 * second has passed.
 */
void vif_capture_done(struct vif_capture *capture, bool wait);

/* Parse "on", or a list of snaplen=BYTES and size=MIB; false with off, 0 or nothing. 0 or -EINVAL. */
int vif_capture_parse(const char *text, bool *ret_on, uint32_t *ret_snaplen,
		      uint64_t *ret_max_bytes);

/* The capture to add to, or NULL. */
static inline struct capture *vif_capture_get(struct vif_capture *capture)
{
	return atomic_load_explicit(&capture->now, memory_order_acquire);
}

#endif
