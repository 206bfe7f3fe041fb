/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/statefile.h"
#include "netback/vif_file.h"
#include "netback/vif_kept.h"
#include "netback/vif_state.h"
#include "netback/vif_undo.h"

static struct vif_id id_of(const struct device *dev)
{
	return (struct vif_id){ dev->env->runtime_dir, dev->domid, dev->devid };
}

static int open_memory(size_t bytes, int *ret_fd)
{
	int fd = memfd_create("pvbackd-vif", MFD_CLOEXEC);
	int err = fd < 0 || ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;

	if (err)
		statefile_close(&fd);
	else
		*ret_fd = fd;
	return err;
}

/* --- what rings may have to undo --- */

/*
 * A damaged file belongs to a ring that cannot be resumed. If no file can be made, only a death in the middle of
 * answering does harm: no reason to refuse a guest.
 */
static int add_undo(struct vif_state *state, struct device *dev, unsigned int queue, bool resume)
{
	const struct vif_id id = id_of(dev);
	int *fd = &state->fds[state->nr_fds];
	int err = vif_file_undo(&id, queue, resume, fd);

	if (err && err != -EBADMSG && err != -EPERM)
		err = open_memory(sizeof(struct vif_undo), fd);
	if (err)
		device_reason(dev, err, "what an earlier pvbackd left of its rings is damaged: %s",
			      strerror(-err));
	else
		state->nr_fds++;
	return err;
}

/* --- what a guest has set --- */

/* 0 with the hash. The process that serves the rings may write meanwhile, so a copy is checked. */
static int read_kept(int fd, const struct device *dev, uint32_t nr_queues, struct message_hash *ret)
{
	struct vif_kept *kept, copy;
	int err = vif_kept_map(fd, &kept);

	if (err)
		return err;
	memcpy(&copy, kept, sizeof(copy));
	vif_kept_unmap(kept);
	err = vif_kept_check(&copy, dev->domid, dev->devid, nr_queues);
	if (!err)
		*ret = copy.hash;
	return err;
}

static int open_left(const struct device *dev, uint32_t nr_queues, int *ret_fd,
		     struct message_hash *ret_hash)
{
	const struct vif_id id = id_of(dev);
	int err = vif_file_left_state(&id, ret_fd);

	if (err)
		return err;
	err = read_kept(*ret_fd, dev, nr_queues, ret_hash);
	if (err)
		statefile_close(ret_fd);
	return err;
}

static int begin_kept(int fd, const struct device *dev)
{
	struct vif_kept *kept;
	int err = vif_kept_map(fd, &kept);

	if (err)
		return err;
	vif_kept_begin(kept, dev->domid, dev->devid);
	vif_kept_unmap(kept);
	return 0;
}

static int create_kept(struct device *dev, int *ret_fd)
{
	const struct vif_id id = id_of(dev);
	int err = vif_file_new_state(&id, ret_fd);

	if (err) {
		device_log(dev, LOG_LEVEL_WARNING,
			   "its multicast list and hash will not survive a restart of pvbackd: no "
			   "file in %s: %s",
			   id.dir, strerror(-err));
		err = open_memory(sizeof(struct vif_kept), ret_fd);
	}
	return err ? err : begin_kept(*ret_fd, dev);
}

static int add_kept(struct vif_state *state, struct device *dev,
		    const struct message_start_nic *start)
{
	int *fd = &state->fds[state->nr_fds], err = 0;

	*fd = -1;
	state->left_err =
		start->resume ? open_left(dev, start->nr_queues, fd, &state->hash) : -ENOENT;
	if (state->left_err) {
		state->hash = (struct message_hash){ 0 };
		err = create_kept(dev, fd);
	}
	state->nr_fds += *fd >= 0;
	if (err)
		device_reason(dev, err, "no memory for the state of its queues");
	return err;
}

/* --- all of them --- */

int vif_state_open(struct vif_state *state, struct device *dev,
		   const struct message_start_nic *start)
{
	int err = 0;

	*state = (struct vif_state){ 0 };
	for (unsigned int i = 0; !err && i < start->nr_queues; i++)
		err = add_undo(state, dev, i, start->resume);
	if (!err && start->ctrl)
		err = add_undo(state, dev, VIF_UNDO_CTRL, start->resume);
	if (!err)
		err = add_kept(state, dev, start);
	if (err)
		vif_state_close(state);
	return err;
}

void vif_state_close(struct vif_state *state)
{
	while (state->nr_fds)
		close(state->fds[--state->nr_fds]);
}

void vif_state_read_hash(const struct device *dev, uint32_t nr_queues, struct message_hash *ret)
{
	int fd = -1;

	if (open_left(dev, nr_queues, &fd, ret))
		*ret = (struct message_hash){ 0 };
	statefile_close(&fd);
}

void vif_state_remove(const struct device *dev)
{
	const struct vif_id id = id_of(dev);

	vif_file_forget_undo(&id);
	vif_file_forget_state(&id);
}
