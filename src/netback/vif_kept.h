/* SPDX-License-Identifier: MIT */
/*
 * What a guest has set through its rings, and will not send again to a daemon that starts later. It is in a file that
 * outlives the process (core/statefile.h), one for each connected vif. Only vif_file.c knows the file's name.
 *
 * Each change is made before the guest's request is answered, and can be made again: if the process dies in between,
 * the next one finds the request still in the ring, and repeats it.
 */
#ifndef PVB_NETBACK_VIF_KEPT_H
#define PVB_NETBACK_VIF_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "netback/hash.h"
#include "netback/mcast.h"

struct vif_kept {
	uint64_t magic; /* stored last; 0: not begun. It shows the byte order, too */
	uint32_t version;
	uint32_t bytes;
	uint32_t domid;
	uint32_t devid;
	struct mcast mcast;
	struct message_hash hash;
};

/* Map the file behind `fd`. 0 with *ret for vif_kept_unmap(), or -errno as for statefile_map(). */
int vif_kept_map(int fd, struct vif_kept **ret);
/* NULL is fine. */
void vif_kept_unmap(struct vif_kept *kept);

/*
 * Whether a vif of `nr_queues` can use it. 0; -ENOENT when it was not begun; -EBADMSG when it is of another version or
 * vif, or has an impossible value.
 */
int vif_kept_check(const struct vif_kept *kept, uint32_t domid, uint32_t devid, uint32_t nr_queues);
/* Begin anew: all empty. */
void vif_kept_begin(struct vif_kept *kept, uint32_t domid, uint32_t devid);

#endif
