/* SPDX-License-Identifier: MIT */
/*
 * Xenstore helpers: typed, bounded reads and writes that never create a directory again which the toolstack has
 * removed. Control thread only: each call is a round trip, and takes as long as xenstored takes. Silent: the caller
 * knows what a failure means.
 */
#ifndef PVB_STORE_H
#define PVB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenstore.h>

#define STORE_PATH_MAX  512u /* bytes, with the final NUL */
#define STORE_VALUE_MAX 1024u
#define STORE_DIR_MAX   (STORE_PATH_MAX - 64u) /* of a directory: its keys have to fit, too */

/*
 * Two connections. For one with watches libxenstore starts a thread, and every answer on it goes through that thread.
 * xenstored queues an event after the change, so a read on the other connection sees at least that change.
 */
struct store {
	struct xs_handle *xs;      /* owned; for all except watches */
	struct xs_handle *watches; /* owned; for watches only; NULL until opened */
	uint32_t domid;            /* our own domain */
	int sockets
		[2]; /* owned: duplicates of the two connections' own, or -1; see store_sockets() */
	bool lost;   /* a connection has ended: all calls fail from now on */
	int trouble; /* private: see store_trouble() */
	_Atomic uint64_t
		asked_ns; /* when the call under way began; 0: none is. Any thread may read it */
	/* private to store.c: see store_hold_names() */
	char **names; /* owned */
	unsigned int nr_names;
	const char *names_of; /* borrowed */
};

/* Connect and find our own domid. 0 or -errno. */
int store_open(struct store *store);
/* Connect for watches, too. 0 or -errno. */
int store_open_watches(struct store *store);
void store_close_watches(struct store *store); /* idempotent */
void store_close(struct store *store);

/*
 * What has kept xenstored from doing its work since the last call of this function: -ENOMEM, -ENOSPC (a quota) and the
 * like, of the first such call; 0: nothing. Conflicts do not count, nor do errors that say something about a node.
 */
int store_trouble(struct store *store);
/*
 * Whether the result of a read says something about the node: it is read, it does not exist, we may not read it, or it
 * holds nonsense.
 */
bool store_is_answer(int err);

/* Watch PATH and all below it. 0 or -errno. Events come with `token`, the first at once. */
int store_watch(struct store *store, const char *path, const char *token);
void store_unwatch(struct store *store, const char *path, const char *token);
/*
 * The next event as libxenstore returns it (path, token; the caller frees it). NULL when there is none now, or the
 * connection has ended. store_events_fd() is readable when there may be one.
 */
char **store_next_event(struct store *store);
int store_events_fd(struct store *store);
/*
 * libxenstore does not report that a connection has ended. These descriptors do, by EPOLLRDHUP; do not read from them.
 * -1: the connection cannot end (a driver domain's device). Whoever notices the end sets `lost`.
 */
const int *store_sockets(const struct store *store);

/* The names in DIR, which the caller frees: 0, or -errno (-ENOENT: there is no such node). */
int store_list(struct store *store, xs_transaction_t t, const char *dir, char ***ret_names,
	       unsigned int *ret_nr);
/* Whether xenstored knows that domain: 1 or 0, or -errno. */
int store_knows_domain(struct store *store, uint32_t domid);

/*
 * For reading many keys most of which are missing: until the names are dropped, a key of DIR (borrowed) that did not
 * exist when they were read is missing without a round trip. If DIR cannot be listed, nothing is held. One directory at
 * a time; transactions do not use it.
 */
void store_hold_names(struct store *store, const char *dir);
void store_drop_names(struct store *store); /* idempotent */
/* One of the held names, from 0 on; NULL after the last. */
const char *store_held_name(const struct store *store, unsigned int index);

/*
 * Read DIR/KEY as text. 0 with a NUL-terminated copy in buf; -ENOENT when the node does not exist; -E2BIG when it does
 * not fit; -EINVAL when it holds a NUL byte or a control character; else -errno.
 */
int store_read(struct store *store, xs_transaction_t t, const char *dir, const char *key, char *buf,
	       size_t size);

/*
 * Read a decimal number in min..max. 0, -ENOENT, -EINVAL (not a plain number),
 * -ERANGE, else -errno. *ret is written only on success.
 */
int store_read_u32(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		   uint32_t min, uint32_t max, uint32_t *ret);

/* As store_read_u32() for 0 or 1; a missing node gives `fallback`. 0 or -errno as above. */
int store_read_flag(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		    bool fallback, bool *ret);

bool store_exists(struct store *store, xs_transaction_t t, const char *dir, const char *key);
/* Whether xenstore says that the node does not exist. False when it gives no answer. */
bool store_is_gone(struct store *store, const char *dir, const char *key);

/* Write DIR/KEY. 0 or -errno. Only inside a store_transact() that has checked DIR. */
int store_write(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		const char *value);
int store_writef(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
int store_remove(struct store *store, xs_transaction_t t, const char *dir, const char *key);

typedef int (*store_fn)(struct store *store, xs_transaction_t t, void *user);

/*
 * Run `fn` in a transaction on a live backend directory. -ENOENT when DIR/state does not exist, the error of `fn` when
 * it fails: nothing is then written. Else 0. Repeats on conflicts. A DIR of NULL is not checked.
 */
int store_transact(struct store *store, const char *dir, store_fn fn, void *user);

#endif
