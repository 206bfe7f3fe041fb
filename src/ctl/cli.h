/* SPDX-License-Identifier: MIT */
/*
 * One run of pvbackctl, and the table of its commands. The table is used to parse the command line, to make the
 * requests, and for --help and the completion.
 */
#ifndef PVB_CLI_H
#define PVB_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#include "ctl/conn.h"

/* Exit status. */
enum cli_status {
	CLI_OK,
	CLI_FAILED, /* the daemon refuses, or something failed */
	CLI_USAGE,
	CLI_NO_DAEMON,
};

/* Options. A command has a bit for each that it takes. */
enum cli_option {
	CLI_RUNTIME_DIR = 1 << 0,
	CLI_JSON = 1 << 1,
	CLI_HELP = 1 << 2,
	CLI_VERSION = 1 << 3,
	CLI_ALWAYS = (1 << 4) - 1,
	CLI_NAMES = 1 << 4,
	CLI_INTERVAL = 1 << 5,
	CLI_ONCE = 1 << 6,
	CLI_CONFIG = 1 << 7,
	CLI_FILTER = 1 << 8,
	CLI_SNAPLEN = 1 << 9,
	CLI_SECONDS = 1 << 10,
	CLI_SIZE = 1 << 11,
	CLI_OFF = 1 << 12,
	CLI_LOG = 1 << 13,
};

struct cli {
	const struct cli_command *command;
	char *const *words; /* borrowed: the words after the command's name */
	unsigned int nr_words;
	unsigned int given; /* enum cli_option */
	const char *runtime_dir;
	double interval; /* seconds */
	const char *filter;
	uint32_t snaplen, size_mib;
	uint32_t seconds; /* 0: until it is stopped */
	bool is_terminal; /* a program that reads the output */
	bool colours;
	unsigned int width; /* of the terminal */
	FILE *out;
	struct conn conn;
};

struct cli_command {
	const char *name;
	/*
	 * The words that follow: GUEST, DEVICE, WHO (a guest or a device), KEY, VALUE, FILE. A word in brackets may be
	 * left out. Each word except FILE becomes a member of the request; WHO becomes "guest" or "device".
	 */
	const char *args;
	unsigned int options; /* enum cli_option, beyond CLI_ALWAYS */
	const char *help;     /* a line */
	const char *example;  /* the rest of a line after "pvbackctl " */
	/* Returns enum cli_status. Errors have been printed. */
	int (*run)(struct cli *cli);
};

struct cli_option_row {
	enum cli_option option;
	const char *name, *value; /* value: NULL when it takes none */
	const char *help;
};

extern const struct cli_command cli_commands[]; /* both end with a name that is NULL */
extern const struct cli_option_row cli_options[];

const struct cli_command *cli_find(const char *name);

/* The whole program. The answer goes to `out`; errors go to stderr. Returns enum cli_status. */
int cli_main(int argc, char **argv, FILE *out);

/* --- for the commands --- */

#define CLI_PATIENCE_S 10u /* how long the daemon may take */
#define CLI_LONG_S     60u /* the same for commands that wait for something */

/* The request for the command line. The caller owns it. */
struct json_object *cli_request(const struct cli *cli);
/*
 * Ask the daemon, after connecting if necessary. `fd` is sent along unless it is -1. CLI_OK with the answer, which the
 * caller owns; else the error was printed. Takes ownership of the request.
 */
int cli_ask_with(struct cli *cli, struct json_object *request, int fd, unsigned int seconds,
		 struct json_object **ret);
int cli_ask(struct cli *cli, struct json_object *request, struct json_object **ret);
/* Receive a line that the daemon sends without being asked, when there is something to read. Returns likewise. */
int cli_hear(struct cli *cli, struct json_object **ret);
/* Ask, and print the answer: by `print`, or as JSON if that was asked for. */
typedef void (*cli_print_fn)(const struct cli *cli, struct json_object *result);
int cli_answer(struct cli *cli, struct json_object *request, unsigned int seconds,
	       cli_print_fn print);
/* Print as JSON. */
void cli_print_json(const struct cli *cli, struct json_object *result);

int cli_capture(struct cli *cli);
int cli_check(struct cli *cli);
int cli_drain(struct cli *cli);
int cli_events(struct cli *cli);
int cli_list(struct cli *cli);
int cli_metrics(struct cli *cli);
int cli_reload(struct cli *cli);
int cli_restart(struct cli *cli);
int cli_retry(struct cli *cli);
int cli_set(struct cli *cli);
int cli_show(struct cli *cli);
int cli_stats(struct cli *cli);
int cli_top(struct cli *cli);
int cli_trace(struct cli *cli);
int cli_version(struct cli *cli);
int cli_why(struct cli *cli);

/* Print --help for all commands, or for one. */
void cli_help(const struct cli_command *command, FILE *out);
/*
 * For the completion: print what may stand in place of the last of these words, one a line. Nothing when no daemon
 * answers.
 */
int cli_complete(struct cli *cli, char *const *words, unsigned int nr_words);

#endif
