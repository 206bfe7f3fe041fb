/* SPDX-License-Identifier: MIT */
/* Connects to an NBD server for the process that serves the disk: that process has no network access. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkback/nbd_dial.h"
#include "blkback/vbd.h"
#include "control/guests.h"
#include "core/container_of.h"

struct vbd_dial {
	struct vbd *vbd; /* borrowed */
	struct opener_request req;
	struct nbd_dial question;
};

static void answer(struct vbd *vbd, int err, const char *why, bool fenced, int fd)
{
	struct message message = { .type = MESSAGE_NBD_CONNECTED,
				   .connected = { .err = err, .fenced = fenced } };

	snprintf(message.connected.why, sizeof(message.connected.why), "%s", why);
	guests_send(&vbd->dev, &message, &fd, fd >= 0);
}

static void connected(struct opener_request *req, int err, int fd)
{
	struct vbd_dial *dial = container_of(req, struct vbd_dial, req);

	if (err)
		answer(dial->vbd, err, strerror(-err), false, -1);
	else
		answer(dial->vbd, dial->question.err, dial->question.why, dial->question.fenced,
		       fd);
	if (fd >= 0)
		close(fd);
}

/* The name comes from our own keys only: a guest's process cannot choose what control connects to. */
static int ask(struct vbd_dial *dial, const char **ret_why)
{
	struct nbd_dial question = { 0 };
	int err = nbd_name_parse(dial->vbd->image_name, &question.name, ret_why);

	if (err)
		return err;
	dial->question = question;
	dial->req = (struct opener_request){ .kind = &nbd_dial_kind,
					     .question = &dial->question,
					     .done = connected };
	err = opener_ask(dial->vbd->dev.env->opener, &dial->req);
	*ret_why = strerror(-err);
	return err;
}

void vbd_dial(struct vbd *vbd)
{
	const char *why = "no memory";
	int err = -ENOMEM;

	vbd_hang_up(vbd);
	vbd->dial = calloc(1, sizeof(*vbd->dial));
	if (vbd->dial) {
		vbd->dial->vbd = vbd;
		err = ask(vbd->dial, &why);
	}
	if (err)
		answer(vbd, err, why, false, -1);
}

void vbd_hang_up(struct vbd *vbd)
{
	if (!vbd->dial)
		return;
	opener_give_up(vbd->dev.env->opener, &vbd->dial->req);
	free(vbd->dial);
	vbd->dial = NULL;
}
