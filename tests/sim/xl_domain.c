/* SPDX-License-Identifier: MIT */
/* xl_domain.c - creating and destroying domains, attaching and detaching. */
#include "xl.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_dir(struct xl *xl, uint32_t domid, const char *dir, bool guest_owns)
{
	struct xs_permissions perms[] = { { .id = guest_owns ? domid : 0, .perms = XS_PERM_NONE },
					  { .id = guest_owns ? 0 : domid, .perms = XS_PERM_READ } };
	char *path = sim_asprintf("/local/domain/%u%s", domid, dir);

	xs_mkdir(xl->xs, XBT_NULL, path);
	xs_set_permissions(xl->xs, XBT_NULL, path, perms, guest_owns ? 1 : 2);
	free(path);
}

static void put_dom(struct xl *xl, uint32_t domid, const char *key, const char *value)
{
	char *path = sim_asprintf("/local/domain/%u/%s", domid, key);

	xs_write(xl->xs, XBT_NULL, path, value, (unsigned int)strlen(value));
	free(path);
}

/* libxl__domain_make() and libxl__build_post(), as far as a backend can see. */
static void domain_write(struct xl *xl, uint32_t domid, const char *name)
{
	static const char *const readonly[] = { "", "/cpu", "/memory", "/device", "/control" };
	static const char *const writable[] = { "/data",          "/drivers", "/feature",
						"/attr",          "/error",   "/control/shutdown",
						"/device/suspend" };
	char *libxl = sim_asprintf("/libxl/%u", domid), *id = sim_asprintf("%u", domid);

	for (size_t i = 0; i < sizeof(readonly) / sizeof(readonly[0]); i++)
		make_dir(xl, domid, readonly[i], false);
	for (size_t i = 0; i < sizeof(writable) / sizeof(writable[0]); i++)
		make_dir(xl, domid, writable[i], true);
	xs_mkdir(xl->xs, XBT_NULL, libxl);
	put_dom(xl, domid, "name", name);
	put_dom(xl, domid, "domid", id);
	put_dom(xl, domid, "store/port", "1");
	put_dom(xl, domid, "cpu/0/availability", "online");
	free(libxl);
	free(id);
}

int xl_domain_create(struct xl *xl, int argc, char **argv)
{
	struct sim_msg msg = { .op = SIM_OP_DOM_CREATE, .arg = { 16384, 1 } };
	struct sim_msg unpause = { .op = SIM_OP_DOM_PAUSE };
	uint32_t domid;
	int err;

	if (argc < 2 || (argc > 2 && sim_parse_u32(argv[2], 1, SIM_MAX_PAGES, &msg.arg[0])))
		return -EINVAL;
	err = sim_client_call(&xl->hv, &msg, &domid, NULL);
	if (err)
		return err;
	domain_write(xl, domid, argv[1]);
	if (!xs_introduce_domain(xl->xs, domid, 1, 1))
		return -errno;
	unpause.arg[0] = domid;
	err = sim_client_call(&xl->hv, &unpause, NULL, NULL);
	printf("%u\n", domid);
	return err;
}

/* Call @fn for every device that the toolstack knows of; the first error. */
static int each_device(struct xl *xl, uint32_t domid, const char *kind,
		       int (*fn)(struct xl *xl, struct xl_device *dev))
{
	char *dir = sim_asprintf("/libxl/%u/device/%s", domid, kind);
	unsigned int nr = 0;
	char **list = xs_directory(xl->xs, XBT_NULL, dir, &nr);
	int first = 0;

	for (unsigned int i = 0; list && i < nr; i++) {
		struct xl_device dev;
		int err;

		xl_device_find(xl, &dev, domid, kind, (uint32_t)strtoul(list[i], NULL, 10));
		dev.mode = XL_SCRIPT_RUN;
		err = fn(xl, &dev);
		first = first ? first : err;
		xl_device_done(&dev);
	}
	free(list);
	free(dir);
	return first;
}

static int force_close(struct xl *xl, struct xl_device *dev)
{
	return xl_device_ask_close(xl, dev, true);
}

static int finish_close(struct xl *xl, struct xl_device *dev)
{
	return xl_device_finish_close(xl, dev, true);
}

/*
 * libxl destroys all devices by force and at once; only then the domain. Like libxl it goes on when a backend does
 * not close in time, but the exit status shows it, so that no test waits for that without noticing.
 */
int xl_domain_destroy(struct xl *xl, uint32_t domid)
{
	struct sim_msg pause = { .op = SIM_OP_DOM_PAUSE, .arg = { domid, 1 } };
	struct sim_msg destroy = { .op = SIM_OP_DOM_DESTROY, .arg = { domid } };
	char *home = sim_asprintf("/local/domain/%u", domid);
	char *libxl = sim_asprintf("/libxl/%u", domid);
	int err, late;

	sim_client_call(&xl->hv, &pause, NULL, NULL);
	each_device(xl, domid, "vbd", force_close);
	each_device(xl, domid, "vif", force_close);
	late = each_device(xl, domid, "vbd", finish_close);
	err = each_device(xl, domid, "vif", finish_close);
	late = late ? late : err;
	xs_rm(xl->xs, XBT_NULL, home);
	xs_rm(xl->xs, XBT_NULL, libxl);
	err = sim_client_call(&xl->hv, &destroy, NULL, NULL);
	free(home);
	free(libxl);
	return err ? err : late;
}

/* "xvda", "hdc" or a number to the device number that libxl uses. */
static int vdev_parse(const char *vdev, uint32_t *ret)
{
	static const uint32_t hd[] = { 3 << 8, 3 << 8 | 64, 22 << 8, 22 << 8 | 64 };

	if (!sim_parse_u32(vdev, 0, UINT32_MAX, ret))
		return 0;
	if (!strncmp(vdev, "xvd", 3) && vdev[3] >= 'a' && vdev[3] <= 'p' && !vdev[4])
		*ret = 202 << 8 | (uint32_t)(vdev[3] - 'a') << 4;
	else if (!strncmp(vdev, "sd", 2) && vdev[2] >= 'a' && vdev[2] <= 'p' && !vdev[3])
		*ret = 8 << 8 | (uint32_t)(vdev[2] - 'a') << 4;
	else if (!strncmp(vdev, "hd", 2) && vdev[2] >= 'a' && vdev[2] <= 'd' && !vdev[3])
		*ret = hd[vdev[2] - 'a'];
	else
		return -EINVAL;
	return 0;
}

/* Options of attach and detach, all "name=value". */
struct options {
	const char *script, *hotplug;
	const char *mode, *type, *discard;
	const char *backend; /* a domain's number */
	const char *mac, *bridge, *rate, *mtu, *model;
	const char *kind, *count;
	const char *extra[8]; /* KEY=VALUE for the backend's directory, as it is */
	unsigned int nr_extra;
};

static bool extra_parse(struct options *o, const char *arg)
{
	if (strncmp(arg, "be.", 3) || o->nr_extra == sizeof(o->extra) / sizeof(o->extra[0]))
		return false;
	o->extra[o->nr_extra++] = arg + 3;
	return true;
}

static void extra_keys(const struct options *o, struct xl_keys *back)
{
	for (unsigned int i = 0; i < o->nr_extra; i++) {
		size_t len = strcspn(o->extra[i], "=");
		char *key = sim_asprintf("%.*s", (int)len, o->extra[i]);

		xl_keys_add(back, key, "%s", o->extra[i] + len + 1);
		free(key);
	}
}

static int options_parse(struct options *o, int argc, char **argv)
{
	const struct {
		const char *name;
		const char **to;
	} known[] = {
		{ "script", &o->script }, { "hotplug", &o->hotplug }, { "mode", &o->mode },
		{ "type", &o->type },     { "discard", &o->discard }, { "mac", &o->mac },
		{ "bridge", &o->bridge }, { "rate", &o->rate },       { "mtu", &o->mtu },
		{ "model", &o->model },   { "backend", &o->backend }, { "kind", &o->kind },
		{ "count", &o->count },
	};

	for (int i = 0; i < argc; i++) {
		size_t len = strcspn(argv[i], "="), k;

		for (k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
			if (argv[i][len] == '=' && strlen(known[k].name) == len &&
			    !strncmp(argv[i], known[k].name, len)) {
				*known[k].to = argv[i] + len + 1;
				break;
			}
		}
		if (k == sizeof(known) / sizeof(known[0]) &&
		    (argv[i][len] != '=' || !extra_parse(o, argv[i])))
			return -EINVAL;
	}
	return 0;
}

static int backend_parse(const struct options *o, struct xl_device *dev)
{
	uint32_t backend = 0;

	if (o->backend && sim_parse_u32(o->backend, 0, 0x7fef, &backend))
		return -EINVAL;
	xl_device_set_backend(dev, backend);
	return 0;
}

static int hotplug_parse(const struct options *o, enum xl_script_mode *ret)
{
	const char *mode = o->hotplug ? o->hotplug : o->script ? "run" : "write";

	if (!strcmp(mode, "run"))
		*ret = XL_SCRIPT_RUN;
	else if (!strcmp(mode, "write"))
		*ret = XL_SCRIPT_WRITE;
	else if (!strcmp(mode, "none"))
		*ret = XL_SCRIPT_NONE;
	else
		return -EINVAL;
	return 0;
}

static void block_keys(const struct options *o, const struct xl_device *dev, const char *target,
		       const char *vdev, struct xl_keys *back, struct xl_keys *front)
{
	const char *type = o->type ? o->type : "disk";
	bool readonly = o->mode && !strcmp(o->mode, "r");

	xl_keys_add(back, "params", "%s", target);
	if (o->script)
		xl_keys_add(back, "script", "%s", o->script);
	xl_keys_add(back, "frontend-id", "%u", dev->domid);
	xl_keys_add(back, "online", "1");
	xl_keys_add(back, "removable", "0");
	xl_keys_add(back, "bootable", "1");
	xl_keys_add(back, "state", "1");
	xl_keys_add(back, "dev", "%s", vdev);
	xl_keys_add(back, "type", "%s", strcmp(dev->kind, "vbd") ? dev->kind : "phy");
	xl_keys_add(back, "mode", "%s", readonly ? "r" : "w");
	xl_keys_add(back, "device-type", "%s", type);
	xl_keys_add(back, "discard-enable", "%s", o->discard ? o->discard : readonly ? "0" : "1");
	xl_keys_add(back, "specification", "xen");
	xl_keys_add(front, "backend-id", "%u", dev->backend);
	xl_keys_add(front, "state", "1");
	xl_keys_add(front, "virtual-device", "%u", dev->devid);
	xl_keys_add(front, "device-type", "%s", type);
	xl_keys_add(front, "trusted", "1");
}

static const char *const block_kinds[] = { "vbd", "vbd3", NULL };

/* kind=vbd3 is libxl's backendtype=tap. */
static const char *block_kind(const struct options *o)
{
	for (const char *const *kind = block_kinds; *kind; kind++)
		if (!o->kind || !strcmp(o->kind, *kind))
			return *kind;
	return NULL;
}

static int attach_one(struct xl *xl, const struct options *o, enum xl_script_mode mode,
		      uint32_t domid, uint32_t devid, const char *target, const char *vdev)
{
	struct xl_keys back = { .nr = 0 }, front = { .nr = 0 };
	struct xl_device dev;
	int err;

	xl_device_init(&dev, domid, block_kind(o), devid);
	dev.mode = mode;
	err = backend_parse(o, &dev);
	block_keys(o, &dev, target, vdev, &back, &front);
	extra_keys(o, &back);
	if (!err)
		err = xl_device_write(xl, &dev, &back, &front, NULL);
	if (!err)
		err = xl_device_connect(xl, &dev);
	xl_keys_free(&back);
	xl_keys_free(&front);
	xl_device_done(&dev);
	return err;
}

/* count=N: the images TARGET.0, TARGET.1, ... as the disks VDEV, VDEV+16, ... */
static int attach_many(struct xl *xl, const struct options *o, enum xl_script_mode mode,
		       uint32_t domid, uint32_t devid, uint32_t count, const char *target)
{
	int err = 0;

	for (uint32_t i = 0; i < count && !err; i++) {
		char *image = sim_asprintf("%s.%u", target, i);
		char *vdev = sim_asprintf("%u", devid + i * 16);

		err = attach_one(xl, o, mode, domid, devid + i * 16, image, vdev);
		free(image);
		free(vdev);
	}
	return err;
}

int xl_block_attach(struct xl *xl, int argc, char **argv)
{
	struct options o = { 0 };
	uint32_t domid, devid, count;
	enum xl_script_mode mode;

	if (argc < 4 || sim_parse_u32(argv[1], 1, 0x7fef, &domid) || vdev_parse(argv[3], &devid) ||
	    options_parse(&o, argc - 4, argv + 4) || hotplug_parse(&o, &mode) || !block_kind(&o))
		return -EINVAL;
	if (!o.count)
		return attach_one(xl, &o, mode, domid, devid, argv[2], argv[3]);
	if (sim_parse_u32(o.count, 1, 1000, &count))
		return -EINVAL;
	return attach_many(xl, &o, mode, domid, devid, count, argv[2]);
}

static void network_keys(const struct options *o, const struct xl_device *dev, struct xl_keys *back,
			 struct xl_keys *front, struct xl_keys *front_ro)
{
	char mac[32];

	snprintf(mac, sizeof(mac), "00:16:3e:00:%02x:%02x", dev->domid & 0xff, dev->devid & 0xff);
	xl_keys_add(back, "frontend-id", "%u", dev->domid);
	xl_keys_add(back, "online", "1");
	xl_keys_add(back, "state", "1");
	if (o->script)
		xl_keys_add(back, "script", "%s", o->script);
	xl_keys_add(back, "mac", "%s", o->mac ? o->mac : mac);
	if (o->rate)
		xl_keys_add(back, "rate", "%s", o->rate);
	if (o->mtu)
		xl_keys_add(back, "mtu", "%s", o->mtu);
	xl_keys_add(back, "bridge", "%s", o->bridge ? o->bridge : "xenbr0");
	xl_keys_add(back, "handle", "%u", dev->devid);
	xl_keys_add(back, "type", "%s", o->model ? "vif_ioemu" : "vif");
	xl_keys_add(back, "hotplug-status", "%s", "");
	xl_keys_add(front, "backend-id", "%u", dev->backend);
	xl_keys_add(front, "state", "1");
	xl_keys_add(front, "handle", "%u", dev->devid);
	xl_keys_add(front, "mac", "%s", o->mac ? o->mac : mac);
	xl_keys_add(front, "trusted", "1");
	xl_keys_add(front_ro, "mtu", "%s", o->mtu ? o->mtu : "1500");
}

int xl_network_attach(struct xl *xl, int argc, char **argv)
{
	struct xl_keys back = { .nr = 0 }, front = { .nr = 0 }, front_ro = { .nr = 0 };
	struct options o = { 0 };
	struct xl_device dev;
	uint32_t domid, devid;
	enum xl_script_mode mode;
	int err;

	if (argc < 3 || sim_parse_u32(argv[1], 1, 0x7fef, &domid) ||
	    sim_parse_u32(argv[2], 0, 255, &devid) || options_parse(&o, argc - 3, argv + 3) ||
	    hotplug_parse(&o, &mode))
		return -EINVAL;
	xl_device_init(&dev, domid, "vif", devid);
	dev.mode = mode;
	err = backend_parse(&o, &dev);
	network_keys(&o, &dev, &back, &front, &front_ro);
	extra_keys(&o, &back);
	if (!err)
		err = xl_device_write(xl, &dev, &back, &front, &front_ro);
	if (!err)
		err = xl_device_connect(xl, &dev);
	xl_keys_free(&back);
	xl_keys_free(&front);
	xl_keys_free(&front_ro);
	xl_device_done(&dev);
	return err;
}

/* A disk is removed gently or not at all; a NIC after 10 s by force; -f at once. */
int xl_detach(struct xl *xl, const char *kind, int argc, char **argv)
{
	bool force = argc > 3 && !strcmp(argv[3], "--force");
	bool automatic = !strcmp(kind, "vif");
	struct xl_device dev;
	uint32_t domid, devid;
	int err;

	if (argc < 3 || sim_parse_u32(argv[1], 1, 0x7fef, &domid) || vdev_parse(argv[2], &devid))
		return -EINVAL;
	xl_device_find(xl, &dev, domid, kind, devid);
	dev.mode = XL_SCRIPT_RUN;
	err = xl_device_ask_close(xl, &dev, force);
	if (!err)
		err = xl_device_finish_close(xl, &dev, force);
	if (err == -ETIMEDOUT && automatic && !force) {
		err = xl_device_ask_close(xl, &dev, true);
		if (!err)
			err = xl_device_finish_close(xl, &dev, true);
	}
	xl_device_done(&dev);
	return err;
}
