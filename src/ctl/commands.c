/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "ctl/cli.h"

const struct cli_option_row cli_options[] = {
	{ CLI_JSON, "json", NULL, "the answer as JSON" },
	{ CLI_RUNTIME_DIR, "runtime-dir", "DIR",
	  "the daemon's (without it: " DEFAULT_RUNTIME_DIR ")" },
	{ CLI_HELP, "help", NULL, "show this, or what a command takes, and exit" },
	{ CLI_VERSION, "version", NULL, "show the version of pvbackctl and exit" },
	{ CLI_NAMES, "names", NULL, "only their names, a line each" },
	{ CLI_ONCE, "once", NULL, "one table, after one interval" },
	{ CLI_INTERVAL, "interval", "SECONDS", "how long to look at it (without it: 1)" },
	{ CLI_CONFIG, "config", NULL, "in the configuration, too, so that it lasts" },
	{ CLI_FILTER, "filter", "FILTER",
	  "frames: see pcap-filter(7); traces: a list of categories" },
	{ CLI_SNAPLEN, "snaplen", "BYTES", "no more than so much of each frame" },
	{ CLI_SIZE, "size", "MIB", "no more than so much in the file (without it: 1024)" },
	{ CLI_SECONDS, "seconds", "N", "end after so long" },
	{ CLI_LOG, "log", NULL, "into the daemon's log" },
	{ CLI_OFF, "off", NULL, "no traces any more" },
	{ 0 },
};

#define CAPTURE_OPTIONS (CLI_FILTER | CLI_SNAPLEN | CLI_SIZE | CLI_SECONDS)
#define TRACE_OPTIONS   (CLI_FILTER | CLI_SECONDS | CLI_LOG | CLI_OFF)

const struct cli_command cli_commands[] = {
	{ "list", "[WHO]", CLI_NAMES, "which disks and network cards there are", "list", cli_list },
	{ "show", "[WHO]", 0, "all about a device: state, limits, settings, counters",
	  "show web/xvda", cli_show },
	{ "stats", "[WHO]", 0, "the figures of each of its queues", "stats web/xvda", cli_stats },
	{ "top", "", CLI_INTERVAL | CLI_ONCE, "how fast they are, and what holds them up; live",
	  "top", cli_top },
	{ "why", "WHO", CLI_INTERVAL, "why a device is slow, and what can be done", "why web/xvda",
	  cli_why },
	{ "events", "[WHO]", 0, "what changed, and what went wrong", "events web", cli_events },
	{ "set", "DEVICE KEY VALUE", CLI_CONFIG, "set an option of a device, such as a limit",
	  "set web/xvda iops 500", cli_set },
	{ "unset", "DEVICE KEY", CLI_CONFIG, "let the configuration decide again",
	  "unset web/xvda iops", cli_set },
	{ "retry", "DEVICE", 0, "try again what is held because an image failed", "retry web/xvda",
	  cli_retry },
	{ "drain", "WHO", 0, "wait until the medium has given back what it has", "drain web/xvda",
	  cli_drain },
	{ "restart", "GUEST", 0, "replace the process that serves a guest", "restart web",
	  cli_restart },
	{ "capture", "DEVICE [FILE]", CAPTURE_OPTIONS,
	  "capture a network card's frames, until Ctrl-C", "capture web/vif0 | tshark -i -",
	  cli_capture },
	{ "trace", "[DEVICE]", TRACE_OPTIONS, "trace every request or frame, until Ctrl-C",
	  "trace web/xvda", cli_trace },
	{ "check", "", 0, "whether the daemon's configuration is right", "check", cli_check },
	{ "reload", "", 0, "read the configuration again, if it is right", "reload", cli_reload },
	{ "metrics", "", 0, "all figures, for Prometheus", "metrics", cli_metrics },
	{ "version", "", 0, "versions of the daemon and of each guest's process; restarts",
	  "version", cli_version },
	{ 0 },
};

const struct cli_command *cli_find(const char *name)
{
	for (const struct cli_command *command = cli_commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;
	return NULL;
}
