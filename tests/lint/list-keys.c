/* SPDX-License-Identifier: MIT */
/* Print the keys that an admin may set, in the format of pvbackd-keys(7), for man.sh. */
#include <stdio.h>

#include "blkback/disk_options.h"
#include "netback/vif_options.h"

static void list(const char *title, const struct key *keys)
{
	char allowed[256];

	printf(".SS %s\n", title);
	for (const struct key *key = keys; key->name; key++) {
		key_allowed(key, allowed, sizeof(allowed));
		printf(".TP\n.B %s\n%s; %s.\n", key->name, allowed,
		       key->when == KEY_AT_ONCE ? "at once" : "when the guest connects next");
	}
}

int main(void)
{
	list("Of a disk", disk_keys);
	list("Of a network card", vif_own_keys);
	return 0;
}
