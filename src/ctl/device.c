/* SPDX-License-Identifier: MIT */
#include <err.h>
#include <string.h>

#include "ctl/device.h"
#include "ctl/json.h"

bool device_is_disk(struct json_object *device)
{
	return strcmp(json_text(device, "kind"), "vif") != 0;
}

void device_target(struct json_object *device, char *buf, size_t size)
{
	const char *master = json_text(device, "master");

	if (device_is_disk(device))
		snprintf(buf, size, "%s", json_text(device, "target"));
	else
		snprintf(buf, size, "%s%s%s", json_text(device, "tap"), *master ? " in " : "",
			 master);
}

static bool has_notice(struct json_object *device, const char *name)
{
	struct json_object *notices = json_member(device, "notices");

	for (size_t i = 0; i < json_length(device, "notices"); i++) {
		const char *notice = json_object_get_string(json_object_array_get_idx(notices, i));

		if (notice && !strcmp(notice, name))
			return true;
	}
	return false;
}

static const char *not_attached(struct json_object *device, enum colour *colour)
{
	const char *state = json_text(device, "state");
	bool waits = !strcmp(state, "initialising") || !strcmp(state, "init-wait");

	if (*json_text(device, "waits")) {
		*colour = COLOUR_RED;
		return "restarting";
	}
	*colour = *json_text(device, "reason") ? COLOUR_RED : waits ? COLOUR_YELLOW : COLOUR_NONE;
	return waits ? "waits for guest" : state;
}

const char *device_condition(struct json_object *device, enum colour *colour)
{
	if (!json_flag(device, "attached"))
		return not_attached(device, colour);
	*colour = COLOUR_RED;
	if (json_flag(device, "stalled"))
		return "requests held";
	if (json_flag(device, "late") || has_notice(device, "medium-silent"))
		return "medium silent";
	*colour = COLOUR_YELLOW;
	if (json_flag(device, "halted"))
		return "guest shut down";
	if (!device_is_disk(device) && !json_flag(device, "carrier"))
		return "no carrier";
	if (has_notice(device, "limit-reached"))
		return "at its limit";
	*colour = COLOUR_NONE;
	return json_text(device, "state");
}

char *device_limits(struct json_object *device)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		err(1, "no memory");
	for (size_t i = 0; i < json_length(device, "limits"); i++) {
		struct json_object *limit = json_item(device, "limits", i);

		fprintf(out, "%s%s=%s", i ? " " : "", json_text(limit, "key"),
			json_text(limit, "value"));
	}
	fclose(out);
	return text;
}
