/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "core/dump.h"
#include "core/log.h"

void dump_to_log(void (*write)(void *user, FILE *out), void *user)
{
	char *text = NULL, *rest, *line;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	write(user, out);
	fclose(out);
	for (rest = text; (line = strsep(&rest, "\n"));)
		if (*line)
			log_info("dump: %s", line);
	free(text);
}
