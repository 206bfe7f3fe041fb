/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "core/statefile.h"
#include "netback/vif_kept.h"

#define MAGIC   0x5445454b56500001ull
#define VERSION 1u

int vif_kept_map(int fd, struct vif_kept **ret)
{
	void *addr;
	int err = statefile_map(fd, sizeof(**ret), &addr);

	if (!err)
		*ret = addr;
	return err;
}

void vif_kept_unmap(struct vif_kept *kept)
{
	statefile_unmap(kept, sizeof(*kept));
}

int vif_kept_check(const struct vif_kept *kept, uint32_t domid, uint32_t devid, uint32_t nr_queues)
{
	if (kept->magic == 0)
		return -ENOENT;
	if (kept->magic != MAGIC || kept->version != VERSION || kept->bytes != sizeof(*kept) ||
	    kept->domid != domid || kept->devid != devid ||
	    !hash_config_is_valid(&kept->hash, nr_queues))
		return -EBADMSG;
	return 0;
}

void vif_kept_begin(struct vif_kept *kept, uint32_t domid, uint32_t devid)
{
	*kept = (struct vif_kept){
		.version = VERSION, .bytes = sizeof(*kept), .domid = domid, .devid = devid
	};
	__atomic_store_n(&kept->magic, MAGIC, __ATOMIC_RELEASE);
}
