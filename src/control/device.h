/* SPDX-License-Identifier: MIT */
/*
 * One PV device: its identity, its states, and its way through the xenbus table. struct device_ops has what is different
 * for disks and NICs. Control thread only.
 */
#ifndef PVB_DEVICE_H
#define PVB_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>
#include <xenstore.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/stats.h"
#include "control/notice.h"
#include "control/store.h"
#include "core/trace.h"
#include "control/xenbus.h"

struct device;
struct disk_options;
struct json_object;
struct guests;
struct guest_link;
struct key;
struct settings;
struct message;
struct message_captured;
struct registry;
struct opener;
struct vif_options;

/* What every device borrows from the daemon. */
struct device_env {
	struct store *store;
	struct loop *loop;                 /* the control loop */
	struct guests *guests;             /* borrowed: whoever serves the rings; guests.h */
	bool served_apart;                 /* processes serve the rings, and go on when we end */
	unsigned int nr_workers;           /* data threads that serve a device's rings, at most */
	struct opener *opener;             /* borrowed: opens images, which may block */
	const char *runtime_dir;           /* borrowed */
	const struct disk_options *disk;   /* borrowed: of disks without a setting of their own */
	const struct vif_options *vif;     /* borrowed: likewise for NICs */
	const struct settings *settings;   /* borrowed: of single guests and devices; may be NULL */
	void (*ready)(struct device *dev); /* something has ended: look at the device again */
	struct registry *registry;         /* borrowed: of ready() */
	/* Called once, when all devices that were there at the start have been looked at. May be NULL. */
	void (*looked)(const struct device_env *env);
};

struct device_capture {
	const void *owner;  /* borrowed: tells captures apart */
	int fd;             /* -1: end it */
	const char *filter; /* "": all */
	uint32_t snaplen;
	uint64_t max_bytes; /* of the whole file */
};

struct device_ops {
	const char *kind; /* "vbd", "vif": the folder under backend/ */
	size_t size;      /* of the kind's own struct, whose first member is struct device */
	const char *kernel_module; /* the kernel's backend for it */
	const char *name_key;      /* key of our directory with the name that an admin uses */
	const char *section;       /* of pvbackd.conf for one device: "disk" */
	const char *number_prefix; /* makes a name of its number: "vif"; NULL: the number is one */
	/* Options of such a device; options.h has all tables of the configuration. */
	const struct key *keys, *own_keys; /* in the configuration; in our own directory */
	const void *defaults;              /* the struct with the values of both, of */
	size_t options_size;               /* so many bytes */
	const struct notice_rule *notices; /* which the daemon gives by itself */

	/* Called once, before the first state 2: read our own directory, and make what scripts expect (the tap). */
	int (*probe)(struct device *dev);
	/* Write our offers, inside the transaction that writes state 2. */
	int (*advertise)(struct device *dev, xs_transaction_t t);
	/* Whether the toolstack's script has reported success. */
	bool (*plugged)(struct device *dev);
	/* The script has reported success since the last look. May be NULL. */
	void (*online)(struct device *dev);
	/*
	 * Read and check the frontend's keys, prepare, and hand the queues to workers. When 0 is
	 * returned device_attached() follows, later, from the control loop. On -errno it has called
	 * device_reason() with the words for the admin, and nothing is attached.
	 * `resume`: the ring is live, from a previous life of this daemon.
	 */
	int (*attach)(struct device *dev, bool resume);
	/*
	 * Its attach() is under way and no longer wanted. If it waits for a medium, end it now by device_attached() or
	 * device_not_yet(), which may be called from within. May be NULL.
	 */
	void (*give_up)(struct device *dev);
	/*
	 * Write the keys that the frontend needs in state 4, inside the transaction that writes that state. NULL: it has read all
	 * of them in state 2.
	 */
	int (*publish)(struct device *dev, xs_transaction_t t);
	/* Stop the queues. device_detached() always follows, from the control loop. */
	void (*detach)(struct device *dev);
	/* While it detaches: nobody needs what its rings hold any more, so hurry. NULL: it cannot go faster. */
	void (*abandon)(struct device *dev);
	/* dev->halted has changed while queues are attached: tell each queue. */
	void (*halt)(struct device *dev);
	/* Whether an earlier life of ours left files about it in the runtime directory. */
	bool (*known)(struct device *dev);
	/*
	 * Ask when the medium has completed all requests that it has now. device_flowed() follows with dev->flow_asked_ns, from
	 * the control loop; it never follows if the medium does not answer. The rings are served meanwhile. NULL: no medium.
	 */
	void (*ask_flow)(struct device *dev);
	/* Whether an earlier life of the daemon left rings in use. NULL: that cannot be seen. */
	bool (*left)(struct device *dev);
	/* Whether requests that the medium has failed wait for an admin's `retry`. NULL: they never do. */
	bool (*holds)(const struct device *dev);
	/*
	 * Begin a capture into what->fd; it ends the one before. With what->fd -1: end the capture of what->owner, if that is
	 * still the current one. 0, and it owns what->fd; or -errno. If the filter is wrong, *ret_why says why. NULL: such a
	 * device has no captures.
	 */
	int (*capture)(struct device *dev, const struct device_capture *what, const char **ret_why);
	/*
	 * Whether the current capture is that of this owner, and has not been told to end. ret->err says why it has ended by
	 * itself; 0: it goes on. With capture().
	 */
	bool (*captures)(const struct device *dev, const void *owner, struct message_captured *ret);
	/* A key of our own directory has changed (rate, ...); NULL: the configuration has. May be NULL. */
	void (*changed)(struct device *dev, const char *key);
	/* A key that device_watch_front() watches changed, or is watched from now on. May be NULL. */
	void (*front_changed)(struct device *dev);
	/*
	 * In state 7: read again what may change. True when that is in force. Else env->ready() tells when it is, and this is
	 * called again. May be NULL.
	 */
	bool (*reconfigure)(struct device *dev);
	/*
	 * A message about the device from the process that serves its rings (guests.h): check it. To take a descriptor, put -1 in
	 * its place. May be NULL.
	 */
	void (*answer)(struct device *dev, const struct message *message, int *fds,
		       unsigned int nr_fds);
	/* The process that served its rings has died. Nothing is attached now, and no answer comes any more. May be NULL. */
	void (*lost)(struct device *dev);
	/* Write the options in force into the struct that ops->keys describes. */
	void (*in_force)(const struct device *dev, void *ret);
	/* Add its main facts to `ret`, and the others to `detail` unless that is NULL. */
	void (*describe)(const struct device *dev, struct json_object *ret,
			 struct json_object *detail);
	/* Write its state beside its rings as " name=value", for SIGUSR1. May be NULL. */
	void (*dump)(const struct device *dev, FILE *out);
	/*
	 * Release everything; nothing is attached. `removed`: our directory is gone, so also remove what would outlive a restart
	 * of the daemon (the tap). Safe on a half-probed device.
	 */
	void (*done)(struct device *dev, bool removed);
};

/* Keys in xenstore that the next step depends on. They are read again when a watch says that they have changed. */
enum device_key {
	DEVICE_KEY_STATE = 1,
	DEVICE_KEY_FRONT = 2, /* the frontend's state */
	DEVICE_KEY_ONLINE = 4,
	DEVICE_KEY_PLUGGED = 8, /* what ops->plugged() reads */
	DEVICE_KEYS = 15,
};

/* How far we have come with the device. Only forward. From PROBED on ops->done() must be called at its end. */
enum device_phase {
	DEVICE_NEW,
	DEVICE_OWNED,    /* our name is in its directory (owner.h) */
	DEVICE_PROBED,   /* ops->probe() has made what it needs */
	DEVICE_UNUSABLE, /* probe() failed, or its frontend is not named: it never connects */
};

/* Why we do not serve it, or no longer. Only forward, in any phase. */
enum device_end {
	DEVICE_STAYS,
	DEVICE_FOREIGN,  /* a kernel driver or another party serves it: left alone */
	DEVICE_GONE,     /* its directory is gone: free it when it is idle */
	DEVICE_REPLACED, /* likewise, and another device has its directory */
};

/* What its rings do. */
enum device_activity { DEVICE_IDLE, DEVICE_ATTACHING, DEVICE_ATTACHED, DEVICE_DETACHING };

struct device {
	const struct device_ops *ops; /* borrowed */
	const struct device_env *env; /* borrowed */
	uint32_t domid;               /* the frontend's */
	uint32_t devid;
	char be_path[STORE_PATH_MAX]; /* backend/KIND/DOMID/DEVID */
	char fe_path[STORE_PATH_MAX]; /* checked to belong to domid */
	char name[32];                /* "vbd 7/51712", for the log */
	enum device_phase phase;
	enum device_end end;
	enum device_activity activity;
	bool script_failed; /* the log has said so */
	bool plugged;       /* as of the last step */
	bool fresh;         /* not looked at since we started, or to be treated as such */
	bool resuming;      /* the frontend was connected before we started */
	bool broken;        /* until the frontend has closed */
	bool dead;          /* domain dying */
	atomic_bool halted; /* its domain has shut down or is dying; read by queues on workers */
	uint64_t flow_asked_ns,
		flowed_ns; /* ask_flow(): time of the last question, and of the last one that was answered */
	bool suspending;     /* the daemon stops, the frontend stays connected */
	bool advanced;       /* its state was beyond 1 at some time */
	bool pending;        /* to be looked at */
	bool front_changed;  /* a watched key of the frontend has changed */
	bool watching;       /* the frontend's state */
	unsigned int unread; /* enum device_key: not read since they changed */
	struct {
		enum xenbus_state own, front;
		bool online, plugged;
	} seen;                   /* what was read */
	unsigned int trace;       /* trace_mask() */
	enum xenbus_state logged; /* last state told to the log */
	struct log_limit talk;    /* for information */
	struct log_limit trouble; /* for warnings and errors */
	char slips[96];           /* mistyped keys that the log has named, each between spaces */
	struct loop_timer retry;  /* of what xenstore refused */
	unsigned int nr_retries;  /* in a row */
	uint64_t abandoned_ns; /* since when nobody needs what its rings hold; 0: somebody does */
	struct guest_link *served_by;   /* borrowed, guests.c's; NULL: nobody serves it */
	bool awaits_guest;              /* guests_may_start() said no */
	uint32_t returning;             /* guests.c: the turn that waits until it is served again */
	uint64_t attached_ns;           /* since when its rings are served, as far as we know */
	char reason[160];               /* why it does not work; "": it works, or we do not know */
	uint32_t life;                  /* of its rings; messages.h */
	LIST_ENTRY(device) served_link; /* likewise */
	struct stats_view
		figures; /* of its queues, while it is served; data to check, like a message */
	bool rests; /* at the last look the figures had not changed, and nothing was in flight */
	struct notices notices;
	LIST_ENTRY(device) link;
	TAILQ_ENTRY(device) pending_link;
};

static inline bool device_is_probed(const struct device *dev)
{
	return dev->phase >= DEVICE_PROBED;
}

static inline bool device_is_gone(const struct device *dev)
{
	return dev->end >= DEVICE_GONE;
}

/* --- called by the kinds --- */

/* The outcome of attach(): 0, or -errno after device_reason(). Control thread. */
void device_attached(struct device *dev, int err);
/*
 * The attach() of a live ring has not succeeded yet, and the guest goes on waiting. Begin again as after a start of the
 * daemon, when env->ready() is called or xenstore changes. Control thread.
 */
void device_not_yet(struct device *dev);
/*
 * For an attach() that has waited, before guests_start(). False if its process was told to end meanwhile: then
 * device_not_yet() has been called, and attach() will be called again when that process is gone. Control thread.
 */
bool device_may_go_on(struct device *dev);
/*
 * The process that served its rings has died: calls ops->lost(), and then takes the rings up again as after a restart of
 * the daemon. Control thread.
 */
void device_lost(struct device *dev);
/* The question of ask_flow() that was asked at that time is answered, and all earlier ones. Control thread. */
void device_flowed(struct device *dev, uint64_t asked_ns);
/* The end of detach(). Control thread. */
void device_detached(struct device *dev);

/* Say why the device does not work, in the log and in its `error` node. */
void device_reason(struct device *dev, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The ring is impossible: stop serving this frontend. The device detaches and has state 5 until the frontend closes.
 * `why` is for the admin.
 */
void device_broken(struct device *dev, int err, const char *why);

/* Call ops->front_changed() when KEY of the frontend's directory changes, or stop that. */
void device_watch_front(struct device *dev, const char *key, bool on);

/*
 * How many queues to offer, 1..`most`: as many as there are workers. But never fewer than an earlier life of the daemon
 * has offered, because the frontend may be using them.
 */
unsigned int device_offer_queues(const struct device *dev, unsigned int most);

/*
 * Set in `values`, the struct that `keys` describes, what the configuration says of this device and of its guest, by the
 * guest's current name. 0; -errno, and a line in the log, when the name cannot be read.
 */
int device_settings(struct device *dev, const struct key *keys, void *values);

/*
 * Say in the log, once, that the key `name` of our own directory is unknown, if it looks like one of `keys`.
 * device_say_slips() does that for all keys, while the store holds the directory's names.
 */
void device_say_slip(struct device *dev, const struct key *keys, const char *name);
void device_say_slips(struct device *dev, const struct key *keys);

/* Log with the device's prefix, limited. */
void device_log(struct device *dev, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As device_log(); `notice` names for programs what it tells (notice.h). */
void device_notice(struct device *dev, enum log_level level, const char *notice, const char *fmt,
		   ...) __attribute__((format(printf, 4, 5)));

/* --- called by the registry, and for admins --- */

/*
 * Why it does not work: the last device_reason(), also of an earlier life of the daemon, or the error of the toolstack's
 * script. False when it works, or when we do not know.
 */
bool device_why(const struct device *dev, char *buf, size_t size);

/* --- called by whoever watches those that serve it --- */

/* To be called every NOTICE_LOOK_S: gives the notices that its figures call for, and sees whether it rests. */
void device_look_at_figures(struct device *dev, uint64_t now_ns);

struct device *device_new(const struct device_ops *ops, const struct device_env *env,
			  uint32_t domid, uint32_t devid);
/* Keys may have changed: read them before the next step. */
void device_unread(struct device *dev, unsigned int keys);
/* Its domain has shut down (true), or runs again. */
void device_halt(struct device *dev, bool halted);
/* Look at what changed in xenstore and take the next step(s). */
void device_step(struct device *dev);
/* Release a device that is idle. */
struct device *device_free(struct device *dev);
/* Ask whether its medium completes its requests. `now_ns` names the question. env->ready() is called at the answer. */
void device_ask_flow(struct device *dev, uint64_t now_ns);
/* It was asked at that time, and its medium has not completed all requests that it had then. */
bool device_is_stuck(const struct device *dev, uint64_t asked_ns);
/*
 * The daemon stops: detach without touching xenstore, so that the guest goes on waiting. True when the device is idle
 * already; else env->ready() tells when it is.
 */
bool device_suspend(struct device *dev);

#endif
