/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "core/log.h"
#include "core/statefile.h"
#include "netback/tap_keeper.h"
#include "netback/tap_mark.h"

static int map(int fd, struct tap_mark **ret)
{
	void *mark;
	int err = statefile_map(fd, sizeof(**ret), &mark);

	statefile_close(&fd);
	if (!err)
		*ret = mark;
	return err;
}

static int open_left(const struct vif_id *id, struct tap_mark **ret)
{
	int fd, err = vif_file_left_mark(id, &fd);

	return err ? err : map(fd, ret);
}

bool tap_mark_exists(const struct vif_id *id)
{
	struct tap_mark *mark;
	bool noted;

	if (open_left(id, &mark))
		return false;
	noted = mark->ifindex > 0;
	tap_mark_close(mark);
	return noted;
}

/* A mark that cannot be read counts as none. */
int tap_mark_open(const struct vif_id *id, struct tap_mark **ret)
{
	int fd, err;

	if (open_left(id, ret) == 0)
		return 0;
	err = vif_file_new_mark(id, &fd);
	return err ? err : map(fd, ret);
}

struct tap_mark *tap_mark_close(struct tap_mark *mark)
{
	statefile_unmap(mark, sizeof(*mark));
	return NULL;
}

int tap_mark_adopt(const struct tap_mark *mark, const struct vif_id *id, struct tap *tap,
		   unsigned int max_queues)
{
	int fds[TAP_MAX_QUEUES];
	unsigned int nr_fds = tap_keeper_take(id, fds);
	int err = nr_fds ? tap_take(tap, fds, nr_fds, max_queues) : -ENODEV;

	if (err && mark->ifindex > 0)
		err = tap_adopt(tap, mark->ifindex, max_queues);
	if (err)
		return err;
	if (!tap->ifindex) /* it is in another network namespace now */
		tap->ifindex = mark->ifindex;
	tap->queue_len = mark->queue_len;
	return 0;
}

void tap_mark_note(struct tap_mark *mark, struct tap *tap)
{
	mark->ifindex = tap->ifindex;
	mark->queue_len = tap->queue_len;
	tap->noted_len = &mark->queue_len;
}

void tap_mark_remove(const char *dir, uint32_t domid, uint32_t devid)
{
	struct vif_id id = { dir, domid, devid };
	struct tap_mark *mark;
	char name[IFNAMSIZ];
	struct tap tap;

	if (open_left(&id, &mark))
		return;
	if (tap_mark_adopt(mark, &id, &tap, 1) == 0) {
		if (tap_name(&tap, name) == 0)
			log_info("%s is removed: its vif went while no pvbackd ran", name);
		tap_close(&tap, true);
	}
	tap_keeper_drop(&id);
	tap_mark_close(mark);
}
