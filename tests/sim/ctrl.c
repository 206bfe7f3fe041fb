/* SPDX-License-Identifier: MIT */
/* ctrl.c - the part of libxenctrl that a backend uses: which domains there are. */
#include <xenctrl.h> /* first: it must be the one to include xen/xen.h */

#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct xc_interface_core {
	struct sim_client_conn conn;
};

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild_logger,
				unsigned int open_flags)
{
	struct xc_interface_core *xch;
	int err = sim_fail("xc_interface_open");

	(void)logger;
	(void)dombuild_logger;
	xch = err || (open_flags & XC_OPENFLAG_DUMMY) ? NULL : calloc(1, sizeof(*xch));
	if (!err && xch)
		err = -sim_client_open(&xch->conn, false);
	if (!err)
		return xch;
	free(xch);
	errno = err;
	return NULL;
}

int xc_interface_close(xc_interface *xch)
{
	if (!xch)
		return 0;
	sim_client_close(&xch->conn);
	free(xch);
	return 0;
}

static void info_fill(const struct sim_dom *d, xc_domaininfo_t *info)
{
	memset(info, 0, sizeof(*info));
	info->domain = (domid_t)d->domid;
	if (d->state == SIM_DOM_DYING)
		info->flags |= XEN_DOMINF_dying;
	if (d->hvm)
		info->flags |= XEN_DOMINF_hvm_guest | XEN_DOMINF_hap;
	if (d->paused)
		info->flags |= XEN_DOMINF_paused;
	if (d->shutdown)
		info->flags |= XEN_DOMINF_shutdown | (d->shutdown_reason & XEN_DOMINF_shutdownmask)
							     << XEN_DOMINF_shutdownshift;
	if (!(info->flags & (XEN_DOMINF_dying | XEN_DOMINF_paused | XEN_DOMINF_shutdown)))
		info->flags |= XEN_DOMINF_blocked;
	info->tot_pages = info->max_pages = d->nr_pages;
	info->nr_online_vcpus = 1;
	memcpy(info->handle, d->handle, sizeof(info->handle));
}

/* The existing domain with the lowest id from @first on, or NULL. */
static const struct sim_dom *dom_next(const struct sim_shm *shm, uint32_t first)
{
	const struct sim_dom *best = NULL;

	for (uint32_t i = 0; i < SIM_MAX_DOMS; i++) {
		const struct sim_dom *d = &shm->dom[i];

		if (d->state != SIM_DOM_FREE && d->domid >= first &&
		    (!best || d->domid < best->domid))
			best = d;
	}
	return best;
}

int xc_domain_getinfolist(xc_interface *xch, uint32_t first_domain, unsigned int max_domains,
			  xc_domaininfo_t *info)
{
	struct sim_shm *shm = xch->conn.shm;
	unsigned int nr = 0;
	int err = sim_fail("xc_domain_getinfolist");

	/* It is the toolstack's call: Xen refuses it to other domains. */
	if (!err && xch->conn.domid)
		err = EPERM;
	if (err) {
		errno = err;
		return -1;
	}
	sim_lock(&shm->lock);
	while (nr < max_domains) {
		const struct sim_dom *d = dom_next(shm, first_domain);

		if (!d)
			break;
		info_fill(d, &info[nr++]);
		first_domain = d->domid + 1;
	}
	sim_unlock(&shm->lock);
	return (int)nr;
}
