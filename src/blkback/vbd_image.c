/* SPDX-License-Identifier: MIT */
/*
 * Opens a disk's image. A child process does it (image_find.h). All code here runs on the control thread, which never
 * waits for a medium.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/nbd_name.h"
#include "blkback/image_find.h"
#include "blkback/vbd.h"
#include "control/opener.h"
#include "core/slow.h"

#define RAW_PREFIX "aio:" /* in backend/vbd3, libxl puts it before a raw image's path */

int vbd_params(const struct vbd *vbd, char *path, size_t size)
{
	char params[STORE_VALUE_MAX];
	const char *name = params;
	int n, err = vbd_read_own(vbd, "params", params, sizeof(params));

	if (err)
		return err;
	if (!strncmp(params, RAW_PREFIX, strlen(RAW_PREFIX)))
		name += strlen(RAW_PREFIX);
	if (!*name)
		return -ENOENT;
	n = snprintf(path, size, "%s%s", *name == '/' || nbd_name_is(name) ? "" : "/dev/", name);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

void vbd_log_image(struct vbd *vbd)
{
	device_log(&vbd->dev, LOG_LEVEL_INFO, "image %s, %llu MiB%s%s%s", vbd->image_name,
		   (unsigned long long)(vbd->image.bytes >> 20),
		   vbd->image.read_only ? ", read-only" : "",
		   vbd->image.direct ? "" : ", through the page cache",
		   vbd->image.block > BLKIF_SECTOR_SIZE ? ", in blocks of more than 512 bytes"
							: "");
}

/* --- a medium that does not answer --- */

void vbd_image_late(struct vbd *vbd)
{
	if (vbd->waits)
		return;
	vbd->waits = true;
	device_notice(&vbd->dev, LOG_LEVEL_WARNING, "medium-silent",
		      "its image has not answered for %u s: this disk waits for it, others do not",
		      VBD_PATIENCE_S);
}

static void too_late(void *user)
{
	vbd_image_late(user);
}

static void expect_answer(struct vbd *vbd)
{
	loop_timer_set(vbd->dev.env->loop, &vbd->patience, VBD_PATIENCE_S * 1000000000ull, too_late,
		       vbd);
}

void vbd_image_answered(struct vbd *vbd)
{
	loop_timer_cancel(&vbd->patience);
	if (vbd->waits)
		device_notice(&vbd->dev, LOG_LEVEL_INFO, "medium-silent",
			      "its image answers again");
	vbd->waits = false;
}

/* --- open --- */

struct opening {
	struct opener_request req;
	struct vbd *vbd; /* borrowed: it is attaching until this ends, or it gives up */
	struct image_find find;
};

static int write_medium(struct store *store, xs_transaction_t t, void *user)
{
	const struct opening *opening = user;
	const char *dir = opening->vbd->dev.be_path;
	char text[MEDIUM_ID_TEXT_MAX];
	uint32_t state;
	int err = store_read_u32(store, t, dir, "state", 0, XENBUS_NR_STATES, &state);

	if (err || state == XENBUS_INITIALISING) /* another disk is in its place, or none */
		return err ? err : -ENOENT;
	medium_id_format(&opening->find.medium, text, sizeof(text));
	return store_write(store, t, dir, MEDIUM_ID_KEY, text);
}

/* Our hotplug script records which image it is. With another script, control does. */
static void keep_medium(struct opening *opening)
{
	struct vbd *vbd = opening->vbd;
	int err = opening->find.known ? 0
				      : store_transact(vbd->dev.env->store, vbd->dev.be_path,
						       write_medium, opening);

	if (err)
		device_log(
			&vbd->dev, LOG_LEVEL_WARNING,
			"cannot write which image it has, so that another would not be noticed: %s",
			strerror(-err));
}

static void try_again(void *user)
{
	struct vbd *vbd = user;

	vbd->dev.env->ready(&vbd->dev);
}

/*
 * The ring is live, and its journal stays. The guest waits for the right image, as for a disk that does not answer: if
 * the disk were closed, each of its requests would fail.
 */
static void await_image(struct vbd *vbd, int err, const char *why)
{
	if (!vbd->awaited)
		device_reason(&vbd->dev, err, "%s; the guest waits until the right one is there",
			      why);
	vbd->awaited = true;
	loop_timer_set(vbd->dev.env->loop, &vbd->patience, VBD_PATIENCE_S * 1000000000ull,
		       try_again, vbd);
	device_not_yet(&vbd->dev);
}

/* For an NBD export, the process that serves it connects and reports the facts. */
static int use_found(struct opening *opening, int fd)
{
	const struct image_find *find = &opening->find;
	struct vbd *vbd = opening->vbd;

	if (strlen(find->path) >= sizeof(vbd->image_name)) {
		device_reason(&vbd->dev, -ENAMETOOLONG, "the name of the image %s is too long",
			      find->path);
		slow_close(&fd);
		return -ENAMETOOLONG;
	}
	strcpy(vbd->image_name, find->path);
	vbd->awaited = false;
	vbd->nbd = find->nbd;
	if (find->nbd) {
		vbd->image = (struct message_image){ .read_only = find->read_only };
		return 0;
	}
	keep_medium(opening);
	vbd->image = find->image;
	vbd->image_fd = fd;
	vbd_log_image(vbd);
	if (find->unsettled)
		device_log(&vbd->dev, LOG_LEVEL_WARNING,
			   "what the emulated disk wrote may not be on the medium");
	return 0;
}

static void forget_opening(struct vbd *vbd)
{
	free(vbd->opening);
	vbd->opening = NULL;
}

static void image_found(struct opener_request *req, int err, int fd)
{
	struct opening *opening = container_of(req, struct opening, req);
	struct image_find *find = &opening->find;
	struct vbd *vbd = opening->vbd;

	vbd_image_answered(vbd);
	if (err)
		snprintf(find->why, sizeof(find->why),
			 "the process that was to open the image failed: %s", strerror(-err));
	else
		err = find->err;
	if (err && vbd->resume) {
		await_image(vbd, err, find->why);
		forget_opening(vbd);
		return;
	}
	if (err)
		device_reason(&vbd->dev, err, "%s", find->why);
	else
		err = use_found(opening, fd);
	forget_opening(vbd);
	vbd_image_opened(vbd, err);
}

static void read_key(struct vbd *vbd, const char *key, char *buf, size_t size)
{
	if (vbd_read_own(vbd, key, buf, size))
		*buf = '\0';
}

static void read_keys(struct vbd *vbd, struct image_find *find)
{
	char mode[8], medium[MEDIUM_ID_TEXT_MAX];

	if (vbd_params(vbd, find->params, sizeof(find->params)))
		*find->params = '\0';
	read_key(vbd, "physical-device-path", find->device_path, sizeof(find->device_path));
	read_key(vbd, "physical-device", find->device, sizeof(find->device));
	read_key(vbd, "mode", mode, sizeof(mode));
	find->read_only = *mode != 'w';
	find->settle = !vbd->resume;
	find->cache = vbd->options.cache;
	find->any = vbd->cdrom;
	find->known = !vbd_read_own(vbd, MEDIUM_ID_KEY, medium, sizeof(medium)) &&
		      !medium_id_parse(medium, &find->medium);
}

int vbd_open_image(struct vbd *vbd)
{
	struct opening *opening = calloc(1, sizeof(*opening));
	int err = opening ? 0 : -ENOMEM;

	vbd->opening = opening;
	if (!err) {
		opening->req = (struct opener_request){ .kind = &image_find_kind,
							.question = &opening->find,
							.done = image_found };
		opening->vbd = vbd;
		read_keys(vbd, &opening->find);
		err = opener_ask(vbd->dev.env->opener, &opening->req);
	}
	if (!err) {
		expect_answer(vbd);
		return 0;
	}
	forget_opening(vbd);
	device_reason(&vbd->dev, err, "the image cannot be opened: %s", strerror(-err));
	return err;
}

void vbd_give_up(struct device *dev)
{
	struct vbd *vbd = vbd_of(dev);

	if (!vbd->opening && !vbd->waits_for_others)
		return;
	if (vbd->opening)
		opener_give_up(dev->env->opener, &vbd->opening->req);
	forget_opening(vbd);
	vbd_close_image(vbd);
	loop_timer_cancel(&vbd->patience);
	vbd->waits = vbd->waits_for_others = false;
	if (vbd->resume)
		device_not_yet(dev); /* its journal stays */
	else
		device_attached(dev, -ECANCELED);
}

void vbd_close_image(struct vbd *vbd)
{
	slow_close(&vbd->image_fd);
}
