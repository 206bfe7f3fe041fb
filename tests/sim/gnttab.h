/* SPDX-License-Identifier: MIT */
/* gnttab.h - the handle of the simulated libxengnttab. */
#ifndef SIM_GNTTAB_H
#define SIM_GNTTAB_H

#include <xengnttab.h>

#include "client.h"

struct mapping;

struct xengntdev_handle {
	struct sim_client_conn conn;
	pthread_mutex_t lock;     /* protects mappings */
	struct mapping *mappings; /* owned */
};

/* gntshr.c: a page that this process has granted to its own domain; NULL when there is none. Any thread. */
char *sim_shared_page(uint32_t ref);

#endif
