/* SPDX-License-Identifier: MIT */
/*
 * xsd_store.c - the records of the store.
 *
 * The store is a flat table from absolute path to record; a record lists the
 * names of its children, so adding or removing a child changes the parent too.
 * A transaction has a table of its own: the first access copies the record
 * there together with its generation, and later accesses stay in that copy.
 */
#include "xsd_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 16u

static uint32_t path_hash(const char *path)
{
	uint32_t h = 2166136261u;

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 16777619u;
	return h;
}

static struct xsd_node **place(const struct xsd_table *table, const char *path)
{
	return &table->bucket[path_hash(path) % table->nr_buckets];
}

struct xsd_node *xsd_table_find(struct xsd_table *table, const char *path)
{
	struct xsd_node *n = table->nr_buckets ? *place(table, path) : NULL;

	while (n && strcmp(n->path, path))
		n = n->next;
	return n;
}

static void table_grow(struct xsd_table *table)
{
	struct xsd_table larger = { .nr_buckets = table->nr_buckets ? table->nr_buckets * 2
								    : FIRST_BUCKETS,
				    .nr_nodes = table->nr_nodes };

	larger.bucket = sim_alloc(larger.nr_buckets * sizeof(larger.bucket[0]));
	for (unsigned int i = 0; i < table->nr_buckets; i++) {
		while (table->bucket[i]) {
			struct xsd_node *n = table->bucket[i], **at = place(&larger, n->path);

			table->bucket[i] = n->next;
			n->next = *at;
			*at = n;
		}
	}
	free(table->bucket);
	*table = larger;
}

struct xsd_node *xsd_table_add(struct xsd_table *table, const char *path)
{
	struct xsd_node *n = sim_alloc(sizeof(*n)), **at;

	if (table->nr_nodes >= table->nr_buckets)
		table_grow(table);
	at = place(table, path);
	n->path = sim_strdup(path);
	n->next = *at;
	*at = n;
	table->nr_nodes++;
	return n;
}

static void node_free(struct xsd_node *n)
{
	free(n->path);
	free(n->perms);
	free(n->value);
	free(n->children);
	free(n);
}

void xsd_table_del(struct xsd_table *table, const char *path)
{
	struct xsd_node **at = table->nr_buckets ? place(table, path) : NULL;

	while (at && *at && strcmp((*at)->path, path))
		at = &(*at)->next;
	if (at && *at) {
		struct xsd_node *n = *at;

		*at = n->next;
		table->nr_nodes--;
		node_free(n);
	}
}

void xsd_table_clear(struct xsd_table *table)
{
	for (unsigned int i = 0; i < table->nr_buckets; i++) {
		while (table->bucket[i]) {
			struct xsd_node *n = table->bucket[i];

			table->bucket[i] = n->next;
			node_free(n);
		}
	}
	free(table->bucket);
	*table = (struct xsd_table){ 0 };
}

void xsd_node_set_value(struct xsd_node *node, const void *data, size_t len)
{
	char *copy = sim_memdup(data, len);

	free(node->value);
	node->value = copy;
	node->len = len;
}

void xsd_node_set_perms(struct xsd_node *node, const struct xs_permissions *perms,
			unsigned int nr_perms)
{
	void *copy = sim_memdup(perms, nr_perms * sizeof(*perms));

	free(node->perms);
	node->perms = copy;
	node->nr_perms = nr_perms;
}

/* Everything a reader can see; not the name, not the bookkeeping. */
void xsd_node_copy(struct xsd_node *to, const struct xsd_node *from)
{
	to->gen = from->gen;
	xsd_node_set_value(to, from->value, from->len);
	xsd_node_set_perms(to, from->perms, from->nr_perms);
	free(to->children);
	to->children = sim_memdup(from->children, from->children_len);
	to->children_len = from->children_len;
}

char *xsd_path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash || !path[1])
		return NULL;
	return slash == path ? sim_strdup("/") : sim_memdup(path, (size_t)(slash - path));
}

const char *xsd_path_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The transaction's copy of a record, made at the first access. */
static struct xsd_node *tx_node(struct xsd_req *q, const char *path)
{
	struct xsd_node *n = xsd_table_find(&q->tx->nodes, path);
	struct xsd_node *base;

	if (n)
		return n;
	base = xsd_table_find(&q->xs->nodes, path);
	n = xsd_table_add(&q->tx->nodes, path);
	n->absent = !base;
	if (base) {
		n->base_gen = base->gen;
		xsd_node_copy(n, base);
	}
	return n;
}

struct xsd_node *xsd_node_get(struct xsd_req *q, const char *path)
{
	struct xsd_node *n;

	if (!q->tx)
		return xsd_table_find(&q->xs->nodes, path);
	n = tx_node(q, path);
	return n->absent ? NULL : n;
}

struct xsd_node *xsd_node_edit(struct xsd_req *q, const char *path)
{
	struct xsd_node *n = xsd_node_get(q, path);

	if (!n)
		return NULL;
	n->modified = true;
	n->gen = ++q->xs->gen;
	return n;
}

static void child_add(struct xsd_node *parent, const char *name)
{
	size_t len = strlen(name) + 1;

	parent->children = sim_realloc(parent->children, parent->children_len + len);
	memcpy(parent->children + parent->children_len, name, len);
	parent->children_len += len;
}

static void child_del(struct xsd_node *parent, const char *name)
{
	size_t len = strlen(name) + 1;

	for (size_t at = 0; at < parent->children_len;) {
		char *child = parent->children + at;
		size_t step = strlen(child) + 1;

		if (step == len && !memcmp(child, name, len)) {
			parent->children_len -= len;
			memmove(child, child + len, parent->children_len - at);
			return;
		}
		at += step;
	}
}

/* A new record, permissions from @parent; a guest that creates it owns it. */
static struct xsd_node *node_new(struct xsd_req *q, const char *path, struct xsd_node *parent)
{
	struct xsd_node *n;

	if (q->tx) {
		n = tx_node(q, path);
		n->absent = false;
	} else {
		n = xsd_table_add(&q->xs->nodes, path);
	}
	n->modified = true;
	n->gen = ++q->xs->gen;
	n->children_len = 0;
	xsd_node_set_value(n, "", 0);
	xsd_node_set_perms(n, parent->perms, parent->nr_perms);
	if (!xsd_conn_is_privileged(q->conn))
		n->perms[0].id = q->conn->domid;
	xsd_domain_count(q, n->perms[0].id, 1);
	return n;
}

int xsd_node_create(struct xsd_req *q, const char *path, struct xsd_node **ret)
{
	char *parent_path = xsd_path_parent(path);
	struct xsd_node *parent;
	int err = 0;

	if (!parent_path)
		return EINVAL;
	if (!xsd_node_get(q, parent_path))
		err = xsd_node_create(q, parent_path, &parent);
	if (!err && xsd_domain_over_quota(q))
		err = ENOSPC;
	if (!err) {
		parent = xsd_node_edit(q, parent_path);
		child_add(parent, xsd_path_name(path));
		*ret = node_new(q, path, parent);
	}
	free(parent_path);
	return err;
}

static void remove_children(struct xsd_req *q, const char *path)
{
	struct xsd_node *n = xsd_node_get(q, path);
	size_t len = n->children_len;
	char *children = sim_memdup(n->children, len);

	for (size_t at = 0; at < len; at += strlen(children + at) + 1) {
		char *child = sim_asprintf("%s/%s", path, children + at);
		struct xsd_node *c = xsd_node_get(q, child);

		if (c) {
			xsd_fire(q, child, true, c);
			remove_children(q, child);
			c = xsd_node_get(q, child);
			xsd_domain_count(q, c->perms[0].id, -1);
			if (q->tx) {
				xsd_node_edit(q, child)->absent = true;
			} else {
				xsd_table_del(&q->xs->nodes, child);
			}
		}
		free(child);
	}
	free(children);
}

void xsd_node_remove(struct xsd_req *q, const char *path)
{
	char *parent_path = xsd_path_parent(path);
	struct xsd_node *parent = xsd_node_edit(q, parent_path);
	struct xsd_node *n;

	remove_children(q, path);
	child_del(parent, xsd_path_name(path));
	n = xsd_node_edit(q, path);
	xsd_domain_count(q, n->perms[0].id, -1);
	if (q->tx)
		n->absent = true;
	else
		xsd_table_del(&q->xs->nodes, path);
	free(parent_path);
}

/* The path of any node owned by @domid, NULL when there is none. */
static const char *owned_path(struct xsd *xs, uint32_t domid)
{
	for (unsigned int i = 0; i < xs->nodes.nr_buckets; i++)
		for (struct xsd_node *n = xs->nodes.bucket[i]; n; n = n->next)
			if (n->perms[0].id == domid && n->path[1])
				return n->path;
	return NULL;
}

void xsd_store_purge_owner(struct xsd *xs, uint32_t domid)
{
	struct xsd_conn nobody = { .xs = xs };
	struct xsd_req q = { .xs = xs, .conn = &nobody };
	const char *path;

	/* No connection watches through "nobody", and exact events need fire(). */
	q.type = XS_INVALID;
	while ((path = owned_path(xs, domid))) {
		char *copy = sim_strdup(path);

		xsd_node_remove(&q, copy);
		free(copy);
	}
}

static void store_put(struct xsd *xs, const char *path, const char *value)
{
	struct xsd_conn dom0 = { .xs = xs };
	struct xsd_req q = { .xs = xs, .conn = &dom0 };
	struct xsd_node *n;

	if (!xsd_node_create(&q, path, &n))
		xsd_node_set_value(n, value, strlen(value));
}

void xsd_store_init(struct xsd *xs)
{
	static const struct xs_permissions dom0_only = { .id = 0, .perms = XS_PERM_NONE };
	struct xsd_node *root = xsd_table_add(&xs->nodes, "/");

	root->gen = ++xs->gen;
	xsd_node_set_value(root, "", 0);
	xsd_node_set_perms(root, &dom0_only, 1);
	root->children = sim_alloc(1);
	store_put(xs, "/tool/xenstored", "");
	/* What xen-init-dom0 writes when a host boots. */
	store_put(xs, "/local/domain/0/domid", "0");
	store_put(xs, "/local/domain/0/name", "Domain-0");
}
