/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blkback/nbd_fence.h"

#define KERNEL_MINOR_BITS 20u /* of a device number in unix_diag */

/* The server's socket: its path, or its inode. */
struct place {
	const char *path;
	uint32_t inode, device;
};

static struct place place_of(const char *path)
{
	struct place place = { .path = path };
	struct stat st;

	if (stat(path, &st) == 0) {
		place.inode = (uint32_t)st.st_ino;
		place.device = major(st.st_dev) << KERNEL_MINOR_BITS | minor(st.st_dev);
	}
	return place;
}

static bool is_there(const struct rtattr *attr, const struct place *place)
{
	const struct unix_diag_vfs *vfs = RTA_DATA(attr);
	size_t len = strlen(place->path);

	if (attr->rta_type == UNIX_DIAG_NAME)
		return RTA_PAYLOAD(attr) >= len && !memcmp(RTA_DATA(attr), place->path, len) &&
		       (RTA_PAYLOAD(attr) == len || !((const char *)RTA_DATA(attr))[len]);
	return attr->rta_type == UNIX_DIAG_VFS && place->inode &&
	       vfs->udiag_vfs_ino == place->inode && vfs->udiag_vfs_dev == place->device;
}

/*
 * Whether it is the server's end of a connection whose client is gone. A connection that the server has not accepted
 * yet has no inode, and brought no request.
 */
static bool is_left_over(const struct nlmsghdr *msg, const struct place *place)
{
	const struct unix_diag_msg *sock = NLMSG_DATA(msg);
	const struct rtattr *attr = (const void *)(sock + 1);
	size_t left = msg->nlmsg_len - NLMSG_LENGTH(sizeof(*sock));
	bool there = false, has_peer = false;

	for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
		there |= is_there(attr, place);
		if (attr->rta_type == UNIX_DIAG_PEER)
			has_peer = *(const uint32_t *)RTA_DATA(attr) != 0;
	}
	return there && !has_peer && sock->udiag_ino != 0;
}

static int ask(int fd)
{
	struct {
		struct nlmsghdr header;
		struct unix_diag_req req;
	} question = { .header = { .nlmsg_len = sizeof(question),
				   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		       .req = { .sdiag_family = AF_UNIX,
				.udiag_states = 1u << TCP_ESTABLISHED,
				.udiag_show =
					UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER } };

	return send(fd, &question, sizeof(question), 0) < 0 ? -errno : 0;
}

static int error_of(const struct nlmsghdr *msg)
{
	const struct nlmsgerr *err = NLMSG_DATA(msg);

	return err->error == -ENOENT ? -EOPNOTSUPP
				     : err->error; /* the kernel has no unix_diag module */
}

/* Read one message of the kernel's answer. 1 when more follow, else what nbd_fence() returns. */
static int look(int fd, const struct place *place)
{
	_Alignas(struct nlmsghdr) char buf[16384];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);
	size_t left = n > 0 ? (size_t)n : 0;

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	for (struct nlmsghdr *msg = (void *)buf; NLMSG_OK(msg, left); msg = NLMSG_NEXT(msg, left)) {
		if (msg->nlmsg_type == NLMSG_DONE)
			return 0;
		if (msg->nlmsg_type == NLMSG_ERROR)
			return error_of(msg);
		if (is_left_over(msg, place))
			return -EBUSY;
	}
	return 1;
}

int nbd_fence(const struct nbd_name *name)
{
	struct place place = place_of(name->where);
	int fd, err;

	if (!name->is_unix)
		return -EOPNOTSUPP;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0)
		return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
	err = ask(fd);
	if (!err)
		do
			err = look(fd, &place);
		while (err == 1);
	close(fd);
	return err;
}
