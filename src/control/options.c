/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/config_file.h"
#include "control/keys.h"
#include "control/options.h"
#include "core/trace.h"

static int parse_trace(const struct key *key, const char *text, void *ret)
{
	(void)key;
	return trace_parse(text, ret);
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
#define AT(field_)                                                                                 \
	.at = offsetof(struct options, field_), .size = sizeof(((struct options *)NULL)->field_)

static const struct key daemon_keys[] = {
	{ .name = "workers",
	  .parse = key_u32,
	  AT(nr_workers),
	  .min = 1,
	  .max = OPTIONS_MAX_WORKERS,
	  .value = "N",
	  .help = "use N data threads (default: one per CPU, at most 4)" },
	{ .name = "trace-rings",
	  .when = KEY_AT_ONCE,
	  .parse = parse_trace,
	  AT(trace),
	  .allowed = "a list of ring, net, blk, bus, grant, then @DOMID or @DOMID/DEVID",
	  .value = "FILTER",
	  .help = "trace ring events on stderr; FILTER is\n"
		  "[ring,net,blk,bus,grant][@DOMID[/DEVID]]",
	  .may_be_bare = true },
	{ .name = "log-level",
	  .when = KEY_AT_ONCE,
	  .parse = key_choice,
	  AT(log_level),
	  .words = log_levels,
	  .value = "LEVEL",
	  .help = "error, warning, info (default) or debug" },
	{ .name = "serve",
	  .vital = true,
	  .parse = parse_serve,
	  AT(serve),
	  .allowed = "a list of vbd, vbd3 and vif",
	  .value = "LIST",
	  .help = "serve only these of vbd, vbd3 and vif (default: all)" },
	{ .name = "isolation",
	  .if_wrong = "guest",
	  .parse = key_choice,
	  AT(isolation),
	  .words = isolations,
	  .value = "none|guest",
	  .help = "serve each guest in a process of its own, or all in\n"
		  "this one (default: guest)" },
	{ .name = "guest-uid",
	  .parse = key_u32,
	  AT(guest_uid),
	  .max = GUEST_UID_MAX,
	  .value = "BASE",
	  .help = "the process of domain N runs as user BASE + N\n"
		  "(default: 1900000000); 0: as the daemon does" },
	{ .name = "confine",
	  .parse = key_flag,
	  AT(confine),
	  .value = "yes|no",
	  .help = "guests' processes give up all rights (default: yes)" },
	{ .name = "runtime-dir",
	  .vital = true,
	  .parse = key_text,
	  AT(runtime_dir),
	  .max = PATH_MAX,
	  .value = "DIR",
	  .help = "keep run-time files in DIR (default: " DEFAULT_RUNTIME_DIR ")" },
	{ 0 },
};

const struct options_part options_parts[OPTIONS_NR_PARTS] = {
	[OPTIONS_DAEMON] = { daemon_keys, 0 },
	[OPTIONS_DISK] = { disk_keys, offsetof(struct options, disk) },
	[OPTIONS_VIF] = { vif_keys, offsetof(struct options, vif) },
};

static int set_option(struct options *options, const char *name, const char *value)
{
	int err = -ENOENT;

	for (size_t i = 0; err == -ENOENT && i < OPTIONS_NR_PARTS; i++)
		err = keys_set(options_parts[i].keys, (char *)options + options_parts[i].at, name,
			       value);
	return err;
}

static void print_help(void)
{
	fputs("Usage: pvbackd [OPTION]...\n"
	      "Serve the paravirtual disks and NICs of Xen guests from this domain.\n"
	      "\n"
	      "  --config=FILE          read FILE and FILE.d/*.conf instead of\n"
	      "                         " DEFAULT_CONFIG_FILE "\n"
	      "  --check-config         print the errors of the configuration, and exit\n",
	      stdout);
	for (size_t i = 0; i < OPTIONS_NR_PARTS; i++)
		keys_help(options_parts[i].keys, stdout);
	fputs("  --help                 show this and exit\n"
	      "  --version              show the version and exit\n"
	      "\n"
	      "SIGHUP reads the configuration again. A change of an option with [l] takes effect "
	      "at\n"
	      "once, with [c] when a device connects the next time, and of others after a "
	      "restart.\n"
	      "SIGTERM stops the daemon; the guests go on. SIGUSR1 dumps all rings to the log.\n",
	      stdout);
}

/* --- the command line --- */

enum { ARG_CONFIG = 1, ARG_CHECK, ARG_HELP, ARG_VERSION, ARG_KEY };

#define MAX_ARGS 64u

/* What getopt_long() takes: our own four, then every key that has a value in --help. */
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
	add_arg(args, "check-config", no_argument, ARG_CHECK);
	add_arg(args, "help", no_argument, ARG_HELP);
	add_arg(args, "version", no_argument, ARG_VERSION);
	for (size_t i = 0; i < OPTIONS_NR_PARTS; i++)
		for (const struct key *key = options_parts[i].keys; key->name; key++)
			if (key->value)
				add_arg(args, key->name,
					key->may_be_bare ? optional_argument : required_argument,
					ARG_KEY);
}

struct early {
	const char *config; /* --config; NULL */
	bool check;         /* --check-config */
};

/* First walk: what decides before the file is read. */
static enum options_result scan_early(int argc, char *const *argv, const struct args *args,
				      struct early *ret)
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
			ret->config = optarg;
		if (c == ARG_CHECK)
			ret->check = true;
	}
	if (optind < argc) {
		log_error("`%s` is not an option; see pvbackd --help", argv[optind]);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}

static void say_wrong(const char *name, const char *value)
{
	const struct key *key = NULL;
	char allowed[200];

	for (size_t i = 0; !key && i < OPTIONS_NR_PARTS; i++)
		key = keys_find(options_parts[i].keys, name);
	key_allowed(key, allowed, sizeof(allowed));
	log_error("--%s cannot be `%s`: it takes %s", name, value, allowed);
}

static enum options_result apply_argv(int argc, char *const *argv, const struct args *args,
				      struct options *options)
{
	int c, index;

	optind = 1;
	while ((c = getopt_long(argc, argv, "", args->list, &index)) != -1) {
		const char *name = args->list[index].name, *value = optarg ? optarg : "";

		if (args->list[index].val != ARG_KEY || !set_option(options, name, value))
			continue;
		say_wrong(name, value);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}

/* --- both --- */

static enum options_result load(int argc, char *const *argv, struct options *options,
				struct early *early, struct config_faults *faults)
{
	enum options_result result;
	struct args args;

	*options = (struct options){ .log_level = LOG_LEVEL_INFO,
				     .isolation = ISOLATION_GUEST,
				     .guest_uid = GUEST_UID_BASE,
				     .confine = true,
				     .serve = SERVE_ALL,
				     .runtime_dir = DEFAULT_RUNTIME_DIR,
				     .disk = disk_options_default,
				     .vif = vif_options_default };
	make_args(&args);
	result = scan_early(argc, argv, &args, early);
	if (result != OPTIONS_RUN)
		return result;
	options->config = early->config ? early->config : DEFAULT_CONFIG_FILE;
	config_read(options, options->config, early->config != NULL, faults);
	return apply_argv(argc, argv, &args, options);
}

/* The daemon starts with faults in its file, too: else a wrong comma would leave all guests without disks. */
enum options_result options_parse(int argc, char *const *argv, struct options *ret_options)
{
	struct early early = { 0 };
	struct config_faults faults = { 0 };
	struct options options;
	enum options_result result = load(argc, argv, &options, &early, &faults);

	config_faults_log(&faults);
	if (result == OPTIONS_RUN && (early.check ? faults.nr > 0 : faults.vital))
		result = OPTIONS_WRONG;
	if (result == OPTIONS_RUN && early.check) {
		puts("the configuration is right");
		result = OPTIONS_DONE;
	}
	if (result != OPTIONS_RUN) {
		options_free(&options);
		config_faults_free(&faults);
		return result;
	}
	config_faults_show(&faults, "the configuration has faults, and what is wrong is left out");
	if (faults.nr)
		log_error("the configuration has %u fault%s, and what is wrong in it is left out. "
			  "When that is put right: systemctl reload pvbackd",
			  faults.nr, faults.nr == 1 ? "" : "s");
	config_faults_free(&faults);
	*ret_options = options;
	return OPTIONS_RUN;
}

/* --- SIGHUP --- */

static void say_change(const struct key *key)
{
	if (key->when == KEY_AT_RESTART)
		log_warning("`%s` has changed: that holds when pvbackd is restarted", key->name);
	else if (key->when == KEY_AT_CONNECT)
		log_info("`%s` has changed: that holds for a device when it connects the next time",
			 key->name);
	else
		log_info("`%s` has changed", key->name);
}

/* Take over all changes but those that need a restart. */
static void take_changes(const struct options_part *part, const struct options *from,
			 struct options *to)
{
	const char *fresh = (const char *)from + part->at;
	char *now = (char *)to + part->at;

	for (const struct key *key = part->keys; key->name; key++) {
		if (key_is_same(key, fresh, now))
			continue;
		say_change(key);
		if (key->when != KEY_AT_RESTART)
			key_copy(key, fresh, now);
	}
}

/* 0 with *ret, which is the caller's; -EINVAL when something is wrong. */
static int load_again(int argc, char *const *argv, struct options *ret,
		      struct config_faults *ret_faults)
{
	struct early early = { 0 };

	*ret_faults = (struct config_faults){ 0 };
	if (load(argc, argv, ret, &early, ret_faults) == OPTIONS_RUN && !ret_faults->nr)
		return 0;
	options_free(ret);
	return -EINVAL;
}

int options_check(int argc, char *const *argv, struct config_faults *ret_faults)
{
	struct options options;
	int err = load_again(argc, argv, &options, ret_faults);

	if (!err)
		options_free(&options);
	return err;
}

int options_reload(int argc, char *const *argv, struct options *options,
		   struct config_faults *ret_faults)
{
	struct options fresh;
	char dir[PATH_MAX];

	int err = load_again(argc, argv, &fresh, ret_faults);

	config_faults_show(ret_faults, "the configuration is refused, and what was in force stays");
	if (err)
		return err;
	if (realpath(fresh.runtime_dir, dir)) /* the form in which the daemon keeps it */
		strncpy(fresh.runtime_dir, dir, sizeof(fresh.runtime_dir));
	for (size_t i = 0; i < OPTIONS_NR_PARTS; i++)
		take_changes(&options_parts[i], &fresh, options);
	options_free(options);
	options->settings = fresh.settings;
	return 0;
}

void options_free(struct options *options)
{
	settings_free(&options->settings);
}
