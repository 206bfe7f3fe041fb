/* SPDX-License-Identifier: MIT */
/* Datagrams with descriptors beside them, over a Unix socket. */
#ifndef PVB_FDPASS_H
#define PVB_FDPASS_H

#include <sys/types.h>
#include <sys/uio.h>

#define FDPASS_MAX 32u

/* The descriptors stay the caller's. `flags` as of sendmsg(). 0 or -errno. */
int fdpass_send(int fd, const struct iovec *iov, size_t nr_iov, const int *fds, unsigned int nr_fds,
		int flags);

/*
 * The bytes of the datagram, 0 when the other end is gone, or -errno. *nr_fds: at most so many, and how many came: the
 * caller's, close-on-exec. -EPROTO, with none of them, when more came, or more bytes than there is room for.
 */
ssize_t fdpass_receive(int fd, const struct iovec *iov, size_t nr_iov, int *ret_fds,
		       unsigned int *nr_fds, int flags);

#endif
