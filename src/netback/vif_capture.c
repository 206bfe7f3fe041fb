/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "netback/vif_capture.h"

struct vif_capture_entry {
	struct capture *capture; /* owned */
	struct vif_capture_entry *older;
};

static void stop(struct vif_capture *capture)
{
	struct capture *now = atomic_exchange(&capture->now, NULL);

	if (now)
		capture_stop(now);
}

static int start(struct vif_capture *capture, const struct message_capture *what, const char *name,
		 int fd)
{
	struct vif_capture_entry *entry = calloc(1, sizeof(*entry));
	int err;

	if (!entry) {
		close(fd);
		return -ENOMEM;
	}
	err = capture_start(what, name, fd, &entry->capture);
	if (err) {
		free(entry);
		return err;
	}
	entry->older = capture->all;
	capture->all = entry;
	atomic_store_explicit(&capture->now, entry->capture, memory_order_release);
	return 0;
}

int vif_capture_switch(struct vif_capture *capture, const struct message_capture *what,
		       const char *name, int fd)
{
	stop(capture);
	return what->on ? start(capture, what, name, fd) : 0;
}

bool vif_capture_ended(struct vif_capture *capture, struct message_captured *ret)
{
	struct capture *now = vif_capture_get(capture);

	if (!now || !capture_ended(now, ret))
		return false;
	atomic_store(&capture->now, NULL);
	return true;
}

void vif_capture_done(struct vif_capture *capture, bool wait)
{
	struct vif_capture_entry *entry;

	atomic_store(&capture->now, NULL);
	while ((entry = capture->all)) {
		capture->all = entry->older;
		capture_put(entry->capture, wait ? 1000 : 0);
		free(entry);
	}
}
