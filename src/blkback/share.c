/* SPDX-License-Identifier: MIT */
#include "blkback/share.h"

void share_ask(struct share *share, const void *ring)
{
	if (share->asker[0] != ring) {
		share->asker[1] = share->asker[0];
		share->asked_at[1] = share->asked_at[0];
		share->asker[0] = ring;
	}
	share->asked_at[0] = share->taken;
}

bool share_is_asked(const struct share *share, const void *ring)
{
	unsigned int other = share->asker[0] == ring;

	return share->asker[other] && share->taken - share->asked_at[other] < SHARE_WINDOW;
}
