/* SPDX-License-Identifier: MIT */
/* Commands of the admin's socket that show what goes on. */
#include <stdlib.h>
#include <string.h>

#include "control/ctl_commands.h"
#include "control/ctl_device.h"
#include "control/events.h"
#include "control/json.h"

#define NS_PER_S 1000000000ull

/* --- events --- */

struct named {
	const char *who;
	char *name; /* 2 * CTL_NAME_MAX; "": none found */
};

static void find_named(void *user, struct device *dev)
{
	struct named *named = user;

	if (!strcmp(dev->name, named->who))
		ctl_device_name(dev, named->name);
}

/* As an admin calls it, while it is there; then as the log did. NULL: it is about none. */
static void add_who(const struct ctl_asked *asked, struct json_object *to, const char *who)
{
	char name[2 * CTL_NAME_MAX] = "";
	struct named named = { .who = who, .name = name };

	if (*who)
		registry_each(asked->daemon->registry, find_named, &named);
	json_add_text(to, "device", *name ? name : *who ? who : NULL);
}

static struct json_object *run_events(struct ctl_asked *asked)
{
	static const char *const levels[] = { "error", "warning", "info" };
	struct event *events = calloc(EVENTS_MAX, sizeof(*events));
	unsigned int nr = events ? events_copy(events) : 0;
	struct json_object *result = ctl_new_result();
	struct json_object *list = json_add_list(result, "events");

	for (unsigned int i = 0; i < nr; i++) {
		struct json_object *item = json_object_new_object();

		json_add_u64(item, "time_s", events[i].time_ns / NS_PER_S);
		json_add_u64(item, "time_ns", events[i].time_ns);
		add_who(asked, item, events[i].who);
		json_add_text(item, "level", levels[events[i].level]);
		json_add_text(item, "text", events[i].text);
		json_add_text(item, "notice", events[i].notice);
		json_object_array_add(list, item);
	}
	free(events);
	return ctl_result(result);
}

const struct ctl_command ctl_watch_commands[] = {
	{ "events", 0, 0, run_events },
	{ 0 },
};
