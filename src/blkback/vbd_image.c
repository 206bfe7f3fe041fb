/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing a disk's image. A child opens it (image_find.h), the disk's own thread closes it, and the control
 * thread, whose all of this is, never waits for a medium.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "blkback/image_find.h"
#include "blkback/nbd_link.h"
#include "blkback/vbd.h"
#include "blkback/vbd_dial.h"
#include "control/opener.h"
#include "core/statefile.h"

#define RAW_PREFIX "aio:" /* libxl has it before a raw image's path in backend/vbd3 */

/* `params` as the toolstack means it: an absolute path, an NBD export, or a name below /dev. */
static int params_path(struct vbd *vbd, char *path, size_t size)
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

static void log_image(struct vbd *vbd, const char *path)
{
	device_log(&vbd->dev, LOG_LEVEL_INFO, "image %s, %llu MiB%s%s%s", path,
		   (unsigned long long)(vbd->image.bytes >> 20),
		   vbd->image.read_only ? ", read-only" : "",
		   vbd->image.direct ? "" : ", through the page cache",
		   vbd->image.block > BLKIF_SECTOR_SIZE ? ", in blocks of more than 512 bytes"
							: "");
}

/* --- NBD --- */

static void nbd_opened(void *user, int err, const char *why, const struct nbd_facts *facts)
{
	struct vbd *vbd = user;

	if (err) {
		device_reason(&vbd->dev, err, "cannot use the image %s: %s", vbd->image_name, why);
	} else {
		image_learn(&vbd->image, facts);
		log_image(vbd, vbd->image_name);
	}
	vbd_image_opened(vbd, err);
}

static struct worker *home_of(const struct vbd *vbd)
{
	const struct device_env *env = vbd->dev.env;

	return &env->workers[(vbd->dev.domid + vbd->dev.devid / 16) % env->nr_workers];
}

static int open_nbd(struct vbd *vbd, const char *path, bool read_only)
{
	struct nbd_link_setup setup = { .worker = home_of(vbd),
					.control = vbd->dev.env->loop,
					.read_only = read_only,
					.halted = vbd->dev.halted,
					.resume = vbd->resume,
					.timeout_s = vbd->options.nbd_timeout_s,
					.keep_fd = -1,
					.connect = vbd_dial_connect,
					.ended = vbd_dial_ended,
					.opened = nbd_opened,
					.user = vbd };
	const struct vbd_id id = vbd_id_of(vbd);
	const char *why = "";
	int err = nbd_name_parse(path, &setup.name, &why);

	if (!err && strlen(path) >= sizeof(setup.image)) {
		err = -ENAMETOOLONG;
		why = "its name is too long";
	}
	if (!err && !read_only) {
		err = vbd_file_unflushed(&id, vbd->resume, &setup.keep_fd, &setup.keep_lost);
		why = strerror(-err);
	}
	if (!err) {
		snprintf(setup.who, sizeof(setup.who), "%s", vbd->dev.name);
		memcpy(setup.image, path, strlen(path) + 1);
		memcpy(vbd->image_name, path, strlen(path) + 1);
		setup.dial = vbd->dial = vbd_dial_new(vbd, &setup.name);
		err = setup.dial ? image_open_nbd(&vbd->image, &setup) : -ENOMEM;
		why = err == -EOPNOTSUPP ? "this pvbackd was built without libnbd" : strerror(-err);
	}
	if (err && setup.dial) {
		vbd->dial = vbd_dial_close(vbd->dial);
		vbd_dial_ended(setup.dial);
	}
	if (err)
		statefile_close(&setup.keep_fd);
	if (err)
		device_reason(&vbd->dev, err, "cannot use the image %s: %s", path, why);
	return err;
}

/* --- a medium that does not answer --- */

void vbd_image_late(struct vbd *vbd)
{
	if (vbd->waits)
		return;
	vbd->waits = true;
	device_log(&vbd->dev, LOG_LEVEL_WARNING,
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
		device_log(&vbd->dev, LOG_LEVEL_INFO, "its image answers again");
	vbd->waits = false;
}

/* `done` follows, after vbd_image_answered(), or -errno. */
static int ask(struct vbd *vbd, struct slow_request *req)
{
	int err;

	req->home = vbd->dev.env->loop;
	err = slow_run(vbd->slow, req);
	if (!err)
		expect_answer(vbd);
	return err;
}

/* --- open --- */

struct opening {
	struct opener_request req;
	struct vbd *vbd; /* borrowed: it is attaching until we are done, or it gives up */
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

/* Who sees it first says what it is: the hotplug script; or we, where that was not ours. */
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
 * The ring is live, its journal stays, and so does the guest, which waits for the right image as it would for a disk
 * that does not answer: closing the disk would be an error for each of its requests.
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

static int use_found(struct opening *opening, int fd)
{
	const struct image_find *find = &opening->find;
	struct vbd *vbd = opening->vbd;
	int err = image_use(&vbd->image, fd, &find->image);

	if (err) {
		device_reason(&vbd->dev, err, "cannot use the image %s: %s", find->path,
			      strerror(-err));
		return err;
	}
	vbd->awaited = false;
	keep_medium(opening);
	vbd->image.slow = vbd->slow;
	log_image(vbd, find->path);
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
	bool nbd = false;

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
	else if ((nbd = find->nbd))
		err = open_nbd(vbd, find->path, find->read_only);
	else
		err = use_found(opening, fd);
	forget_opening(vbd);
	if (err || !nbd) /* else nbd_opened() follows */
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

	if (params_path(vbd, find->params, sizeof(find->params)))
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

	if (!vbd->opening)
		return;
	opener_give_up(dev->env->opener, &vbd->opening->req);
	forget_opening(vbd);
	loop_timer_cancel(&vbd->patience);
	vbd->waits = false;
	if (vbd->resume)
		device_not_yet(dev); /* its journal stays */
	else
		device_attached(dev, -ECANCELED);
}

/* --- close --- */

static struct vbd *closing_vbd(struct slow_request *req)
{
	return container_of(req, struct vbd, closing);
}

static void close_work(struct slow_request *req)
{
	image_close(&closing_vbd(req)->image);
}

static void closed(struct vbd *vbd)
{
	const struct vbd_id id = vbd_id_of(vbd);
	void (*then)(struct vbd *) = vbd->closed;

	if (!vbd->dev.suspending)
		vbd_file_forget_unflushed(&id);
	vbd->closed = NULL;
	then(vbd);
}

static void close_done(struct slow_request *req)
{
	struct vbd *vbd = closing_vbd(req);

	vbd_image_answered(vbd);
	closed(vbd);
}

void vbd_close_image(struct vbd *vbd, void (*then)(struct vbd *vbd))
{
	vbd->closed = then;
	vbd->dial = vbd_dial_close(vbd->dial);
	if (vbd->size.asked && slow_recall(vbd->dev.env->asker, &vbd->size.req))
		vbd->size.asked = false; /* it stood behind another disk's */
	if (vbd->size.asked) {
		expect_answer(vbd); /* vbd_resize.c comes back */
		return;
	}
	vbd->closing.work = close_work;
	vbd->closing.done = close_done;
	if (vbd->image.ops && !ask(vbd, &vbd->closing))
		return;
	image_close(&vbd->image);
	closed(vbd);
}
