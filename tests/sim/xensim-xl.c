/* SPDX-License-Identifier: MIT */
/* xensim-xl - the toolstack of the simulated machine. */
#include "xl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char usage[] =
	"usage: xensim-xl COMMAND\n"
	"  create NAME [PAGES]              make a domain, print its id\n"
	"  destroy DOMID                    devices by force, then the domain\n"
	"  kill DOMID                       the domain dies, xenstore is not touched\n"
	"  crash DOMID | shutdown DOMID     the guest stops (reason crash, poweroff)\n"
	"  suspend DOMID | resume DOMID     it stops for its suspend; that is cancelled\n"
	"  pause DOMID | unpause DOMID      stop and continue its processes\n"
	"  block-attach DOMID TARGET VDEV [mode=r|w] [type=disk|cdrom] [discard=0|1]\n"
	"               [kind=vbd|vbd3] [count=N: TARGET.0, ... as VDEV, VDEV+16, ...] "
	"[HOTPLUG]\n"
	"  network-attach DOMID DEVID [mac=] [bridge=] [rate=] [mtu=] [model=] [HOTPLUG]\n"
	"      HOTPLUG: script=/PATH (run it), hotplug=write (default: write what a\n"
	"      script writes), hotplug=none (leave it to somebody else); and both take\n"
	"      backend=DOMID (a driver domain) and be.KEY=VALUE: one more key of the backend's "
	"directory\n"
	"  block-detach DOMID VDEV [--force]\n"
	"  network-detach DOMID DEVID [--force]\n"
	"  wait PATH VALUE [MS]             until a node holds a value (default 10000 ms)\n"
	"  wait-gone PATH [MS]              until a node does not exist\n"
	"  fail CALL:I[:ERRNO]... | none    programs with XENSIM_FAIL=later: what is to fail\n"
	"  stat                             counters of the whole machine\n"
	"  handles                          who has gntdev or evtchn open, and holds what by it\n"
	"  list                             domains: id, state, mapped grants\n";

static int domain_op(struct xl *xl, int argc, char **argv, uint32_t op, uint32_t arg)
{
	struct sim_msg msg = { .op = op, .arg = { 0, arg } };

	if (argc != 2 || sim_parse_u32(argv[1], 1, 0x7fef, &msg.arg[0]))
		return -EINVAL;
	return sim_client_call(&xl->hv, &msg, NULL, NULL);
}

/* The last step of `xl save -c`, or of a migration that failed. The guest is not told. */
static int cmd_resume(struct xl *xl, int argc, char **argv)
{
	int err = domain_op(xl, argc, argv, SIM_OP_DOM_RESUME, 0);

	if (err)
		return err;
	return xs_resume_domain(xl->xs, (unsigned int)atoi(argv[1])) ? 0 : -errno;
}

static int cmd_destroy(struct xl *xl, int argc, char **argv)
{
	uint32_t domid;

	if (argc != 2 || sim_parse_u32(argv[1], 1, 0x7fef, &domid))
		return -EINVAL;
	return xl_domain_destroy(xl, domid);
}

static int cmd_wait(struct xl *xl, int argc, char **argv)
{
	uint32_t limit_ms = 10000;

	if (argc < 3 || (argc > 3 && sim_parse_u32(argv[3], 0, 600000, &limit_ms)))
		return -EINVAL;
	return xl_wait_value(xl, argv[1], argv[2], (int)limit_ms, true);
}

/* No key ever has this value, so only a removed node ends the wait early. */
static int cmd_wait_gone(struct xl *xl, int argc, char **argv)
{
	uint32_t limit_ms = 10000;
	int err;

	if (argc < 2 || (argc > 2 && sim_parse_u32(argv[2], 0, 600000, &limit_ms)))
		return -EINVAL;
	err = xl_wait_value(xl, argv[1], "\x01\x02never", (int)limit_ms, false);
	return err == -ENOENT ? 0 : err;
}

/* Write the text first and the number last, so that a process that sees the new number also sees the text. */
static int cmd_fail(int argc, char **argv)
{
	char *path = sim_asprintf("%s/" SIM_FAIL_FILE, getenv("XENSIM_DIR"));
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct sim_fail_order *order = MAP_FAILED;

	free(path);
	if (argc != 2 || strlen(argv[1]) >= sizeof(order->spec))
		return -EINVAL;
	if (fd >= 0)
		order = mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (order == MAP_FAILED)
		return -errno;
	strcpy(order->spec, argv[1]);
	memset(order->used[(order->number + 1) % 2], 0, sizeof(order->used[0]));
	__atomic_add_fetch(&order->number, 1, __ATOMIC_RELEASE);
	return 0;
}

static int cmd_stat(struct xl *xl)
{
	struct sim_shm *shm = xl->hv.shm;
	uint32_t ports = 0;

	for (uint32_t i = 1; i < SIM_MAX_PORTS; i++)
		ports += shm->dom[0].port[i].state != SIM_PORT_FREE;
	printf("mapped=%u ports=%u maps=%llu unmaps=%llu copies=%llu copy_calls=%llu "
	       "notifies=%llu unmasks=%llu watches=%u\n",
	       shm->nr_maps, ports, (unsigned long long)shm->stats.maps,
	       (unsigned long long)shm->stats.unmaps, (unsigned long long)shm->stats.copies,
	       (unsigned long long)shm->stats.copy_calls, (unsigned long long)shm->stats.notifies,
	       (unsigned long long)shm->stats.unmasks,
	       __atomic_load_n(&shm->nr_watches, __ATOMIC_RELAXED));
	return 0;
}

static uint32_t maps_of(const struct sim_shm *shm, uint32_t client)
{
	uint32_t nr = 0;

	for (uint32_t i = 1; i < SIM_MAX_MAPS; i++)
		nr += shm->map[i].client == client;
	return nr;
}

static uint32_t ports_of(struct sim_shm *shm, const struct sim_client *client)
{
	const struct sim_dom *dom = sim_dom_find(shm, client->domid);
	uint32_t nr = 0;

	for (uint32_t i = 1; dom && i < SIM_MAX_PORTS; i++)
		nr += dom->port[i].state != SIM_PORT_FREE && dom->port[i].client == client->id;
	return nr;
}

static int cmd_handles(struct xl *xl)
{
	struct sim_shm *shm = xl->hv.shm;

	sim_lock(&shm->lock);
	for (uint32_t i = 1; i < SIM_MAX_CLIENTS; i++) {
		const struct sim_client *c = &shm->client[i];

		if (c->used && c->has_grants)
			printf("domid=%u pid=%d gntdev mapped=%u\n", c->domid, c->pid,
			       maps_of(shm, c->id));
		if (c->used && c->has_events)
			printf("domid=%u pid=%d evtchn ports=%u restricted=%u\n", c->domid, c->pid,
			       ports_of(shm, c), c->restricted_to);
	}
	sim_unlock(&shm->lock);
	return 0;
}

static int cmd_list(struct xl *xl)
{
	for (uint32_t i = 0; i < SIM_MAX_DOMS; i++) {
		const struct sim_dom *d = &xl->hv.shm->dom[i];

		if (d->state != SIM_DOM_FREE)
			printf("%u %s%s%s maps=%u\n", d->domid,
			       d->state == SIM_DOM_DYING ? "dying" : "alive",
			       d->paused ? ",paused" : "", d->shutdown ? ",shutdown" : "",
			       d->nr_maps);
	}
	return 0;
}

static int run(struct xl *xl, int argc, char **argv)
{
	const char *cmd = argv[0];

	if (!strcmp(cmd, "create"))
		return xl_domain_create(xl, argc, argv);
	if (!strcmp(cmd, "destroy"))
		return cmd_destroy(xl, argc, argv);
	if (!strcmp(cmd, "kill"))
		return domain_op(xl, argc, argv, SIM_OP_DOM_DESTROY, 0);
	if (!strcmp(cmd, "crash"))
		return domain_op(xl, argc, argv, SIM_OP_DOM_SHUTDOWN, 3);
	if (!strcmp(cmd, "shutdown"))
		return domain_op(xl, argc, argv, SIM_OP_DOM_SHUTDOWN, 0);
	if (!strcmp(cmd, "suspend"))
		return domain_op(xl, argc, argv, SIM_OP_DOM_SHUTDOWN, 2);
	if (!strcmp(cmd, "resume"))
		return cmd_resume(xl, argc, argv);
	if (!strcmp(cmd, "pause") || !strcmp(cmd, "unpause"))
		return domain_op(xl, argc, argv, SIM_OP_DOM_PAUSE, cmd[0] == 'p');
	if (!strcmp(cmd, "block-attach"))
		return xl_block_attach(xl, argc, argv);
	if (!strcmp(cmd, "network-attach"))
		return xl_network_attach(xl, argc, argv);
	if (!strcmp(cmd, "block-detach"))
		return xl_detach(xl, "vbd", argc, argv);
	if (!strcmp(cmd, "network-detach"))
		return xl_detach(xl, "vif", argc, argv);
	if (!strcmp(cmd, "wait"))
		return cmd_wait(xl, argc, argv);
	if (!strcmp(cmd, "wait-gone"))
		return cmd_wait_gone(xl, argc, argv);
	if (!strcmp(cmd, "fail"))
		return cmd_fail(argc, argv);
	if (!strcmp(cmd, "stat"))
		return cmd_stat(xl);
	if (!strcmp(cmd, "handles"))
		return cmd_handles(xl);
	if (!strcmp(cmd, "list"))
		return cmd_list(xl);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	struct xl xl;
	int err;

	if (argc < 2 || !strcmp(argv[1], "--help")) {
		fputs(usage, argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : 0;
	}
	/* A toolstack never fails on purpose, whatever the program under test does. */
	unsetenv("XENSIM_FAIL");
	err = sim_client_open(&xl.hv, false);
	if (err)
		sim_die("no simulated machine at $XENSIM_DIR: %s", strerror(-err));
	xl.xs = xs_open(XS_UNWATCH_FILTER);
	if (!xl.xs)
		sim_die("no xenstore: %s", strerror(errno));
	err = run(&xl, argc - 1, argv + 1);
	if (err)
		fprintf(stderr, "xensim-xl: %s: %s\n", argv[1], strerror(-err));
	xs_close(xl.xs);
	sim_client_close(&xl.hv);
	return err ? 1 : 0;
}
