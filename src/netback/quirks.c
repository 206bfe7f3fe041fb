/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
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
