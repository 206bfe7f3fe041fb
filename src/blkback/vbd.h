/* SPDX-License-Identifier: MIT */
/* A virtual block device: the control side of a disk. */
#ifndef PVB_VBD_H
#define PVB_VBD_H

#include <stdint.h>
#include <sys/types.h>

#include "blkback/disk_options.h"
#include "blkback/vbd_file.h"
#include "control/device.h"
#include "core/loop.h"
#include "core/messages.h"
#include "ring/blkif.h"

#define VBD_MAX_QUEUES     MESSAGE_DISK_RINGS
#define VBD_MAX_RING_ORDER 4u

#define VBD_PATIENCE_S 5u /* until the log says that an image does not answer */

struct opening;
struct vbd_dial;

struct vbd {
	struct device dev;       /* first */
	struct opening *opening; /* owned; while a child opens the image */
	struct vbd_dial *dial;   /* owned; while its NBD server is being connected to */
	struct loop_timer
		patience; /* armed while the image is opened, or earlier requests are waited for */
	bool waits_for_others; /* for requests of others, or of an earlier process: see medium_lock.h */
	uint64_t wait_ns;      /* until the next look whether they are over */
	bool waits;            /* for the image, as the log has said */
	bool awaited;          /* its ring is live, but its image was missing */
	struct disk_options options;
	struct message_image image; /* its facts, while the device is not idle */
	int image_fd;               /* owned; until START. -1: none, or an NBD export */
	int lock_fd;                /* owned; of its medium, from START on. -1: none */
	bool nbd;
	char image_name[MESSAGE_NAME_MAX];
	uint32_t xentop_pid; /* the PID in the path of xentop's counters; 0: there are none */
	bool stalled;        /* requests are held for an admin */
	bool leaving;        /* the toolstack wants to detach it; the guest may refuse */
	bool cdrom;
	bool removable;
	bool discard;            /* the toolstack does not forbid it */
	unsigned int max_queues; /* that are offered to the frontend */
	bool resume;             /* the ring is live */
	bool starting;           /* STARTED is to come */
	bool plain;              /* second attempt: one queue, one page */
	bool flush_failed;       /* and no admin has said `retry` */
	bool changed_late;       /* an option, while the rings were starting */
	uint64_t told; /* sectors, as this frontend was told; never fewer while it is connected */
};

/* What the frontend asked for, checked. */
struct vbd_front {
	enum blkif_abi abi;
	bool persistent; /* it always uses the same set of grants */
	unsigned int nr_queues;
	struct message_disk_ring rings[VBD_MAX_QUEUES];
};

/*
 * vbd_front.c: read the frontend's keys, which are hostile. `plain`: expect one queue and a ring of one page, whatever
 * other keys say. 0, or -errno with `why` (at most `size` bytes) for the admin.
 */
int vbd_front_read(struct device *dev, unsigned int max_queues, bool plain,
		   struct vbd_front *ret_front, char *why, size_t size);
/* Whether the keys of a plain ring are there as well. */
bool vbd_front_has_plain(struct device *dev);

/* vbd.c */
struct vbd *vbd_of(struct device *dev);
struct vbd_id vbd_id_of(const struct vbd *vbd);
int vbd_read_own(const struct vbd *vbd, const char *key, char *buf, size_t size);

/* vbd_image.c: open the image. 0: vbd_image_opened() follows; or -errno after device_reason(). */
int vbd_open_image(struct vbd *vbd);
/* As in struct device_ops: while a child opens the image. */
void vbd_give_up(struct device *dev);
/* Close the image, or stop opening it. Idempotent. */
void vbd_close_image(struct vbd *vbd);
/* Log what the image is. */
void vbd_log_image(struct vbd *vbd);
/* The image has not answered for VBD_PATIENCE_S; now it has. Both only log it. */
void vbd_image_late(struct vbd *vbd);
void vbd_image_answered(struct vbd *vbd);
/* `params` as the toolstack means it: an absolute path, an NBD export, or a name below /dev. 0 or -errno. */
int vbd_params(const struct vbd *vbd, char *path, size_t size);
/*
 * vbd_dial.c: connect to the server of vbd->image_name; NBD_CONNECTED is sent. A second call before that replaces the
 * first. And give up connecting: idempotent.
 */
void vbd_dial(struct vbd *vbd);
void vbd_hang_up(struct vbd *vbd);
/*
 * vbd_lock.c: the lock file of the disk's medium (medium_lock.h). Open vbd->lock_fd, which a disk that writes nothing
 * does not have: 0 or -errno. Mark that the guest is gone, while the process that serves the disk may still have its
 * requests. Close it, when no process serves the disk any more.
 */
int vbd_lock_open(struct vbd *vbd);
void vbd_lock_leave(struct vbd *vbd);
void vbd_lock_forget(struct vbd *vbd);
/* vbd_attach.c: the image is open, or there is none, after device_reason(). */
void vbd_image_opened(struct vbd *vbd, int err);

/* vbd_tune.c: the admin's options for this disk. They are read before each offer and each connect. */
void vbd_read_options(struct vbd *vbd);
struct message_disk_tuning vbd_tuning(const struct vbd *vbd);
/* Send the options to the process that serves the rings. `retry`, `again`: as in struct message_disk_tuning. */
void vbd_tune(struct vbd *vbd, bool retry, bool again);
/* If the admin has said `retry`, have held requests tried again, by vbd_tune(). False: the admin has not. */
bool vbd_retry(struct vbd *vbd, bool again);
/* Requests are held after `err`; none is held any more; everything but reads fails after `err`. */
void vbd_note_stalled(struct vbd *vbd, int err);
void vbd_unstall(struct vbd *vbd);
void vbd_note_flush_failed(struct vbd *vbd, int err);
/* Find out whether a flush failed in an earlier connection or process. */
void vbd_find_flush_failed(struct vbd *vbd);
void vbd_changed(struct device *dev, const char *key);

/* vbd_resize.c: the rings are attached; the rings know a new size of the medium. */
void vbd_resize_start(struct vbd *vbd);
void vbd_resized(struct vbd *vbd, uint64_t bytes);

/* vbd_attach.c: as in struct device_ops. */
int vbd_attach(struct device *dev, bool resume);
void vbd_detach(struct device *dev);
void vbd_halt(struct device *dev);
void vbd_ask_flow(struct device *dev);
void vbd_answer(struct device *dev, const struct message *message, int *fds, unsigned int nr_fds);
void vbd_lost(struct device *dev);

/*
 * vbd.c: the counters for xentop, which reads them only for a vbd3. Make them, with *ret_fd the caller's, or -1; or
 * find those of a disk that is served already.
 */
void vbd_count(struct vbd *vbd, int *ret_fd);
void vbd_find_counters(struct vbd *vbd);

/* backend/vbd; and backend/vbd3, which is libxl's backendtype=tap from Xen 4.19 on. */
extern const struct device_ops vbd_device_ops;
extern const struct device_ops vbd3_device_ops;

#endif
