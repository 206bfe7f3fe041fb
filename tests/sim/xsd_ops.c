/* SPDX-License-Identifier: MIT */
/* xsd_ops.c - the requests of the wire protocol that read and change nodes. */
#include "xsd_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned int xsd_req_strings(struct xsd_req *q, const char **ret, unsigned int max)
{
	unsigned int nr = 0;

	for (size_t at = 0; at < q->len; nr++) {
		size_t len = strnlen(q->data + at, q->len - at);

		if (at + len == q->len) /* the last one has no zero: not a string */
			break;
		if (nr < max)
			ret[nr] = q->data + at;
		at += len + 1;
	}
	return nr;
}

/* The body's first string as a full path. Caller owns it. 0 or an errno. */
static int req_path(struct xsd_req *q, char **ret)
{
	const char *str[1];

	if (xsd_req_strings(q, str, 1) < 1)
		return EINVAL;
	*ret = xsd_path_canonical(q->conn, str[0]);
	return *ret ? 0 : EINVAL;
}

/* A readable node named by the body. 0 or an errno. */
static int req_node(struct xsd_req *q, struct xsd_node **ret)
{
	char *path;
	int err = req_path(q, &path);

	if (err)
		return err;
	err = xsd_node_access(q, path, XS_PERM_READ, ret);
	free(path);
	return err;
}

static int op_directory(struct xsd_req *q)
{
	struct xsd_node *n;
	int err = req_node(q, &n);

	if (err)
		return err;
	if (n->children_len > XENSTORE_PAYLOAD_MAX)
		return E2BIG;
	xsd_reply(q, n->children, n->children_len);
	return 0;
}

/* Generation, then as many whole names as fit; an extra zero ends the list. */
static int op_directory_part(struct xsd_req *q)
{
	char buf[XENSTORE_PAYLOAD_MAX];
	const char *str[2];
	struct xsd_node *n;
	size_t head, len = 0;
	uint32_t off;
	int err;

	if (xsd_req_strings(q, str, 2) != 2 || sim_parse_u32(str[1], 0, UINT32_MAX, &off))
		return EINVAL;
	err = req_node(q, &n);
	if (err)
		return err;
	head = (size_t)snprintf(buf, sizeof(buf), "%" PRIu64, n->gen) + 1;
	while (off + len < n->children_len) {
		size_t step = strlen(n->children + off + len) + 1;

		if (head + len + step + 1 > sizeof(buf))
			break;
		memcpy(buf + head + len, n->children + off + len, step);
		len += step;
	}
	if (off + len >= n->children_len)
		buf[head + len++] = '\0';
	xsd_reply(q, buf, head + len);
	return 0;
}

static int op_read(struct xsd_req *q)
{
	struct xsd_node *n;
	int err = req_node(q, &n);

	if (!err)
		xsd_reply(q, n->value, n->len);
	return err;
}

/* The node at @path for writing; made when it is not there. 0 or an errno. */
static int node_for_write(struct xsd_req *q, const char *path, struct xsd_node **ret)
{
	int err = xsd_node_access(q, path, XS_PERM_WRITE, ret);

	if (err == ENOENT)
		return xsd_node_create(q, path, ret);
	if (!err)
		*ret = xsd_node_edit(q, path);
	return err;
}

static int op_write(struct xsd_req *q)
{
	const char *str[1];
	struct xsd_node *n;
	size_t skip;
	char *path;
	int err;

	if (xsd_req_strings(q, str, 1) < 1)
		return EINVAL;
	skip = strlen(str[0]) + 1;
	if (!xsd_conn_is_privileged(q->conn) && q->len - skip > XSD_QUOTA_VALUE)
		return ENOSPC;
	err = req_path(q, &path);
	if (err)
		return err;
	err = node_for_write(q, path, &n);
	if (!err) {
		xsd_node_set_value(n, q->data + skip, q->len - skip);
		xsd_fire(q, path, false, n);
		xsd_reply_ok(q);
	}
	free(path);
	return err;
}

static int op_mkdir(struct xsd_req *q)
{
	struct xsd_node *n;
	char *path;
	int err = req_path(q, &path);

	if (err)
		return err;
	err = xsd_node_access(q, path, XS_PERM_WRITE, &n);
	if (err == ENOENT) {
		err = xsd_node_create(q, path, &n);
		if (!err)
			xsd_fire(q, path, false, n);
	}
	free(path);
	if (!err)
		xsd_reply_ok(q);
	return err;
}

/* Removing what is not there is fine as long as its parent is. */
static int rm_missing(struct xsd_req *q, const char *path)
{
	char *parent = xsd_path_parent(path);
	bool there = parent && xsd_node_get(q, parent);

	free(parent);
	return there ? 0 : ENOENT;
}

static int op_rm(struct xsd_req *q)
{
	struct xsd_node *n;
	char *path;
	int err = req_path(q, &path);

	if (err)
		return err;
	err = !strcmp(path, "/") || path[0] == '@' ? EINVAL
						   : xsd_node_access(q, path, XS_PERM_WRITE, &n);
	if (err == ENOENT) {
		err = rm_missing(q, path);
	} else if (!err) {
		xsd_fire(q, path, false, n);
		xsd_node_remove(q, path);
	}
	free(path);
	if (!err)
		xsd_reply_ok(q);
	return err;
}

static int op_get_perms(struct xsd_req *q)
{
	char buf[XENSTORE_PAYLOAD_MAX];
	struct xsd_node *n;
	size_t len = 0;
	int err = req_node(q, &n);

	if (err)
		return err;
	for (unsigned int i = 0; i < n->nr_perms; i++) {
		len += (size_t)snprintf(buf + len, sizeof(buf) - len, "%c%u",
					xsd_perm_letter(n->perms[i].perms), n->perms[i].id) +
		       1;
		if (len > sizeof(buf) - 16)
			return E2BIG;
	}
	xsd_reply(q, buf, len);
	return 0;
}

/* Permissions from strings 1..@nr of the body. */
static int parse_perms(struct xsd_req *q, const char **str, unsigned int nr,
		       struct xs_permissions *perms)
{
	int err = 0;

	if (nr < 1 || (!xsd_conn_is_privileged(q->conn) && nr > XSD_QUOTA_PERMS))
		return nr < 1 ? EINVAL : ENOSPC;
	for (unsigned int i = 0; i < nr && !err; i++)
		err = xsd_perm_parse(str[i], &perms[i]);
	return err;
}

static int set_perms(struct xsd_req *q, const char *path, const struct xs_permissions *perms,
		     unsigned int nr)
{
	struct xsd_node before = { 0 };
	struct xsd_node *n;
	int err = xsd_node_access(q, path, XS_PERM_WRITE | XS_PERM_OWNER, &n);

	if (err)
		return err;
	if (!xsd_conn_is_privileged(q->conn) && perms[0].id != n->perms[0].id)
		return EPERM;
	n = xsd_node_edit(q, path);
	xsd_node_set_perms(&before, n->perms, n->nr_perms);
	xsd_domain_count(q, n->perms[0].id, -1);
	xsd_domain_count(q, perms[0].id, 1);
	xsd_node_set_perms(n, perms, nr);
	xsd_fire(q, path, false, &before); /* for those who could read it, and who can now */
	free(before.perms);
	return 0;
}

static int op_set_perms(struct xsd_req *q)
{
	enum { MAX = 64 };
	struct xs_permissions perms[MAX];
	const char *str[MAX + 1];
	unsigned int nr = xsd_req_strings(q, str, MAX + 1);
	char *path;
	int err;

	if (nr < 2 || nr > MAX)
		return EINVAL;
	err = parse_perms(q, str + 1, nr - 1, perms);
	if (err)
		return err;
	err = req_path(q, &path);
	if (err)
		return err;
	err = set_perms(q, path, perms, nr - 1);
	free(path);
	if (!err)
		xsd_reply_ok(q);
	return err;
}

static int op_tx_start(struct xsd_req *q)
{
	char id[16];

	if (q->tx)
		return EBUSY;
	if (!xsd_conn_is_privileged(q->conn) && q->conn->nr_txs >= XSD_QUOTA_TRANSACTIONS)
		return ENOSPC;
	snprintf(id, sizeof(id), "%u", xsd_tx_new(q->conn)->id);
	xsd_reply(q, id, strlen(id) + 1);
	return 0;
}

static int op_tx_end(struct xsd_req *q)
{
	const char *str[1];
	int err;

	if (!q->tx)
		return ENOENT;
	if (xsd_req_strings(q, str, 1) < 1 || (strcmp(str[0], "T") && strcmp(str[0], "F")))
		return EINVAL;
	err = xsd_tx_end(q, q->tx, str[0][0] == 'T');
	if (!err)
		xsd_reply_ok(q);
	return err;
}

static int op_reset_watches(struct xsd_req *q)
{
	xsd_watch_free_all(q->conn);
	xsd_tx_free_all(q->conn);
	xsd_reply_ok(q);
	return 0;
}

int xsd_serve(struct xsd_req *q)
{
	static int (*const op[XS_TYPE_COUNT])(struct xsd_req *) = {
		[XS_DIRECTORY] = op_directory,
		[XS_DIRECTORY_PART] = op_directory_part,
		[XS_READ] = op_read,
		[XS_GET_PERMS] = op_get_perms,
		[XS_WATCH] = xsd_op_watch,
		[XS_UNWATCH] = xsd_op_unwatch,
		[XS_TRANSACTION_START] = op_tx_start,
		[XS_TRANSACTION_END] = op_tx_end,
		[XS_INTRODUCE] = xsd_op_introduce,
		[XS_RELEASE] = xsd_op_release,
		[XS_GET_DOMAIN_PATH] = xsd_op_domain_path,
		[XS_WRITE] = op_write,
		[XS_MKDIR] = op_mkdir,
		[XS_RM] = op_rm,
		[XS_SET_PERMS] = op_set_perms,
		[XS_IS_DOMAIN_INTRODUCED] = xsd_op_is_introduced,
		[XS_RESUME] = xsd_op_resume,
		[XS_SET_TARGET] = xsd_op_set_target,
		[XS_RESET_WATCHES] = op_reset_watches,
	};

	if (q->type >= XS_TYPE_COUNT || !op[q->type])
		return ENOSYS;
	if (q->tx && !xsd_conn_is_privileged(q->conn) && q->tx->nodes.nr_nodes > XSD_QUOTA_TX_NODES)
		return ENOSPC;
	return op[q->type](q);
}
