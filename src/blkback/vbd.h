/* SPDX-License-Identifier: MIT */
/* A virtual block device: the control side of a disk. */
#ifndef PVB_VBD_H
#define PVB_VBD_H

#include <stdint.h>
#include <sys/types.h>

#include "blkback/aio.h"
#include "blkback/disk_options.h"
#include "blkback/image.h"
#include "blkback/vbd_queue.h"
#include "control/device.h"
#include "blkback/vbd_file.h"
#include "core/loop.h"

#define VBD_MAX_QUEUES     4u
#define VBD_MAX_RING_ORDER 4u

#define VBD_PATIENCE_S 5u /* until the log says that an image does not answer */

/* The question how large the medium is. */
struct vbd_size {
	struct slow_request req;
	bool asked;            /* and not answered */
	unsigned int nr_looks; /* since it was asked */
	uint64_t bytes;        /* the answer; or */
	int err;
	uint64_t told; /* sectors, to this frontend: never fewer while it is connected */
};

struct opening;
struct vbd_dial;

struct vbd {
	struct device dev;       /* first */
	struct image image;      /* open only while the device is not idle */
	struct slow *slow;       /* owned: the thread that waits for the image when it must */
	struct opening *opening; /* owned; while a child opens the image */
	struct vbd_dial *dial;   /* the link's; NULL: not an NBD export */
	struct slow_request closing;
	void (*closed)(struct vbd *vbd); /* what follows; NULL: not closing */
	struct loop_timer patience;      /* armed while the image is asked */
	bool waits;                      /* for the image, and the log has said so */
	bool awaited;                    /* its ring is live and its image was not there */
	struct disk_options options;
	char image_name[512]; /* of an NBD export */
	struct xentop xentop;
	struct rate_pair rates;
	bool leaving; /* the toolstack wants it gone; the guest may refuse */
	bool cdrom;
	bool removable;
	bool discard;             /* the toolstack does not forbid it */
	struct vbd_queue *queues; /* owned array; NULL when nothing is attached */
	struct stats_block stats; /* of these */
	unsigned int nr_queues;
	unsigned int max_queues;  /* what we offer */
	unsigned int nr_reports;  /* still expected from workers */
	unsigned int nr_unflowed; /* rings that vbd_ask_flow() waits for */
	unsigned int nr_attached;
	int attach_err;           /* of this attempt */
	char why[160];            /* its words */
	bool resume;              /* the ring is live */
	unsigned int nr_resizing; /* queues that have not yet heard of the new size */
	struct loop_tick size_tick;
	struct vbd_size size;
	int stall_err;             /* the last one, positive */
	_Atomic bool flush_failed; /* of any ring, in this attach, and no admin has said go */
	bool changed_late;         /* an option, while the rings were on their way */
	bool plain;                /* second attempt: one queue, one page */
};

/* What the frontend asked for, checked. */
struct vbd_front {
	enum blkif_abi abi;
	bool persistent; /* it keeps to a set of grants */
	unsigned int nr_queues;
	struct vbd_queue_setup queues[VBD_MAX_QUEUES];
};

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
int vbd_read_own(struct vbd *vbd, const char *key, char *buf, size_t size);

/*
 * vbd_image.c: open the image: vbd_image_opened() follows; or -errno after device_reason().
 */
int vbd_open_image(struct vbd *vbd);
/* As in struct device_ops: while a child opens the image. */
void vbd_give_up(struct device *dev);
/* Close it, if it is open, once nobody asks it anything: then() follows, or is called at once. */
void vbd_close_image(struct vbd *vbd, void (*then)(struct vbd *vbd));
/* It has not answered for VBD_PATIENCE_S; and it has: for the log. */
void vbd_image_late(struct vbd *vbd);
void vbd_image_answered(struct vbd *vbd);
/* vbd_attach.c: the image is open, or there is none, after device_reason(). */
void vbd_image_opened(struct vbd *vbd, int err);

/* vbd_tune.c: what the admin chose for this disk: looked at before each offer and each connect. */
void vbd_read_options(struct vbd *vbd);
struct vbd_tuning vbd_tuning(const struct vbd *vbd);
void vbd_queue_stalled(struct vbd_queue *q, int err);
/* Nothing is held any more. */
void vbd_unstall(struct vbd *vbd);
void vbd_queue_flush_failed(struct vbd_queue *q, int err);
/* Whether a flush failed in an earlier connection or life. */
void vbd_find_flush_failed(struct vbd *vbd);
void vbd_changed(struct device *dev, const char *key);

/* vbd_resize.c: look after the size of the medium while the rings are attached. */
void vbd_resize_start(struct vbd *vbd);
void vbd_resize_stop(struct vbd *vbd);
void vbd_resize_queue_done(struct vbd_queue *q);

/* vbd_attach.c: as in struct device_ops. */
int vbd_attach(struct device *dev, bool resume);
void vbd_detach(struct device *dev);
void vbd_halt(struct device *dev);
void vbd_ask_flow(struct device *dev);

/* vbd.c: count for xentop where that looks (vbd3), from the first attach on. */
void vbd_count(struct vbd *vbd);

/* backend/vbd; and backend/vbd3, which is libxl's backendtype=tap from Xen 4.19 on. */
extern const struct device_ops vbd_device_ops;
extern const struct device_ops vbd3_device_ops;

#endif
