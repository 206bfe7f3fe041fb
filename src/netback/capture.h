/* SPDX-License-Identifier: MIT */
/*
 * A capture file. Data threads put frames into a buffer, and a thread of the capture's own writes it to the file. When that
 * is too slow, frames are missing from the file, and are counted. Data threads never wait.
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
 * Begin as `what` says, with a new section at the end of the file behind `fd` (owned from now on, also after a
 * failure). `name`: the NIC, for the log. 0; -EINVAL for an invalid filter program, -EOPNOTSUPP for any filter without
 * libpcap, or -errno.
 */
int capture_start(const struct message_capture *what, const char *name, int fd,
		  struct capture **ret);

/* Whether the capture has ended and its file is closed; if so, how it ended. */
bool capture_ended(struct capture *capture, struct message_captured *ret);

/*
 * Take no more frames. The capture's own thread writes what is in the buffer and closes the file; this does not wait for
 * that. Idempotent.
 */
void capture_stop(struct capture *capture);

/*
 * Stop and release it: nobody may add frames any more. Waits up to `wait_ms` for the file to be complete.
 */
void capture_put(struct capture *capture, unsigned int wait_ms);

/*
 * Add a frame, in pieces, from any thread. `inbound`: it comes from the guest. `reason`: why it was dropped; NULL when it
 * was not.
 */
void capture_add(struct capture *capture, const struct iovec *iov, unsigned int nr, bool inbound,
		 const char *reason);

#endif
