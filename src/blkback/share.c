/* SPDX-License-Identifier: MIT */
#include "blkback/share.h"

void share_ask(struct share *share, const void *disk)
{
	if (share->asker[0] != disk) {
		share->asker[1] = share->asker[0];
		share->asked_at[1] = share->asked_at[0];
		share->asker[0] = disk;
	}
	share->asked_at[0] = share->taken;
}

bool share_is_asked(const struct share *share, const void *disk)
{
	unsigned int other = share->asker[0] == disk;

	return share->asker[other] && share->taken - share->asked_at[other] < SHARE_WINDOW;
}
