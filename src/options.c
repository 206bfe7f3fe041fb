/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netback/filter.h"
#include "netback/quirks.h"
#include "options.h"
#include "trace.h"

static const char usage[] =
	"Usage: pvbackd [OPTION]...\n"
	"Serve the paravirtual disks and NICs of Xen guests from this domain.\n"
	"\n"
	"  --config=FILE          read FILE instead of " DEFAULT_CONFIG_FILE "\n"
	"  --workers=N            use N data threads (default: one per CPU, at most 4)\n"
	"  --trace-rings[=FILTER] trace ring events on stderr; FILTER is\n"
	"                         [ring,net,blk,bus,grant][@DOMID[/DEVID]]\n"
	"  --antispoof=LIST       what a NIC without a key of its own is held to: on, off "
	"(default)\n"
	"                         or a list of mac, ip, dhcp, ra\n"
	"  --log-level=LEVEL      error, warning, info (default) or debug\n"
	"  --pcap-dir=DIR         write captures of NICs into DIR (default: the runtime-dir)\n"
	"  --nbd-timeout=SECONDS  how long requests wait for a lost NBD server (default: 60)\n"
	"  --runtime-dir=DIR      keep run-time files in DIR (default: " DEFAULT_RUNTIME_DIR ")\n"
	"  --vif-quirks=LIST      what all NICs need: no-csum, no-gso, single-slot, poll,\n"
	"                         freebsd, ipxe, legacy or none\n"
	"  --rx-drain-timeout=MS  drop frames that a guest has not taken for so long (10000)\n"
	"  --rx-stall-timeout=MS  then turn its carrier off; 0: never (60000)\n"
	"  --help                 show this and exit\n"
	"  --version              show the version and exit\n"
	"\n"
	"SIGTERM stops it without touching the guests; SIGUSR1 dumps all rings to the log.\n";

static int set_text(char *buf, size_t size, const char *value)
{
	if (!*value || strlen(value) >= size)
		return -EINVAL;
	memcpy(buf, value, strlen(value) + 1);
	return 0;
}

static int set_number(unsigned int *number, unsigned int max, const char *value)
{
	char *end;
	long nr;

	errno = 0;
	nr = strtol(value, &end, 10);
	if (errno || end == value || *end || nr < 1 || nr > (long)max)
		return -EINVAL;
	*number = (unsigned int)nr;
	return 0;
}

static int set_log_level(struct options *options, const char *value)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(value, names[i])) {
			options->log_level = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

static int set_trace(struct options *options, const char *value)
{
	if (trace_configure(value) || strlen(value) >= sizeof(options->trace_filter))
		return -EINVAL;
	options->trace = true;
	memcpy(options->trace_filter, value, strlen(value) + 1);
	return 0;
}

static int set_ms(uint32_t *ms, uint32_t min, const char *value)
{
	unsigned long n;
	char *end;

	if (*value < '0' || *value > '9')
		return -EINVAL;
	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || *end || n < min || n > 86400000)
		return -EINVAL;
	*ms = (uint32_t)n;
	return 0;
}

static int set_vif_quirks(struct options *options, const char *value)
{
	unsigned int quirks;

	if (quirks_parse(value, &quirks))
		return -EINVAL;
	return set_text(options->vif_quirks, sizeof(options->vif_quirks), value);
}

int options_set(struct options *options, const char *name, const char *value)
{
	if (!strcmp(name, "workers"))
		return set_number(&options->nr_workers, OPTIONS_MAX_WORKERS, value);
	if (!strcmp(name, "nbd-timeout"))
		return set_number(&options->nbd_timeout_s, OPTIONS_MAX_TIMEOUT_S, value);
	if (!strcmp(name, "log-level"))
		return set_log_level(options, value);
	if (!strcmp(name, "trace-rings"))
		return set_trace(options, value);
	if (!strcmp(name, "antispoof"))
		return *value ? filter_parse_want(value, &options->antispoof) : -EINVAL;
	if (!strcmp(name, "pcap-dir"))
		return set_text(options->pcap_dir, sizeof(options->pcap_dir), value);
	if (!strcmp(name, "vif-quirks"))
		return set_vif_quirks(options, value);
	if (!strcmp(name, "rx-drain-timeout"))
		return set_ms(&options->rx_drain_ms, 1, value);
	if (!strcmp(name, "rx-stall-timeout"))
		return set_ms(&options->rx_stall_ms, 0, value);
	if (!strcmp(name, "runtime-dir"))
		return set_text(options->runtime_dir, sizeof(options->runtime_dir), value);
	return disk_options_set(&options->disk, name, value) ? -EINVAL : 0;
}

static int config_line(void *user, const char *section, const char *name, const char *value)
{
	if (*section || options_set(user, name, value)) {
		fprintf(stderr,
			"pvbackd: the configuration has no `%s%s%s = %s`; see pvbackd.conf(5)\n",
			section, *section ? "." : "", name, value);
		return 0;
	}
	return 1;
}

static bool read_config(struct options *options, const char *file, bool must_exist)
{
	int ret = ini_parse(file, config_line, options);

	if (ret == -1 && errno == ENOENT && !must_exist)
		return true;
	if (ret < 0)
		fprintf(stderr, "pvbackd: cannot read %s: %s\n", file, strerror(errno));
	else if (ret > 0)
		fprintf(stderr, "pvbackd: %s, line %d is wrong\n", file, ret);
	return ret == 0;
}

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "workers", required_argument, NULL, 'w' },
	{ "trace-rings", optional_argument, NULL, 't' },
	{ "antispoof", required_argument, NULL, 'a' },
	{ "log-level", required_argument, NULL, 'l' },
	{ "pcap-dir", required_argument, NULL, 'p' },
	{ "runtime-dir", required_argument, NULL, 'r' },
	{ "nbd-timeout", required_argument, NULL, 'n' },
	{ "vif-quirks", required_argument, NULL, 'q' },
	{ "rx-drain-timeout", required_argument, NULL, 'd' },
	{ "rx-stall-timeout", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* First walk: what decides before the file is read. */
static enum options_result scan_early(int argc, char *const *argv, const char **ret_config)
{
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == 'h')
			fputs(usage, stdout);
		if (c == 'V')
			puts("pvbackd " PACKAGE_VERSION);
		if (c == 'h' || c == 'V')
			return OPTIONS_DONE;
		if (c == '?')
			return OPTIONS_WRONG; /* getopt said it */
		if (c == 'c')
			*ret_config = optarg;
	}
	if (optind < argc) {
		fprintf(stderr, "pvbackd: `%s` is not an option; see pvbackd --help\n",
			argv[optind]);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}

static enum options_result apply_argv(int argc, char *const *argv, struct options *options)
{
	int c, index;

	optind = 1;
	while ((c = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		const char *value = optarg ? optarg : "";

		if (c == 'c' || !options_set(options, long_options[index].name, value))
			continue;
		fprintf(stderr, "pvbackd: --%s cannot be `%s`; see pvbackd --help\n",
			long_options[index].name, value);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}

enum options_result options_parse(int argc, char *const *argv, struct options *ret_options)
{
	struct options options = { .log_level = LOG_LEVEL_INFO,
				   .nbd_timeout_s = 60,
				   .runtime_dir = DEFAULT_RUNTIME_DIR,
				   .rx_drain_ms = 10000,
				   .rx_stall_ms = 60000,
				   .disk = disk_options_default };
	const char *config = NULL;
	enum options_result result = scan_early(argc, argv, &config);

	if (result != OPTIONS_RUN)
		return result;
	if (set_text(options.config_file, sizeof(options.config_file),
		     config ? config : DEFAULT_CONFIG_FILE) ||
	    !read_config(&options, options.config_file, config != NULL))
		return OPTIONS_WRONG;
	result = apply_argv(argc, argv, &options);
	if (result == OPTIONS_RUN)
		*ret_options = options;
	return result;
}
