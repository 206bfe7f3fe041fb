/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/statefile.h"
#include "netback/vif_file.h"
#include "netback/vif_shared.h"

#define REQUEST_KEY "request-multicast-control"

static struct vif_id id_of(const struct device *dev)
{
	return (struct vif_id){ dev->env->runtime_dir, dev->domid, dev->devid };
}

void vif_shared_init(struct vif_shared *shared)
{
	pthread_mutex_init(&shared->hash_lock, NULL);
}

void vif_shared_done(struct vif_shared *shared)
{
	pthread_mutex_destroy(&shared->hash_lock);
}

/* Without the file all works but the restart: no reason to refuse a guest. */
static int open_in_memory(struct vif_shared *shared, struct device *dev, int err)
{
	shared->in_file = false;
	shared->kept = calloc(1, sizeof(*shared->kept));
	if (!shared->kept) {
		device_reason(dev, -ENOMEM, "no memory for the state of its queues");
		return -ENOMEM;
	}
	device_log(dev, LOG_LEVEL_WARNING,
		   "its multicast list and hash will not survive a restart of pvbackd: no file in "
		   "%s: %s",
		   dev->env->runtime_dir, strerror(-err));
	return 0;
}

/* A list that is lost must not keep frames from a guest that will not repeat it. */
static void note_lost(struct vif_shared *shared, struct device *dev, int err)
{
	atomic_store(&shared->filters_groups, false);
	device_log(dev, LOG_LEVEL_WARNING,
		   "the multicast list that an earlier pvbackd kept is %s: all multicast passes "
		   "until the guest connects again",
		   err == -ENOENT ? "gone" : "damaged or not of this version");
}

/* 0 when what an earlier life left is taken up; else it is not mapped. */
static int take_up(struct vif_shared *shared, const struct vif_id *id, uint32_t nr_queues)
{
	struct vif_kept *kept;
	int fd, err = vif_file_left_state(id, &fd);

	if (err)
		return err;
	err = vif_kept_map(fd, &kept);
	statefile_close(&fd);
	if (err)
		return err;
	err = vif_kept_check(kept, id->domid, id->devid, nr_queues);
	if (err)
		vif_kept_unmap(kept);
	else
		shared->kept = kept;
	return err;
}

static int begin(struct vif_shared *shared, const struct vif_id *id)
{
	int fd, err = vif_file_new_state(id, &fd);

	if (err)
		return err;
	err = vif_kept_map(fd, &shared->kept);
	statefile_close(&fd);
	if (!err)
		vif_kept_begin(shared->kept, id->domid, id->devid);
	return err;
}

int vif_shared_open(struct vif_shared *shared, struct device *dev, uint32_t nr_queues, bool resume)
{
	struct vif_id id = id_of(dev);
	int left = resume ? take_up(shared, &id, nr_queues) : -ENOENT;
	int err = left ? begin(shared, &id) : 0;

	shared->in_file = !err;
	if (err)
		err = open_in_memory(shared, dev, err);
	if (err)
		return err;
	atomic_fetch_add(&shared->hash_generation, 1);
	vif_shared_sample(shared, dev);
	if (resume && left && atomic_load(&shared->filters_groups))
		note_lost(shared, dev, left);
	else
		device_watch_front(dev, REQUEST_KEY, true);
	return 0;
}

void vif_shared_close(struct vif_shared *shared, struct device *dev, bool keep)
{
	struct vif_id id = id_of(dev);

	if (!shared->kept)
		return;
	device_watch_front(dev, REQUEST_KEY, false);
	if (shared->in_file)
		vif_kept_unmap(shared->kept);
	else
		free(shared->kept);
	shared->kept = NULL;
	if (!keep)
		vif_file_forget_state(&id);
}

/* Nonsense changes nothing: the guest will see that its wish is not heard. */
void vif_shared_sample(struct vif_shared *shared, struct device *dev)
{
	bool wanted;
	int err = store_read_flag(dev->env->store, XBT_NULL, dev->fe_path, REQUEST_KEY, false,
				  &wanted);

	if (err) {
		device_log(dev, LOG_LEVEL_WARNING, "the frontend's " REQUEST_KEY " is not 0 or 1");
		return;
	}
	if (atomic_exchange(&shared->filters_groups, wanted) != wanted)
		device_log(dev, LOG_LEVEL_DEBUG, "multicast control %s", wanted ? "on" : "off");
}

void vif_shared_lock_hash(struct vif_shared *shared)
{
	pthread_mutex_lock(&shared->hash_lock);
}

void vif_shared_unlock_hash(struct vif_shared *shared, bool changed)
{
	if (changed)
		atomic_fetch_add(&shared->hash_generation, 1);
	pthread_mutex_unlock(&shared->hash_lock);
}

void vif_shared_get_hash(struct vif_shared *shared, uint32_t *generation, struct hash_config *copy)
{
	if (atomic_load(&shared->hash_generation) == *generation)
		return;
	pthread_mutex_lock(&shared->hash_lock);
	*generation = atomic_load(&shared->hash_generation);
	*copy = shared->kept->hash;
	pthread_mutex_unlock(&shared->hash_lock);
}
