/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "ctl/cli.h"

static void option_help(const struct cli_option_row *row, FILE *out)
{
	char name[40];

	snprintf(name, sizeof(name), "--%s%s%s", row->name, row->value ? "=" : "",
		 row->value ? row->value : "");
	fprintf(out, "  %-24s  %s\n", name, row->help);
}

static void options_help(unsigned int options, FILE *out)
{
	for (const struct cli_option_row *row = cli_options; row->name; row++)
		if (row->option & options)
			option_help(row, out);
}

static void command_usage(const struct cli_command *command, FILE *out)
{
	fprintf(out, "usage: pvbackctl %s%s%s", command->name, *command->args ? " " : "",
		command->args);
	for (const struct cli_option_row *row = cli_options; row->name; row++)
		if (row->option & command->options)
			fprintf(out, " [--%s%s%s]", row->name, row->value ? "=" : "",
				row->value ? row->value : "");
	fprintf(out, "\n\n%s\n\n", command->help);
	options_help(command->options | CLI_ALWAYS, out);
	fprintf(out, "\nexample: pvbackctl %s\n", command->example);
}

void cli_help(const struct cli_command *command, FILE *out)
{
	if (command) {
		command_usage(command, out);
		return;
	}
	fprintf(out, "usage: pvbackctl COMMAND [OPTION]...\n\nAsk the running pvbackd, or tell it "
		     "what to do.\n\n");
	for (command = cli_commands; command->name; command++) {
		char name[40];

		snprintf(name, sizeof(name), "%s %s", command->name, command->args);
		fprintf(out, "  %-24s  %s\n", name, command->help);
	}
	fputc('\n', out);
	options_help(CLI_ALWAYS, out);
	fprintf(out, "\nA device is web/xvda, web/vif0, web/00:16:3e:11:22:33 or vbd/7/51712. Each "
		     "command has "
		     "more:\npvbackctl COMMAND --help; all of it is in pvbackctl(8).\n");
}
