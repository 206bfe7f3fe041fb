/* SPDX-License-Identifier: MIT */
/* What has changed, from the daemon's list of events. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/cli.h"
#include "ctl/json.h"
#include "ctl/text.h"

/* Whether it is about `who`: a device, or a guest or one of its devices. */
static bool is_about(struct json_object *event, const char *who)
{
	const char *device = json_text(event, "device");
	size_t len = strlen(who);

	return !strncmp(device, who, len) && (!device[len] || device[len] == '/');
}

static bool has_about(struct json_object *result, const char *who)
{
	for (size_t i = 0; i < json_length(result, "events"); i++)
		if (is_about(json_item(result, "events", i), who))
			return true;
	return false;
}

static void keep_about(struct json_object *result, const char *who)
{
	for (size_t i = json_length(result, "events"); i-- > 0;)
		if (!is_about(json_item(result, "events", i), who))
			json_object_array_del_idx(json_member(result, "events"), i, 1);
}

static enum colour colour_of(struct json_object *event)
{
	const char *level = json_text(event, "level");

	return !strcmp(level, "error")     ? COLOUR_RED
	       : !strcmp(level, "warning") ? COLOUR_YELLOW
					   : COLOUR_NONE;
}

struct clock {
	char text[32];
};

static struct clock clock_of(uint64_t time_s)
{
	time_t when = (time_t)time_s;
	struct clock clock = { "" };
	struct tm tm;

	if (localtime_r(&when, &tm))
		strftime(clock.text, sizeof(clock.text), "%Y-%m-%d %H:%M:%S", &tm);
	return clock;
}

/* The line that says which name a device has. It is news only where the name is not in the line anyway. */
static bool says_its_name(struct json_object *event)
{
	const char *device = json_text(event, "device"), *text = json_text(event, "text");

	return *device && !strncmp(text, "is ", 3) && !strcmp(text + 3, device);
}

static void event_row(struct table *table, struct json_object *event)
{
	const char *device = json_text(event, "device");

	table_row(table, colour_of(event));
	table_cell(table, "%s", clock_of(json_u64(event, "time_s")).text);
	table_cell(table, "%s", *device ? device : "-");
	table_cell(table, "%s", json_text(event, "text"));
}

static void print_events(const struct cli *cli, struct json_object *result)
{
	struct table table = { .nr_columns = 3, .titles = { "TIME", "DEVICE", "WHAT" } };

	fprintf(cli->out, "Since %s%s (before: journalctl -u pvbackd)\n",
		clock_of(json_u64(result, "since_s")).text,
		json_flag(result, "since_start") ? ", when the daemon was started" : "");
	for (size_t i = 0; i < json_length(result, "events"); i++)
		if (!says_its_name(json_item(result, "events", i)))
			event_row(&table, json_item(result, "events", i));
	table_print(&table, cli->colours, cli->out);
	table_free(&table);
}

/*
 * The name that the events use for the device or guest that `word` names in another way ("7/xvda"). *ret is the
 * caller's. If the result is not CLI_OK, there is no such device, and the user was told.
 */
static int find_name(struct cli *cli, const char *word, char **ret)
{
	struct json_object *request = cli_request(cli), *result, *device;
	const char *name;
	int status;

	json_object_object_add(request, "command", json_object_new_string("list"));
	status = cli_ask(cli, request, &result);
	if (status)
		return status;
	device = json_item(result, "devices", 0);
	name = json_text(device, strchr(word, '/') ? "name" : "guest");
	*ret = strdup(*name ? name : word);
	json_object_put(result);
	return *ret ? CLI_OK : CLI_FAILED;
}

/* A device that is gone is known only by the name that the events use. */
static int choose(struct cli *cli, struct json_object *result, const char *word)
{
	char *name = NULL;
	int status = has_about(result, word) ? CLI_OK : find_name(cli, word, &name);

	if (!status)
		keep_about(result, name ? name : word);
	free(name);
	return status;
}

int cli_events(struct cli *cli)
{
	struct json_object *request = cli_request(cli), *result;
	int status;

	json_object_object_del(request, "device"); /* the events are chosen here */
	json_object_object_del(request, "guest");
	status = cli_ask(cli, request, &result);
	if (status)
		return status;
	if (cli->nr_words)
		status = choose(cli, result, cli->words[0]);
	if (!status && cli->given & CLI_JSON)
		cli_print_json(cli, result);
	else if (!status)
		print_events(cli, result);
	json_object_put(result);
	return status;
}
