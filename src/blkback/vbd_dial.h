/* SPDX-License-Identifier: MIT */
/* Connecting for a disk's NBD link, which lives on a worker, by the opener, which is control's. */
#ifndef PVB_VBD_DIAL_H
#define PVB_VBD_DIAL_H

#include "core/nbd_name.h"

struct vbd;
struct vbd_dial;

/* Control thread. NULL when there is no memory. */
struct vbd_dial *vbd_dial_new(struct vbd *vbd, const struct nbd_name *name);
/* Control thread: before the link is closed, or where there is none. NULL is fine; returns NULL. */
struct vbd_dial *vbd_dial_close(struct vbd_dial *dial);

/* Worker thread: as in struct nbd_link_setup; `user` is a struct vbd_dial. The second one frees it. */
void vbd_dial_connect(void *user);
void vbd_dial_ended(void *user);

#endif
