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
 * Receive a datagram. Returns its bytes, 0 when the other end is gone, or -errno. *nr_fds is how many descriptors may come,
 * and then how many came; they are the caller's, and close-on-exec. -EPROTO, and no descriptor, when more came, or more
 * bytes than there is room for.
 */
ssize_t fdpass_receive(int fd, const struct iovec *iov, size_t nr_iov, int *ret_fds,
		       unsigned int *nr_fds, int flags);

#endif
