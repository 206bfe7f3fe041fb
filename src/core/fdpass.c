/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/fdpass.h"

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
};

static struct iovec *not_written(const struct iovec *iov)
{
	return (struct iovec *)(uintptr_t)iov;
}

int fdpass_send(int fd, const struct iovec *iov, size_t nr_iov, const int *fds, unsigned int nr_fds,
		int flags)
{
	struct msghdr msg = { .msg_iov = not_written(iov), .msg_iovlen = nr_iov };
	size_t bytes = nr_fds * sizeof(int);
	union control control = { 0 };

	if (nr_fds > FDPASS_MAX)
		return -E2BIG;
	if (nr_fds) {
		control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS,
						   .cmsg_len = CMSG_LEN(bytes) };
		memcpy(CMSG_DATA(&control.header), fds, bytes);
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(bytes);
	}
	return sendmsg(fd, &msg, flags | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

ssize_t fdpass_receive(int fd, const struct iovec *iov, size_t nr_iov, int *ret_fds,
		       unsigned int *nr_fds, int flags)
{
	union control control;
	struct msghdr msg = { .msg_iov = not_written(iov),
			      .msg_iovlen = nr_iov,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
	int fds[FDPASS_MAX];
	unsigned int nr = 0;

	if (n < 0)
		return -errno;
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
		nr = (unsigned int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(header), nr * sizeof(int));
	}
	if (nr > *nr_fds || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (nr)
			close(fds[--nr]);
		return -EPROTO;
	}
	if (nr)
		memcpy(ret_fds, fds, nr * sizeof(int));
	*nr_fds = nr;
	return n;
}
