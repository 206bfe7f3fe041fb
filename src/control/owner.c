/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/owner.h"

#define OWNER_KEY "pvbackd-owner"

bool owner_lives(const char *runtime_dir)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/lock", runtime_dir) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	/* This sees both kinds of fcntl locks: of a process and of an open file. */
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		lock.l_type = F_UNLCK;
	close(fd);
	return lock.l_type != F_UNLCK;
}

int owner_read(struct store *store, xs_transaction_t t, const char *be_path,
	       const char *runtime_dir, enum owner *ret, char other[STORE_VALUE_MAX])
{
	int err = store_read(store, t, be_path, OWNER_KEY, other, STORE_VALUE_MAX);

	if (err && err != -ENOENT)
		return err;
	if (err)
		*ret = OWNER_NOBODY;
	else if (!strcmp(other, runtime_dir))
		*ret = OWNER_US;
	else
		*ret = owner_lives(other) ? OWNER_ALIVE : OWNER_STOPPED;
	return 0;
}

int owner_write(struct store *store, xs_transaction_t t, const char *be_path,
		const char *runtime_dir)
{
	return store_write(store, t, be_path, OWNER_KEY, runtime_dir);
}

static bool is_connected(enum xenbus_state own)
{
	return own == XENBUS_CONNECTED || own == XENBUS_RECONFIGURING || own == XENBUS_RECONFIGURED;
}

bool owner_may_take(enum owner owner, enum xenbus_state own, bool known, bool offered)
{
	switch (owner) {
	case OWNER_US:
		return true;
	case OWNER_NOBODY: /* new; or of an old pvbackd that did not write the key; or of another program */
		return is_connected(own) ? known : own != XENBUS_INIT_WAIT || offered;
	case OWNER_STOPPED: /* in state closing the frontend still uses the ring */
		return !is_connected(own) && own != XENBUS_CLOSING;
	case OWNER_ALIVE:
		break;
	}
	return false;
}
