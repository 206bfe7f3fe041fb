/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "ctl/cli.h"

const struct cli_option_row cli_options[] = {
	{ CLI_JSON, "json", NULL, "print the answer as JSON" },
	{ CLI_RUNTIME_DIR, "runtime-dir", "DIR",
	  "the daemon's directory (default: " DEFAULT_RUNTIME_DIR ")" },
	{ CLI_HELP, "help", NULL, "show this, or what a command takes, and exit" },
	{ CLI_VERSION, "version", NULL, "show the version of pvbackctl and exit" },
	{ CLI_NAMES, "names", NULL, "print only the names, one in a line" },
	{ CLI_ONCE, "once", NULL, "print one table, after one interval" },
	{ CLI_INTERVAL, "interval", "SECONDS", "how long to measure (default: 1)" },
	{ CLI_CONFIG, "config", NULL, "also change the configuration, so that it lasts" },
	{ CLI_FILTER, "filter", "FILTER",
	  "frames: see pcap-filter(7); traces: a list of categories" },
	{ CLI_SNAPLEN, "snaplen", "BYTES", "keep at most so many bytes of each frame" },
	{ CLI_SIZE, "size", "MIB", "the largest size of the file (default: 1024)" },
	{ CLI_SECONDS, "seconds", "N", "end after so long" },
	{ CLI_LOG, "log", NULL, "write the lines into the daemon's log" },
	{ CLI_OFF, "off", NULL, "end the trace" },
	{ 0 },
};

#define CAPTURE_OPTIONS (CLI_FILTER | CLI_SNAPLEN | CLI_SIZE | CLI_SECONDS)
#define TRACE_OPTIONS   (CLI_FILTER | CLI_SECONDS | CLI_LOG | CLI_OFF)

const struct cli_command cli_commands[] = {
	{ "list", "[WHO]", CLI_NAMES, "list the disks and network cards", "list", cli_list },
	{ "show", "[WHO]", 0, "show all about a device: state, limits, settings, counters",
	  "show web/xvda", cli_show },
	{ "stats", "[WHO]", 0, "show the counters of each queue of a device", "stats web/xvda",
	  cli_stats },
	{ "top", "", CLI_INTERVAL | CLI_ONCE,
	  "show live how fast devices are, and what they wait for", "top", cli_top },
	{ "why", "WHO", CLI_INTERVAL, "say why a device is slow, and what can be done",
	  "why web/xvda", cli_why },
	{ "events", "[WHO]", 0, "list what has changed or failed", "events web", cli_events },
	{ "set", "DEVICE KEY VALUE", CLI_CONFIG, "set an option of a device, such as a limit",
	  "set web/xvda iops 500", cli_set },
	{ "unset", "DEVICE KEY", CLI_CONFIG, "remove a value that set has set",
	  "unset web/xvda iops", cli_set },
	{ "retry", "DEVICE", 0, "try again requests that are held because the image failed",
	  "retry web/xvda", cli_retry },
	{ "drain", "WHO", 0, "wait until the medium has completed its requests", "drain web/xvda",
	  cli_drain },
	{ "restart", "GUEST", 0, "replace the process that serves a guest", "restart web",
	  cli_restart },
	{ "capture", "DEVICE [FILE]", CAPTURE_OPTIONS,
	  "capture a network card's frames, until Ctrl-C", "capture web/vif0 | tshark -i -",
	  cli_capture },
	{ "trace", "[DEVICE]", TRACE_OPTIONS, "trace every request or frame, until Ctrl-C",
	  "trace web/xvda", cli_trace },
	{ "check", "", 0, "print the errors of the daemon's configuration", "check", cli_check },
	{ "reload", "", 0, "have the daemon read its configuration again", "reload", cli_reload },
	{ "metrics", "", 0, "print all counters for Prometheus", "metrics", cli_metrics },
	{ "version", "", 0, "show the daemon and each guest's process: version, restarts",
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
