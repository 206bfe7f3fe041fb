/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <xenctrl.h>

#include "core/parse.h"
#include "control/registry.h"

#define DEVICE_BUCKETS      256u
#define RELEASE_TOKEN       "release"
#define SCAN_AGAIN_NS       1000000000ull
#define HALTED_LOOK_NS      (10u * 1000u * 1000u)
#define LAST_HALTED_LOOK_NS (500u * 1000u * 1000u)
#define ASK_NS              2000000000ull
#define DETACH_NS           1000000000ull

struct registry {
	struct device_env *env;                /* borrowed */
	const struct device_ops *const *kinds; /* borrowed */
	xc_interface *xc;                      /* owned */
	struct loop_watch *watch;              /* owned by the loop, as these */
	struct loop_watch *loss_watches[2];
	LIST_HEAD(, device) devices[DEVICE_BUCKETS];
	TAILQ_HEAD(, device) pending;
	unsigned int unscanned; /* a bit for each kind whose devices have not been listed yet */
	struct loop_timer scan_timer;
	struct log_limit scan_limit;
	bool check_domains;
	struct loop_timer halted_timer;            /* armed while some domain has shut down */
	uint64_t halted_look_ns;                   /* how long it runs */
	bool looked;                               /* all devices that were there at the start */
	enum { SERVING, ASKING, DETACHING } phase; /* in the last two we stop */
	struct loop_timer patience;
	uint64_t asked_ns;    /* which question, in the phase ASKING */
	unsigned int nr_open; /* devices that are stuck so far, or not idle */
};

static unsigned int bucket_of(uint32_t domid, uint32_t devid)
{
	return (domid * 31u + devid * 7u + (devid >> 8)) % DEVICE_BUCKETS;
}

#define for_each_device(registry, dev)                                                             \
	for (unsigned int bucket_ = 0; bucket_ < DEVICE_BUCKETS; bucket_++)                        \
		LIST_FOREACH((dev), &(registry)->devices[bucket_], link)

static struct device *find(struct registry *registry, const struct device_ops *ops, uint32_t domid,
			   uint32_t devid)
{
	struct device *dev;

	LIST_FOREACH(dev, &registry->devices[bucket_of(domid, devid)], link)
		if (dev->ops == ops && dev->domid == domid && dev->devid == devid)
			return dev;
	return NULL;
}

/* --- the devices to look at, and the dead --- */

static void mark(struct registry *registry, struct device *dev)
{
	if (dev->pending)
		return;
	dev->pending = true;
	TAILQ_INSERT_TAIL(&registry->pending, dev, pending_link);
}

static void ready(struct device *dev)
{
	mark(dev->env->registry, dev);
}

static void forget(struct device *dev)
{
	LIST_REMOVE(dev, link);
	device_free(dev);
}

/* A driver domain cannot ask Xen about other domains. xenstored knows which domains exist. */
static bool is_unknown_to_xenstore(struct registry *registry, uint32_t domid)
{
	return store_knows_domain(registry->env->store, domid) == 0;
}

enum domain_life { DOMAIN_RUNS, DOMAIN_HALTED, DOMAIN_DEAD };

/*
 * A dying domain stays a zombie while we hold its pages, and nothing in xenstore says so. A domain that has shut down exists,
 * too: an admin may look at it or destroy it, or it runs again if its suspend is cancelled. If Xen gives no answer nothing
 * has changed for us. A driver domain only learns of a domain's end.
 */
static enum domain_life look_at_domain(struct registry *registry, const struct device *dev)
{
	xc_domaininfo_t info;
	int nr;

	if (registry->env->store->domid != 0)
		return is_unknown_to_xenstore(registry, dev->domid) ? DOMAIN_DEAD : DOMAIN_RUNS;
	nr = xc_domain_getinfolist(registry->xc, dev->domid, 1, &info);
	if (nr < 0)
		return atomic_load(&dev->halted) ? DOMAIN_HALTED : DOMAIN_RUNS;
	if (nr == 0 || info.domain != dev->domid || (info.flags & XEN_DOMINF_dying))
		return DOMAIN_DEAD;
	return info.flags & XEN_DOMINF_shutdown ? DOMAIN_HALTED : DOMAIN_RUNS;
}

static void look_at_halted(void *user);

/* There is no event when a domain that had shut down runs again. So look now and then. */
static void note_life(struct registry *registry, struct device *dev)
{
	enum domain_life life = look_at_domain(registry, dev);

	dev->dead = life == DOMAIN_DEAD;
	device_halt(dev, life != DOMAIN_RUNS);
	if (life == DOMAIN_HALTED)
		loop_timer_set(registry->env->loop, &registry->halted_timer,
			       registry->halted_look_ns, look_at_halted, registry);
}

static void check_device(struct registry *registry, struct device *dev)
{
	if (dev->dead)
		return;
	note_life(registry, dev);
	if (!dev->dead)
		return;
	device_unread(dev, DEVICE_KEYS); /* its nodes may be gone without an event */
	mark(registry, dev);
}

/* A suspend is cancelled soon or never. A domain that crashed may be kept for days. So look more and more rarely. */
static void look_at_halted(void *user)
{
	struct registry *registry = user;
	struct device *dev;

	registry->halted_look_ns *= 2;
	if (registry->halted_look_ns > LAST_HALTED_LOOK_NS)
		registry->halted_look_ns = LAST_HALTED_LOOK_NS;
	for_each_device(registry, dev)
		if (atomic_load(&dev->halted))
			check_device(registry, dev);
}

static void check_domains(struct registry *registry)
{
	struct device *dev;

	registry->check_domains = false;
	registry->halted_look_ns = HALTED_LOOK_NS;
	for_each_device(registry, dev)
		check_device(registry, dev);
}

/* --- finding devices --- */

static void touch(struct registry *registry, const struct device_ops *ops, uint32_t domid,
		  uint32_t devid, unsigned int keys)
{
	struct device *dev = find(registry, ops, domid, devid);

	if (!dev) {
		dev = device_new(ops, registry->env, domid, devid);
		if (!dev) {
			log_error("no memory for %s %u/%u", ops->kind, domid, devid);
			return;
		}
		LIST_INSERT_HEAD(&registry->devices[bucket_of(domid, devid)], dev, link);
		note_life(registry, dev); /* it may have shut down, or died, while no daemon ran */
	}
	device_unread(dev, keys);
	mark(registry, dev);
}

/* Read a plain number that is followed by a slash or the end of the text. NULL when it is not. */
static const char *scan_id(const char *text, uint32_t *ret)
{
	uint32_t id;

	if (!parse_digits_u32(&text, UINT32_MAX, &id) || (*text && *text != '/'))
		return NULL;
	*ret = id;
	return *text ? text + 1 : text;
}

static void scan_again(void *user);

/* xenstored has not answered a scan completely. No event comes for what is missing, so scan again later. */
static void scan_failed(struct registry *registry, int err)
{
	if (log_allow(&registry->scan_limit, "xenstore"))
		log_warning("the devices cannot be listed: %s; trying again", strerror(-err));
	loop_timer_set(registry->env->loop, &registry->scan_timer, SCAN_AGAIN_NS, scan_again,
		       registry);
}

static void list(struct registry *registry, const char *path, char ***ret_names,
		 unsigned int *ret_nr)
{
	int err = store_list(registry->env->store, XBT_NULL, path, ret_names, ret_nr);

	if (err && err != -ENOENT)
		scan_failed(registry, err);
}

static void scan_domain(struct registry *registry, const struct device_ops *ops, uint32_t domid)
{
	char path[64];
	unsigned int nr = 0;
	char **names = NULL;
	uint32_t devid;

	snprintf(path, sizeof(path), "backend/%s/%u", ops->kind, domid);
	list(registry, path, &names, &nr);
	for (unsigned int i = 0; i < nr; i++)
		if (scan_id(names[i], &devid))
			touch(registry, ops, domid, devid, DEVICE_KEYS);
	free(names);
}

static unsigned int bit_of(const struct registry *registry, const struct device_ops *ops)
{
	unsigned int i = 0;

	while (registry->kinds[i] != ops)
		i++;
	return 1u << i;
}

static void scan_kind(struct registry *registry, const struct device_ops *ops)
{
	char path[64];
	unsigned int nr = 0;
	char **names = NULL;
	uint32_t domid;

	snprintf(path, sizeof(path), "backend/%s", ops->kind);
	list(registry, path, &names, &nr);
	for (unsigned int i = 0; i < nr; i++)
		if (scan_id(names[i], &domid))
			scan_domain(registry, ops, domid);
	free(names);
	registry->unscanned &= ~bit_of(registry, ops);
}

/* Step all devices that we know: each finds out by itself when xenstore no longer has it. */
static void mark_known(struct registry *registry, const struct device_ops *ops,
		       const uint32_t *domid)
{
	struct device *dev;

	for_each_device(registry, dev)
		if (dev->ops == ops && (!domid || dev->domid == *domid)) {
			device_unread(dev, DEVICE_KEYS);
			mark(registry, dev);
		}
}

static void scan_again(void *user)
{
	struct registry *registry = user;

	for (unsigned int i = 0; registry->kinds[i]; i++) {
		mark_known(registry, registry->kinds[i], NULL);
		scan_kind(registry, registry->kinds[i]);
	}
}

/* Which keys to read again after a change in our directory; 0: none. Most changes are our own writes. */
static unsigned int keys_behind(const char *key)
{
	static const struct {
		const char *name;
		unsigned int keys;
	} known[] = {
		{ "", DEVICE_KEYS },
		{ "state", DEVICE_KEY_STATE },
		{ "online", DEVICE_KEY_ONLINE },
		{ "hotplug-status", DEVICE_KEY_PLUGGED },
		{ "physical-device", DEVICE_KEY_PLUGGED },
		{ "physical-device-path", DEVICE_KEY_PLUGGED },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(key, known[i].name))
			return known[i].keys;
	return 0;
}

/* `rest` is what follows "backend/KIND" in the path of an event. */
static void backend_event(struct registry *registry, const struct device_ops *ops, const char *rest)
{
	uint32_t domid, devid;
	struct device *dev;
	unsigned int keys;

	if (*rest == '/')
		rest++;
	if (!*rest) {
		mark_known(registry, ops, NULL);
		scan_kind(registry, ops);
		return;
	}
	rest = scan_id(rest, &domid);
	if (!rest)
		return;
	if (!*rest) {
		mark_known(registry, ops, &domid);
		scan_domain(registry, ops, domid);
		return;
	}
	rest = scan_id(rest, &devid);
	if (!rest)
		return;
	dev = find(registry, ops, domid, devid);
	keys = dev ? keys_behind(rest) : DEVICE_KEYS;
	if (keys)
		touch(registry, ops, domid, devid, keys);
	if (dev && device_is_probed(dev) && dev->ops->changed)
		dev->ops->changed(dev, rest);
}

/* --- the turn's work --- */

static void let_go(struct registry *registry, struct device *dev)
{
	const struct device_ops *ops = dev->ops;
	uint32_t domid = dev->domid, devid = dev->devid;
	bool replaced = dev->end == DEVICE_REPLACED;

	forget(dev);
	if (replaced)
		touch(registry, ops, domid, devid, DEVICE_KEYS);
}

static void tell_looked(struct registry *registry)
{
	registry->looked = true;
	if (registry->env->looked)
		registry->env->looked(registry->env);
}

static void stop_hearing(struct registry *registry)
{
	struct loop *loop = registry->env->loop;

	registry->watch = loop_remove(loop, registry->watch);
	for (unsigned int i = 0; i < 2; i++)
		registry->loss_watches[i] = loop_remove(loop, registry->loss_watches[i]);
}

/* The connection to xenstored is lost. Let go of the rings that we serve ourselves, as when we are told to stop. */
static void notice_loss(struct registry *registry)
{
	if (registry->phase != SERVING || !registry->env->store->lost)
		return;
	log_error("the connection to xenstored is lost: starting anew%s",
		  registry->env->served_apart ? "" : ", the guests wait meanwhile");
	stop_hearing(registry);
	if (registry->env->served_apart)
		loop_quit(registry->env->loop);
	else
		registry_stop(registry);
}

/* --- the end --- */

static unsigned int count_stuck(struct registry *registry)
{
	struct device *dev;
	unsigned int nr = 0;

	for_each_device(registry, dev)
		nr += device_is_stuck(dev, registry->asked_ns);
	return nr;
}

static unsigned int count_detaching(struct registry *registry)
{
	struct device *dev;
	unsigned int nr = 0;

	for_each_device(registry, dev)
		nr += !device_is_stuck(dev, registry->asked_ns) && dev->activity != DEVICE_IDLE;
	return nr;
}

static void quit(void *user)
{
	struct registry *registry = user;

	loop_timer_cancel(&registry->patience);
	loop_quit(registry->env->loop);
}

/* Devices that are stuck keep their rings. The next daemon takes these up as after a kill. */
static void detach_all(void *user)
{
	struct registry *registry = user;
	struct device *dev;

	registry->phase = DETACHING;
	for_each_device(registry, dev)
		if (!device_is_stuck(dev, registry->asked_ns))
			mark(registry, dev);
	registry->nr_open = UINT_MAX;
}

/* Something has ended, perhaps what we wait for. After each progress the time limit starts anew. */
static void go_on_ending(struct registry *registry)
{
	bool asking = registry->phase == ASKING;
	unsigned int nr = asking ? count_stuck(registry) : count_detaching(registry);

	if (nr && nr < registry->nr_open)
		loop_timer_set(registry->env->loop, &registry->patience,
			       asking ? ASK_NS : DETACH_NS, asking ? detach_all : quit, registry);
	registry->nr_open = nr;
	if (nr)
		return;
	if (asking)
		detach_all(registry);
	else
		quit(registry);
}

static void end(struct registry *registry)
{
	struct device *dev;

	if (registry->phase == ASKING)
		go_on_ending(registry);
	while (registry->phase == DETACHING && (dev = TAILQ_FIRST(&registry->pending))) {
		TAILQ_REMOVE(&registry->pending, dev, pending_link);
		dev->pending = false;
		if (!device_is_stuck(dev, registry->asked_ns))
			device_suspend(dev);
	}
	if (registry->phase == DETACHING)
		go_on_ending(registry);
}

/* Runs once per turn of the control loop, after all events of that turn were noted. */
static bool work(void *user)
{
	struct registry *registry = user;
	struct device *dev;

	notice_loss(registry);
	if (registry->phase != SERVING) {
		end(registry);
		return false;
	}
	if (registry->check_domains)
		check_domains(registry);
	while (!registry->env->store->lost && (dev = TAILQ_FIRST(&registry->pending))) {
		TAILQ_REMOVE(&registry->pending, dev, pending_link);
		dev->pending = false;
		device_step(dev);
		if (device_is_gone(dev) && dev->activity == DEVICE_IDLE && !dev->pending)
			let_go(registry, dev);
	}
	if (!registry->looked && !registry->unscanned)
		tell_looked(registry);
	return registry->env->store->lost; /* handled in the next turn */
}

/* --- events --- */

static const struct device_ops *kind_called(struct registry *registry, const char *name, size_t len)
{
	for (unsigned int i = 0; registry->kinds[i]; i++)
		if (strlen(registry->kinds[i]->kind) == len &&
		    !memcmp(registry->kinds[i]->kind, name, len))
			return registry->kinds[i];
	return NULL;
}

/* Token "b/KIND" on path "backend/KIND/...". */
static void route_backend(struct registry *registry, const char *path, const char *kind)
{
	const struct device_ops *ops = kind_called(registry, kind, strlen(kind));
	const char *at = ops ? strstr(path, "backend/") : NULL;

	if (at)
		backend_event(registry, ops, at + strlen("backend/") + strlen(kind));
}

/* Token "f/KIND/DOMID/DEVID": the frontend's state changed; "k/...": another key of it. */
static void route_front(struct registry *registry, const char *token, bool key)
{
	const char *slash = strchr(token, '/');
	const struct device_ops *ops;
	struct device *dev;
	uint32_t domid, devid;

	ops = slash ? kind_called(registry, token, (size_t)(slash - token)) : NULL;
	if (!ops)
		return;
	token = scan_id(slash + 1, &domid);
	if (!token || !scan_id(token, &devid))
		return;
	dev = find(registry, ops, domid, devid);
	if (!dev)
		return;
	dev->front_changed = dev->front_changed || key;
	device_unread(dev, DEVICE_KEY_FRONT);
	mark(registry, dev);
}

static void route(struct registry *registry, const char *path, const char *token)
{
	if (!strcmp(token, RELEASE_TOKEN))
		registry->check_domains = true;
	else if (!strncmp(token, "b/", 2))
		route_backend(registry, path, token + 2);
	else if (!strncmp(token, "f/", 2))
		route_front(registry, token + 2, false);
	else if (!strncmp(token, "k/", 2))
		route_front(registry, token + 2, true);
}

/* Read all events: a guest may cause any number of them, and they must not pile up (XSA-349). */
static void store_events(void *user, uint32_t events)
{
	struct registry *registry = user;
	char **event;

	(void)events;
	while ((event = store_next_event(registry->env->store))) {
		route(registry, event[XS_WATCH_PATH], event[XS_WATCH_TOKEN]);
		free(event);
	}
}

static void connection_ended(void *user, uint32_t events)
{
	struct registry *registry = user;

	(void)events;
	registry->env->store->lost = true;
}

/* --- life --- */

static int hear(struct registry *registry)
{
	struct device_env *env = registry->env;
	const int *sockets = store_sockets(env->store);

	registry->watch =
		loop_add(env->loop, store_events_fd(env->store), EPOLLIN, store_events, registry);
	if (!registry->watch)
		return -errno;
	for (unsigned int i = 0; i < 2; i++) {
		if (sockets[i] < 0)
			continue;
		registry->loss_watches[i] = loop_add(env->loop, sockets[i], EPOLLRDHUP | EPOLLET,
						     connection_ended, registry);
		if (!registry->loss_watches[i])
			return -errno;
	}
	return 0;
}

static int watch_all(struct registry *registry)
{
	struct store *store = registry->env->store;
	int err;

	for (unsigned int i = 0; registry->kinds[i]; i++) {
		char path[64], token[32];

		snprintf(path, sizeof(path), "backend/%s", registry->kinds[i]->kind);
		snprintf(token, sizeof(token), "b/%s", registry->kinds[i]->kind);
		err = store_watch(store, path, token);
		if (err)
			return err;
		registry->unscanned |= 1u << i;
	}
	/* A driver domain may be refused this watch. Then it learns of a guest's end from the toolstack. */
	err = store_watch(store, "@releaseDomain", RELEASE_TOKEN);
	return store->domid == 0 ? err : 0;
}

struct registry *registry_new(struct device_env *env, const struct device_ops *const *kinds)
{
	struct registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return NULL;
	registry->env = env;
	registry->halted_look_ns = HALTED_LOOK_NS;
	registry->kinds = kinds;
	TAILQ_INIT(&registry->pending);
	env->ready = ready;
	env->registry = registry;
	if (env->store->domid == 0 && !(registry->xc = xc_interface_open(NULL, NULL, 0)))
		goto fail;
	if (store_open_watches(env->store))
		goto fail;
	if (hear(registry) || watch_all(registry))
		goto fail;
	loop_set_pass(env->loop, work, registry);
	return registry;
fail:
	return registry_free(registry);
}

struct registry *registry_free(struct registry *registry)
{
	int saved = errno;

	if (!registry)
		return NULL;
	for (unsigned int i = 0; i < DEVICE_BUCKETS; i++)
		while (!LIST_EMPTY(&registry->devices[i]))
			forget(LIST_FIRST(&registry->devices[i]));
	loop_timer_cancel(&registry->scan_timer);
	loop_timer_cancel(&registry->halted_timer);
	loop_timer_cancel(&registry->patience);
	stop_hearing(registry);
	store_close_watches(registry->env->store);
	if (registry->xc)
		xc_interface_close(registry->xc);
	free(registry);
	errno = saved;
	return NULL;
}

void registry_stop(struct registry *registry)
{
	struct device *dev;

	if (registry->phase != SERVING)
		return;
	registry->phase = ASKING;
	registry->nr_open = UINT_MAX;
	registry->asked_ns = loop_now_ns();
	for_each_device(registry, dev)
		device_ask_flow(dev, registry->asked_ns);
}

bool registry_leaves_any(struct registry *registry)
{
	struct device *dev;
	bool any = false;

	for_each_device(registry, dev) {
		if (dev->activity == DEVICE_IDLE)
			continue;
		any = true;
		device_log(dev, LOG_LEVEL_WARNING,
			   "its requests have not come to an end: the next daemon does them again");
	}
	return any;
}

void registry_retune(struct registry *registry)
{
	struct device *dev;

	for_each_device(registry, dev) {
		dev->trace = trace_mask(dev->domid, dev->devid);
		if (device_is_probed(dev) && dev->ops->changed)
			dev->ops->changed(dev, NULL);
	}
}

void registry_each(struct registry *registry, void (*each)(void *user, struct device *dev),
		   void *user)
{
	struct device *dev;

	for_each_device(registry, dev)
		each(user, dev);
}

void registry_dump(struct registry *registry, FILE *out)
{
	static const char *const activity[] = { "idle", "attaching", "attached", "detaching" };
	struct device *dev;

	for_each_device(registry, dev) {
		fprintf(out, "%s state=%s rings=%s%s%s%s", dev->name,
			xenbus_state_name(dev->logged), activity[dev->activity],
			dev->broken ? " broken" : "", dev->end == DEVICE_FOREIGN ? " foreign" : "",
			dev->dead                   ? " dead"
			: atomic_load(&dev->halted) ? " halted"
						    : "");
		if (dev->ops->dump)
			dev->ops->dump(dev, out);
		fputc('\n', out);
	}
}
