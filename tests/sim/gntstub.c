/* SPDX-License-Identifier: MIT */
/*
 * gntstub.c - the parts of libxengnttab that xensim does not simulate: notifications
 * of shared pages, and dma-buf. Here so that programs that link them still start.
 */
#include <errno.h>
#include <stddef.h>
#include <xengnttab.h>

static int nosys(void)
{
	errno = ENOSYS;
	return -1;
}

static void *nosys_null(void)
{
	errno = ENOSYS;
	return NULL;
}

int xengntshr_fd(xengntshr_handle *xgs)
{
	(void)xgs;
	return nosys();
}

void *xengntshr_share_page_notify(xengntshr_handle *xgs, uint32_t domid, uint32_t *ref,
				  int writable, uint32_t notify_offset, evtchn_port_t notify_port)
{
	(void)xgs, (void)domid, (void)ref, (void)writable, (void)notify_offset, (void)notify_port;
	return nosys_null();
}

int xengnttab_dmabuf_exp_from_refs(xengnttab_handle *xgt, uint32_t domid, uint32_t flags,
				   uint32_t count, const uint32_t *refs, uint32_t *fd)
{
	(void)xgt, (void)domid, (void)flags, (void)count, (void)refs, (void)fd;
	return nosys();
}

int xengnttab_dmabuf_exp_wait_released(xengnttab_handle *xgt, uint32_t fd, uint32_t wait_to_ms)
{
	(void)xgt, (void)fd, (void)wait_to_ms;
	return nosys();
}

int xengnttab_dmabuf_imp_to_refs(xengnttab_handle *xgt, uint32_t domid, uint32_t fd, uint32_t count,
				 uint32_t *refs)
{
	(void)xgt, (void)domid, (void)fd, (void)count, (void)refs;
	return nosys();
}

int xengnttab_dmabuf_imp_release(xengnttab_handle *xgt, uint32_t fd)
{
	(void)xgt, (void)fd;
	return nosys();
}
