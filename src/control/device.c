/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/device.h"
#include "control/guests.h"
#include "control/keys.h"
#include "control/names.h"
#include "control/owner.h"
#include "control/reason.h"
#include "control/settings.h"

/* More steps than any walk through the states needs. If it needs more they wait for the next event. */
#define MAX_STEPS 8
/* The first retry waits 100 ms, each later one twice as long, up to 26 s. The sixth failure is logged as an error. */
#define RETRY_NS             (100ull * 1000000ull)
#define RETRY_MAX_SHIFT      8u
#define RETRIES_BEFORE_ERROR 5u

/* --- words for the admin --- */

static void __attribute__((format(printf, 4, 0)))
say(struct device *dev, enum log_level level, const char *notice, const char *fmt, va_list ap)
{
	struct log_limit *limit = level <= LOG_LEVEL_WARNING ? &dev->trouble : &dev->talk;

	if (log_enabled(level) && log_allow(limit, dev->name))
		log_vnotice(level, dev->name, notice, fmt, ap);
}

void device_log(struct device *dev, enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(dev, level, NULL, fmt, ap);
	va_end(ap);
}

void device_notice(struct device *dev, enum log_level level, const char *notice, const char *fmt,
		   ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(dev, level, notice, fmt, ap);
	va_end(ap);
}

void device_look_at_figures(struct device *dev, uint64_t now_ns)
{
	const struct notice_rule *rule = dev->ops->notices;
	bool rested = dev->rests;

	dev->rests = dev->figures.mem && stats_view_rests(&dev->figures);
	if (!dev->figures.mem || (rested && dev->rests))
		return;
	for (unsigned int i = 0; rule && rule->name; i++, rule++) {
		enum notice_change change =
			notice_look(&dev->notices, dev->ops->notices, i, &dev->figures, now_ns);

		if (change == NOTICE_BEGINS)
			device_notice(dev, LOG_LEVEL_WARNING, rule->name, "%s", rule->text);
		else if (change == NOTICE_ENDS)
			device_notice(dev, LOG_LEVEL_INFO, rule->name, "%s", rule->over);
	}
}

/* Remember the key `name`. False when it is remembered already, or when there is no room. */
static bool is_new_slip(struct device *dev, const char *name)
{
	size_t used = strlen(dev->slips);
	char word[64];
	int n = snprintf(word, sizeof(word), " %s ", name);

	if ((size_t)n >= sizeof(dev->slips) - used || strstr(dev->slips, word))
		return false;
	memcpy(dev->slips + used, word, (size_t)n + 1);
	return true;
}

void device_say_slip(struct device *dev, const struct key *keys, const char *name)
{
	const struct key *meant = keys_meant(keys, name);

	if (meant && is_new_slip(dev, name))
		device_log(dev, LOG_LEVEL_WARNING, "its key `%s` means nothing; is it `%s`?", name,
			   meant->name);
}

void device_say_slips(struct device *dev, const struct key *keys)
{
	const char *name;

	for (unsigned int i = 0; (name = store_held_name(dev->env->store, i)); i++)
		device_say_slip(dev, keys, name);
}

int device_settings(struct device *dev, const struct key *keys, void *values)
{
	struct store *store = dev->env->store;
	char home[32], guest[STORE_VALUE_MAX], number[16], name[64];
	int err;

	if (!dev->env->settings || !dev->env->settings->first)
		return 0;
	snprintf(home, sizeof(home), "/local/domain/%u", dev->domid);
	snprintf(number, sizeof(number), "%u", dev->devid);
	err = store_read(store, XBT_NULL, home, "name", guest, sizeof(guest));
	if (err == -ENOENT)
		return 0; /* the guest is being destroyed */
	if (err) {
		device_log(dev, LOG_LEVEL_WARNING,
			   "its guest's name cannot be read, which the sections of the "
			   "configuration go by: %s",
			   strerror(-err));
		return err;
	}
	if (store_read(store, XBT_NULL, dev->be_path, dev->ops->name_key, name, sizeof(name)))
		strcpy(name, number);
	settings_apply(dev->env->settings,
		       &(struct settings_of){ .guest = guest, .device = { number, name } }, keys,
		       values);
	return 0;
}

/* Write it to our own error directory and, while a script may still read it, to hotplug-error. */
static void write_reason(struct device *dev, int err, const char *text)
{
	struct store *store = dev->env->store;

	if (!store_exists(store, XBT_NULL, dev->be_path, "state"))
		return;
	reason_write(store, dev->be_path, err, text);
	if (!dev->ops->plugged(dev))
		store_write(store, XBT_NULL, dev->be_path, "hotplug-error", text);
}

void device_reason(struct device *dev, int err, const char *fmt, ...)
{
	char text[STORE_VALUE_MAX - 16]; /* with the number in front it has to fit in a node */
	va_list ap;

	va_start(ap, fmt);
	say(dev, LOG_LEVEL_ERROR, NULL, fmt, ap);
	va_end(ap);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(dev->reason, sizeof(dev->reason), "%.*s", (int)sizeof(dev->reason) - 1, text);
	write_reason(dev, err, text);
}

static void clear_reason(struct device *dev)
{
	dev->reason[0] = '\0';
	reason_clear(dev->env->store, dev->be_path);
}

void device_broken(struct device *dev, int err, const char *why)
{
	if (dev->broken)
		return;
	device_reason(dev, err, "%s; the device stops until the guest closes it", why);
	dev->broken = true;
	dev->env->ready(dev);
}

static void end_as(struct device *dev, enum device_end end)
{
	if (end > dev->end)
		dev->end = end;
}

/* --- the owner --- */

/* Only in the log: the error node in xenstore is for the owner of the device. */
static void leave_to(struct device *dev, enum owner owner, const char *dir)
{
	end_as(dev, DEVICE_FOREIGN);
	if (owner == OWNER_ALIVE)
		device_log(dev, LOG_LEVEL_INFO, "is served by the pvbackd of %s; left alone", dir);
	else if (owner == OWNER_STOPPED)
		device_log(dev, LOG_LEVEL_WARNING,
			   "belongs to the pvbackd of %s, which has its journal and does not run; "
			   "start that one again, or detach the device; left alone",
			   dir);
	else
		device_log(dev, LOG_LEVEL_WARNING,
			   "another backend serves it (no pvbackd has put its name there); left "
			   "alone. To leave it all of this kind, see `serve` in pvbackd.conf(5)");
}

/* Write our name as the owner's. -EBUSY, and a line in the log, when the device belongs to another. */
static int claim(struct store *store, xs_transaction_t t, struct device *dev, enum xenbus_state own)
{
	const char *dir = dev->env->runtime_dir;
	char other[STORE_VALUE_MAX];
	enum owner owner;
	int err = owner_read(store, t, dev->be_path, dir, &owner, other);

	if (err || owner == OWNER_US)
		return err;
	if (!(owner == OWNER_NOBODY && dev->phase >= DEVICE_OWNED) &&
	    !owner_may_take(owner, own, dev->ops->known(dev),
			    store_exists(store, t, dev->be_path, "multi-queue-max-queues"))) {
		leave_to(dev, owner, other);
		return -EBUSY;
	}
	return owner_write(store, t, dev->be_path, dir);
}

static int claim_first(struct store *store, xs_transaction_t t, void *user)
{
	struct device *dev = user;

	return claim(store, t, dev, dev->seen.own);
}

/* Claim the device before we make a tap or files for it: if it is another's, those are there already. 0; 1 when it is another's; -errno. */
static int own(struct device *dev)
{
	int err = dev->phase >= DEVICE_OWNED
			  ? 0
			  : store_transact(dev->env->store, dev->be_path, claim_first, dev);

	if (!err && dev->phase == DEVICE_NEW)
		dev->phase = DEVICE_OWNED;
	return dev->end == DEVICE_FOREIGN ? 1 : err;
}

/* --- writing states --- */

struct state_write {
	struct device *dev;
	enum xenbus_state expected; /* what we read; if it has changed meanwhile we write nothing */
	enum xenbus_state state;
	int (*keys)(struct device *dev, xs_transaction_t t); /* may be NULL */
};

static int write_state(struct store *store, xs_transaction_t t, void *user)
{
	const struct state_write *w = user;
	uint32_t now;
	int err = store_read_u32(store, t, w->dev->be_path, "state", 0, XENBUS_NR_STATES, &now);

	if (err)
		return err;
	if (now != (uint32_t)w->expected)
		return -ESTALE;
	err = claim(store, t, w->dev, w->expected);
	if (!err && w->keys)
		err = w->keys(w->dev, t);
	if (err)
		return err;
	return store_writef(store, t, w->dev->be_path, "state", "%d", (int)w->state);
}

static int switch_state(struct device *dev, enum xenbus_state from, enum xenbus_state to,
			int (*keys)(struct device *dev, xs_transaction_t t))
{
	struct state_write w = { .dev = dev, .expected = from, .state = to, .keys = keys };
	struct trace_id id = { .kind = dev->ops->kind, .domid = dev->domid, .devid = dev->devid };
	int err = store_transact(dev->env->store, dev->be_path, write_state, &w);

	trace(dev->trace, TRACE_BUS, &id, "state from=%d to=%d result=%d", (int)from, (int)to, err);
	if (err)
		dev->unread |= DEVICE_KEY_STATE;
	else
		dev->seen.own = to;
	if (dev->end == DEVICE_FOREIGN)
		dev->env->ready(dev); /* another has claimed it */
	if (!err)
		dev->advanced = true;
	if (!err && to == XENBUS_CONNECTED)
		clear_reason(dev);
	if (!err && dev->logged != to) {
		device_log(dev, LOG_LEVEL_INFO, "%s", xenbus_state_name(to));
		dev->logged = to;
	}
	return err;
}

/* --- looking --- */

/*
 * A state that is gone and one that is no number are the same to us. A driver domain may not read the guest's home: it
 * gets EACCES for what is gone there. -errno when xenstore gives no answer; then we know nothing.
 */
static int read_state(struct device *dev, const char *dir, enum xenbus_state *ret_state)
{
	uint32_t state = XENBUS_MISSING;
	int err = store_read_u32(dev->env->store, XBT_NULL, dir, "state", 0, XENBUS_NR_STATES - 1,
				 &state);

	if (!store_is_answer(err))
		return err;
	*ret_state = (enum xenbus_state)state;
	return 0;
}

void device_unread(struct device *dev, unsigned int keys)
{
	dev->unread |= keys;
}

/* Read the keys that changed. Keys that could not be read, or are not needed yet, stay marked as unread. */
static int read_changes(struct device *dev)
{
	int err = 0;

	if (dev->unread & DEVICE_KEY_STATE)
		err = read_state(dev, dev->be_path, &dev->seen.own);
	if (err)
		return err;
	if (dev->seen.own == XENBUS_MISSING) {
		dev->unread = DEVICE_KEYS;
		return 0;
	}
	dev->unread &= ~(unsigned int)DEVICE_KEY_STATE;
	if ((dev->unread & DEVICE_KEY_FRONT) && *dev->fe_path) {
		err = read_state(dev, dev->fe_path, &dev->seen.front);
		if (err)
			return err;
		dev->unread &= ~(unsigned int)DEVICE_KEY_FRONT;
	}
	if (dev->unread & DEVICE_KEY_ONLINE) {
		dev->seen.online = false;
		store_read_flag(dev->env->store, XBT_NULL, dev->be_path, "online", false,
				&dev->seen.online);
	}
	if (dev->unread & DEVICE_KEY_PLUGGED)
		dev->seen.plugged = dev->ops->plugged(dev);
	dev->unread &= DEVICE_KEY_FRONT;
	return 0;
}

static int look(struct device *dev, struct xenbus_view *view)
{
	int err = read_changes(dev);

	*view = (struct xenbus_view){
		.own = dev->seen.own,
		.front = dev->seen.front,
		.online = dev->seen.online,
		.plugged = dev->phase != DEVICE_UNUSABLE && dev->seen.plugged,
		.attached = dev->activity == DEVICE_ATTACHED,
		.fresh = dev->fresh,
		.dead = dev->dead,
		.broken = dev->broken,
	};
	view->left = dev->fresh && dev->ops->left && dev->ops->left(dev);
	return err;
}

static bool sysfs_has(const char *fmt, const char *kind, uint32_t domid, uint32_t devid)
{
	char path[128];

	snprintf(path, sizeof(path), fmt, kind, domid, devid);
	return access(path, F_OK) == 0;
}

/*
 * The kernel's backend takes every device in state 1, and would race with us. So while its module is loaded we take no
 * new device. When the module is loaded later, it also binds devices that we serve, and writes their states. The frontend
 * closes then, and we must let go: two backends must never serve one ring.
 */
static bool is_the_kernels(const struct device *dev, enum xenbus_state own)
{
	const char *kind = dev->ops->kind;

	return sysfs_has("/sys/bus/xen-backend/devices/%s-%u-%u/driver", kind, dev->domid,
			 dev->devid) ||
	       (!device_is_probed(dev) && own == XENBUS_INITIALISING &&
		sysfs_has("/sys/bus/xen-backend/drivers/%s", kind, 0, 0));
}

/* --- acting --- */

/* The frontend's path must lie in the frontend's own home (XSA-175). libxl writes no other. */
static int read_identity(struct device *dev)
{
	struct store *store = dev->env->store;
	char home[48];
	uint32_t domid;
	int err =
		store_read(store, XBT_NULL, dev->be_path, "frontend", dev->fe_path, STORE_DIR_MAX);

	snprintf(home, sizeof(home), "/local/domain/%u/", dev->domid);
	if (!err && strncmp(dev->fe_path, home, strlen(home)) != 0)
		err = -EINVAL;
	if (!err)
		err = store_read_u32(store, XBT_NULL, dev->be_path, "frontend-id", 0, 0x7fef,
				     &domid);
	if (!err && domid != dev->domid)
		err = -EINVAL;
	if (err)
		dev->fe_path[0] = '\0';
	return err;
}

/* `route`: "f" for the state, "k" for other keys; see the registry. 0 or -errno. */
static int watch_key(struct device *dev, const char *route, const char *key, bool on)
{
	char path[STORE_PATH_MAX], token[48];

	if (!*dev->fe_path ||
	    snprintf(path, sizeof(path), "%s/%s", dev->fe_path, key) >= (int)sizeof(path))
		return 0;
	snprintf(token, sizeof(token), "%s/%s/%u/%u", route, dev->ops->kind, dev->domid,
		 dev->devid);
	if (on)
		return store_watch(dev->env->store, path, token);
	store_unwatch(dev->env->store, path, token);
	return 0;
}

void device_watch_front(struct device *dev, const char *key, bool on)
{
	int err = watch_key(dev, "k", key, on);

	if (err)
		device_log(dev, LOG_LEVEL_WARNING, "changes of its key %s are not heard of: %s",
			   key, strerror(-err));
}

unsigned int device_offer_queues(const struct device *dev, unsigned int most)
{
	uint32_t nr = dev->env->nr_workers < most ? dev->env->nr_workers : most;
	uint32_t before = nr;

	store_read_u32(dev->env->store, XBT_NULL, dev->be_path, "multi-queue-max-queues", 1, most,
		       &before);
	return before > nr ? before : nr;
}

/* The log calls it by its numbers. This line has the name that an admin knows. */
static void say_name(struct device *dev)
{
	char name[DEVICE_NAME_MAX];

	name_device(dev, name);
	device_log(dev, LOG_LEVEL_INFO, "is %s", name);
}

/*
 * Once per device: who is it, and what must exist before the toolstack's script runs. -errno when xenstore
 * does not say who.
 */
static int probe(struct device *dev)
{
	int err = read_identity(dev);

	if (!store_is_answer(err))
		return err;
	if (err)
		device_reason(dev, err,
			      "its `frontend` or `frontend-id` key is missing, wrong or too long");
	if (!err) {
		say_name(dev);
		err = dev->ops->probe(dev);
	}
	dev->phase = err ? DEVICE_UNUSABLE : DEVICE_PROBED;
	return 0;
}

/* A new watch fires at once, so we miss no change between an earlier read and this. */
static int watch_front_state(struct device *dev)
{
	int err = dev->watching ? 0 : watch_key(dev, "f", "state", true);

	dev->watching = !err;
	return err;
}

static void start_attach(struct device *dev, bool resume)
{
	int err;

	dev->activity = DEVICE_ATTACHING;
	dev->trace = trace_mask(dev->domid, dev->devid);
	dev->resuming = resume;
	dev->abandoned_ns = 0;
	err = dev->phase == DEVICE_UNUSABLE ? -ENODEV : dev->ops->attach(dev, resume);
	if (!err)
		return;
	dev->activity = DEVICE_IDLE;
	dev->broken = true;
	guests_returned(dev);
	dev->env->ready(dev);
}

/* False while a process that is ending still serves the rings of an earlier life. When it is gone we are called again. */
static bool may_attach(struct device *dev)
{
	if (!dev->env->guests || guests_may_start(dev))
		return true;
	dev->fresh = true;
	return false;
}

/* A toolstack that destroys a guest removes the frontend's directory, and waits for our state 6 before the domain dies. */
static bool nobody_is_left(const struct device *dev)
{
	return dev->dead || dev->seen.own == XENBUS_MISSING || dev->seen.front == XENBUS_MISSING;
}

/* False when nothing is attached (any more). */
static bool start_detach(struct device *dev)
{
	if (dev->activity != DEVICE_ATTACHED)
		return false;
	dev->activity = DEVICE_DETACHING;
	dev->abandoned_ns = 0;
	if (!dev->suspending && nobody_is_left(dev))
		guests_abandon(dev);
	dev->ops->detach(dev);
	return true;
}

void device_halt(struct device *dev, bool halted)
{
	if (atomic_exchange(&dev->halted, halted) == halted)
		return;
	if (device_is_probed(dev) && !dev->dead)
		device_log(dev, LOG_LEVEL_INFO, "its domain %s",
			   halted ? "has shut down: nothing more is taken from it" : "runs again");
	if (dev->activity == DEVICE_ATTACHED)
		dev->ops->halt(dev);
	else if (halted && dev->activity == DEVICE_IDLE && dev->env->guests)
		guests_release(dev);
}

static void resumed(struct device *dev)
{
	dev->logged = XENBUS_CONNECTED;
	clear_reason(dev);
}

void device_attached(struct device *dev, int err)
{
	dev->activity = err ? DEVICE_IDLE : DEVICE_ATTACHED;
	if (err)
		dev->broken = true;
	else if (dev->resuming)
		resumed(dev);
	if (!err) {
		dev->attached_ns = loop_now_ns();
		dev->ops->halt(dev); /* dev->halted may have changed while attach() was under way */
	}
	guests_returned(dev);
	dev->env->ready(dev);
}

void device_not_yet(struct device *dev)
{
	dev->activity = DEVICE_IDLE;
	dev->fresh = true;
}

bool device_may_go_on(struct device *dev)
{
	if (guests_may_start(dev))
		return true;
	device_not_yet(dev);
	return false;
}

/* The rings are as after a kill of the daemon. The journals say which requests must be done again. */
void device_lost(struct device *dev)
{
	bool detaching = dev->activity == DEVICE_DETACHING;

	if (dev->ops->lost)
		dev->ops->lost(dev);
	if (detaching) {
		device_detached(dev);
		return;
	}
	device_not_yet(dev);
	dev->env->ready(dev);
}

void device_detached(struct device *dev)
{
	dev->activity = DEVICE_IDLE;
	dev->env->ready(dev);
}

static int close_as(struct device *dev, enum xenbus_state own, enum xenbus_state to)
{
	int err = 0;

	if (start_detach(dev))
		return 1;
	if (to == XENBUS_CLOSED)
		dev->broken = false;
	if (own != to)
		err = switch_state(dev, own, to, NULL);
	return err;
}

/* A frontend may reclaim its pages when it reads 6. */
static bool is_the_end(enum xenbus_action action)
{
	return action == XENBUS_DO_CLOSING || action == XENBUS_DO_CLOSED ||
	       action == XENBUS_DO_FORGET;
}

/* Do one action. 0: look again; 1 or -errno: wait for an event. */
static int act(struct device *dev, enum xenbus_action action, enum xenbus_state own)
{
	if (is_the_end(action) && dev->activity == DEVICE_IDLE && dev->env->guests &&
	    !guests_release(dev))
		return 1;
	switch (action) {
	case XENBUS_DO_NOTHING:
		return 1;
	case XENBUS_DO_ADVERTISE:
		return switch_state(dev, own, XENBUS_INIT_WAIT, dev->ops->advertise);
	case XENBUS_DO_CONNECT:
	case XENBUS_DO_RESUME:
		if (may_attach(dev))
			start_attach(dev, action == XENBUS_DO_RESUME);
		return 1;
	case XENBUS_DO_ANNOUNCE:
		return switch_state(dev, own, XENBUS_CONNECTED, dev->ops->publish);
	case XENBUS_DO_CLOSING:
		return close_as(dev, own, XENBUS_CLOSING);
	case XENBUS_DO_CLOSED:
		return close_as(dev, own, XENBUS_CLOSED);
	case XENBUS_DO_RECONFIGURE:
		if (dev->ops->reconfigure && !dev->ops->reconfigure(dev))
			return 1;
		return switch_state(dev, own, XENBUS_RECONFIGURED, NULL);
	case XENBUS_DO_RECONFIGURED:
		return switch_state(dev, own, XENBUS_CONNECTED, NULL);
	case XENBUS_DO_FORGET:
		end_as(dev, DEVICE_GONE);
		start_detach(dev);
		return 1;
	}
	return 1;
}

static bool leave_alone(struct device *dev, const struct xenbus_view *view)
{
	const char *module = dev->ops->kernel_module;

	bool foreign = dev->end == DEVICE_FOREIGN;

	if (foreign)
		start_detach(dev);
	if (foreign || !is_the_kernels(dev, view->own))
		return foreign;
	end_as(dev, DEVICE_FOREIGN);
	device_reason(
		dev, -EBUSY,
		"%s is loaded and takes this device; unload it (modprobe -r %s) and block it, "
		"see pvbackd(8), then attach the device again",
		module, module);
	start_detach(dev);
	return true;
}

static void read_script_error(const struct device *dev, char *buf, size_t size)
{
	if (store_read(dev->env->store, XBT_NULL, dev->be_path, "hotplug-error", buf, size))
		snprintf(buf, size, "no reason given");
}

bool device_why(const struct device *dev, char *buf, size_t size)
{
	char text[STORE_VALUE_MAX];

	if (*dev->reason) {
		snprintf(buf, size, "%s", dev->reason);
	} else if (dev->script_failed && !dev->plugged) {
		read_script_error(dev, text, sizeof(text));
		snprintf(buf, size, "the hotplug script failed: %s", text);
	} else {
		return dev->activity != DEVICE_ATTACHED &&
		       !reason_read(dev->env->store, dev->be_path, buf, size);
	}
	return true;
}

/* The toolstack's script has failed: log its reason, too. */
static void note_script(struct device *dev)
{
	struct store *store = dev->env->store;
	char status[16], text[STORE_VALUE_MAX];
	bool failed = !store_read(store, XBT_NULL, dev->be_path, "hotplug-status", status,
				  sizeof(status)) &&
		      (!strcmp(status, "error") || !strcmp(status, "busy"));

	if (failed && !dev->script_failed) {
		read_script_error(dev, text, sizeof(text));
		device_log(dev, LOG_LEVEL_ERROR, "the hotplug script failed: %s", text);
	}
	dev->script_failed = failed;
}

/*
 * The state was beyond 1, in this life of the daemon or an earlier one, and is 1 again: the toolstack has removed the
 * directory and made a new one before we looked. That is another device. The rings belong to the old one.
 */
static bool is_replaced(const struct device *dev, const struct xenbus_view *view)
{
	return view->own == XENBUS_INITIALISING && dev->advanced;
}

static int step_once(struct device *dev)
{
	struct xenbus_view view;
	enum xenbus_action action;
	int err = look(dev, &view);

	if (err)
		return err;
	if (is_replaced(dev, &view)) {
		end_as(dev, DEVICE_REPLACED);
		return act(dev, XENBUS_DO_FORGET, view.own);
	}
	dev->advanced = dev->advanced || view.own > XENBUS_INITIALISING;
	if (view.own != XENBUS_MISSING && leave_alone(dev, &view))
		return 1;
	if (view.own != XENBUS_MISSING && !device_is_probed(dev))
		err = own(dev);
	if (err)
		return err;
	if (view.own != XENBUS_MISSING && (!device_is_probed(dev) || !dev->watching)) {
		err = device_is_probed(dev) ? 0 : probe(dev);
		if (!err)
			err = watch_front_state(dev);
		if (!err)
			err = look(dev, &view);
		if (err)
			return err;
	}
	if (view.own > XENBUS_INITIALISING && dev->env->guests && guests_left(dev) &&
	    dev->phase != DEVICE_UNUSABLE) {
		start_attach(
			dev,
			true); /* a process serves its rings: take them over first, whatever comes next */
		dev->fresh = false;
		return 1;
	}
	if (view.own == XENBUS_INIT_WAIT && !view.plugged)
		note_script(dev);
	if (view.plugged && !dev->plugged && dev->ops->online)
		dev->ops->online(dev);
	dev->plugged = view.plugged;
	/* The frontend may ask for a second change before we have written 4 for the first. */
	if (view.own == XENBUS_RECONFIGURED && view.front == XENBUS_RECONFIGURING &&
	    view.attached && dev->ops->reconfigure)
		dev->ops->reconfigure(dev);
	action = xenbus_next(&view);
	dev->fresh = false;
	return act(dev, action, view.own);
}

/* Whether a device that is being attached would be detached again at once. */
static bool is_unwanted(struct device *dev)
{
	struct xenbus_view view;
	enum xenbus_action action;

	if (look(dev, &view))
		return false;
	view.attached = true;
	action = xenbus_next(&view);
	return is_replaced(dev, &view) || action == XENBUS_DO_CLOSING ||
	       action == XENBUS_DO_CLOSED || action == XENBUS_DO_FORGET;
}

static void give_up(struct device *dev)
{
	if (dev->activity == DEVICE_ATTACHING && dev->ops->give_up)
		dev->ops->give_up(dev);
}

/* While its rings are started or stopped. */
static void look_whether_abandoned(struct device *dev)
{
	struct xenbus_view view;

	if (dev->abandoned_ns || dev->suspending || look(dev, &view) || !nobody_is_left(dev))
		return;
	guests_abandon(dev);
	if (dev->activity == DEVICE_DETACHING && dev->ops->abandon)
		dev->ops->abandon(dev);
}

/* Take all steps. 0, or -errno when xenstore refused something. */
static int walk(struct device *dev)
{
	int ret = 0;

	if (dev->front_changed && dev->ops->front_changed)
		dev->ops->front_changed(dev);
	dev->front_changed = false;
	for (unsigned int i = 0; i < MAX_STEPS && (ret == 0 || ret == -ESTALE); i++) {
		if (dev->activity == DEVICE_ATTACHING && is_unwanted(dev))
			give_up(dev);
		if (dev->activity == DEVICE_ATTACHING || dev->activity == DEVICE_DETACHING) {
			look_whether_abandoned(dev);
			return 0;
		}
		ret = step_once(dev);
	}
	if (ret > 0 || ret == -ESTALE || ret == -ENOENT || dev->end == DEVICE_FOREIGN)
		return 0;
	return ret;
}

static void again(void *user)
{
	struct device *dev = user;

	device_unread(dev, DEVICE_KEYS);
	dev->front_changed = true;
	dev->env->ready(dev);
}

/* Try again after a time: no event tells when xenstored has memory again, a quota has room, or transactions no longer conflict. */
static void retry_later(struct device *dev, int err)
{
	unsigned int shift = dev->nr_retries < RETRY_MAX_SHIFT ? dev->nr_retries : RETRY_MAX_SHIFT;

	if (dev->nr_retries == 0)
		device_log(dev, LOG_LEVEL_WARNING, "xenstore refuses: %s; trying again",
			   strerror(-err));
	if (dev->nr_retries == RETRIES_BEFORE_ERROR)
		device_reason(dev, err,
			      "xenstore has refused for some seconds: %s; the device waits for it",
			      strerror(-err));
	dev->nr_retries++;
	loop_timer_set(dev->env->loop, &dev->retry, RETRY_NS << shift, again, dev);
}

void device_step(struct device *dev)
{
	struct store *store = dev->env->store;
	int err;

	store_trouble(store); /* clears what an earlier step left */
	err = walk(dev);
	if (!err)
		err = store_trouble(store);
	if (store->lost)
		return; /* the daemon restarts itself */
	if (err) {
		retry_later(dev, err);
		return;
	}
	loop_timer_cancel(&dev->retry);
	dev->nr_retries = 0;
}

void device_ask_flow(struct device *dev, uint64_t now_ns)
{
	if (dev->activity != DEVICE_ATTACHED || !dev->ops->ask_flow)
		return;
	dev->flow_asked_ns = now_ns;
	dev->ops->ask_flow(dev);
}

bool device_is_stuck(const struct device *dev, uint64_t asked_ns)
{
	return dev->flow_asked_ns >= asked_ns && dev->flowed_ns < asked_ns;
}

void device_flowed(struct device *dev, uint64_t asked_ns)
{
	if (asked_ns <= dev->flowed_ns || asked_ns > dev->flow_asked_ns)
		return;
	dev->flowed_ns = asked_ns;
	dev->env->ready(dev);
}

bool device_suspend(struct device *dev)
{
	if (dev->activity == DEVICE_IDLE)
		return true;
	dev->suspending = true;
	give_up(dev);
	start_detach(dev);
	return dev->activity == DEVICE_IDLE;
}

/* --- life --- */

struct device *device_new(const struct device_ops *ops, const struct device_env *env,
			  uint32_t domid, uint32_t devid)
{
	struct device *dev = calloc(1, ops->size);

	if (!dev)
		return NULL;
	dev->ops = ops;
	dev->env = env;
	dev->domid = domid;
	dev->devid = devid;
	dev->fresh = true;
	dev->unread = DEVICE_KEYS;
	dev->trace = trace_mask(domid, devid);
	snprintf(dev->be_path, sizeof(dev->be_path), "backend/%s/%u/%u", ops->kind, domid, devid);
	snprintf(dev->name, sizeof(dev->name), "%s %u/%u", ops->kind, domid, devid);
	return dev;
}

struct device *device_free(struct device *dev)
{
	if (!dev)
		return NULL;
	loop_timer_cancel(&dev->retry);
	guests_returned(dev);
	guests_forget(dev);
	if (dev->watching)
		watch_key(dev, "f", "state", false);
	if (device_is_probed(dev))
		dev->ops->done(dev, device_is_gone(dev));
	if (device_is_gone(dev))
		reason_clear(dev->env->store, dev->be_path);
	if (device_is_gone(dev) && device_is_probed(dev))
		device_log(dev, LOG_LEVEL_INFO, "removed");
	free(dev);
	return NULL;
}
