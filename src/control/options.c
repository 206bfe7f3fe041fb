/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/keys.h"
#include "control/options.h"
#include "core/trace.h"

static int parse_trace(const struct key *key, const char *text, void *ret)
{
	struct trace_choice *trace = ret;

	(void)key;
	if (strlen(text) >= sizeof(trace->filter) || trace_configure(text))
		return -EINVAL;
	trace->on = true;
	memcpy(trace->filter, text, strlen(text) + 1);
	return 0;
}

static unsigned int serve_bit(const char *word, size_t len)
{
	static const char *const kinds[] = { "vbd", "vbd3", "vif" };

	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i]) == len && !strncmp(kinds[i], word, len))
			return 1u << i;
	return 0;
}

static int parse_serve(const struct key *key, const char *text, void *ret)
{
	unsigned int serve = 0;

	(void)key;
	do {
		size_t len = strcspn(text, ",");
		unsigned int bit = serve_bit(text, len);

		if (!bit)
			return -EINVAL;
		serve |= bit;
		text += len;
	} while (*text++);
	*(unsigned int *)ret = serve;
	return 0;
}

static const char *const log_levels[] = { "error", "warning", "info", "debug", NULL };

static const char *const isolations[] = { "none", "guest", NULL }; /* enum isolation */

static const struct key daemon_keys[] = {
	{ .name = "workers",
	  .parse = key_u32,
	  .at = offsetof(struct options, nr_workers),
	  .min = 1,
	  .max = OPTIONS_MAX_WORKERS,
	  .value = "N",
	  .help = "use N data threads (default: one per CPU, at most 4)" },
	{ .name = "trace-rings",
	  .parse = parse_trace,
	  .at = offsetof(struct options, trace),
	  .allowed = "a list of ring, net, blk, bus, grant, then @DOMID or @DOMID/DEVID",
	  .value = "FILTER",
	  .help = "trace ring events on stderr; FILTER is\n"
		  "[ring,net,blk,bus,grant][@DOMID[/DEVID]]",
	  .may_be_bare = true },
	{ .name = "log-level",
	  .parse = key_choice,
	  .at = offsetof(struct options, log_level),
	  .words = log_levels,
	  .value = "LEVEL",
	  .help = "error, warning, info (default) or debug" },
	{ .name = "serve",
	  .parse = parse_serve,
	  .at = offsetof(struct options, serve),
	  .allowed = "a list of vbd, vbd3 and vif",
	  .value = "LIST",
	  .help = "serve only these of vbd, vbd3 and vif (default: all)" },
	{ .name = "isolation",
	  .parse = key_choice,
	  .at = offsetof(struct options, isolation),
	  .words = isolations,
	  .value = "none|guest",
	  .help = "serve each guest in a process of its own, or all in\n"
		  "this one (default: none)" },
	{ .name = "runtime-dir",
	  .parse = key_text,
	  .at = offsetof(struct options, runtime_dir),
	  .max = PATH_MAX,
	  .value = "DIR",
	  .help = "keep run-time files in DIR (default: " DEFAULT_RUNTIME_DIR ")" },
	{ 0 },
};

/* Every table with the struct that it fills, in the order of --help. */
struct part {
	const struct key *keys;
	size_t at;
};

static const struct part parts[] = {
	{ daemon_keys, 0 },
	{ disk_keys, offsetof(struct options, disk) },
	{ vif_keys, offsetof(struct options, vif) },
};

#define NR_PARTS (sizeof(parts) / sizeof(parts[0]))

static const struct key *find_key(const char *name)
{
	const struct key *key = NULL;

	for (size_t i = 0; !key && i < NR_PARTS; i++)
		key = keys_find(parts[i].keys, name);
	return key;
}

int options_set(struct options *options, const char *name, const char *value)
{
	int err = -ENOENT;

	for (size_t i = 0; err == -ENOENT && i < NR_PARTS; i++)
		err = keys_set(parts[i].keys, (char *)options + parts[i].at, name, value);
	return err;
}

/* One line: what was written, and what may be. `where` stands before the option's name. */
static void say_wrong(const char *where, const char *name, const char *value)
{
	const struct key *key = find_key(name);
	char allowed[200];

	if (!key) {
		log_error("%s%s is no option; see pvbackd.conf(5)", where, name);
		return;
	}
	key_allowed(key, allowed, sizeof(allowed));
	log_error("%s%s cannot be `%s`: it takes %s", where, name, value, allowed);
}

static void print_help(void)
{
	fputs("Usage: pvbackd [OPTION]...\n"
	      "Serve the paravirtual disks and NICs of Xen guests from this domain.\n"
	      "\n"
	      "  --config=FILE          read FILE instead of " DEFAULT_CONFIG_FILE "\n",
	      stdout);
	for (size_t i = 0; i < NR_PARTS; i++)
		keys_help(parts[i].keys, stdout);
	fputs("  --help                 show this and exit\n"
	      "  --version              show the version and exit\n"
	      "\n"
	      "SIGTERM stops it without touching the guests; SIGUSR1 dumps all rings to the log.\n",
	      stdout);
}

/* --- the file --- */

static int config_line(void *user, const char *section, const char *name, const char *value)
{
	if (*section) {
		log_error("the configuration has no section [%s]; see pvbackd.conf(5)", section);
		return 0;
	}
	if (!options_set(user, name, value))
		return 1;
	say_wrong("the configuration: ", name, value);
	return 0;
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

/* --- the command line --- */

enum { ARG_CONFIG = 1, ARG_HELP, ARG_VERSION, ARG_KEY };

#define MAX_ARGS 64u

/* What getopt_long() takes: our own three, then every key that has a value in --help. */
struct args {
	struct option list[MAX_ARGS];
	size_t nr;
};

static void add_arg(struct args *args, const char *name, int has_arg, int val)
{
	assert(args->nr < MAX_ARGS - 1);
	args->list[args->nr++] = (struct option){ .name = name, .has_arg = has_arg, .val = val };
}

static void make_args(struct args *args)
{
	*args = (struct args){ 0 };
	add_arg(args, "config", required_argument, ARG_CONFIG);
	add_arg(args, "help", no_argument, ARG_HELP);
	add_arg(args, "version", no_argument, ARG_VERSION);
	for (size_t i = 0; i < NR_PARTS; i++)
		for (const struct key *key = parts[i].keys; key->name; key++)
			if (key->value)
				add_arg(args, key->name,
					key->may_be_bare ? optional_argument : required_argument,
					ARG_KEY);
}

/* First walk: what decides before the file is read. */
static enum options_result scan_early(int argc, char *const *argv, const struct args *args,
				      const char **ret_config)
{
	int c;

	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", args->list, NULL)) != -1) {
		if (c == ARG_HELP)
			print_help();
		if (c == ARG_VERSION)
			puts("pvbackd " PACKAGE_VERSION);
		if (c == ARG_HELP || c == ARG_VERSION)
			return OPTIONS_DONE;
		if (c == '?') {
			log_error("`%s` is not an option, or its value is missing; see pvbackd "
				  "--help",
				  argv[optind - 1]);
			return OPTIONS_WRONG;
		}
		if (c == ARG_CONFIG)
			*ret_config = optarg;
	}
	if (optind < argc) {
		log_error("`%s` is not an option; see pvbackd --help", argv[optind]);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}

static enum options_result apply_argv(int argc, char *const *argv, const struct args *args,
				      struct options *options)
{
	int c, index;

	optind = 1;
	while ((c = getopt_long(argc, argv, "", args->list, &index)) != -1) {
		const char *name = args->list[index].name, *value = optarg ? optarg : "";

		if (c == ARG_CONFIG || !options_set(options, name, value))
			continue;
		say_wrong("--", name, value);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}

enum options_result options_parse(int argc, char *const *argv, struct options *ret_options)
{
	struct options options = { .log_level = LOG_LEVEL_INFO,
				   .serve = SERVE_ALL,
				   .runtime_dir = DEFAULT_RUNTIME_DIR,
				   .disk = disk_options_default,
				   .vif = vif_options_default };
	const char *config = NULL;
	struct args args;
	enum options_result result;

	make_args(&args);
	result = scan_early(argc, argv, &args, &config);
	if (result != OPTIONS_RUN)
		return result;
	if (!read_config(&options, config ? config : DEFAULT_CONFIG_FILE, config != NULL))
		return OPTIONS_WRONG;
	result = apply_argv(argc, argv, &args, &options);
	if (result != OPTIONS_RUN)
		return result;
	if (!*options.vif.pcap_dir)
		memcpy(options.vif.pcap_dir, options.runtime_dir, sizeof(options.runtime_dir));
	*ret_options = options;
	return OPTIONS_RUN;
}
