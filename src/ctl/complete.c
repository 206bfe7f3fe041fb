/* SPDX-License-Identifier: MIT */
/* What bash asks for when somebody presses the Tab key: completion/pvbackctl. */
#include <string.h>

#include "ctl/cli.h"
#include "ctl/json.h"

#define PATIENCE_S 2u

struct complete {
	struct cli *cli;
	const struct cli_command *command; /* NULL: it is not typed yet */
	unsigned int nr_words;             /* words after the command */
	const char *before;                /* the last of these words */
	const char *begun;                 /* the beginning of the word to complete */
};

static void offer(const struct complete *c, const char *word, const char *end)
{
	if (*word && !strncmp(word, c->begun, strlen(c->begun)))
		fprintf(c->cli->out, "%s%s\n", word, end);
}

static void offer_commands(const struct complete *c)
{
	for (const struct cli_command *command = cli_commands; command->name; command++)
		offer(c, command->name, "");
}

static void offer_options(const struct complete *c)
{
	unsigned int options = CLI_ALWAYS | (c->command ? c->command->options : 0);

	for (const struct cli_option_row *row = cli_options; row->name; row++) {
		char name[32];

		snprintf(name, sizeof(name), "--%s", row->name);
		if (row->option & options)
			offer(c, name, row->value ? "=" : "");
	}
}

/* NULL, without a message, when no daemon runs or it does not answer us. */
static struct json_object *ask(const struct complete *c, const char *command, const char *device)
{
	struct json_object *request = json_object_new_object(), *answer = NULL, *result;

	json_object_object_add(request, "command", json_object_new_string(command));
	if (device)
		json_object_object_add(request, "device", json_object_new_string(device));
	if (!conn_open(&c->cli->conn, c->cli->runtime_dir) &&
	    conn_ask(&c->cli->conn, request, -1, PATIENCE_S, &answer))
		answer = NULL;
	json_object_put(request);
	result = json_object_get(json_member(answer, "result"));
	json_object_put(answer);
	return result;
}

/* The list has the devices of a guest one after the other. */
static void offer_names(const struct complete *c, bool devices, bool guests)
{
	struct json_object *list = ask(c, "list", NULL);
	const char *last = "";

	for (size_t i = 0; i < json_length(list, "devices"); i++) {
		struct json_object *device = json_item(list, "devices", i);
		const char *guest = json_text(device, "guest");

		if (guests && strcmp(guest, last))
			offer(c, guest, "");
		if (devices)
			offer(c, json_text(device, "name"), "");
		last = guest;
	}
	json_object_put(list);
}

static void offer_keys(const struct complete *c)
{
	struct json_object *show = ask(c, "show", c->before);
	struct json_object *device = json_item(show, "devices", 0);

	for (size_t i = 0; i < json_length(device, "settings"); i++)
		offer(c, json_text(json_item(device, "settings", i), "key"), "");
	json_object_put(show);
}

/* Whether the word to complete is the command's argument `name`. */
static bool wants(const struct complete *c, const char *name)
{
	const char *args = c->command->args;
	size_t len = strlen(name);

	args += strspn(args, " [");
	for (unsigned int i = 0; i < c->nr_words && *args; i++) {
		args += strcspn(args, " ");
		args += strspn(args, " [");
	}
	return strcspn(args, " ]") == len && !strncmp(args, name, len);
}

static void offer_words(const struct complete *c)
{
	if (!c->command)
		offer_commands(c);
	else if (wants(c, "DEVICE"))
		offer_names(c, true, false);
	else if (wants(c, "GUEST"))
		offer_names(c, false, true);
	else if (wants(c, "WHO"))
		offer_names(c, true, true);
	else if (wants(c, "KEY"))
		offer_keys(c);
}

static void take_word(struct complete *c, const char *word)
{
	if (!strncmp(word, "--runtime-dir=", 14))
		c->cli->runtime_dir = word + 14;
	if (word[0] == '-')
		return;
	c->nr_words += c->command != NULL;
	c->before = word;
	c->command = c->command ? c->command : cli_find(word);
}

int cli_complete(struct cli *cli, char *const *words, unsigned int nr_words)
{
	struct complete c = { .cli = cli, .begun = nr_words ? words[nr_words - 1] : "" };

	for (unsigned int i = 0; i + 1 < nr_words; i++)
		take_word(&c, words[i]);
	if (c.begun[0] == '-')
		offer_options(&c);
	else
		offer_words(&c);
	return CLI_OK;
}
