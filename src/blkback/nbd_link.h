/* SPDX-License-Identifier: MIT */
/*
 * An NBD export as the medium of one disk: one connection, on one worker, for all its rings. While the server is away,
 * requests wait. After a time-out they fail until it is back. See nbd_keep.h for writes that it has acknowledged.
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
	int keep_fd;     /* the file of unflushed writes, which the link then owns; -1: none */
	bool keep_lost;  /* writes that an earlier process kept cannot be used */
	bool read_only;
	bool halted; /* at the start; see nbd_link_halt() */
	bool resume; /* an earlier daemon had the disk: wait for a server that is away */
	uint32_t timeout_s;
	/*
	 * Worker thread: ask for a connection (nbd_dial.h). nbd_link_connected() follows. If the link asks again before
	 * that, there is still only one answer.
	 */
	void (*connect)(void *dial);
	void (*ended)(void *dial); /* likewise: the link's last call. May be NULL */
	void *dial;                /* borrowed */
	/* In the control loop, once: 0 with the facts, or -errno with `why` for the admin. */
	void (*opened)(void *user, int err, const char *why, const struct nbd_facts *facts);
	void *user; /* borrowed */
};

/* Control thread: begin to connect; opened() follows. NULL when there is no memory: the setup stays the caller's. */
struct nbd_link *nbd_link_new(const struct nbd_link_setup *setup);
/*
 * Control thread, before nbd_link_close(): the answer to setup->connect(), as in struct nbd_dial. It is a connected
 * socket, which the link then owns, or `err`.
 */
void nbd_link_connected(struct nbd_link *link, int err, const char *why, int fd, bool fenced);
/* Control thread, after opened(): disconnect and free. The worker does it later. */
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
