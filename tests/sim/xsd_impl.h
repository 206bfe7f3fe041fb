/* SPDX-License-Identifier: MIT */
/* xsd_impl.h - what the parts of the xenstore server share. */
#ifndef SIM_XSD_IMPL_H
#define SIM_XSD_IMPL_H

#include <xenstore_lib.h>

#include "xsd.h"

#define XSD_QUOTA_WATCHES      128u
#define XSD_QUOTA_NODES        1000
#define XSD_QUOTA_VALUE        2048u
#define XSD_QUOTA_TRANSACTIONS 10u
#define XSD_QUOTA_TX_NODES     1024u
#define XSD_QUOTA_PERMS        5u
/* A guest that does not read its replies is not read from beyond this. */
#define XSD_QUOTA_OUT_BYTES (256u * 1024)
#define XSD_WATCH_BUCKETS   4096u
/* At least one whole message. */
#define XSD_IN_BYTES (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)

/* One node. A table maps absolute paths to these. */
struct xsd_node {
	struct xsd_node *next;        /* hash chain */
	char *path;                   /* owned */
	uint64_t gen;                 /* changes with every change of the record */
	struct xs_permissions *perms; /* owned; [0] is the owner */
	unsigned int nr_perms;
	char *value; /* owned */
	size_t len;
	char *children; /* owned: names in order of creation, each with its zero */
	size_t children_len;

	/* Only in a transaction's own table: */
	uint64_t base_gen; /* generation in the store at first access, 0 = absent */
	bool absent;       /* does not exist as seen by the transaction */
	bool modified;
};

struct xsd_table {
	struct xsd_node **bucket; /* owned array; grows with the nodes */
	unsigned int nr_buckets, nr_nodes;
};

/* A change that watches may want to hear of. */
struct xsd_event {
	struct xsd_event *next;
	char *path;                   /* owned */
	bool exact;                   /* only watches on exactly this path */
	struct xs_permissions *perms; /* owned: as they were before, or NULL */
	unsigned int nr_perms;
};

struct xsd_tx {
	struct xsd_tx *next;
	uint32_t id;
	struct xsd_table nodes;
	struct xsd_event *events, **events_tail;
	int new_nodes; /* nodes owned by the connection's domain, net */
};

struct xsd_watch {
	struct xsd_watch *next;           /* of its connection */
	struct xsd_watch *next_in_bucket; /* by path */
	struct xsd_conn *conn;            /* borrowed */
	char *path, *token;               /* owned */
	size_t len;                       /* of the path */
	size_t strip; /* bytes of the path that a relative watch does not show */
};

struct xsd_domain {
	struct xsd_domain *next;
	uint32_t domid;
	uint32_t target; /* domain whose nodes it may use too, or its own id */
	bool shutdown;
	int nr_nodes;
	char *socket_path; /* owned */
	int listen_fd;
	struct sim_watch *listen_watch;
	struct xsd *xs;
};

struct xsd_outbuf {
	char *data; /* owned */
	size_t len, room;
};

struct xsd_conn {
	struct xsd_conn *next;
	struct xsd *xs;
	uint32_t domid;
	uint32_t target;
	int fd;
	struct sim_watch *io;
	bool dead;
	struct xsd_watch *watches;
	unsigned int nr_watches;
	struct xsd_tx *txs;
	unsigned int nr_txs;
	uint32_t next_tx;
	uint32_t events; /* that epoll was asked for */
	bool is_unsent;
	struct xsd_conn *next_unsent;
	struct xsd_outbuf out;
	struct xsd_inbuf {
		size_t have;
		char data[XSD_IN_BYTES + 1]; /* and a zero after a body */
	} in;
};

struct xsd {
	struct sim_loop *loop; /* borrowed */
	char *socket_path;     /* owned */
	int listen_fd;
	struct sim_watch *listen_watch;
	struct xsd_table nodes;
	uint64_t gen;
	struct xsd_watch *watch_bucket[XSD_WATCH_BUCKETS];
	unsigned int nr_dom0_watches;
	struct xsd_conn *conns;
	struct xsd_conn *unsent; /* those that have something to be sent */
	struct xsd_domain *domains;
};

/* One request while it is served. */
struct xsd_req {
	struct xsd *xs;
	struct xsd_conn *conn;
	struct xsd_tx *tx; /* NULL outside of transactions */
	uint32_t type, req_id, tx_id;
	char *data; /* body, a zero byte after it */
	size_t len;
};

/* xsd_store.c: records; all see through the request's transaction. */

/* Look up @path; NULL when it does not exist. Valid until the next change. */
struct xsd_node *xsd_node_get(struct xsd_req *q, const char *path);
/* As get, for changing it: the record counts as modified from here on. */
struct xsd_node *xsd_node_edit(struct xsd_req *q, const char *path);
/* Create @path and its missing parents, permissions inherited. 0 or errno. */
int xsd_node_create(struct xsd_req *q, const char *path, struct xsd_node **ret);
/* Remove @path and everything below, queueing exact events for the children. */
void xsd_node_remove(struct xsd_req *q, const char *path);
void xsd_node_set_value(struct xsd_node *node, const void *data, size_t len);
void xsd_node_set_perms(struct xsd_node *node, const struct xs_permissions *perms,
			unsigned int nr_perms);
/* Remove every node owned by @domid, silently. */
void xsd_store_purge_owner(struct xsd *xs, uint32_t domid);
void xsd_store_init(struct xsd *xs);
void xsd_table_clear(struct xsd_table *table);
/* The path one level up; caller owns it. "/" has none: NULL. */
char *xsd_path_parent(const char *path);
const char *xsd_path_name(const char *path);

/* xsd_tx.c */
struct xsd_tx *xsd_tx_find(struct xsd_conn *conn, uint32_t id);
struct xsd_tx *xsd_tx_new(struct xsd_conn *conn);
/* Apply or forget; the transaction is gone afterwards. 0 or EAGAIN, ENOSPC. */
int xsd_tx_end(struct xsd_req *q, struct xsd_tx *tx, bool commit);
void xsd_tx_free_all(struct xsd_conn *conn);
struct xsd_node *xsd_table_find(struct xsd_table *table, const char *path);
struct xsd_node *xsd_table_add(struct xsd_table *table, const char *path);
void xsd_table_del(struct xsd_table *table, const char *path);
void xsd_node_copy(struct xsd_node *to, const struct xsd_node *from);

/* xsd_perm.c */
/* What @conn may do under these permissions: XS_PERM_* bits. */
unsigned int xsd_perm_of(const struct xsd_conn *conn, const struct xs_permissions *perms,
			 unsigned int nr_perms);
/*
 * The existing node at @path if the connection has all of @need (XS_PERM_*).
 * 0, ENOENT, or EACCES (also for a missing node below an unreadable parent).
 */
int xsd_node_access(struct xsd_req *q, const char *path, unsigned int need, struct xsd_node **ret);
/* The absolute form of a path on the wire, owned by the caller; NULL = EINVAL. */
char *xsd_path_canonical(const struct xsd_conn *conn, const char *path);
bool xsd_conn_is_privileged(const struct xsd_conn *conn);
/* Text "n0", "r5"... to a permission. 0 or EINVAL. */
int xsd_perm_parse(const char *str, struct xs_permissions *ret);
char xsd_perm_letter(unsigned int perms);

/* xsd_watch.c */
/* Tell watches of a change, at once or when the transaction commits. */
void xsd_fire(struct xsd_req *q, const char *path, bool exact, const struct xsd_node *before);
void xsd_fire_special(struct xsd *xs, const char *name);
void xsd_event_deliver(struct xsd *xs, const struct xsd_event *ev);
void xsd_event_free(struct xsd_event *ev);
int xsd_op_watch(struct xsd_req *q);
int xsd_op_unwatch(struct xsd_req *q);
void xsd_watch_free_all(struct xsd_conn *conn);

/* xsd_dom.c */
struct xsd_domain *xsd_domain_find(struct xsd *xs, uint32_t domid);
/* Account for a node that @domid now owns (+1) or no longer owns (-1). */
void xsd_domain_count(struct xsd_req *q, uint32_t domid, int delta);
bool xsd_domain_over_quota(struct xsd_req *q);
int xsd_op_introduce(struct xsd_req *q);
int xsd_op_release(struct xsd_req *q);
int xsd_op_is_introduced(struct xsd_req *q);
int xsd_op_domain_path(struct xsd_req *q);
int xsd_op_set_target(struct xsd_req *q);
int xsd_op_resume(struct xsd_req *q);
void xsd_domain_free_all(struct xsd *xs);

/* xsd_conn.c */
/* Queue a message; @type is XS_*. Never blocks; xsd_flush() sends it. */
void xsd_conn_send(struct xsd_conn *conn, uint32_t type, uint32_t req_id, uint32_t tx_id,
		   const void *data, size_t len);
/* Send what was queued, as far as the sockets take it. Whoever queues calls it in the end. */
void xsd_flush(struct xsd *xs);
void xsd_conn_send_event(struct xsd_conn *conn, const char *path, const char *token);
/* Answer the request being served. */
void xsd_reply(struct xsd_req *q, const void *data, size_t len);
void xsd_reply_ok(struct xsd_req *q);
/* Give up the connection; it is freed after the current batch. */
void xsd_conn_drop(struct xsd_conn *conn);
int xsd_listen(struct xsd *xs, const char *path, sim_watch_fn *fn, void *arg, int *ret_fd,
	       struct sim_watch **ret_watch);
void xsd_conn_accept(struct xsd *xs, int listen_fd, uint32_t domid, uint32_t target);

/* xsd_ops.c */
/* Serve one request; returns 0 when it was answered, else an errno to answer. */
int xsd_serve(struct xsd_req *q);
/*
 * Split the body into zero-terminated strings; up to @max pointers into it.
 * Returns how many whole strings there are (may exceed @max).
 */
unsigned int xsd_req_strings(struct xsd_req *q, const char **ret, unsigned int max);

#endif
