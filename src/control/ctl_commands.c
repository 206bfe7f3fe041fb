/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/cpu.h"
#include "control/ctl_commands.h"
#include "control/ctl_device.h"
#include "control/guests.h"
#include "control/json.h"
#include "control/metrics_all.h"
#include "control/names.h"

#define SCHEMA   1u
#define NS_PER_S 1000000000ull

/* --- arguments --- */

static const struct argument {
	const char *name;
	enum ctl_argument bit;
	json_type type;
	size_t at; /* in struct ctl_asked */
} arguments[] = {
	{ "device", CTL_DEVICE, json_type_string, offsetof(struct ctl_asked, device) },
	{ "guest", CTL_GUEST, json_type_string, offsetof(struct ctl_asked, guest) },
	{ "key", CTL_KEY, json_type_string, offsetof(struct ctl_asked, key) },
	{ "value", CTL_VALUE, json_type_string, offsetof(struct ctl_asked, value) },
	{ "config", CTL_CONFIG, json_type_boolean, offsetof(struct ctl_asked, config) },
	{ "on", CTL_ON, json_type_boolean, offsetof(struct ctl_asked, on) },
	{ "filter", CTL_FILTER, json_type_string, offsetof(struct ctl_asked, filter) },
	{ "snaplen", CTL_SNAPLEN, json_type_int, offsetof(struct ctl_asked, snaplen) },
	{ "size_mib", CTL_SIZE, json_type_int, offsetof(struct ctl_asked, size_mib) },
};

#define NR_ARGUMENTS (sizeof(arguments) / sizeof(arguments[0]))

/* A text must be one line, without a zero byte or a control character. */
static bool is_plain(struct json_object *value)
{
	const char *text = json_object_get_string(value);

	for (int i = json_object_get_string_len(value); i > 0; i--, text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* 0 for a number that is out of range: no argument allows 0. */
static uint32_t number_of(struct json_object *value)
{
	int64_t number = json_object_get_int64(value);

	return number < 0 || number > UINT32_MAX ? 0 : (uint32_t)number;
}

static bool take_argument(struct ctl_asked *asked, const struct argument *argument,
			  struct json_object *value)
{
	void *at = (char *)asked + argument->at;

	if (!json_object_is_type(value, argument->type))
		return false;
	if (argument->type == json_type_boolean)
		*(bool *)at = json_object_get_boolean(value);
	else if (argument->type == json_type_int)
		*(uint32_t *)at = number_of(value);
	else if (is_plain(value))
		*(const char **)at = json_object_get_string(value);
	else
		return false;
	asked->given |= argument->bit;
	return true;
}

static const struct argument *find_argument(const char *name, unsigned int allowed)
{
	for (size_t i = 0; i < NR_ARGUMENTS; i++)
		if (!strcmp(arguments[i].name, name) && arguments[i].bit & allowed)
			return &arguments[i];
	return NULL;
}

/* NULL, or an error. */
static struct json_object *read_arguments(const struct ctl_command *command,
					  struct json_object *request, struct ctl_asked *asked)
{
	json_object_object_foreach(request, name, value)
	{
		const struct argument *argument =
			find_argument(name, command->needs | command->allows);

		if (!strcmp(name, "command"))
			continue;
		if (!argument)
			return ctl_error("usage", "%s has no argument `%.64s`", command->name,
					 name);
		if (!take_argument(asked, argument, value))
			return ctl_error("usage", "the argument `%s` of %s is not what it must be",
					 name, command->name);
	}
	for (size_t i = 0; i < NR_ARGUMENTS; i++)
		if (command->needs & ~asked->given & arguments[i].bit)
			return ctl_error("usage", "%s needs the argument `%s`", command->name,
					 arguments[i].name);
	return NULL;
}

/* --- devices --- */

static bool by_number(const struct device *a, const struct device *b)
{
	int kinds = strcmp(a->ops->kind, b->ops->kind);

	if (a->domid != b->domid)
		return a->domid < b->domid;
	return kinds ? kinds < 0 : a->devid < b->devid;
}

static int compare(const void *a, const void *b)
{
	const struct device *const *first = a, *const *second = b;

	return by_number(*first, *second) ? -1 : 1;
}

struct found {
	const char *name; /* NULL: all */
	struct device **devices;
	size_t nr, room;
};

static void note_device(void *user, struct device *dev)
{
	struct found *found = user;

	if (found->name && !name_fits(dev, found->name))
		return;
	if (found->nr == found->room) {
		size_t room = found->room ? 2 * found->room : 64;
		struct device **more = realloc(found->devices, room * sizeof(more[0]));

		if (!more)
			return;
		found->devices = more;
		found->room = room;
	}
	found->devices[found->nr++] = dev;
}

/* The array is the caller's. */
static struct found find_devices(const struct ctl_daemon *daemon, const char *name)
{
	struct found found = { .name = name };

	registry_each(daemon->registry, note_device, &found);
	if (found.nr)
		qsort(found.devices, found.nr, sizeof(found.devices[0]), compare);
	return found;
}

/* NULL, or an error. */
static struct json_object *find_device(struct ctl_asked *asked)
{
	struct found found = find_devices(asked->daemon, asked->device);
	struct json_object *error = NULL;

	if (!found.nr)
		error = ctl_error("no-such-device",
				  "there is no device `%s`; `pvbackctl list` has them all",
				  asked->device);
	else if (found.nr > 1)
		error = ctl_error("ambiguous",
				  "`%s` may be %s %u/%u or %s %u/%u: name it as KIND/DOMID/NUMBER",
				  asked->device, found.devices[0]->ops->kind,
				  found.devices[0]->domid, found.devices[0]->devid,
				  found.devices[1]->ops->kind, found.devices[1]->domid,
				  found.devices[1]->devid);
	else
		asked->dev = found.devices[0];
	if (asked->dev)
		asked->domid = asked->dev->domid;
	free(found.devices);
	return error;
}

static bool is_guest(const struct device *dev, const char *text)
{
	char name[GUEST_NAME_MAX], number[16];

	snprintf(number, sizeof(number), "%u", dev->domid);
	if (!strcmp(text, number))
		return true;
	name_guest(dev->env, dev->domid, name);
	return !strcmp(text, name);
}

/* Find a guest that has devices. NULL, or an error. */
static struct json_object *find_guest(struct ctl_asked *asked)
{
	struct found found = find_devices(asked->daemon, NULL);
	bool is_found = false, is_one = true;

	for (size_t i = 0; i < found.nr; i++) {
		if (!is_guest(found.devices[i], asked->guest))
			continue;
		is_one = is_one && (!is_found || asked->domid == found.devices[i]->domid);
		asked->domid = found.devices[i]->domid;
		is_found = true;
	}
	free(found.devices);
	if (!is_found)
		return ctl_error("no-such-device", "there is no guest `%s` that has a device",
				 asked->guest);
	return is_one ? NULL
		      : ctl_error("ambiguous", "`%s` may be more than one domain", asked->guest);
}

struct json_object *ctl_new_result(void)
{
	struct json_object *result = json_object_new_object();

	json_add_u64(result, "schema", SCHEMA);
	return result;
}

static struct json_object *show_devices(struct ctl_asked *asked, enum ctl_depth depth)
{
	struct json_object *result = ctl_new_result(), *list;

	json_add_u64(result, "now_ns", loop_now_ns());
	list = json_add_list(result, "devices");
	if (asked->dev) {
		json_object_array_add(list, ctl_device_show(asked->dev, depth));
	} else {
		struct found found = find_devices(asked->daemon, NULL);

		for (size_t i = 0; i < found.nr; i++)
			if (!asked->guest || found.devices[i]->domid == asked->domid)
				json_object_array_add(list,
						      ctl_device_show(found.devices[i], depth));
		free(found.devices);
	}
	return ctl_result(result);
}

static struct json_object *run_list(struct ctl_asked *asked)
{
	return show_devices(asked, CTL_BRIEF);
}

static struct json_object *run_show(struct ctl_asked *asked)
{
	return show_devices(asked, CTL_WHOLE);
}

static struct json_object *run_stats(struct ctl_asked *asked)
{
	return show_devices(asked, CTL_BUCKETS);
}

/* --- processes --- */

struct processes {
	struct ctl_asked *asked;
	struct json_object *list;
};

static void add_process(void *user, const struct guests_process *process)
{
	const struct processes *to = user;
	struct json_object *ret = json_object_new_object();
	char name[GUEST_NAME_MAX];

	name_guest(to->asked->daemon->env, process->domid, name);
	json_add_u64(ret, "domid", process->domid);
	json_add_text(ret, "guest", name);
	json_object_object_add(ret, "pid", process->pid ? json_object_new_int(process->pid) : NULL);
	json_add_u64(ret, "cpu_ns", cpu_ns(process->pid));
	json_add_text(ret, "version", process->version);
	json_add_u64(ret, "protocol", process->protocol);
	json_add_u64(ret, "uptime_s", (loop_now_ns() - process->since_ns) / NS_PER_S);
	json_add_u64(ret, "restarts", process->restarts);
	json_add_text(ret, "state", process->state);
	json_object_array_add(to->list, ret);
}

static struct json_object *run_version(struct ctl_asked *asked)
{
	const struct ctl_daemon *daemon = asked->daemon;
	struct json_object *result = ctl_new_result();
	struct processes processes = { .asked = asked };

	json_add_text(result, "version", PACKAGE_VERSION);
	json_add_u64(result, "pid", (uint64_t)getpid());
	json_add_u64(result, "cpu_ns", cpu_ns(getpid()));
	json_add_u64(result, "uptime_s", (loop_now_ns() - daemon->started_ns) / NS_PER_S);
	json_add_text(result, "isolation",
		      daemon->options->isolation == ISOLATION_GUEST ? "guest" : "none");
	processes.list = json_add_list(result, "processes");
	guests_each(daemon->env->guests, add_process, &processes);
	return ctl_result(result);
}

/* --- metrics --- */

/* In the older text format, which every reader of such a file knows. */
static struct json_object *run_metrics(struct ctl_asked *asked)
{
	struct metrics_daemon daemon = { asked->daemon->env, asked->daemon->registry };
	struct json_object *result = ctl_new_result();
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (out) {
		metrics_write_all(&daemon, &(struct metrics){ out, METRICS_TEXT });
		fclose(out);
	}
	json_add_text(result, "text", text ? text : "");
	free(text);
	return ctl_result(result);
}

/* --- the commands --- */

static const struct ctl_command own_commands[] = {
	{ "list", 0, CTL_DEVICE | CTL_GUEST, run_list },
	{ "show", 0, CTL_DEVICE | CTL_GUEST, run_show },
	{ "stats", 0, CTL_DEVICE | CTL_GUEST, run_stats },
	{ "version", 0, 0, run_version },
	{ "metrics", 0, 0, run_metrics },
	{ 0 },
};

static const struct ctl_command *const tables[] = { own_commands, ctl_change_commands,
						    ctl_watch_commands };

static const struct ctl_command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct ctl_command *command = tables[i]; command->name; command++)
			if (!strcmp(command->name, name))
				return command;
	return NULL;
}

struct json_object *ctl_command(void *user, struct ctl_client *client, struct json_object *request)
{
	struct ctl_asked asked = { .daemon = user, .client = client };
	struct json_object *name, *error;
	const struct ctl_command *command;

	if (!json_object_object_get_ex(request, "command", &name) ||
	    !json_object_is_type(name, json_type_string))
		return ctl_error("usage", "a request has a `command`");
	command = find_command(json_object_get_string(name));
	if (!command)
		return ctl_error("unknown-command", "pvbackd %s knows no command `%.64s`",
				 PACKAGE_VERSION, json_object_get_string(name));
	error = read_arguments(command, request, &asked);
	if (!error && asked.device)
		error = find_device(&asked);
	if (!error && asked.guest)
		error = find_guest(&asked);
	return error ? error : command->run(&asked);
}
