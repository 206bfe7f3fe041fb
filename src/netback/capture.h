/* SPDX-License-Identifier: MIT */
/*
 * A capture file that is written behind the back of the data path: frames go into a buffer, and a
 * thread of its own brings it to the disk. When that is too slow frames are missing from the
 * file, and counted; nobody waits.
 */
#ifndef PVB_NETBACK_CAPTURE_H
#define PVB_NETBACK_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/messages.h"

#define CAPTURE_MAX_SNAPLEN 65536u

struct capture;

/*
 * Begin as `what` says, with a new section at the end of the file behind `fd` (owned from now on, also on failure).
 * `name`: the NIC, for the log. 0; -EINVAL for a filter that is no program, -EOPNOTSUPP for any filter without libpcap,
 * or -errno.
 */
int capture_start(const struct message_capture *what, const char *name, int fd,
		  struct capture **ret);

/* Whether it is over, and its file closed; if so, how it went. */
bool capture_ended(struct capture *capture, struct message_captured *ret);

/*
 * No more frames. What there is is still written, and the file closed, by the capture's own thread:
 * this does not wait for it. Idempotent.
 */
void capture_stop(struct capture *capture);

/*
 * Stop, and let go of it: no one may add frames any more. With `wait_ms` it waits so long for the file
 * to be complete.
 */
void capture_put(struct capture *capture, unsigned int wait_ms);

/*
 * A frame, in pieces, from any thread. `inbound`: it comes from the guest. `reason`: why it was
 * dropped, or NULL when it was not.
 */
void capture_add(struct capture *capture, const struct iovec *iov, unsigned int nr, bool inbound,
		 const char *reason);

#endif
