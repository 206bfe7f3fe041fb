/* SPDX-License-Identifier: MIT */
/* Commands that change something, and the check of the configuration. They report success on a terminal only. */
#include <inttypes.h>
#include <string.h>

#include "ctl/cli.h"
#include "ctl/json.h"
#include "ctl/text.h"

/* Print a line of the daemon's answer. */
static void say_text(const struct cli *cli, const char *before, const char *text, const char *after)
{
	struct table line = { .nr_columns = 1, .titles = { "" } };

	table_row(&line, COLOUR_NONE);
	table_cell(&line, "%s%s%s", before, text, after);
	table_print_rows(&line, cli->colours, cli->out);
	table_free(&line);
}

/* --- single devices and guests --- */

/* Print which value holds after unset, and where it comes from. */
static void say_unset(const struct cli *cli, struct json_object *result)
{
	const char *value = json_text(result, "value"), *from = json_text(result, "from");
	const char *by = json_text(result, "by"), *key = cli->words[1];
	char text[256];

	if (*by)
		snprintf(text, sizeof(text), "%s is %s still, by ", key, value);
	else
		snprintf(text, sizeof(text), "%s is %s now, by the ", key, value);
	if (*by)
		say_text(cli, text, by, "; --config removes it there");
	else if (*from)
		say_text(cli, text, from, "");
	else
		say_text(cli, key, " is not set", "");
}

static void say_setting(const struct cli *cli, struct json_object *result)
{
	bool unset = cli->nr_words < 3;
	const char *file = json_text(result, "file");

	if (!cli->is_terminal)
		return;
	fprintf(cli->out, "%s: ", cli->words[0]);
	if (unset)
		say_unset(cli, result);
	else
		say_text(cli, cli->words[1], " is ", json_text(result, "value"));
	if (*file)
		say_text(cli, unset ? "It is removed from " : "It lasts: ", file,
			 unset ? "." : " has it.");
	if (*json_text(result, "note"))
		say_text(cli, "", json_text(result, "note"), "");
}

int cli_set(struct cli *cli)
{
	return cli_answer(cli, cli_request(cli), CLI_PATIENCE_S, say_setting);
}

static void say_retried(const struct cli *cli, struct json_object *result)
{
	if (cli->is_terminal)
		fprintf(cli->out, "%s: %s\n", cli->words[0],
			json_flag(result, "held") ? "what was held is tried again"
						  : "nothing was held");
}

int cli_retry(struct cli *cli)
{
	return cli_answer(cli, cli_request(cli), CLI_PATIENCE_S, say_retried);
}

static void say_restarted(const struct cli *cli, struct json_object *result)
{
	if (cli->is_terminal)
		fprintf(cli->out, "%s: process %" PRIu64 " has taken the place of %" PRIu64 "\n",
			cli->words[0], json_u64(result, "pid"), json_u64(result, "was"));
}

int cli_restart(struct cli *cli)
{
	return cli_answer(cli, cli_request(cli), CLI_LONG_S, say_restarted);
}

static void say_drained(const struct cli *cli, struct json_object *result)
{
	if (cli->is_terminal)
		fprintf(cli->out, "%s: the medium has given back all that it had, after %s\n",
			cli->words[0], text_ns(json_u64(result, "waited_ms") * 1000000).text);
}

int cli_drain(struct cli *cli)
{
	return cli_answer(cli, cli_request(cli), CLI_LONG_S, say_drained);
}

/* --- the configuration --- */

static void print_faults(const struct cli *cli, struct json_object *result)
{
	for (size_t i = 0; i < json_length(result, "errors"); i++) {
		struct json_object *fault = json_item(result, "errors", i);
		char where[512];

		snprintf(where, sizeof(where), "%s, line %" PRIu64 ": ", json_text(fault, "file"),
			 json_u64(fault, "line"));
		say_text(cli, where, json_text(fault, "error"), "");
	}
}

/* The faults are the answer, so they are printed in a script, too. */
static int configuration(struct cli *cli, const char *when_right)
{
	struct json_object *result;
	int status = cli_ask_with(cli, cli_request(cli), -1, CLI_LONG_S, &result);

	if (status)
		return status;
	if (json_length(result, "errors"))
		status = CLI_FAILED;
	if (cli->given & CLI_JSON)
		cli_print_json(cli, result);
	else if (status)
		print_faults(cli, result);
	else if (cli->is_terminal)
		say_text(cli, json_text(result, "file"), when_right, "");
	json_object_put(result);
	return status;
}

int cli_check(struct cli *cli)
{
	return configuration(cli, ": nothing is wrong with it");
}

int cli_reload(struct cli *cli)
{
	return configuration(cli, " has been read again");
}

/* --- metrics --- */

static void print_metrics(const struct cli *cli, struct json_object *result)
{
	fputs(json_text(result, "text"), cli->out);
}

int cli_metrics(struct cli *cli)
{
	return cli_answer(cli, cli_request(cli), CLI_PATIENCE_S, print_metrics);
}
