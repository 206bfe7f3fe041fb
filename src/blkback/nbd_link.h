/* SPDX-License-Identifier: MIT */
/*
 * An NBD export as the medium of one disk: one connection, on one worker, for all its rings. While
 * the server is away requests wait; after a time-out they fail until it is back. See nbd_keep.h for
 * what becomes of writes that it had acknowledged.
 */
#ifndef PVB_NBD_LINK_H
#define PVB_NBD_LINK_H

#include "blkback/nbd_conn.h"
#include "guest/worker.h"

struct nbd_link;

struct nbd_link_setup {
	struct worker *worker; /* borrowed: the connection lives there */
	struct loop *control;  /* borrowed */
	struct nbd_name name;
	char who[32];    /* the device, for the log */
	char image[512]; /* the name as configured, for the log */
	int keep_fd; /* the link's once there is one: of the file of unflushed writes; -1: none */
	bool keep_lost; /* what an earlier life kept cannot be used */
	bool read_only;
	bool halted; /* to begin with; see nbd_link_halt() */
	bool resume; /* an earlier life of the daemon had it: wait for a server that is away */
	uint32_t timeout_s;
	/*
	 * Worker thread: somebody is to connect (nbd_dial.h); nbd_link_connected() follows, unless it is asked for again
	 * before that, in place of the first time.
	 */
	void (*connect)(void *dial);
	void (*ended)(void *dial); /* likewise: nothing follows. May be NULL */
	void *dial;                /* borrowed */
	/* In the control loop, once: 0 with the facts, or -errno with words for the admin. */
	void (*opened)(void *user, int err, const char *why, const struct nbd_facts *facts);
	void *user; /* borrowed */
};

/* Control thread: connect; opened() follows. NULL when there is no memory, and the setup stays the caller's. */
struct nbd_link *nbd_link_new(const struct nbd_link_setup *setup);
/*
 * Control thread, before nbd_link_close(): the answer to setup->connect(), as in struct nbd_dial: a connected socket,
 * which is the link's from now on; or `err`.
 */
void nbd_link_connected(struct nbd_link *link, int err, const char *why, int fd, bool fenced);
/* Control thread, after opened(): disconnect and free, in the worker's time. */
void nbd_link_close(struct nbd_link *link);
/* Any thread: the export's size, as of the last connection. */
uint64_t nbd_link_bytes(const struct nbd_link *link);

/* Worker thread: as in struct image_ops. */
void nbd_link_submit(struct nbd_link *link, struct image_request *req);
void nbd_link_start(struct nbd_link *link);
void nbd_link_stop(struct nbd_link *link, bool suspend);
void nbd_link_recall(struct nbd_link *link, struct image_request *req);
void nbd_link_halt(struct nbd_link *link, bool halted);
bool nbd_link_is_away(const struct nbd_link *link);

#endif
