/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/ctl_commands.h"
#include "control/ctl_device.h"
#include "control/guests.h"
#include "control/json.h"

#define SCHEMA   1u
#define NS_PER_S 1000000000ull

/* --- arguments --- */

enum argument {
	ARG_DEVICE = 1 << 0,
};

struct arguments {
	unsigned int given; /* bits of enum argument */
	const char *device;
};

/* One request, while it is answered. */
struct asked {
	const struct ctl_daemon *daemon;
	struct ctl_client *client;
	struct arguments args;
	struct device *dev; /* that `device` names; NULL: none is named */
};

static const struct {
	const char *name;
	enum argument bit;
	json_type type;
	size_t at; /* in struct arguments: a const char * */
} argument_rows[] = {
	{ "device", ARG_DEVICE, json_type_string, offsetof(struct arguments, device) },
};

#define NR_ARGUMENTS (sizeof(argument_rows) / sizeof(argument_rows[0]))

/* A text that goes on behind its end means something else than it says. */
static bool is_whole(struct json_object *text)
{
	return strlen(json_object_get_string(text)) == (size_t)json_object_get_string_len(text);
}

static bool take_argument(struct arguments *args, size_t row, struct json_object *value)
{
	if (!json_object_is_type(value, argument_rows[row].type) || !is_whole(value))
		return false;
	*(const char **)(void *)((char *)args + argument_rows[row].at) =
		json_object_get_string(value);
	args->given |= argument_rows[row].bit;
	return true;
}

static size_t find_argument(const char *name)
{
	size_t row = 0;

	while (row < NR_ARGUMENTS && strcmp(argument_rows[row].name, name) != 0)
		row++;
	return row;
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

	if (found->name && !ctl_device_is(dev, found->name))
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
static struct json_object *find_device(struct asked *asked)
{
	struct found found = find_devices(asked->daemon, asked->args.device);
	struct json_object *error = NULL;

	if (!found.nr)
		error = ctl_error("no-such-device",
				  "there is no device `%s`; `pvbackctl list` has them all",
				  asked->args.device);
	else if (found.nr > 1)
		error = ctl_error("ambiguous",
				  "`%s` may be %s %u/%u or %s %u/%u: name it as KIND/DOMID/NUMBER",
				  asked->args.device, found.devices[0]->ops->kind,
				  found.devices[0]->domid, found.devices[0]->devid,
				  found.devices[1]->ops->kind, found.devices[1]->domid,
				  found.devices[1]->devid);
	else
		asked->dev = found.devices[0];
	free(found.devices);
	return error;
}

static struct json_object *new_result(void)
{
	struct json_object *result = json_object_new_object();

	json_add_u64(result, "schema", SCHEMA);
	return result;
}

static struct json_object *show_devices(struct asked *asked, enum ctl_depth depth)
{
	struct json_object *result = new_result(), *list;

	json_add_u64(result, "now_ns", loop_now_ns());
	list = json_add_list(result, "devices");
	if (asked->dev) {
		json_object_array_add(list, ctl_device_show(asked->dev, depth));
	} else {
		struct found found = find_devices(asked->daemon, NULL);

		for (size_t i = 0; i < found.nr; i++)
			json_object_array_add(list, ctl_device_show(found.devices[i], depth));
		free(found.devices);
	}
	return ctl_result(result);
}

static struct json_object *run_list(struct asked *asked)
{
	return show_devices(asked, CTL_BRIEF);
}

static struct json_object *run_show(struct asked *asked)
{
	return show_devices(asked, CTL_WHOLE);
}

static struct json_object *run_stats(struct asked *asked)
{
	return show_devices(asked, CTL_BUCKETS);
}

/* --- who serves --- */

struct processes {
	struct asked *asked;
	struct json_object *list;
};

static void add_process(void *user, const struct guests_process *process)
{
	const struct processes *to = user;
	struct json_object *ret = json_object_new_object();
	char name[CTL_NAME_MAX];

	ctl_guest_name(to->asked->daemon->env, process->domid, name);
	json_add_u64(ret, "domid", process->domid);
	json_add_text(ret, "guest", name);
	json_add_u64(ret, "pid", (uint64_t)process->pid);
	json_add_text(ret, "version", process->version);
	json_add_u64(ret, "protocol", process->protocol);
	json_add_u64(ret, "uptime_s", (loop_now_ns() - process->since_ns) / NS_PER_S);
	json_add_u64(ret, "restarts", process->restarts);
	json_add_text(ret, "state", process->state);
	json_object_array_add(to->list, ret);
}

static struct json_object *run_version(struct asked *asked)
{
	const struct ctl_daemon *daemon = asked->daemon;
	struct json_object *result = new_result();
	struct processes processes = { .asked = asked };

	json_add_text(result, "version", PACKAGE_VERSION);
	json_add_u64(result, "pid", (uint64_t)getpid());
	json_add_u64(result, "uptime_s", (loop_now_ns() - daemon->started_ns) / NS_PER_S);
	json_add_text(result, "isolation",
		      daemon->options->isolation == ISOLATION_GUEST ? "guest" : "none");
	processes.list = json_add_list(result, "processes");
	guests_each(daemon->env->guests, add_process, &processes);
	return ctl_result(result);
}

/* --- the commands --- */

static const struct command {
	const char *name;
	unsigned int needs, may_have; /* bits of enum argument */
	struct json_object *(*run)(struct asked *asked);
} commands[] = {
	{ "list", 0, 0, run_list },
	{ "show", 0, ARG_DEVICE, run_show },
	{ "stats", 0, ARG_DEVICE, run_stats },
	{ "version", 0, 0, run_version },
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* NULL, or an error. */
static struct json_object *read_arguments(const struct command *command,
					  struct json_object *request, struct arguments *ret)
{
	json_object_object_foreach(request, name, value)
	{
		size_t row = find_argument(name);

		if (!strcmp(name, "command"))
			continue;
		if (row == NR_ARGUMENTS ||
		    !(argument_rows[row].bit & (command->needs | command->may_have)))
			return ctl_error("usage", "%s has no argument `%.64s`", command->name,
					 name);
		if (!take_argument(ret, row, value))
			return ctl_error("usage", "the argument `%s` of %s is not of its type",
					 name, command->name);
	}
	for (size_t row = 0; row < NR_ARGUMENTS; row++)
		if (command->needs & ~ret->given & argument_rows[row].bit)
			return ctl_error("usage", "%s needs the argument `%s`", command->name,
					 argument_rows[row].name);
	return NULL;
}

struct json_object *ctl_command(void *user, struct ctl_client *client, struct json_object *request)
{
	struct asked asked = { .daemon = user, .client = client };
	struct json_object *name, *error;
	const struct command *command;

	if (!json_object_object_get_ex(request, "command", &name) ||
	    !json_object_is_type(name, json_type_string))
		return ctl_error("usage", "a request has a `command`");
	command = find_command(json_object_get_string(name));
	if (!command)
		return ctl_error("unknown-command", "pvbackd %s knows no command `%.64s`",
				 PACKAGE_VERSION, json_object_get_string(name));
	error = read_arguments(command, request, &asked.args);
	if (!error && asked.args.device)
		error = find_device(&asked);
	return error ? error : command->run(&asked);
}
