/* SPDX-License-Identifier: MIT */
/* What has changed, by the daemon's memory. */
#include <string.h>
#include <time.h>

#include "ctl/cli.h"
#include "ctl/json.h"
#include "ctl/text.h"

/* Of the device that is asked for, or of a device of the guest that is; all when none is. */
static bool is_wanted(const struct cli *cli, struct json_object *event)
{
	const char *device = json_text(event, "device");
	size_t len = cli->nr_words ? strlen(cli->words[0]) : 0;

	if (!len)
		return true;
	return !strncmp(device, cli->words[0], len) && (!device[len] || device[len] == '/');
}

static enum colour colour_of(struct json_object *event)
{
	const char *level = json_text(event, "level");

	return !strcmp(level, "error")     ? COLOUR_RED
	       : !strcmp(level, "warning") ? COLOUR_YELLOW
					   : COLOUR_NONE;
}

static void event_row(struct table *table, struct json_object *event)
{
	time_t when = (time_t)json_u64(event, "time_s");
	const char *device = json_text(event, "device");
	char clock[32] = "";
	struct tm tm;

	if (localtime_r(&when, &tm))
		strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M:%S", &tm);
	table_row(table, colour_of(event));
	table_cell(table, "%s", clock);
	table_cell(table, "%s", *device ? device : "-");
	table_cell(table, "%s", json_text(event, "text"));
}

static void print_events(const struct cli *cli, struct json_object *result)
{
	struct table table = { .nr_columns = 3, .titles = { "TIME", "DEVICE", "WHAT" } };

	for (size_t i = 0; i < json_length(result, "events"); i++)
		if (is_wanted(cli, json_item(result, "events", i)))
			event_row(&table, json_item(result, "events", i));
	table_print(&table, cli->colours, cli->out);
	table_free(&table);
}

/* Nothing is known of it: CLI_OK if it is there all the same, else that has been said. */
static int ask_whether_it_is(struct cli *cli)
{
	struct json_object *request = cli_request(cli), *result;
	int status;

	json_object_object_add(request, "command", json_object_new_string("list"));
	status = cli_ask(cli, request, &result);
	if (!status)
		json_object_put(result);
	return status;
}

static bool has_wanted(const struct cli *cli, struct json_object *result)
{
	for (size_t i = 0; i < json_length(result, "events"); i++)
		if (is_wanted(cli, json_item(result, "events", i)))
			return true;
	return false;
}

int cli_events(struct cli *cli)
{
	struct json_object *request = cli_request(cli), *result;
	int status;

	json_object_object_del(request, "device"); /* chosen here */
	json_object_object_del(request, "guest");
	status = cli_ask(cli, request, &result);
	if (status)
		return status;
	if (cli->nr_words && !has_wanted(cli, result))
		status = ask_whether_it_is(cli);
	if (!status && cli->given & CLI_JSON)
		cli_print_json(cli, result);
	else if (!status)
		print_events(cli, result);
	json_object_put(result);
	return status;
}
