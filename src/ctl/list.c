/* SPDX-License-Identifier: MIT */
/* The lists of devices and of processes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/cli.h"
#include "ctl/device.h"
#include "ctl/json.h"
#include "ctl/text.h"

static void cell_or_dash(struct table *table, const char *text)
{
	table_cell(table, "%s", *text ? text : "-");
}

static void cell_time(struct table *table, bool is, uint64_t seconds)
{
	table_cell(table, "%s", is ? text_seconds(seconds).text : "-");
}

static void cell_pid(struct table *table, uint64_t pid)
{
	if (pid)
		table_cell(table, "%" PRIu64, pid);
	else
		table_cell(table, "-");
}

/* --- devices --- */

static void device_row(struct table *table, struct json_object *device)
{
	enum colour colour;
	const char *condition = device_condition(device, &colour);
	char *limits = device_limits(device), target[512];

	device_target(device, target, sizeof(target));
	table_row(table, colour);
	cell_or_dash(table, json_text(device, "name"));
	cell_or_dash(table, condition);
	cell_time(table, json_flag(device, "attached"), json_u64(device, "attached_s"));
	cell_pid(table, json_u64(device, "pid"));
	cell_or_dash(table, target);
	cell_or_dash(table, limits);
	free(limits);
}

/* Why a device is not served is too long for a column, so it has its own line. */
static void print_reasons(const struct cli *cli, struct json_object *list)
{
	for (size_t i = 0; i < json_length(list, "devices"); i++) {
		struct json_object *device = json_item(list, "devices", i);
		struct table line = { .nr_columns = 1, .titles = { "" } };
		const char *waits = json_text(device, "waits");
		const char *why = *waits ? waits : json_text(device, "reason");

		if (!*why || json_flag(device, "attached"))
			continue;
		table_row(&line, COLOUR_RED);
		table_cell(&line, "%s: %s", json_text(device, "name"), why);
		table_print_rows(&line, cli->colours, cli->out);
		table_free(&line);
	}
}

static void print_list(const struct cli *cli, struct json_object *list)
{
	struct table table = { .nr_columns = 6,
			       .titles = { "DEVICE", "STATE", ">SINCE", ">PID", "TARGET",
					   "LIMITS" } };

	for (size_t i = 0; i < json_length(list, "devices"); i++)
		device_row(&table, json_item(list, "devices", i));
	table_print(&table, cli->colours, cli->out);
	table_free(&table);
	print_reasons(cli, list);
}

static void print_names(const struct cli *cli, struct json_object *list)
{
	for (size_t i = 0; i < json_length(list, "devices"); i++)
		fprintf(cli->out, "%s\n", json_text(json_item(list, "devices", i), "name"));
}

int cli_list(struct cli *cli)
{
	return cli_answer(cli, cli_request(cli), CLI_PATIENCE_S,
			  cli->given & CLI_NAMES ? print_names : print_list);
}

/* --- processes --- */

static void process_row(struct table *table, struct json_object *process)
{
	const char *state = json_text(process, "state");

	table_row(table, strcmp(state, "serving") ? COLOUR_RED : COLOUR_NONE);
	cell_or_dash(table, json_text(process, "guest"));
	table_cell(table, "%" PRIu64, json_u64(process, "domid"));
	cell_pid(table, json_u64(process, "pid"));
	cell_or_dash(table, state);
	cell_time(table, true, json_u64(process, "uptime_s"));
	table_cell(table, "%s", text_ns(json_u64(process, "cpu_ns")).text);
	table_cell(table, "%" PRIu64, json_u64(process, "restarts"));
	cell_or_dash(table, json_text(process, "version"));
}

static void print_version(const struct cli *cli, struct json_object *version)
{
	struct table table = { .nr_columns = 8,
			       .titles = { "GUEST", ">DOMAIN", ">PID", "STATE", ">SINCE",
					   ">CPU TIME", ">RESTARTS", "VERSION" } };

	fprintf(cli->out, "pvbackd %s, process %" PRIu64 ", for %s, CPU time %s, isolation=%s\n",
		json_text(version, "version"), json_u64(version, "pid"),
		text_seconds(json_u64(version, "uptime_s")).text,
		text_ns(json_u64(version, "cpu_ns")).text, json_text(version, "isolation"));
	for (size_t i = 0; i < json_length(version, "processes"); i++)
		process_row(&table, json_item(version, "processes", i));
	if (table.nr_rows)
		table_print(&table, cli->colours, cli->out);
	table_free(&table);
}

int cli_version(struct cli *cli)
{
	return cli_answer(cli, cli_request(cli), CLI_PATIENCE_S, print_version);
}
