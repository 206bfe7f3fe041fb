/* SPDX-License-Identifier: MIT */
/* xl_device.c - the life of a PV device as libxl handles it. */
#include "xl.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void xl_keys_add(struct xl_keys *keys, const char *key, const char *fmt, ...)
{
	va_list ap;
	char *value;

	va_start(ap, fmt);
	if (vasprintf(&value, fmt, ap) < 0)
		abort();
	va_end(ap);
	if (keys->nr == sizeof(keys->key) / sizeof(keys->key[0]))
		abort();
	keys->key[keys->nr] = sim_strdup(key);
	keys->value[keys->nr++] = value;
}

void xl_keys_free(struct xl_keys *keys)
{
	for (unsigned int i = 0; i < keys->nr; i++) {
		free(keys->key[i]);
		free(keys->value[i]);
	}
	keys->nr = 0;
}

void xl_device_init(struct xl_device *dev, uint32_t domid, const char *kind, uint32_t devid)
{
	*dev = (struct xl_device){ .domid = domid, .kind = kind, .devid = devid };
	dev->be_path = sim_asprintf("/local/domain/0/backend/%s/%u/%u", kind, domid, devid);
	kind = strcmp(kind, "vbd3") ? kind : "vbd"; /* a frontend knows one kind of disk */
	dev->fe_path = sim_asprintf("/local/domain/%u/device/%s/%u", domid, kind, devid);
	dev->libxl_path = sim_asprintf("/libxl/%u/device/%s/%u", domid, kind, devid);
}

void xl_device_set_backend(struct xl_device *dev, uint32_t backend)
{
	free(dev->be_path);
	dev->backend = backend;
	dev->be_path = sim_asprintf("/local/domain/%u/backend/%s/%u/%u", backend, dev->kind,
				    dev->domid, dev->devid);
}

void xl_device_find_backend(struct xl *xl, struct xl_device *dev)
{
	char *node = sim_asprintf("%s/backend", dev->libxl_path), *path = xl_read(xl, node);
	uint32_t backend;

	if (path && sscanf(path, "/local/domain/%" SCNu32 "/", &backend) == 1)
		xl_device_set_backend(dev, backend);
	free(path);
	free(node);
}

void xl_device_find(struct xl *xl, struct xl_device *dev, uint32_t domid, const char *kind,
		    uint32_t devid)
{
	char *node = sim_asprintf("/libxl/%u/device/%s/%u/backend", domid, kind, devid);
	char *back = xl_read(xl, node);

	xl_device_init(dev, domid, back && strstr(back, "/vbd3/") ? "vbd3" : kind, devid);
	xl_device_find_backend(xl, dev);
	free(back);
	free(node);
}

void xl_device_done(struct xl_device *dev)
{
	free(dev->be_path);
	free(dev->fe_path);
	free(dev->libxl_path);
}

char *xl_read(struct xl *xl, const char *path)
{
	return xs_read(xl->xs, XBT_NULL, path, NULL);
}

static bool put(struct xl *xl, xs_transaction_t t, const char *dir, const char *key,
		const char *value)
{
	char *path = sim_asprintf("%s/%s", dir, key);
	bool ok = xs_write(xl->xs, t, path, value, (unsigned int)strlen(value));

	free(path);
	return ok;
}

static bool put_all(struct xl *xl, xs_transaction_t t, const char *dir, const struct xl_keys *keys,
		    struct xs_permissions *perms)
{
	bool ok = true;

	for (unsigned int i = 0; keys && i < keys->nr && ok; i++) {
		ok = put(xl, t, dir, keys->key[i], keys->value[i]);
		if (ok && perms) {
			char *path = sim_asprintf("%s/%s", dir, keys->key[i]);

			ok = xs_set_permissions(xl->xs, t, path, perms, 2);
			free(path);
		}
	}
	return ok;
}

static bool fresh_dir(struct xl *xl, xs_transaction_t t, const char *path,
		      struct xs_permissions *perms)
{
	xs_rm(xl->xs, t, path);
	return xs_mkdir(xl->xs, t, path) && xs_set_permissions(xl->xs, t, path, perms, 2);
}

static bool device_write(struct xl *xl, xs_transaction_t t, const struct xl_device *dev,
			 const struct xl_keys *back, const struct xl_keys *front,
			 const struct xl_keys *front_ro)
{
	struct xs_permissions guest_owns[] = { { .id = dev->domid, .perms = XS_PERM_NONE },
					       { .id = dev->backend, .perms = XS_PERM_READ } };
	struct xs_permissions backend_owns[] = { { .id = dev->backend, .perms = XS_PERM_NONE },
						 { .id = dev->domid, .perms = XS_PERM_READ } };

	xs_rm(xl->xs, t, dev->libxl_path);
	return put(xl, t, dev->libxl_path, "frontend", dev->fe_path) &&
	       put(xl, t, dev->libxl_path, "backend", dev->be_path) &&
	       fresh_dir(xl, t, dev->fe_path, guest_owns) &&
	       put(xl, t, dev->fe_path, "backend", dev->be_path) &&
	       put_all(xl, t, dev->fe_path, front, guest_owns) &&
	       put_all(xl, t, dev->fe_path, front_ro, backend_owns) &&
	       fresh_dir(xl, t, dev->be_path, backend_owns) &&
	       put(xl, t, dev->be_path, "frontend", dev->fe_path) &&
	       put_all(xl, t, dev->be_path, back, NULL) &&
	       put_all(xl, t, dev->libxl_path, back, NULL);
}

int xl_device_write(struct xl *xl, const struct xl_device *dev, const struct xl_keys *back,
		    const struct xl_keys *front, const struct xl_keys *front_ro)
{
	for (;;) {
		xs_transaction_t t = xs_transaction_start(xl->xs);

		if (!device_write(xl, t, dev, back, front, front_ro)) {
			int err = -errno;

			xs_transaction_end(xl->xs, t, true);
			return err;
		}
		if (xs_transaction_end(xl->xs, t, false))
			return 0;
		if (errno != EAGAIN)
			return -errno;
	}
}

static bool holds(struct xl *xl, const char *path, const char *value, bool *ret_missing)
{
	char *now = xl_read(xl, path);
	bool same = now && !strcmp(now, value);

	*ret_missing = !now;
	free(now);
	return same;
}

int xl_wait_value(struct xl *xl, const char *path, const char *value, int limit_ms,
		  bool may_be_missing)
{
	int64_t end = sim_now_ms() + (int64_t)limit_ms * sim_slowness();
	int err = -ETIMEDOUT;

	if (!xs_watch(xl->xs, path, "wait"))
		return -errno;
	for (;;) {
		struct pollfd p = { .fd = xs_fileno(xl->xs), .events = POLLIN };
		int64_t left = end - sim_now_ms();
		bool missing;
		char **ev;

		if (holds(xl, path, value, &missing)) {
			err = 0;
			break;
		}
		if (missing && !may_be_missing) {
			err = -ENOENT;
			break;
		}
		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			break;
		while ((ev = xs_check_watch(xl->xs)))
			free(ev);
	}
	xs_unwatch(xl->xs, path, "wait");
	return err;
}

/* The environment and arguments that libxl gives to a hotplug script. */
static void script_exec(const struct xl_device *dev, const char *script, bool add)
{
	bool vif = !strcmp(dev->kind, "vif");
	char *path = sim_asprintf("backend/%s/%u/%u", dev->kind, dev->domid, dev->devid);
	char *name = sim_asprintf("vif%u.%u", dev->domid, dev->devid);

	setenv("script", script, 1);
	setenv("XENBUS_TYPE", dev->kind, 1);
	setenv("XENBUS_PATH", path, 1);
	setenv("XENBUS_BASE_PATH", "backend", 1);
	if (vif) {
		setenv("vif", name, 1);
		execl(script, script, add ? "online" : "offline", "type_if=vif", (char *)NULL);
	} else {
		execl(script, script, add ? "add" : "remove", (char *)NULL);
	}
	fprintf(stderr, "xensim-xl: %s: %s\n", script, strerror(errno));
	_exit(127);
}

static int script_wait(pid_t pid)
{
	struct pollfd p = { .events = POLLIN };
	int status;

	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0 || poll(&p, 1, XL_SCRIPT_LIMIT_MS * sim_slowness()) != 1)
		kill(pid, SIGKILL);
	if (p.fd >= 0)
		close(p.fd);
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

static int script_run(struct xl *xl, const struct xl_device *dev, bool add)
{
	char *node = sim_asprintf("%s/script", dev->be_path), *script = xl_read(xl, node);
	char *error_node = sim_asprintf("%s/hotplug-error", dev->be_path), *error;
	int err = 0;
	pid_t pid;

	if (script && script[0] == '/') {
		fflush(NULL);
		pid = fork();
		if (!pid)
			script_exec(dev, script, add);
		err = pid < 0 ? -errno : script_wait(pid);
		error = xl_read(xl, error_node);
		if (err && add)
			fprintf(stderr, "xensim-xl: script %s failed: %s\n", script,
				error ? error : "no hotplug-error");
		free(error);
	}
	free(script);
	free(node);
	free(error_node);
	return add ? err : 0;
}

/* What the stock scripts leave behind when all is well. */
static int script_write(struct xl *xl, const struct xl_device *dev)
{
	char *node = sim_asprintf("%s/params", dev->be_path), *params = xl_read(xl, node);
	bool ok = true;

	if (params && strcmp(dev->kind, "vif"))
		ok = put(xl, XBT_NULL, dev->be_path, "physical-device-path", params);
	ok = ok && put(xl, XBT_NULL, dev->be_path, "hotplug-status", "connected");
	free(params);
	free(node);
	return ok ? 0 : -errno;
}

int xl_device_connect(struct xl *xl, const struct xl_device *dev)
{
	char *state = sim_asprintf("%s/state", dev->be_path);
	int err = xl_wait_value(xl, state, "2", XL_STATE_LIMIT_MS, false);

	free(state);
	if (err) {
		fprintf(stderr, "xensim-xl: %s did not reach state 2: %s\n", dev->be_path,
			strerror(-err));
		return err;
	}
	switch (dev->mode) {
	case XL_SCRIPT_RUN:
		return script_run(xl, dev, true);
	case XL_SCRIPT_WRITE:
		return script_write(xl, dev);
	case XL_SCRIPT_NONE:
		break;
	}
	return 0;
}

/* Remove @path and then each parent directory that this leaves empty. */
static void path_cleanup(struct xl *xl, xs_transaction_t t, const char *path)
{
	char *at = sim_strdup(path), *slash;
	unsigned int nr;

	xs_rm(xl->xs, t, at);
	while ((slash = strrchr(at, '/')) && slash != at) {
		char **list;

		*slash = '\0';
		list = xs_directory(xl->xs, t, at, &nr);
		free(list);
		if (!list || nr)
			break;
		xs_rm(xl->xs, t, at);
	}
	free(at);
}

static bool ask_close(struct xl *xl, xs_transaction_t t, const struct xl_device *dev, bool force)
{
	char *node = sim_asprintf("%s/state", dev->be_path);
	char *state = xs_read(xl->xs, t, node, NULL);
	bool ok = true;

	if (force)
		path_cleanup(xl, t, dev->fe_path);
	if (state) /* libxl 4.17: `online` in any case, the state only if it is not closed yet */
		ok = put(xl, t, dev->be_path, "online", "0") &&
		     (!strcmp(state, "6") || put(xl, t, dev->be_path, "state", "5"));
	free(state);
	free(node);
	return ok;
}

int xl_device_ask_close(struct xl *xl, const struct xl_device *dev, bool force)
{
	for (;;) {
		xs_transaction_t t = xs_transaction_start(xl->xs);
		bool ok = ask_close(xl, t, dev, force);

		if (xs_transaction_end(xl->xs, t, !ok))
			return ok ? 0 : -EIO;
		if (errno != EAGAIN)
			return -errno;
	}
}

static void device_destroy(struct xl *xl, const struct xl_device *dev)
{
	xs_transaction_t t;

	do {
		t = xs_transaction_start(xl->xs);
		path_cleanup(xl, t, dev->fe_path);
		path_cleanup(xl, t, dev->be_path);
		path_cleanup(xl, t, dev->libxl_path);
	} while (!xs_transaction_end(xl->xs, t, false) && errno == EAGAIN);
}

int xl_device_finish_close(struct xl *xl, const struct xl_device *dev, bool force)
{
	char *state = sim_asprintf("%s/state", dev->be_path);
	int err = xl_wait_value(xl, state, "6", XL_STATE_LIMIT_MS, false);

	free(state);
	if (err == -ENOENT)
		err = 0; /* libxl: what is gone is closed */
	if (err)
		fprintf(stderr, "xensim-xl: %s did not reach state 6: %s\n", dev->be_path,
			strerror(-err));
	if (err && !force)
		return err;
	if (dev->mode == XL_SCRIPT_RUN)
		script_run(xl, dev, false);
	device_destroy(xl, dev);
	return err;
}
