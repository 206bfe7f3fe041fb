/* SPDX-License-Identifier: MIT */
/*
 * One PV device: identity, states, and the walk along the xenbus table. What is
 * particular to disks and NICs is behind struct device_ops. Control thread only.
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
	bool served_apart;                 /* by processes: when we end they go on */
	unsigned int nr_workers;           /* of whoever serves a device's rings, at most */
	struct opener *opener;             /* borrowed: opens what can hold up who opens it */
	const char *runtime_dir;           /* borrowed */
	const struct disk_options *disk;   /* borrowed: for disks that say nothing else */
	const struct vif_options *vif;     /* borrowed: likewise for NICs */
	const struct settings *settings;   /* borrowed: of single guests and devices; may be NULL */
	void (*ready)(struct device *dev); /* look at it again: something ended */
	struct registry *registry;         /* borrowed: of ready() */
	/* Once, when all devices that were there at the start have been looked at. May be NULL. */
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
	const char *name_key; /* of our directory: what its admin calls it, beside its number */
	const char *section;  /* that pvbackd.conf has for one: "disk" */
	const char *number_prefix; /* before its number, where that alone is no name: "vif"; NULL */
	/* What an admin may choose for it: options.h has the tables of the configuration. */
	const struct key *keys, *own_keys; /* of the configuration; of our own directory */
	const void *defaults;              /* the struct that both are for, of */
	size_t options_size;               /* so many bytes */
	const struct notice_rule *notices; /* what is said of it by itself */

	/* Once, before the first state 2: read our own directory, make what scripts expect (the tap). */
	int (*probe)(struct device *dev);
	/* Write what we offer, inside the transaction that writes state 2. */
	int (*advertise)(struct device *dev, xs_transaction_t t);
	/* Whether the toolstack's script has reported success. */
	bool (*plugged)(struct device *dev);
	/* It has, since the last look. May be NULL. */
	void (*online)(struct device *dev);
	/*
	 * Read and check the frontend's keys, prepare, and hand the queues to workers. When 0 is
	 * returned device_attached() follows, later, from the control loop. On -errno it has called
	 * device_reason() with the words for the admin, and nothing is attached.
	 * `resume`: the ring is live, from a previous life of this daemon.
	 */
	int (*attach)(struct device *dev, bool resume);
	/*
	 * attach() is under way, and what it is for is not wanted any more: where it still waits for a medium it ends now, in
	 * device_attached() or device_not_yet(), which may be called from within. May be NULL.
	 */
	void (*give_up)(struct device *dev);
	/*
	 * Write what the frontend needs, inside the transaction before state 4. NULL: nothing that it has
	 * not seen in state 2.
	 */
	int (*publish)(struct device *dev, xs_transaction_t t);
	/* Stop the queues; device_detached() follows from the control loop, always. */
	void (*detach)(struct device *dev);
	/* It is abandoned after all, while it detaches. May be NULL: it detaches no faster. */
	void (*abandon)(struct device *dev);
	/* dev->halted has changed while queues are attached: have each of them notice. */
	void (*halt)(struct device *dev);
	/* Whether an earlier life of ours left files about it in the runtime directory. */
	bool (*known)(struct device *dev);
	/*
	 * device_flowed() follows with dev->flow_asked_ns when the medium has given back all that it has now, from the control
	 * loop; never when it does not. The rings are served on. NULL: nothing can hold them up.
	 */
	void (*ask_flow)(struct device *dev);
	/* Whether an earlier life of ours left rings in use. NULL: it leaves no trace of that. */
	bool (*left)(struct device *dev);
	/* Whether something that the medium has failed waits for an admin's `retry`. NULL: nothing ever does. */
	bool (*holds)(const struct device *dev);
	/*
	 * Put what it moves into a file, from now on, in place of any other capture; or end that, when it is still that of
	 * `what->owner`. 0 with what->fd its own; or -errno, and where the filter is why, *ret_why says what is wrong with it.
	 * NULL: there is nothing to be captured of it.
	 */
	int (*capture)(struct device *dev, const struct device_capture *what, const char **ret_why);
	/*
	 * Whether the one that this owner has begun is the last, and has not been told to end. It goes on, or ret->err says why
	 * it has ended by itself. With capture().
	 */
	bool (*captures)(const struct device *dev, const void *owner, struct message_captured *ret);
	/* A key of our own directory changed (rate, ...); `key` is NULL: the configuration did. May be NULL. */
	void (*changed)(struct device *dev, const char *key);
	/* A key that device_watch_front() watches changed, or is watched from now on. May be NULL. */
	void (*front_changed)(struct device *dev);
	/*
	 * State 7: re-read what may change. True when that is in force; else it will be, env->ready()
	 * tells when, and this is called again. May be NULL.
	 */
	bool (*reconfigure)(struct device *dev);
	/*
	 * A message about it from whoever serves its rings (guests.h): data to check. Descriptors are taken by putting -1 in
	 * their place. May be NULL.
	 */
	void (*answer)(struct device *dev, const struct message *message, int *fds,
		       unsigned int nr_fds);
	/* Whoever served its rings is no more: nothing is attached, whatever was on its way. May be NULL. */
	void (*lost)(struct device *dev);
	/* The options in force, in a struct that ops->keys is for. */
	void (*in_force)(const struct device *dev, void *ret);
	/* Add what it is to `ret`, and what there is to know beside that to `detail`, unless NULL. */
	void (*describe)(const struct device *dev, struct json_object *ret,
			 struct json_object *detail);
	/* Write " name=value" of what it knows beside its rings, for SIGUSR1. May be NULL. */
	void (*dump)(const struct device *dev, FILE *out);
	/*
	 * Release everything; nothing is attached. `removed`: our directory is gone, so what
	 * outlives a restart of the daemon (the tap) goes too. Safe on a half-probed device.
	 */
	void (*done)(struct device *dev, bool removed);
};

/* What the next step depends on in xenstore; read again when a watch says that it changed. */
enum device_key {
	DEVICE_KEY_STATE = 1,
	DEVICE_KEY_FRONT = 2, /* the frontend's state */
	DEVICE_KEY_ONLINE = 4,
	DEVICE_KEY_PLUGGED = 8, /* what ops->plugged() reads */
	DEVICE_KEYS = 15,
};

/* How far we have come with it. Only forward; ops->done() is due from PROBED on. */
enum device_phase {
	DEVICE_NEW,
	DEVICE_OWNED,    /* our name is in its directory (owner.h) */
	DEVICE_PROBED,   /* ops->probe() has made what it needs */
	DEVICE_UNUSABLE, /* or it could not, or nothing says whose it is: it never connects */
};

/* Why we serve it no longer, or not at all. Only forward, in any phase. */
enum device_end {
	DEVICE_STAYS,
	DEVICE_FOREIGN,  /* a kernel driver or another party serves it: left alone */
	DEVICE_GONE,     /* its directory is: free it when it is idle */
	DEVICE_REPLACED, /* likewise, and another device stands in its place */
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
	bool script_failed; /* and the log has said so */
	bool plugged;       /* as of the last step */
	bool fresh;         /* not looked at since we started, or to be taken up as if so */
	bool resuming;      /* the frontend was connected before we started */
	bool broken;        /* until the frontend has closed */
	bool dead;          /* domain dying */
	atomic_bool halted; /* it has shut down, or is dying; queues on workers look at it */
	uint64_t flow_asked_ns,
		flowed_ns;   /* ask_flow(): when last, and which was the last answered */
	bool suspending;     /* the daemon stops, the frontend stays connected */
	bool advanced;       /* its state was once beyond 1, whoever wrote that */
	bool pending;        /* to be looked at */
	bool front_changed;  /* a watched key of the frontend did */
	bool watching;       /* the frontend's state */
	unsigned int unread; /* enum device_key: not read since they changed */
	struct {
		enum xenbus_state own, front;
		bool online, plugged;
	} seen;                   /* what was read */
	unsigned int trace;       /* trace_mask() */
	enum xenbus_state logged; /* last state told to the log */
	struct log_limit talk;    /* for what is normal */
	struct log_limit trouble; /* for warnings and errors */
	char slips[96];           /* mistyped keys that the log has named, each between spaces */
	struct loop_timer retry;  /* of what xenstore would not do */
	unsigned int nr_retries;  /* in a row */
	uint64_t
		abandoned_ns; /* since when nobody waits for what its rings hold; 0: it is not abandoned */
	struct guest_link *served_by; /* borrowed, guests.c's; NULL: nobody serves it */
	bool awaits_guest;            /* guests_may_start() said no */
	uint32_t returning;           /* guests.c: the turn that waits for it to be served again */
	uint64_t attached_ns;         /* since when its rings are served, as far as we know */
	char reason[160];             /* why it does not work; "": it does, or nothing is known */
	uint32_t life;                /* of its rings; messages.h */
	LIST_ENTRY(device) served_link; /* likewise */
	struct stats_view
		figures; /* of its queues, while it is served; data to check, like a message */
	bool rests; /* as of the last look at them: they do not change, and nothing is in flight */
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
 * attach() of a live ring ends without it, and the guest waits on: begin as if we had just started, when
 * env->ready() is called or xenstore changes. Control thread.
 */
void device_not_yet(struct device *dev);
/*
 * Whoever served its rings has died: ops->lost(), and then it is taken up again, as after a restart of ours. Control
 * thread.
 */
void device_lost(struct device *dev);
/* The question of ask_flow() that was asked then is answered, and all before it. Control thread. */
void device_flowed(struct device *dev, uint64_t asked_ns);
/* The end of detach(). Control thread. */
void device_detached(struct device *dev);

/* Say in the log and in the device's `error` node why it does not work. */
void device_reason(struct device *dev, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * An impossible ring: the device stops for this frontend. Detaches, state 5,
 * until the frontend closes. `why` is for the admin.
 */
void device_broken(struct device *dev, int err, const char *why);

/* Call ops->front_changed() when KEY of the frontend's directory changes, or stop that. */
void device_watch_front(struct device *dev, const char *key, bool on);

/*
 * How many queues to offer, 1..`most`: as many as there are workers, but no fewer than an earlier life of
 * ours, with more of them, has offered, for its frontend may be using them.
 */
unsigned int device_offer_queues(const struct device *dev, unsigned int most);

/*
 * Set in `values`, a struct that `keys` is for, what the configuration says of this device and of its guest, by the
 * name that the guest has now. 0; -errno, with a word in the log, when that cannot be read.
 */
int device_settings(struct device *dev, const struct key *keys, void *values);

/*
 * Name a key of our own directory that nobody knows and that looks like one of `keys`, with that one, once. The
 * other: all such keys, while the store holds the directory's names.
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
 * Why it does not work: its last device_reason(), also one of an earlier life of ours, or what the toolstack's script says.
 * False when it works, or nothing is known.
 */
bool device_why(const struct device *dev, char *buf, size_t size);

/* --- called by whoever watches those that serve it --- */

/* Every NOTICE_LOOK_S: say what its figures tell, and see whether it rests. */
void device_look_at_figures(struct device *dev, uint64_t now_ns);

struct device *device_new(const struct device_ops *ops, const struct device_env *env,
			  uint32_t domid, uint32_t devid);
/* Keys may have changed: read them before the next step. */
void device_unread(struct device *dev, unsigned int keys);
/* Its domain has shut down, or runs again. */
void device_halt(struct device *dev, bool halted);
/* Look at what changed in xenstore and take the next step(s). */
void device_step(struct device *dev);
/* Release a device that is idle. */
struct device *device_free(struct device *dev);
/* Does its medium give back what it has? `now_ns`: the time, which names the question; env->ready() tells. */
void device_ask_flow(struct device *dev, uint64_t now_ns);
/* It was asked then, and its medium has not given back all that it had, so far. */
bool device_is_stuck(const struct device *dev, uint64_t asked_ns);
/*
 * Detach without touching xenstore: the daemon stops, the guests go on waiting. True when the
 * device is idle already; else env->ready() tells when it is.
 */
bool device_suspend(struct device *dev);

#endif
