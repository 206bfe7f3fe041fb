/* SPDX-License-Identifier: MIT */
/* Commands of the admin's socket that change something. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/config_file.h"
#include "control/ctl_commands.h"
#include "control/ctl_device.h"
#include "control/drop_in.h"
#include "control/guests.h"
#include "control/json.h"
#include "control/names.h"

#define NS_PER_MS  1000000ull
#define PATIENCE_S 50u /* pvbackctl waits for a minute */

/* --- keys of a device --- */

static const struct key *config_key(const struct device *dev, const char *name)
{
	const struct key *own = keys_find(dev->ops->own_keys, name);
	const struct key *key = keys_find(dev->ops->keys, name);

	if (key || !own || !own->size)
		return key;
	for (key = dev->ops->keys; key->name; key++)
		if (key->at == own->at)
			return key; /* "quirks" of a NIC is "vif-quirks" there */
	return NULL;
}

static struct json_object *unknown_key(const struct ctl_asked *asked)
{
	const struct device_ops *ops = asked->dev->ops;
	const struct key *meant = keys_meant(ops->own_keys, asked->key);

	if (!meant)
		meant = keys_meant(ops->keys, asked->key);
	if (meant)
		return ctl_error("bad-value", "`%.64s` is no key of a %s; is it `%s`?", asked->key,
				 ops->section, meant->name);
	return ctl_error("bad-value", "`%.64s` is no key of a %s; `pvbackctl show` has them",
			 asked->key, ops->section);
}

/* Whether the key takes the value. NULL, or an error. */
static struct json_object *check_value(const struct device *dev, const struct key *key,
				       const char *value)
{
	char *scratch = calloc(1, dev->ops->options_size), allowed[200];
	int err = scratch ? key->parse(key, value, scratch + key->at) : -ENOMEM;

	free(scratch);
	if (!err && strlen(value) < STORE_VALUE_MAX)
		return NULL;
	key_allowed(key, allowed, sizeof(allowed));
	return ctl_error("bad-value", "`%s` cannot be `%.64s`: it takes %s", key->name, value,
			 allowed);
}

/* Which key is meant, and whether it may have that value there. NULL, or an error. */
static struct json_object *find_key(const struct ctl_asked *asked, const struct key **ret_own,
				    const struct key **ret_config)
{
	const struct key *own = keys_find(asked->dev->ops->own_keys, asked->key);
	const struct key *config = config_key(asked->dev, asked->key);

	if (!own && !config)
		return unknown_key(asked);
	if (asked->config && !config)
		return ctl_error("unsupported",
				 "`%s` lasts no longer than the device: set it "
				 "without --config",
				 own->name);
	if (!asked->config && !own)
		return ctl_error("unsupported",
				 "`%s` is only in the configuration: set it with "
				 "--config",
				 config->name);
	*ret_own = own;
	*ret_config = config;
	return asked->value ? check_value(asked->dev, own ? own : config, asked->value) : NULL;
}

/* --- in xenstore --- */

struct change {
	const struct device *dev;
	const char *key, *value; /* NULL: remove it */
};

static int write_change(struct store *store, xs_transaction_t t, void *user)
{
	const struct change *change = user;
	const char *dir = change->dev->be_path;

	if (change->value)
		return store_write(store, t, dir, change->key, change->value);
	if (!store_exists(store, t, dir, change->key))
		return -ENODATA;
	return store_remove(store, t, dir, change->key);
}

/* The watch will tell us, too. But the next request must already be answered with the new value. */
static int change_own(struct device *dev, const char *key, const char *value)
{
	struct change change = { .dev = dev, .key = key, .value = value };
	int err = store_transact(dev->env->store, dev->be_path, write_change, &change);

	if (!err && dev->ops->changed)
		dev->ops->changed(dev, key);
	return err;
}

/* --- in the configuration --- */

static struct json_object *list_faults(const struct config_faults *faults)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int i = 0; i < faults->nr_listed; i++) {
		const struct config_fault *fault = &faults->list[i];
		struct json_object *item = json_object_new_object();

		json_add_text(item, "file", fault->file);
		json_add_u64(item, "line", (uint64_t)fault->line);
		json_add_text(item, "key", fault->key);
		json_add_text(item, "value", fault->value);
		json_add_text(item, "error", fault->text);
		json_object_array_add(list, item);
	}
	return list;
}

/* "disk web/xvda". False when such a name cannot stand in a heading. */
static bool section_of(const struct device *dev, char *buf, size_t size)
{
	char guest[GUEST_NAME_MAX], name[64];

	name_guest(dev->env, dev->domid, guest);
	if (dev->ops->number_prefix || store_read(dev->env->store, XBT_NULL, dev->be_path,
						  dev->ops->name_key, name, sizeof(name)))
		snprintf(name, sizeof(name), "%u", dev->devid);
	snprintf(buf, size, "%s %s/%s", dev->ops->section, guest, name);
	return strlen(buf) < 128 && !strpbrk(buf, "[]\"';#=");
}

/* NULL, with the file's name in `path` ("" when there was nothing to remove); or an error. */
static struct json_object *change_config(const struct ctl_asked *asked, const struct key *key,
					 char path[PATH_MAX])
{
	const struct ctl_daemon *daemon = asked->daemon;
	struct config_faults faults;
	char section[DEVICE_NAME_MAX];
	int err = daemon->check(daemon->user, &faults);

	config_faults_free(&faults);
	if (err)
		return ctl_error("failed", "the configuration is wrong as it is, and nothing was "
					   "changed: `pvbackctl check` says where");
	if (!section_of(asked->dev, section, sizeof(section)))
		return ctl_error("unsupported",
				 "the name of its guest cannot stand in a heading of "
				 "pvbackd.conf");
	drop_in_path(daemon->options->config, path, PATH_MAX);
	err = drop_in_set(path, section, key->name, asked->value);
	if (err && err != -ENOENT)
		return ctl_error("failed", "%s cannot be written: %s", path, strerror(-err));
	if (err == -ENOENT)
		*path = '\0';
	if (!err)
		err = daemon->reload(daemon->user, &faults);
	config_faults_free(&faults);
	return err == -EINVAL ? ctl_error("failed",
					  "%s was written, but the configuration cannot be "
					  "read again: `pvbackctl check` says why",
					  path)
			      : NULL;
}

/* Say which value holds now that the key is unset, and where it comes from; for options that change at once. */
static void add_in_force(const struct ctl_asked *asked, const struct key *key,
			 struct json_object *result)
{
	struct json_object *setting =
		key && key->when == KEY_AT_ONCE ? ctl_device_setting(asked->dev, key) : NULL;
	char section[DEVICE_NAME_MAX], path[PATH_MAX];

	if (!setting)
		return;
	drop_in_path(asked->daemon->options->config, path, sizeof(path));
	json_object_object_add(result, "value",
			       json_object_get(json_object_object_get(setting, "value")));
	json_object_object_add(result, "from",
			       json_object_get(json_object_object_get(setting, "from")));
	if (section_of(asked->dev, section, sizeof(section)) &&
	    drop_in_has(path, section, key->name))
		json_add_text(result, "by", path);
	json_object_put(setting);
}

static struct json_object *run_set(struct ctl_asked *asked)
{
	const struct key *own = NULL, *config = NULL;
	struct json_object *answer = find_key(asked, &own, &config), *result;
	char path[PATH_MAX] = "", name[DEVICE_NAME_MAX];
	int err = asked->value ? 0 : -ENODATA;
	bool changed;

	if (!answer && asked->config)
		answer = change_config(asked, config, path);
	if (answer)
		return answer;
	if (own)
		err = change_own(asked->dev, own->name, asked->value);
	if (err && err != -ENODATA)
		return ctl_error("failed", "xenstore does not take it: %s", strerror(-err));
	changed = !err || *path;
	name_device(asked->dev, name);
	result = ctl_new_result();
	json_add_text(result, "device", name);
	json_add_text(result, "key", own ? own->name : config->name);
	json_add_text(result, "value", asked->value);
	if (!asked->value)
		add_in_force(asked, config, result);
	if (*path)
		json_add_text(result, "file", path);
	if (!changed)
		json_add_text(result, "note", "it was not set");
	else if ((own ? own : config)->when == KEY_AT_CONNECT)
		json_add_text(result, "note", "this holds when the device connects the next time");
	if (changed)
		device_log(asked->dev, LOG_LEVEL_INFO, "an admin %s `%s`%s%s%s",
			   asked->value ? "sets" : "unsets", asked->key, asked->value ? " to " : "",
			   asked->value ? asked->value : "", *path ? ", lastingly" : "");
	return ctl_result(result);
}

static struct json_object *run_retry(struct ctl_asked *asked)
{
	struct json_object *result;
	bool held;
	int err;

	if (!asked->dev->ops->holds)
		return ctl_error("unsupported",
				 "nothing of a %s is ever held: there is nothing to "
				 "be tried again",
				 asked->dev->ops->section);
	held = asked->dev->ops->holds(asked->dev);
	err = held ? change_own(asked->dev, "retry", "1") : 0;
	if (err)
		return ctl_error("failed", "xenstore does not take it: %s", strerror(-err));
	result = ctl_new_result();
	json_add_flag(result, "held", held);
	return ctl_result(result);
}

/* --- the whole configuration --- */

static struct json_object *run_check(struct ctl_asked *asked)
{
	struct json_object *result = ctl_new_result();
	struct config_faults faults;

	asked->daemon->check(asked->daemon->user, &faults);
	json_add_text(result, "file", asked->daemon->options->config);
	json_object_object_add(result, "errors", list_faults(&faults));
	config_faults_free(&faults);
	return ctl_result(result);
}

static struct json_object *run_reload(struct ctl_asked *asked)
{
	struct json_object *result = ctl_new_result();
	struct config_faults faults;
	int err = asked->daemon->reload(asked->daemon->user, &faults);

	json_add_text(result, "file", asked->daemon->options->config);
	json_add_flag(result, "reloaded", !err);
	json_object_object_add(result, "errors", list_faults(&faults));
	config_faults_free(&faults);
	return ctl_result(result);
}

/* --- commands that take time --- */

/* What the command waits for: a guest, or one of its devices. */
struct waiting {
	const struct ctl_daemon *daemon;
	uint32_t domid;
	const struct device_ops *ops; /* NULL: all of the guest's devices */
	uint32_t devid;
	pid_t was; /* the process that is to be replaced */
	uint64_t since_ns;
	/* while it is looked for */
	unsigned int nr_open;
	pid_t now;
};

static void forget_waiting(void *user)
{
	free(user);
}

static bool is_late(const struct waiting *w)
{
	return loop_now_ns() - w->since_ns > PATIENCE_S * 1000 * NS_PER_MS;
}

/* The answer comes when look() has one. NULL: no memory. */
static struct waiting *wait_for(struct ctl_asked *asked, struct json_object *(*look)(void *user))
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct waiting){ .daemon = asked->daemon,
			       .domid = asked->domid,
			       .since_ns = loop_now_ns() };
	if (asked->dev) {
		w->ops = asked->dev->ops;
		w->devid = asked->dev->devid;
	}
	ctl_wait(asked->client, &(struct ctl_wait){ look, forget_waiting, w });
	return w;
}

static struct json_object *no_memory(void)
{
	return ctl_error("failed", "no memory");
}

static bool is_waited_for(const struct waiting *w, const struct device *dev)
{
	return dev->domid == w->domid &&
	       (!w->ops || (dev->ops == w->ops && dev->devid == w->devid));
}

/* --- restart --- */

/* Another process serves it, or none does because its frontend is not connected. */
static void look_whether_served(void *user, struct device *dev)
{
	struct waiting *w = user;
	pid_t pid = guests_pid(dev);

	if (!is_waited_for(w, dev))
		return;
	if (pid && pid != w->was)
		w->now = pid;
	w->nr_open += pid == w->was || dev->activity == DEVICE_ATTACHING || dev->fresh;
}

static struct json_object *look_at_restart(void *user)
{
	struct waiting *w = user;
	struct json_object *result;

	w->nr_open = 0;
	w->now = 0;
	registry_each(w->daemon->registry, look_whether_served, w);
	if (w->nr_open && is_late(w))
		return ctl_error("busy",
				 "process %d does not end so far: its media have not given "
				 "back what they have (%u devices wait)",
				 (int)w->was, w->nr_open);
	if (w->nr_open)
		return NULL;
	result = ctl_new_result();
	json_add_u64(result, "domid", w->domid);
	json_add_u64(result, "was", (uint64_t)w->was);
	json_object_object_add(result, "pid", w->now ? json_object_new_int(w->now) : NULL);
	return ctl_result(result);
}

static struct json_object *run_restart(struct ctl_asked *asked)
{
	struct waiting *w;
	char why[256];
	pid_t pid;

	if (asked->daemon->options->isolation == ISOLATION_NONE)
		return ctl_error("unsupported", "one process serves all guests (isolation = none): "
						"systemctl restart pvbackd");
	pid = guests_restart(asked->daemon->env->guests, asked->domid);
	if (pid < 0 && guests_awaited(asked->daemon->env->guests, asked->domid, why, sizeof(why)))
		return ctl_error("busy", "%s", why);
	if (pid < 0)
		return ctl_error("failed", "the guest has no process: none of its devices is "
					   "connected");
	guests_log(asked->domid, LOG_LEVEL_INFO, "an admin has its process (%d) replaced",
		   (int)pid);
	w = wait_for(asked, look_at_restart);
	if (!w)
		return no_memory();
	w->was = pid;
	return NULL;
}

/* --- drain --- */

static void ask_flow(void *user, struct device *dev)
{
	const struct waiting *w = user;

	if (is_waited_for(w, dev))
		device_ask_flow(dev, w->since_ns);
}

static void look_whether_flowed(void *user, struct device *dev)
{
	struct waiting *w = user;

	w->nr_open += is_waited_for(w, dev) && device_is_stuck(dev, w->since_ns) &&
		      dev->activity == DEVICE_ATTACHED;
}

static struct json_object *look_at_drain(void *user)
{
	struct waiting *w = user;
	struct json_object *result;

	w->nr_open = 0;
	registry_each(w->daemon->registry, look_whether_flowed, w);
	if (w->nr_open && is_late(w))
		return ctl_error("busy",
				 "the media of %u devices have not given back all that they "
				 "had",
				 w->nr_open);
	if (w->nr_open)
		return NULL;
	result = ctl_new_result();
	json_add_u64(result, "waited_ms", (loop_now_ns() - w->since_ns) / NS_PER_MS);
	return ctl_result(result);
}

static struct json_object *run_drain(struct ctl_asked *asked)
{
	struct waiting *w;

	if (!asked->dev && !asked->guest)
		return ctl_error("usage", "drain needs the argument `device` or `guest`");
	w = wait_for(asked, look_at_drain);
	if (!w)
		return no_memory();
	registry_each(asked->daemon->registry, ask_flow, w);
	return NULL;
}

const struct ctl_command ctl_change_commands[] = {
	{ "set", CTL_DEVICE | CTL_KEY | CTL_VALUE, CTL_CONFIG, run_set },
	{ "unset", CTL_DEVICE | CTL_KEY, CTL_CONFIG, run_set },
	{ "retry", CTL_DEVICE, 0, run_retry },
	{ "check", 0, 0, run_check },
	{ "reload", 0, 0, run_reload },
	{ "restart", CTL_GUEST, 0, run_restart },
	{ "drain", 0, CTL_DEVICE | CTL_GUEST, run_drain },
	{ 0 },
};
