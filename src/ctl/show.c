/* SPDX-License-Identifier: MIT */
/* All that is known of devices. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/cli.h"
#include "ctl/device.h"
#include "ctl/json.h"
#include "ctl/text.h"

/* --- what it is --- */

static void say(struct table *table, const char *what, const char *text)
{
	if (!*text)
		return;
	table_row(table, COLOUR_NONE);
	table_cell(table, "  %s", what);
	table_cell(table, "%s", text);
}

static void say_names(struct table *table, struct json_object *device)
{
	struct json_object *names = json_member(device, "names");
	char text[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < json_length(device, "names") && len < sizeof(text); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(names, i));

		if (name && strcmp(name, json_text(device, "name")))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
						len ? ", " : "", name);
	}
	say(table, "also called", text);
}

static void say_guest(struct table *table, struct json_object *device)
{
	const char *guest = json_text(device, "guest");
	char text[256];

	snprintf(text, sizeof(text), "%s%sdomain %" PRIu64, guest, *guest ? ", " : "",
		 json_u64(device, "domid"));
	say(table, "guest", text);
	if (!json_u64(device, "pid"))
		return;
	snprintf(text, sizeof(text), "process %" PRIu64, json_u64(device, "pid"));
	say(table, "served by", text);
}

/* Print the other facts, under the daemon's own names. */
static void say_detail(struct table *table, struct json_object *detail)
{
	if (!json_object_is_type(detail, json_type_object))
		return;
	json_object_object_foreach(detail, name, value)
	{
		if (json_object_is_type(value, json_type_boolean))
			say(table, name, json_object_get_boolean(value) ? "yes" : "no");
		else
			say(table, name, json_object_get_string(value) ?: "");
	}
}

static void print_facts(const struct cli *cli, struct json_object *device)
{
	struct table table = { .nr_columns = 2, .titles = { "", "" } };
	char *limits = device_limits(device);

	say_names(&table, device);
	say_guest(&table, device);
	say(&table, device_is_disk(device) ? "image" : "interface",
	    json_text(device, device_is_disk(device) ? "target" : "tap"));
	say(&table, "bridge", json_text(device, "bridge"));
	say(&table, "mac", json_text(device, "mac"));
	say(&table, "backend", json_text(device, "state"));
	say(&table, "frontend", json_text(device, "frontend"));
	say(&table, "limits", limits);
	say_detail(&table, json_member(device, "detail"));
	say(&table, "last trouble", json_text(device, "reason"));
	table_print_rows(&table, cli->colours, cli->out);
	table_free(&table);
	free(limits);
}

/* "500", "0 (no limit)", "(the runtime-dir)", "-" */
static void value_cell(struct table *table, struct json_object *setting)
{
	const char *value = json_text(setting, "value"), *meaning = json_text(setting, "meaning");

	if (*meaning)
		table_cell(table, "%s%s(%s)", value, *value ? " " : "", meaning);
	else
		table_cell(table, "%s", *value ? value : "-");
}

static void print_settings(const struct cli *cli, struct json_object *device)
{
	struct table table = { .nr_columns = 4,
			       .titles = { "  SETTING", "VALUE", "FROM", "A CHANGE HOLDS" } };

	for (size_t i = 0; i < json_length(device, "settings"); i++) {
		struct json_object *setting = json_item(device, "settings", i);

		table_row(&table, COLOUR_NONE);
		table_cell(&table, "  %s", json_text(setting, "key"));
		value_cell(&table, setting);
		table_cell(&table, "%s", json_text(setting, "from"));
		table_cell(&table, "%s",
			   json_flag(setting, "live") ? "at once" : "when it connects again");
	}
	if (table.nr_rows)
		table_print(&table, cli->colours, cli->out);
	table_free(&table);
}

/* --- figures --- */

static void times_cells(struct table *table, struct json_object *figure)
{
	uint64_t count = json_u64(figure, "count");

	table_cell(table, "%" PRIu64, count);
	table_cell(table, "times");
	table_cell(table, "%s", text_ns(json_u64(figure, "sum") / count).text);
	table_cell(table, "%s", text_ns(json_u64(figure, "p50")).text);
	table_cell(table, "%s", text_ns(json_u64(figure, "p99")).text);
	table_cell(table, "%s", text_ns(json_u64(figure, "max")).text);
}

/* Figures that are zero are left out. */
static void figure_row(struct table *table, uint64_t queue, const char *name,
		       struct json_object *figure)
{
	bool is_times = !strcmp(json_text(figure, "kind"), "times");
	bool is_since = !strcmp(json_text(figure, "kind"), "since");
	uint64_t value = json_u64(figure, is_times ? "count" : "value");

	if (!value)
		return;
	table_row(table, COLOUR_NONE);
	table_cell(table, "  %" PRIu64, queue);
	table_cell(table, "%s", name);
	if (is_times) {
		times_cells(table, figure);
	} else if (is_since) {
		table_cell(table, "%s", text_ns(value).text);
		table_cell(table, "ago");
	} else {
		table_cell(table, "%" PRIu64, value);
		table_cell(table, "%s", json_text(figure, "unit"));
	}
}

static void print_figures(const struct cli *cli, struct json_object *device)
{
	struct table table = { .nr_columns = 8,
			       .titles = { "  QUEUE", "FIGURE", ">VALUE", "UNIT", ">MEAN", ">P50",
					   ">P99", ">MOST" } };

	for (size_t i = 0; i < json_length(device, "queues"); i++) {
		struct json_object *queue = json_item(device, "queues", i);
		struct json_object *figures = json_member(queue, "figures");

		if (!json_object_is_type(figures, json_type_object))
			continue;
		json_object_object_foreach(figures, name, figure)
			figure_row(&table, json_u64(queue, "index"), name, figure);
	}
	if (table.nr_rows)
		table_print(&table, cli->colours, cli->out);
	table_free(&table);
}

/* --- the commands --- */

static void print_title(const struct cli *cli, struct json_object *device, size_t index)
{
	struct table table = { .nr_columns = 1, .titles = { "" } };
	enum colour colour;
	const char *condition = device_condition(device, &colour);
	bool attached = json_flag(device, "attached");

	if (index)
		fputc('\n', cli->out);
	table_row(&table, colour ? colour : COLOUR_BOLD);
	table_cell(&table, "%s: %s, %s%s%s", json_text(device, "name"),
		   device_is_disk(device) ? "disk" : "network card", condition,
		   attached ? " for " : "",
		   attached ? text_seconds(json_u64(device, "attached_s")).text : "");
	table_print_rows(&table, cli->colours, cli->out);
	table_free(&table);
}

static void print_show(const struct cli *cli, struct json_object *answer)
{
	for (size_t i = 0; i < json_length(answer, "devices"); i++) {
		struct json_object *device = json_item(answer, "devices", i);

		print_title(cli, device, i);
		print_facts(cli, device);
		print_settings(cli, device);
		print_figures(cli, device);
	}
}

static void print_stats(const struct cli *cli, struct json_object *answer)
{
	for (size_t i = 0; i < json_length(answer, "devices"); i++) {
		print_title(cli, json_item(answer, "devices", i), i);
		print_figures(cli, json_item(answer, "devices", i));
	}
}

int cli_show(struct cli *cli)
{
	return cli_answer(cli, cli_request(cli), CLI_PATIENCE_S, print_show);
}

int cli_stats(struct cli *cli)
{
	return cli_answer(cli, cli_request(cli), CLI_PATIENCE_S, print_stats);
}
