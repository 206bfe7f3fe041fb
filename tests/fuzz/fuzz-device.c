/* SPDX-License-Identifier: MIT */
/*
 * The whole of control, with disks and a worker, on fakes of the Xen libraries: frontends,
 * toolstack, scripts, hypervisor and worker do anything in any order. A device is attached
 * only once at a time, and only to its own guest; states are legal; and at the end nothing
 * is held.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blkback/disk.h"
#include "blkback/vbd.h"
#include "control/guests.h"
#include "control/opener.h"
#include "fake/fake_guest.h"
#include "core/container_of.h"
#include "core/slow.h"
#include "core/statefile.h"
#include "fake/fake_xen.h"
#include "fuzz/fakes.h"
#include "fuzz/fuzz.h"
#include "control/registry.h"

enum { NR_DOMS = 2, FIRST_DOM = 1 };
enum { OWN_WATCHES = 3 }; /* of the registry: two kinds and @releaseDomain */
enum { MAX_PROBES = 8 };  /* a device probes, and with it a device is done */

/* --- the threads that wait for media: here nobody waits --- */

struct slow *slow_new(void)
{
	static char any;

	return (struct slow *)(void *)&any;
}

struct slow *slow_free(struct slow *slow)
{
	(void)slow;
	return NULL;
}

static void slow_came_back(struct loop_task *task)
{
	struct slow_request *req = (struct slow_request *)(void *)task;

	req->done(req);
}

int slow_run(struct slow *slow, struct slow_request *req)
{
	(void)slow;
	req->work(req);
	req->task.run = slow_came_back;
	loop_post(req->home, &req->task);
	return 0;
}

bool slow_recall(struct slow *slow, struct slow_request *req)
{
	(void)slow, (void)req;
	return false;
}

void slow_close(int *fd)
{
	statefile_close(fd);
}

/* --- a kind of device whose worker is the fuzzer --- */

struct toy {
	struct device dev; /* first */
	bool probed, attached, waits;
	int answer;
};

static struct toy *toys[MAX_PROBES]; /* probed and not done */
static bool refuse_attach, refuse_probe;

static struct toy *toy_of(struct device *dev)
{
	return (struct toy *)(void *)dev;
}

static int toy_probe(struct device *dev)
{
	struct toy *toy = toy_of(dev);

	HOLDS(!toy->probed);
	toy->probed = true;
	for (unsigned int i = 0; i < MAX_PROBES; i++) {
		if (toys[i])
			continue;
		toys[i] = toy;
		return refuse_probe ? -EIO : 0;
	}
	HOLDS(false);
	return 0;
}

static bool toy_known(struct device *dev)
{
	(void)dev;
	return true;
}

static int toy_advertise(struct device *dev, xs_transaction_t t)
{
	HOLDS(!toy_of(dev)->attached);
	return store_write(dev->env->store, t, dev->be_path, "feature-toy", "1");
}

static bool toy_plugged(struct device *dev)
{
	char text[32];

	return !store_read(dev->env->store, XBT_NULL, dev->be_path, "hotplug-status", text,
			   sizeof(text)) &&
	       !strcmp(text, "connected");
}

static int toy_attach(struct device *dev, bool resume)
{
	struct toy *toy = toy_of(dev);

	(void)resume;
	HOLDS(toy->probed && !toy->attached && !toy->waits && !dev->dead && !dev->broken);
	if (refuse_attach) {
		device_reason(dev, -EINVAL, "refused");
		return -EINVAL;
	}
	toy->waits = true;
	return 0;
}

static int toy_publish(struct device *dev, xs_transaction_t t)
{
	(void)t;
	HOLDS(toy_of(dev)->attached);
	return 0;
}

static void toy_detach(struct device *dev)
{
	struct toy *toy = toy_of(dev);

	HOLDS(toy->attached && !toy->waits);
	toy->waits = true;
}

static void toy_halt(struct device *dev)
{
	HOLDS(toy_of(dev)->attached && !toy_of(dev)->waits);
}

static void toy_done(struct device *dev, bool removed)
{
	struct toy *toy = toy_of(dev);

	(void)removed;
	HOLDS(!toy->attached && !toy->waits);
	for (unsigned int i = 0; i < MAX_PROBES; i++)
		if (toys[i] == toy)
			toys[i] = NULL;
}

static const struct device_ops toy_ops = {
	.kind = "vif",
	.kernel_module = "xen-netback",
	.size = sizeof(struct toy),
	.probe = toy_probe,
	.advertise = toy_advertise,
	.plugged = toy_plugged,
	.attach = toy_attach,
	.publish = toy_publish,
	.detach = toy_detach,
	.halt = toy_halt,
	.known = toy_known,
	.done = toy_done,
};

/* The worker's answer to attach() or detach(). */
static void toy_answer(struct toy *toy, bool refused)
{
	if (!toy || !toy->waits)
		return;
	toy->waits = false;
	if (toy->attached) {
		toy->attached = false;
		device_detached(&toy->dev);
		return;
	}
	toy->attached = !refused;
	device_attached(&toy->dev, refused ? -EIO : 0);
}

/* --- the daemon around it, made once --- */

static const struct leftover *const leftovers[] = { vbd_leftovers, NULL };
static const struct device_ops *const kinds[] = { &vbd_device_ops, &toy_ops, NULL };
static const struct plane *const planes[PLANE_NR] = { [PLANE_BLK] = &blk_plane };
static struct store store;
static struct worker worker;
static struct device_env env;
static char runtime_dir[] = "/tmp/fuzz-device-XXXXXX";
static char image[32];

/* --- the child that opens images: it answers at the loop's next turn --- */

struct asked {
	struct loop_task task;      /* first */
	struct opener_request *req; /* NULL: nobody wants to know */
};

static struct asked *asked[MAX_PROBES];

static void opened(struct loop_task *task)
{
	struct asked *it = (struct asked *)(void *)task;

	for (unsigned int i = 0; i < MAX_PROBES; i++)
		if (asked[i] == it)
			asked[i] = NULL;
	if (it->req)
		it->req->done(it->req, 0, it->req->kind->answer(it->req->question));
	free(it);
}

int opener_ask(struct opener *opener, struct opener_request *req)
{
	struct asked *it = calloc(1, sizeof(*it));
	unsigned int i = 0;

	(void)opener;
	HOLDS(it);
	while (asked[i])
		HOLDS(++i < MAX_PROBES);
	asked[i] = it;
	it->req = req;
	it->task.run = opened;
	loop_post(env.loop, &it->task);
	return 0;
}

void opener_give_up(struct opener *opener, struct opener_request *req)
{
	(void)opener;
	for (unsigned int i = 0; i < MAX_PROBES; i++)
		if (asked[i] && asked[i]->req == req)
			asked[i]->req = NULL;
}

/* --- whoever serves the rings: the other side of disks, in the same loop --- */

struct said {
	struct loop_task task; /* first */
	struct message message;
};

static struct served {
	struct device *dev; /* NULL: nobody's */
	bool busy;
	struct disk disk;
} served[MAX_PROBES];

static struct served *find_served(uint32_t life)
{
	for (unsigned int i = 0; i < MAX_PROBES; i++)
		if (served[i].dev && served[i].dev->life == life)
			return &served[i];
	return NULL;
}

static void hear(struct loop_task *task)
{
	struct said *said = (struct said *)(void *)task;
	struct served *it = find_served(said->message.life);

	if (it)
		it->dev->ops->answer(it->dev, &said->message, NULL, 0);
	free(said);
}

static void sent(const struct guest_device *device, const struct message *message)
{
	struct said *said = calloc(1, sizeof(*said));

	HOLDS(said);
	if (message->type == MESSAGE_STOPPED ||
	    (message->type == MESSAGE_STARTED && message->started.err))
		container_of(device, struct served, disk.device)->busy = false;
	said->message = *message;
	said->task.run = hear;
	loop_post(env.loop, &said->task);
}

static struct guest guest = { .worker = &worker, .sent = sent };

int guests_start(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds)
{
	static uint32_t life;
	int dups[MESSAGE_MAX_FDS];
	struct served *it = served;

	while (it->busy || it->dev)
		HOLDS(++it < served + MAX_PROBES);
	for (unsigned int i = 0; i < nr_fds; i++)
		dups[i] = dup(fds[i]);
	it->dev = dev;
	it->busy = true;
	dev->life = message->life = ++life;
	message->kind = message_kind_of(dev->ops->kind);
	message->domid = dev->domid;
	message->devid = dev->devid;
	guest.home = env.loop;
	HOLDS(fake_guest_start(&guest, &disk_device_ops, &it->disk.device, message, dups, nr_fds) ==
	      0);
	return 0;
}

void guests_send(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds)
{
	struct served *it = find_served(dev->life);

	(void)fds, (void)nr_fds;
	if (!it)
		return;
	if (message->type == MESSAGE_STOP)
		fake_guest_stop(&it->disk.device, message->stop.keep);
	else if (message->type == MESSAGE_HALT)
		fake_guest_halt(&it->disk.device, message->flag.on);
	else
		fake_guest_tell(&it->disk.device, message);
}

void guests_forget(struct device *dev)
{
	struct served *it = find_served(dev->life);

	if (it)
		it->dev = NULL;
}

void guests_abandon(struct device *dev)
{
	dev->abandoned_ns = loop_now_ns();
}

bool guests_may_start(struct device *dev)
{
	(void)dev;
	return true;
}

bool guests_release(struct device *dev)
{
	(void)dev;
	return true;
}

void guests_returned(struct device *dev)
{
	(void)dev;
}

bool guests_left(const struct device *dev)
{
	(void)dev;
	return false;
}

void guests_adopt(struct device *dev, struct message *ret_start, struct message_served *ret_served)
{
	(void)dev, (void)ret_start, (void)ret_served;
	HOLDS(false);
}

/* --- the beginning --- */

static void remove_runtime_dir(void)
{
	rmdir(runtime_dir);
}

static void begin_once(void)
{
	int fd;

	if (env.loop)
		return;
	fd = memfd_create("image", MFD_CLOEXEC);
	HOLDS(fd >= 0 && ftruncate(fd, 1 << 20) == 0 && mkdtemp(runtime_dir));
	atexit(remove_runtime_dir);
	snprintf(image, sizeof(image), "/proc/self/fd/%d", fd);
	HOLDS(store_open(&store) == 0 && worker_open(&worker, 0, planes) == 0);
	env = (struct device_env){ .store = &store,
				   .loop = loop_new(),
				   .nr_workers = 1,
				   .runtime_dir = runtime_dir,
				   .disk = &disk_options_default };
	HOLDS(env.loop);
}

struct quit_task {
	struct loop_task task;
	struct loop *loop;
};

static void quit(struct loop_task *task)
{
	loop_quit(((struct quit_task *)(void *)task)->loop);
}

/* One turn, which takes all that waits for the loop now. */
static void turn(struct loop *loop)
{
	struct quit_task task = { .task.run = quit, .loop = loop };

	loop_post(loop, &task.task);
	HOLDS(loop_run(loop) == 0);
}

/* --- what may be written --- */

static bool may_follow(char before, char now)
{
	static const char *const next[] = {
		['1'] = "256", ['2'] = "456", ['3'] = "456", ['4'] = "568",
		['5'] = "6",   ['6'] = "2",   ['7'] = "568", ['8'] = "456",
	};

	return before >= '1' && before <= '8' && strchr(next[(int)before], now);
}

/* Called for each state that the daemon writes; not for the fuzzer's own writes. */
static void see_write(const char *path, const char *before, const char *value)
{
	const char *name = strrchr(path, '/');

	if (!name || strcmp(name, "/state"))
		return;
	HOLDS(strstr(path, "/backend/"));
	HOLDS(*before); /* never on a node that is gone */
	HOLDS(may_follow(*before, *value));
}

/* --- what the others do --- */

struct names {
	char be[64], fe[64];
	uint32_t domid;
	bool disk;
};

static void name_device(uint8_t which, struct names *n)
{
	unsigned int devid;

	n->domid = FIRST_DOM + which % NR_DOMS;
	n->disk = which & 2;
	devid = n->disk ? 51712 : 0;
	snprintf(n->be, sizeof(n->be), "/local/domain/0/backend/%s/%u/%u", n->disk ? "vbd" : "vif",
		 n->domid, devid);
	snprintf(n->fe, sizeof(n->fe), "/local/domain/%u/device/%s/%u", n->domid,
		 n->disk ? "vbd" : "vif", devid);
}

static void write_key(const char *dir, const char *key, const void *value, size_t len)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", dir, key);
	fake_write(path, value, len);
}

static void write_text(const char *dir, const char *key, const char *value)
{
	write_key(dir, key, value, strlen(value));
}

static void plug_in(const struct names *n)
{
	char domid[12];

	snprintf(domid, sizeof(domid), "%u", n->domid);
	write_text(n->be, "frontend", n->fe);
	write_text(n->be, "frontend-id", domid);
	write_text(n->be, "online", "1");
	write_text(n->be, "params", image);
	write_text(n->be, "mode", "w");
	write_text(n->fe, "state", "1");
	write_text(n->be, "state", "1");
}

/* All that an honest frontend writes before it connects. */
static void offer_ring(const struct names *n)
{
	write_text(n->fe, "ring-ref", "8");
	write_text(n->fe, "event-channel", "3");
	write_text(n->fe, "protocol", "x86_64-abi");
}

static void any_key(struct fuzz_input *in, const struct names *n)
{
	static const char *const front[] = { "state",
					     "ring-ref",
					     "ring-ref0",
					     "ring-ref1",
					     "event-channel",
					     "protocol",
					     "ring-page-order",
					     "multi-queue-num-queues",
					     "feature-persistent",
					     "queue-0/ring-ref" };
	static const char *const back[] = { "online",   "hotplug-status", "physical-device-path",
					    "frontend", "frontend-id",    "mode" };
	uint8_t which = fuzz_u8(in), len = fuzz_u8(in) % 16;
	char value[16];

	fuzz_bytes(in, value, len);
	if (which & 1)
		write_key(n->fe, front[which / 2 % (sizeof(front) / sizeof(front[0]))], value, len);
	else
		write_key(n->be, back[which / 2 % (sizeof(back) / sizeof(back[0]))], value, len);
}

static void state_of_guest(struct fuzz_input *in, const struct names *n)
{
	char digit[2] = { (char)('0' + fuzz_u8(in) % 10), '\0' };

	write_text(n->fe, "state", digit);
}

static void producer(struct fuzz_input *in, const struct names *n)
{
	uint32_t *page = fake_xen_mapped(n->domid, 8);

	if (page)
		page[0] = fuzz_u8(in);
}

/* These failures take effect in the next steps. */
static void trouble(struct fuzz_input *in)
{
	uint8_t which = fuzz_u8(in);

	switch (which % 6) {
	case 0:
		fake_faults.conflicts = which / 6;
		break;
	case 1:
		fake_faults.bad_writes = 1;
		break;
	case 2:
		fake_xen.bad_maps = 1;
		break;
	case 3:
		fake_xen.bad_binds = 1;
		break;
	case 4:
		refuse_attach = !refuse_attach;
		break;
	case 5:
		refuse_probe = !refuse_probe;
		break;
	}
}

/* Messages of a process that a guest has taken over, while it serves: any message except those of its start and end. */
static void lie(struct fuzz_input *in)
{
	static const uint32_t types[] = { MESSAGE_BROKE,        MESSAGE_STALLED, MESSAGE_SIZE,
					  MESSAGE_FLUSH_FAILED, MESSAGE_FLOWED,  MESSAGE_TUNED,
					  MESSAGE_STOPPED };
	struct served *it = &served[fuzz_u8(in) % MAX_PROBES];
	struct message message;

	if (!it->dev || it->dev->activity != DEVICE_ATTACHED)
		return;
	message = guest_message(&it->disk.device, types[fuzz_u8(in) % 7]);
	fuzz_bytes(in, (uint8_t *)&message.error, 24);
	HOLDS(message_check(&message, message_bytes(message.type), 0, MESSAGE_FROM_GUEST) == 0);
	it->dev->ops->answer(it->dev, &message, NULL, 0);
}

static bool is_plugged_in(const struct names *n)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/state", n->be);
	return fake_exists(path);
}

static void go_offline(const struct names *n)
{
	if (is_plugged_in(n))
		write_text(n->be, "online", "0");
}

static void settle(void)
{
	for (unsigned int i = 0; i < 12; i++) {
		turn(env.loop);
		for (unsigned int toy = 0; toy < MAX_PROBES; toy++)
			toy_answer(toys[toy], false);
		turn(worker.loop);
		turn(worker.loop);
	}
}

/* The daemon stops and is started again; the rings stay as they are. */
static struct registry *restart(struct registry *registry)
{
	registry_stop(registry);
	settle();
	HOLDS(fake_xen_nr_mapped() == 0 && fake_xen_nr_bound() == 0);
	registry_free(registry);
	fake_forget_watches();
	leftover_sweep(&store, runtime_dir, leftovers);
	registry = registry_new(&env, kinds);
	HOLDS(registry);
	return registry;
}

static void event(struct fuzz_input *in, struct registry **registry)
{
	uint8_t what = fuzz_u8(in);
	struct names n;

	name_device(what >> 5, &n);
	switch (what & 31) {
	case 0:
	case 1:
		plug_in(&n);
		break;
	case 2:
		write_text(n.be, "hotplug-status", "connected");
		break;
	case 3:
		offer_ring(&n);
		break;
	case 4:
	case 5:
	case 6:
		state_of_guest(in, &n);
		break;
	case 7:
		go_offline(&n);
		break;
	case 8: /* as xl block-detach */
		go_offline(&n);
		if (is_plugged_in(&n))
			write_text(n.be, "state", "5");
		break;
	case 9:
		fake_remove(n.be);
		break;
	case 10:
		fake_remove(n.fe);
		break;
	case 11:
		any_key(in, &n);
		break;
	case 12:
		fake_kill_domain(n.domid);
		break;
	case 13:
		trouble(in);
		break;
	case 14:
		producer(in, &n);
		break;
	case 15:
		fake_fire("/local/domain/0/backend/vbd/x/51712");
		break;
	case 16:
	case 17:
	case 18:
		toy_answer(toys[(what >> 5) % MAX_PROBES], fuzz_u8(in) & 1);
		break;
	case 19:
	case 20:
		turn(worker.loop);
		break;
	case 21:
		lie(in);
		break;
	case 31:
		*registry = restart(*registry);
		break;
	default:
		turn(env.loop);
		break;
	}
}

/* --- the end --- */

/* The same before and after: nothing was left open. Between inputs libFuzzer opens some of its own. */
static int lowest_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	HOLDS(fd >= 0);
	close(fd);
	return fd;
}

static void check_nothing_is_held(int lowest)
{
	HOLDS(fake_xen_nr_mapped() == 0 && fake_xen_nr_bound() == 0);
	HOLDS(fake_nr_watches() == OWN_WATCHES);
	for (unsigned int i = 0; i < MAX_PROBES; i++)
		HOLDS(!toys[i]);
	leftover_sweep(&store, runtime_dir, leftovers);
	HOLDS(rmdir(runtime_dir) == 0 && mkdir(runtime_dir, 0700) == 0);
	HOLDS(lowest_descriptor() == lowest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct registry *registry;
	int lowest;

	begin_once();
	lowest = lowest_descriptor();
	fake_reset();
	refuse_attach = refuse_probe = false;
	registry = registry_new(&env, kinds);
	HOLDS(registry);
	fake_on_write = see_write;
	while (in.left)
		event(&in, &registry);
	memset(&fake_faults, 0, sizeof(fake_faults));
	memset(&fake_xen, 0, sizeof(fake_xen));
	settle();
	fake_on_write = NULL;
	fake_remove("/local/domain/0/backend");
	settle();
	check_nothing_is_held(lowest);
	registry_free(registry);
	fake_forget_watches();
	return 0;
}
