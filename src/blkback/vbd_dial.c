/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "blkback/nbd_dial.h"
#include "blkback/nbd_link.h"
#include "blkback/vbd.h"
#include "blkback/vbd_dial.h"
#include "core/container_of.h"

enum { IDLE, ORDERED, ENDED };

struct vbd_dial {
	struct vbd *vbd;   /* borrowed; NULL when closed. Control's */
	struct loop *home; /* borrowed: control's */
	struct loop_task order;
	atomic_int state; /* ORDERED: `order` is in control's mailbox */
	struct opener_request req;
	struct nbd_dial question;
	struct nbd_name name;
};

static void connected(struct opener_request *req, int err, int fd)
{
	struct vbd_dial *dial = container_of(req, struct vbd_dial, req);
	const struct nbd_dial *answer = &dial->question;

	nbd_link_connected(dial->vbd->image.nbd, err ? err : answer->err,
			   err ? strerror(-err) : answer->why, fd, answer->fenced);
}

static void carry_out(struct loop_task *task)
{
	struct vbd_dial *dial = container_of(task, struct vbd_dial, order);
	struct vbd *vbd = dial->vbd; /* while there is one the link does not end */
	int err;

	if (atomic_exchange(&dial->state, IDLE) == ENDED) {
		free(dial);
		return;
	}
	if (!vbd)
		return;
	opener_give_up(vbd->dev.env->opener, &dial->req);
	dial->question = (struct nbd_dial){ .name = dial->name };
	err = opener_ask(vbd->dev.env->opener, &dial->req);
	if (err)
		connected(&dial->req, err, -1);
}

void vbd_dial_connect(void *user)
{
	struct vbd_dial *dial = user;

	if (atomic_exchange(&dial->state, ORDERED) == IDLE)
		loop_post(dial->home, &dial->order);
}

void vbd_dial_ended(void *user)
{
	struct vbd_dial *dial = user;

	if (atomic_exchange(&dial->state, ENDED) == IDLE)
		free(dial);
}

struct vbd_dial *vbd_dial_new(struct vbd *vbd, const struct nbd_name *name)
{
	struct vbd_dial *dial = calloc(1, sizeof(*dial));

	if (!dial)
		return NULL;
	dial->vbd = vbd;
	dial->home = vbd->dev.env->loop;
	dial->name = *name;
	dial->order.run = carry_out;
	dial->req = (struct opener_request){ .kind = &nbd_dial_kind,
					     .question = &dial->question,
					     .done = connected };
	return dial;
}

struct vbd_dial *vbd_dial_close(struct vbd_dial *dial)
{
	if (!dial)
		return NULL;
	opener_give_up(dial->vbd->dev.env->opener, &dial->req);
	dial->vbd = NULL;
	return NULL;
}
