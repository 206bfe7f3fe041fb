/* SPDX-License-Identifier: MIT */
/* xsd_perm.c - who may see and change what, and what a valid path is. */
#include "xsd_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool xsd_conn_is_privileged(const struct xsd_conn *conn)
{
	return conn->domid == 0;
}

static bool conn_is(const struct xsd_conn *conn, uint32_t domid)
{
	return conn->domid == domid || conn->target == domid;
}

unsigned int xsd_perm_of(const struct xsd_conn *conn, const struct xs_permissions *perms,
			 unsigned int nr_perms)
{
	const unsigned int all = XS_PERM_READ | XS_PERM_WRITE | XS_PERM_OWNER;

	if (xsd_conn_is_privileged(conn) || conn_is(conn, perms[0].id))
		return all;
	for (unsigned int i = 1; i < nr_perms; i++)
		if (conn_is(conn, perms[i].id))
			return perms[i].perms;
	return perms[0].perms;
}

/* A missing node looks "forbidden" to those who may not see its parents. */
static int missing_errno(struct xsd_req *q, const char *path, unsigned int need)
{
	char *at = xsd_path_parent(path);
	struct xsd_node *n = NULL;
	unsigned int have;

	while (at && !(n = xsd_node_get(q, at))) {
		char *up = xsd_path_parent(at);

		free(at);
		at = up;
	}
	free(at);
	if (!n)
		return ENOENT;
	have = xsd_perm_of(q->conn, n->perms, n->nr_perms);
	return (have & need) == need ? ENOENT : EACCES;
}

int xsd_node_access(struct xsd_req *q, const char *path, unsigned int need, struct xsd_node **ret)
{
	struct xsd_node *n = xsd_node_get(q, path);

	if (!n)
		return missing_errno(q, path, need & ~(unsigned int)XS_PERM_OWNER);
	if ((xsd_perm_of(q->conn, n->perms, n->nr_perms) & need) != need)
		return EACCES;
	*ret = n;
	return 0;
}

static bool path_is_valid(const char *path)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-/_@";
	size_t len = strlen(path);

	if (path[0] != '/' && path[0] != '@')
		return false;
	if (len > XENSTORE_ABS_PATH_MAX || (len > 1 && path[len - 1] == '/'))
		return false;
	return !strstr(path, "//") && strspn(path, allowed) == len;
}

char *xsd_path_canonical(const struct xsd_conn *conn, const char *path)
{
	char *full;

	if (path[0] == '/' || path[0] == '@')
		full = sim_strdup(path);
	else if (!path[0] || strlen(path) > XENSTORE_REL_PATH_MAX)
		return NULL;
	else
		full = sim_asprintf("/local/domain/%u/%s", conn->domid, path);
	if (path_is_valid(full))
		return full;
	free(full);
	return NULL;
}

int xsd_perm_parse(const char *str, struct xs_permissions *ret)
{
	static const char letters[] = "nrwb";
	const char *at = str[0] ? strchr(letters, str[0]) : NULL;

	if (!at)
		return EINVAL;
	ret->perms = (unsigned int)(at - letters); /* n 0, r 1, w 2, b 3: the bits */
	return -sim_parse_u32(str + 1, 0, 0x7fff, &ret->id);
}

char xsd_perm_letter(unsigned int perms)
{
	return "nrwb"[perms & (XS_PERM_READ | XS_PERM_WRITE)];
}
