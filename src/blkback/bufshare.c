/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "blkback/bufshare.h"

int bufshare_open(struct bufshare *share, struct bufpool *common)
{
	*share = (struct bufshare){ .common = common, .own = bufpool_new(BUFPOOL_MAX_BYTES) };
	return share->own ? 0 : -ENOMEM;
}

void bufshare_close(struct bufshare *share)
{
	share->own = bufpool_free(share->own);
}

static void *get_common(struct bufshare *share, size_t bytes)
{
	size_t run = bufpool_run(bytes), left = bufpool_left(share->common);
	void *buf = NULL;

	if (run <= left && share->taken + run <= left - run)
		buf = bufpool_get(share->common, bytes);
	if (buf)
		share->taken += run;
	return buf;
}

void *bufshare_get(struct bufshare *share, size_t bytes)
{
	void *buf = get_common(share, bytes);

	return buf ? buf : bufpool_get(share->own, bytes);
}

void bufshare_put(struct bufshare *share, void *buf, size_t bytes)
{
	if (bufpool_has(share->own, buf)) {
		bufpool_put(share->own, buf, bytes);
		return;
	}
	bufpool_put(share->common, buf, bytes);
	share->taken -= bufpool_run(bytes);
}
