/* SPDX-License-Identifier: MIT */
/* The files of a vif below the runtime directory: vif-DOMID-DEVID and a suffix of their own. */
#ifndef PVB_NETBACK_VIF_FILE_H
#define PVB_NETBACK_VIF_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/leftover.h"

struct vif_id {
	const char *dir; /* borrowed: the runtime directory */
	uint32_t domid;
	uint32_t devid;
};

/* 0 or -ENAMETOOLONG. */
int vif_file_path(const struct vif_id *id, const char *suffix, char path[PATH_MAX]);

/* Delete it, open or not; no matter if there is none. */
void vif_file_forget(const struct vif_id *id, const char *suffix);

/* Unmap what mapfile.h mapped; `remove` deletes the file too. NULL is fine. */
void vif_file_close(void *addr, size_t bytes, const struct vif_id *id, const char *suffix,
		    bool remove);

/* All of them, for a daemon that starts. */
extern const struct leftover vif_leftovers[];

#endif
