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
	struct vbd_dial *dial;   /* owned; while its NBD server was or is to be connected to */
	struct loop_timer
		patience; /* armed while the image is asked, or another's requests are waited for */
	bool waits_for_others; /* likewise: see medium_lock.h */
	bool waits;            /* for the image, and the log has said so */
	bool awaited;          /* its ring is live and its image was not there */
	struct disk_options options;
	struct message_image image; /* what is known of it while the device is not idle */
	int image_fd; /* owned; until somebody serves it. -1: none, or an NBD export */
	int lock_fd;  /* owned; of its medium, from START on. -1: none */
	bool nbd;
	char image_name[MESSAGE_NAME_MAX];
	uint32_t xentop_pid; /* in the name of the counters for xentop; 0: there are none */
	bool stalled;        /* requests are held for an admin */
	bool leaving;        /* the toolstack wants it gone; the guest may refuse */
	bool cdrom;
	bool removable;
	bool discard;            /* the toolstack does not forbid it */
	unsigned int max_queues; /* what we offer */
	bool resume;             /* the ring is live */
	bool starting;           /* STARTED is to come */
	bool plain;              /* second attempt: one queue, one page */
	bool flush_failed;       /* and no admin has said go */
	bool changed_late;       /* an option, while the rings were on their way */
	uint64_t told;           /* sectors, to this frontend: never fewer while it is connected */
};

/* What the frontend asked for, checked. */
struct vbd_front {
	enum blkif_abi abi;
	bool persistent; /* it keeps to a set of grants */
	unsigned int nr_queues;
	struct message_disk_ring rings[VBD_MAX_QUEUES];
};

/*
 * A PV kernel pins a granted page by several walks of page tables that are Xen's, which costs a multiple of copying it
 * (bench/README.md). To any other it is a page like its own.
 */
bool vbd_pinning_is_dear(void);

/*
 * vbd_front.c: read the frontend's keys: hostile text. `plain`: take the ring of one queue and one page,
 * whatever other keys say. 0, or -errno with `why` (at most `size` bytes) for the admin.
 */
int vbd_front_read(struct device *dev, unsigned int max_queues, bool plain,
		   struct vbd_front *ret_front, char *why, size_t size);
/* Whether there are keys of a plain ring beside others. */
bool vbd_front_has_plain(struct device *dev);

/* vbd.c */
struct vbd *vbd_of(struct device *dev);
struct vbd_id vbd_id_of(const struct vbd *vbd);
int vbd_read_own(const struct vbd *vbd, const char *key, char *buf, size_t size);

/*
 * vbd_image.c: open the image: vbd_image_opened() follows; or -errno after device_reason().
 */
int vbd_open_image(struct vbd *vbd);
/* As in struct device_ops: while a child opens the image. */
void vbd_give_up(struct device *dev);
/* Let go of it. Idempotent. */
void vbd_close_image(struct vbd *vbd);
/* For the log. */
void vbd_log_image(struct vbd *vbd);
/* It has not answered for VBD_PATIENCE_S; and it has: for the log. */
void vbd_image_late(struct vbd *vbd);
void vbd_image_answered(struct vbd *vbd);
/* `params` as the toolstack means it: an absolute path, an NBD export, or a name below /dev. 0 or -errno. */
int vbd_params(const struct vbd *vbd, char *path, size_t size);
/*
 * vbd_dial.c: connect to the server of vbd->image_name: NBD_CONNECTED is sent. One that is asked for before that takes
 * the place of the first. And nobody wants it any more: idempotent.
 */
void vbd_dial(struct vbd *vbd);
void vbd_hang_up(struct vbd *vbd);
/*
 * vbd_lock.c: the lock file of the disk's medium (medium_lock.h): vbd->lock_fd, or none when it writes nothing; 0 or
 * -errno. The guest is gone, and whoever serves the disk may still have requests of it. Nobody serves it any more.
 */
int vbd_lock_open(struct vbd *vbd);
void vbd_lock_leave(struct vbd *vbd);
void vbd_lock_forget(struct vbd *vbd);
/* vbd_attach.c: the image is open, or there is none, after device_reason(). */
void vbd_image_opened(struct vbd *vbd, int err);

/* vbd_tune.c: what the admin chose for this disk: looked at before each offer and each connect. */
void vbd_read_options(struct vbd *vbd);
struct message_disk_tuning vbd_tuning(const struct vbd *vbd);
/* Have whoever serves the rings know that; `retry`, `again`: as in struct message_disk_tuning. */
void vbd_tune(struct vbd *vbd, bool retry, bool again);
/* Have it try again what it holds, if the admin says so: vbd_tune() then. False: he does not. */
bool vbd_retry(struct vbd *vbd, bool again);
/* Requests are held after `err`; nothing is held any more; all but reads fail after `err`. */
void vbd_note_stalled(struct vbd *vbd, int err);
void vbd_unstall(struct vbd *vbd);
void vbd_note_flush_failed(struct vbd *vbd, int err);
/* Whether a flush failed in an earlier connection or life. */
void vbd_find_flush_failed(struct vbd *vbd);
void vbd_changed(struct device *dev, const char *key);

/* vbd_resize.c: the rings are attached; and they know of a new size of the medium. */
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
 * vbd.c: the counters for xentop, where that looks (vbd3): made, with *ret_fd the caller's, or -1; or found, of a disk
 * that is served already.
 */
void vbd_count(struct vbd *vbd, int *ret_fd);
void vbd_find_counters(struct vbd *vbd);

/* backend/vbd; and backend/vbd3, which is libxl's backendtype=tap from Xen 4.19 on. */
extern const struct device_ops vbd_device_ops;
extern const struct device_ops vbd3_device_ops;

#endif
