/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netback/filter.h"
#include "netback/quirks.h"
#include "options.h"
#include "parse.h"
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
		return parse_u32(value, 1, OPTIONS_MAX_WORKERS, &options->nr_workers);
	if (!strcmp(name, "nbd-timeout"))
		return parse_u32(value, 1, OPTIONS_MAX_TIMEOUT_S, &options->nbd_timeout_s);
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
		return parse_u32(value, 1, OPTIONS_MAX_TIMEOUT_S * 1000, &options->rx_drain_ms);
	if (!strcmp(name, "rx-stall-timeout"))
		return parse_u32(value, 0, OPTIONS_MAX_TIMEOUT_S * 1000, &options->rx_stall_ms);
	if (!strcmp(name, "runtime-dir"))
		return set_text(options->runtime_dir, sizeof(options->runtime_dir), value);
	return disk_options_set(&options->disk, name, value) ? -EINVAL : 0;
}

static int config_line(void *user, const char *section, const char *name, const char *value)
{
	if (*section || options_set(user, name, value)) {
		log_error("the configuration has no `%s%s%s = %s`; see pvbackd.conf(5)", section,
			  *section ? "." : "", name, value);
		return 0;
	}
	return 1;
}

/* libinih would take the rest of a line that is too long for it as a line of its own. */
static char *config_text(char *buf, int size, void *stream)
{
	char *line = fgets(buf, size, stream);
	int c = 0;

	if (!line || strchr(line, '\n') || feof((FILE *)stream))
		return line;
	while (c != '\n' && c != EOF)
		c = getc(stream);
	return strcpy(buf, "a longer line\n"); /* which is no setting */
}

/* A directory would read as an empty file, and a FIFO might never end. NULL with errno set. */
static FILE *open_config(const char *file)
{
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fdopen(fd, "r");
	close(fd);
	errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	return NULL;
}

static bool read_config(struct options *options, const char *file, bool must_exist)
{
	FILE *in = open_config(file);
	bool wrong;
	int line;

	if (!in && errno == ENOENT && !must_exist)
		return true;
	if (!in) {
		log_error("cannot read %s: %s", file,
			  errno == EINVAL ? "it is not a plain file" : strerror(errno));
		return false;
	}
	line = ini_parse_stream(config_text, in, config_line, options);
	wrong = line || ferror(in);
	if (line)
		log_error("%s, line %d is wrong, or longer than %d characters", file, line,
			  INI_MAX_LINE - 1);
	else if (wrong)
		log_error("cannot read all of %s", file);
	fclose(in);
	return !wrong;
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
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == 'h')
			fputs(usage, stdout);
		if (c == 'V')
			puts("pvbackd " PACKAGE_VERSION);
		if (c == 'h' || c == 'V')
			return OPTIONS_DONE;
		if (c == '?') {
			log_error("`%s` is not an option, or its value is missing; see pvbackd "
				  "--help",
				  argv[optind - 1]);
			return OPTIONS_WRONG;
		}
		if (c == 'c')
			*ret_config = optarg;
	}
	if (optind < argc) {
		log_error("`%s` is not an option; see pvbackd --help", argv[optind]);
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
		log_error("--%s cannot be `%s`; see pvbackd --help", long_options[index].name,
			  value);
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
