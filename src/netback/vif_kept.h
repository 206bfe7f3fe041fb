/* SPDX-License-Identifier: MIT */
/*
 * What a guest has told us through its rings, and will not tell a daemon that starts later: a
 * file mapping below the runtime directory, one per connected vif.
 *
 * Each change is made before the guest's request is answered, and can be made again: a daemon that
 * dies in between finds the request still in the ring, and repeats it.
 */
#ifndef PVB_NETBACK_VIF_KEPT_H
#define PVB_NETBACK_VIF_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "netback/hash.h"
#include "netback/mcast.h"
#include "netback/vif_file.h"

struct vif_kept {
	uint64_t magic; /* also says the byte order */
	uint32_t version;
	uint32_t bytes;
	uint32_t domid;
	uint32_t devid;
	struct mcast mcast;
	struct hash_config hash;
};

/* Begin anew: all empty. 0 with *ret owned by the caller, or -errno. */
int vif_kept_create(const struct vif_id *id, struct vif_kept **ret);

/* Take up what an earlier life left. 0; -ENOENT; -EBADMSG when it cannot be used, or as
 * mapfile_open(). */
int vif_kept_open(const struct vif_id *id, struct vif_kept **ret);

/* Unmap; `remove` deletes the file too. NULL is fine. Returns NULL. */
struct vif_kept *vif_kept_close(struct vif_kept *kept, const struct vif_id *id, bool remove);

/* Delete the file, open or not; no matter if there is none. */
void vif_kept_forget(const struct vif_id *id);

#endif
