/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "ctl/cli.h"

const struct cli_option_row cli_options[] = {
	{ CLI_JSON, "json", NULL, "the answer as JSON, as the daemon gives it" },
	{ CLI_RUNTIME_DIR, "runtime-dir", "DIR",
	  "the daemon's (without it: " DEFAULT_RUNTIME_DIR ")" },
	{ CLI_HELP, "help", NULL, "show this, or what a command takes, and exit" },
	{ CLI_VERSION, "version", NULL, "show the version of pvbackctl and exit" },
	{ CLI_NAMES, "names", NULL, "only their names, a line each" },
	{ CLI_ONCE, "once", NULL, "one table, after one interval" },
	{ CLI_INTERVAL, "interval", "SECONDS", "how long to look at it (without it: 1)" },
	{ 0 },
};

const struct cli_command cli_commands[] = {
	{ "list", "", CLI_NAMES, "all disks and network cards, and how they are", "list",
	  cli_list },
	{ "show", "[DEVICE]", 0, "all about a device: state, settings, counters", "show web/xvda",
	  cli_show },
	{ "stats", "[DEVICE]", 0, "the figures of each of its queues", "stats web/xvda",
	  cli_stats },
	{ "version", "", 0, "versions of the daemon and of each guest's process", "version",
	  cli_version },
	{ "top", "", CLI_INTERVAL | CLI_ONCE, "what each device does, and what holds it up; live",
	  "top", cli_top },
	{ "why", "DEVICE", CLI_INTERVAL, "what makes a device slow, and what can be done",
	  "why web/xvda", cli_why },
	{ 0 },
};

const struct cli_command *cli_find(const char *name)
{
	for (const struct cli_command *command = cli_commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;
	return NULL;
}
