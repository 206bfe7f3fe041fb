/* SPDX-License-Identifier: MIT */
/*
 * Xenstore helpers: typed, bounded reads and writes that never bring back a
 * directory which the toolstack has removed. Control thread only: each call is
 * a round trip, and takes as long as xenstored takes. Silent: the caller knows what a failure means.
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
 * Two connections: libxenstore starts a thread for the one that has watches, and every answer on it takes
 * the way through that thread. Xenstored queues an event after the change, so a read on the other
 * connection sees at least what the event was about.
 */
struct store {
	struct xs_handle *xs;      /* owned; for all but watches */
	struct xs_handle *watches; /* owned; for nothing else; NULL until opened */
	uint32_t domid;            /* our own domain */
	int sockets
		[2]; /* owned: duplicates of the two connections' own, or -1; see store_sockets() */
	bool lost;   /* a connection has ended: every call fails from now on */
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
 * What kept xenstored from doing what it was asked since the last call of this: -ENOMEM, -ENOSPC (a quota) and the
 * like, of the first such call; 0 when there was none. Conflicts are none, nor is what tells of a node.
 */
int store_trouble(struct store *store);
/* Whether 0 or a failure to read tells of the node: there is none, it is not for us, it holds nonsense. */
bool store_is_answer(int err);

/* Hear of changes at and below PATH: 0 or -errno. Events come with `token`, one at once. */
int store_watch(struct store *store, const char *path, const char *token);
void store_unwatch(struct store *store, const char *path, const char *token);
/*
 * The next event as libxenstore gives it (path, token; the caller frees it); NULL when there is none now, or
 * the connection has ended. Readable when there may be one: store_events_fd().
 */
char **store_next_event(struct store *store);
int store_events_fd(struct store *store);
/*
 * libxenstore tells nobody that a connection has ended. These say so by EPOLLRDHUP; do not read them. -1: there is
 * nothing that could end (a driver domain's device). Whoever hears it sets `lost`.
 */
const int *store_sockets(const struct store *store);

/* The names in DIR, which the caller frees: 0, or -errno (-ENOENT: there is no such node). */
int store_list(struct store *store, xs_transaction_t t, const char *dir, char ***ret_names,
	       unsigned int *ret_nr);
/* Whether xenstored knows that domain: 1 or 0, or -errno. */
int store_knows_domain(struct store *store, uint32_t domid);

/*
 * For whoever reads many keys of which most are not there: until the names are dropped, a key of DIR
 * (borrowed) that was not there now is missing without a round trip. Nothing is held when DIR cannot be
 * listed; one directory at a time; transactions do not use it.
 */
void store_hold_names(struct store *store, const char *dir);
void store_drop_names(struct store *store); /* idempotent */
/* One of the names that are held, from 0 on; NULL after the last. */
const char *store_held_name(const struct store *store, unsigned int index);

/*
 * Read DIR/KEY as text. 0 with a NUL-terminated copy in buf; -ENOENT when there is
 * no such node; -E2BIG when it does not fit; -EINVAL when it holds a NUL byte or a control
 * character; else -errno.
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
/* Whether xenstore says that there is no such node; not when it says nothing at all. */
bool store_is_gone(struct store *store, const char *dir, const char *key);

/* Write DIR/KEY. 0 or -errno. Only inside a store_transact() that checked that DIR lives. */
int store_write(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		const char *value);
int store_writef(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
int store_remove(struct store *store, xs_transaction_t t, const char *dir, const char *key);

typedef int (*store_fn)(struct store *store, xs_transaction_t t, void *user);

/*
 * Run `fn` in a transaction on a live backend directory: -ENOENT when DIR/state is gone (and
 * nothing was written), the error of `fn` when it fails (likewise), else 0. Repeats on conflicts. A
 * DIR of NULL lives.
 */
int store_transact(struct store *store, const char *dir, store_fn fn, void *user);

#endif
