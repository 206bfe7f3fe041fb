/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "netback/quirks.h"

static const struct {
	const char *name;
	unsigned int bits;
} names[] = {
	{ "no-csum", QUIRK_NO_CSUM },
	{ "no-gso", QUIRK_NO_GSO },
	{ "single-slot", QUIRK_SINGLE_SLOT },
	{ "poll", QUIRK_POLL },
	{ "freebsd", QUIRK_NO_CSUM },
	{ "ipxe", QUIRK_NO_CSUM | QUIRK_NO_GSO | QUIRK_SINGLE_SLOT },
	{ "legacy", QUIRK_NO_CSUM | QUIRK_NO_GSO | QUIRK_SINGLE_SLOT | QUIRK_POLL },
	{ "none", 0 },
};

#define NR_QUIRKS 4u /* the first of the names; families follow */

int quirks_parse(const char *text, unsigned int *ret)
{
	unsigned int bits = 0;

	for (;;) {
		size_t len = strcspn(text, ","), i = 0;

		while (i < sizeof(names) / sizeof(names[0]) &&
		       (strlen(names[i].name) != len || memcmp(names[i].name, text, len) != 0))
			i++;
		if (i == sizeof(names) / sizeof(names[0]))
			return -EINVAL;
		bits |= names[i].bits;
		if (!text[len])
			break;
		text += len + 1;
	}
	*ret = bits;
	return 0;
}

/* Print single quirks only, not families. */
void quirks_print(unsigned int bits, char *buf, size_t size)
{
	size_t used = (size_t)snprintf(buf, size, "%s", bits ? "" : "none");

	for (size_t i = 0; i < NR_QUIRKS && used < size; i++)
		if (bits & names[i].bits)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? "," : "",
						 names[i].name);
}
