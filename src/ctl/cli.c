/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/parse.h"
#include "ctl/cli.h"
#include "ctl/json.h"
#include "ctl/text.h"

#define MAX_OPTIONS   32u
#define COMPLETE      MAX_OPTIONS /* --complete: cli_complete() takes the rest */
#define PLAIN_WIDTH   80u
#define MAX_WIDTH     100u
#define MAX_SECONDS   86400u
#define MAX_SNAPLEN   65536u
#define MAX_SIZE_MIB  1048576u
#define LEAST_SECONDS 0.1

static int usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int usage(const char *fmt, ...)
{
	va_list ap;

	fputs("pvbackctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CLI_USAGE;
}

/* --- the command line --- */

static int take_interval(struct cli *cli, const char *text)
{
	char *end;

	cli->interval = isdigit((unsigned char)*text) ? strtod(text, &end) : 0;
	if (cli->interval < LEAST_SECONDS || cli->interval > MAX_SECONDS || *end)
		return usage("--interval takes seconds, from %.1f to %u", LEAST_SECONDS,
			     MAX_SECONDS);
	return CLI_OK;
}

static int take_number(const char *name, const char *text, uint32_t max, uint32_t *ret)
{
	if (parse_u32(text, 1, max, ret))
		return usage("--%s takes a number from 1 to %u", name, max);
	return CLI_OK;
}

static int take_option(struct cli *cli, const struct cli_option_row *row, const char *value)
{
	cli->given |= row->option;
	switch (row->option) {
	case CLI_RUNTIME_DIR:
		cli->runtime_dir = value;
		return CLI_OK;
	case CLI_INTERVAL:
		return take_interval(cli, value);
	case CLI_FILTER:
		cli->filter = value;
		return CLI_OK;
	case CLI_SNAPLEN:
		return take_number(row->name, value, MAX_SNAPLEN, &cli->snaplen);
	case CLI_SIZE:
		return take_number(row->name, value, MAX_SIZE_MIB, &cli->size_mib);
	case CLI_SECONDS:
		return take_number(row->name, value, MAX_SECONDS, &cli->seconds);
	default:
		return CLI_OK;
	}
}

/* The words after --complete are not parsed as options. */
static int read_options(struct cli *cli, int argc, char **argv)
{
	struct option longs[MAX_OPTIONS + 2] = { 0 };
	unsigned int nr = 0;
	int found, status = CLI_OK;

	for (; cli_options[nr].name; nr++)
		longs[nr] = (struct option){ .name = cli_options[nr].name,
					     .has_arg = cli_options[nr].value ? required_argument
									      : no_argument,
					     .val = (int)nr };
	longs[nr] = (struct option){ .name = "complete", .val = COMPLETE };
	opterr = 0; /* we print the error */
	optind = 0; /* begin anew: tests call this more than once */
	while (!status && (found = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		if (found == COMPLETE)
			break;
		if (found == '?' || found == ':')
			status = usage(found == '?' ? "no option `%s`; see `pvbackctl --help`"
						    : "`%s` takes a value",
				       argv[optind - 1]);
		else
			status = take_option(cli, &cli_options[found], optarg);
	}
	if (!status && found == COMPLETE)
		return -1;
	return status;
}

/* How many words `args` asks for at least and at most. */
static void count_args(const char *args, unsigned int *least, unsigned int *most)
{
	*least = *most = 0;
	while (*(args += strspn(args, " "))) {
		*least += *args != '[';
		*most += 1;
		args += strcspn(args, " ");
	}
}

static int check_words(const struct cli *cli)
{
	const struct cli_command *command = cli->command;
	unsigned int least, most;

	count_args(command->args, &least, &most);
	if (cli->nr_words < least || cli->nr_words > most)
		return usage("%s takes %s; see `pvbackctl %s --help`", command->name,
			     most ? command->args : "nothing", command->name);
	for (const struct cli_option_row *row = cli_options; row->name; row++)
		if (cli->given & row->option & ~(command->options | CLI_ALWAYS))
			return usage("%s takes no --%s; see `pvbackctl %s --help`", command->name,
				     row->name, command->name);
	return CLI_OK;
}

static int read_words(struct cli *cli, int argc, char **argv)
{
	if (argc < 1)
		return usage("which command? See `pvbackctl --help`");
	cli->command = cli_find(argv[0]);
	if (!cli->command)
		return usage("no command `%s`; see `pvbackctl --help`", argv[0]);
	cli->words = argv + 1;
	cli->nr_words = (unsigned int)argc - 1;
	return cli->given & CLI_HELP ? CLI_OK : check_words(cli);
}

static unsigned int width_of(FILE *out)
{
	struct winsize size;

	if (ioctl(fileno(out), TIOCGWINSZ, &size) < 0 || size.ws_col < 20)
		return PLAIN_WIDTH;
	return size.ws_col < MAX_WIDTH ? size.ws_col : MAX_WIDTH;
}

static bool may_have_colours(FILE *out)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(fileno(out)) && !(no && *no) && term && strcmp(term, "dumb");
}

static int run(struct cli *cli, int argc, char **argv)
{
	int status = read_options(cli, argc, argv);

	if (status < 0)
		return cli_complete(cli, argv + optind, (unsigned int)(argc - optind));
	if (!status && cli->given & CLI_VERSION) {
		fprintf(cli->out, "pvbackctl %s\n", PACKAGE_VERSION);
		return CLI_OK;
	}
	if (!status && (optind < argc || !(cli->given & CLI_HELP)))
		status = read_words(cli, argc - optind, argv + optind);
	if (status)
		return status;
	if (!(cli->given & CLI_HELP))
		return cli->command->run(cli);
	cli_help(cli->command, cli->out);
	return CLI_OK;
}

int cli_main(int argc, char **argv, FILE *out)
{
	struct cli cli = { .runtime_dir = DEFAULT_RUNTIME_DIR,
			   .interval = 1,
			   .out = out,
			   .width = width_of(out),
			   .is_terminal = isatty(fileno(out)),
			   .colours = may_have_colours(out),
			   .conn = { .fd = -1 } };
	int status = run(&cli, argc, argv);

	conn_close(&cli.conn);
	if (fflush(out) && !status) {
		warn("cannot write the answer");
		status = CLI_FAILED;
	}
	return status;
}

/* --- asking --- */

static void add(struct json_object *request, const char *member, const char *text)
{
	json_object_object_add(request, member, json_object_new_string(text));
}

/* Add the word that was given for one of `args`. A name with a slash is a device's. */
static void add_word(struct json_object *request, const char *arg, size_t len, const char *word)
{
	char name[16];

	snprintf(name, sizeof(name), "%.*s", (int)len, arg);
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (!strcmp(name, "file"))
		return;
	if (!strcmp(name, "who"))
		strcpy(name, strchr(word, '/') ? "device" : "guest");
	add(request, name, word);
}

struct json_object *cli_request(const struct cli *cli)
{
	struct json_object *request = json_object_new_object();
	const char *arg = cli->command->args;

	add(request, "command", cli->command->name);
	for (unsigned int i = 0; i < cli->nr_words; i++) {
		size_t len;

		arg += strspn(arg, " [");
		len = strcspn(arg, " ]");
		add_word(request, arg, len, cli->words[i]);
		arg += len + strspn(arg + len, "]");
	}
	if (cli->given & CLI_CONFIG)
		json_object_object_add(request, "config", json_object_new_boolean(true));
	if (cli->given & CLI_FILTER)
		add(request, "filter", cli->filter);
	if (cli->given & CLI_SNAPLEN)
		json_object_object_add(request, "snaplen", json_object_new_int64(cli->snaplen));
	if (cli->given & CLI_SIZE)
		json_object_object_add(request, "size_mib", json_object_new_int64(cli->size_mib));
	return request;
}

static int not_connected(const struct cli *cli, int err)
{
	if (err == -ENOENT || err == -ECONNREFUSED) {
		warnx("no daemon answers at %s/ctl: start it (systemctl start pvbackd), or name "
		      "its directory (--runtime-dir=DIR)",
		      cli->runtime_dir);
		return CLI_NO_DAEMON;
	}
	if (err == -EACCES || err == -EPERM)
		warnx("%s/ctl: only root may ask the daemon (sudo pvbackctl ...)",
		      cli->runtime_dir);
	else
		warnx("%s/ctl: %s", cli->runtime_dir, strerror(-err));
	return CLI_FAILED;
}

static int not_answered(int err, unsigned int seconds)
{
	if (err == -ETIMEDOUT)
		warnx("the daemon has not answered for %u seconds (systemctl status pvbackd; "
		      "journalctl -u pvbackd)",
		      seconds);
	else if (err == -ECONNRESET)
		warnx("the daemon has closed the connection without an answer (journalctl -u "
		      "pvbackd; "
		      "only root may ask)");
	else if (err == -EBADMSG)
		warnx("the daemon has said what is no answer: is it of another version? "
		      "(pvbackd --version; pvbackctl --version)");
	else
		warnx("cannot ask the daemon: %s", strerror(-err));
	return CLI_FAILED;
}

/* Take the result from an answer. */
static int take_result(struct json_object *answer, struct json_object **ret)
{
	char *text;

	if (json_flag(answer, "ok")) {
		*ret = json_object_get(json_member(answer, "result"));
		return CLI_OK;
	}
	text = strdup(json_text(answer, "error"));
	text_clean(text);
	warnx("%s", *text ? text : "the daemon refuses, and does not say why");
	free(text);
	return CLI_FAILED;
}

/* Take ownership of `answer`. If there is none, `err` says why. */
static int answered(struct cli *cli, int err, unsigned int seconds, struct json_object *answer,
		    struct json_object **ret)
{
	int status;

	if (err) {
		conn_close(&cli->conn);
		return not_answered(err, seconds);
	}
	status = take_result(answer, ret);
	json_object_put(answer);
	return status;
}

int cli_ask_with(struct cli *cli, struct json_object *request, int fd, unsigned int seconds,
		 struct json_object **ret)
{
	struct json_object *answer = NULL;
	int err = cli->conn.fd >= 0 ? 0 : conn_open(&cli->conn, cli->runtime_dir);

	if (err) {
		json_object_put(request);
		return not_connected(cli, err);
	}
	err = conn_ask(&cli->conn, request, fd, seconds, &answer);
	json_object_put(request);
	return answered(cli, err, seconds, answer, ret);
}

int cli_hear(struct cli *cli, struct json_object **ret)
{
	struct json_object *answer = NULL;
	int err = conn_hear(&cli->conn, CLI_PATIENCE_S, &answer);

	return answered(cli, err, CLI_PATIENCE_S, answer, ret);
}

int cli_ask(struct cli *cli, struct json_object *request, struct json_object **ret)
{
	return cli_ask_with(cli, request, -1, CLI_PATIENCE_S, ret);
}

void cli_print_json(const struct cli *cli, struct json_object *result)
{
	fprintf(cli->out, "%s\n",
		json_object_to_json_string_ext(result, JSON_C_TO_STRING_PRETTY |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
}

int cli_answer(struct cli *cli, struct json_object *request, unsigned int seconds,
	       cli_print_fn print)
{
	struct json_object *result;
	int status = cli_ask_with(cli, request, -1, seconds, &result);

	if (status)
		return status;
	if (cli->given & CLI_JSON)
		cli_print_json(cli, result);
	else
		print(cli, result);
	json_object_put(result);
	return CLI_OK;
}
