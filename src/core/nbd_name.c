/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/nbd_name.h"
#include "core/parse.h"

#define EXPORT_KEY ":exportname="

static const char *after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) ? NULL : text + len;
}

bool nbd_name_is(const char *text)
{
	return after(text, "nbd:") || after(text, "nbd+") || after(text, "nbds:") ||
	       after(text, "nbds+");
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Copy `len` bytes, with %XX decoded when `uri`. False when they do not fit or hold a NUL or a bad %. */
static bool copy(const char *from, size_t len, bool uri, char *to, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)from[i];

		if (uri && c == '%') {
			if (i + 2 >= len || hex(from[i + 1]) < 0 || hex(from[i + 2]) < 0)
				return false;
			c = hex(from[i + 1]) * 16 + hex(from[i + 2]);
			i += 2;
		}
		if (c == 0 || n + 1 >= size)
			return false;
		to[n++] = (char)c;
	}
	to[n] = '\0';
	return true;
}

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EINVAL;
}

static int check_socket(const struct nbd_name *name, const char **ret_why)
{
	return name->where[0] == '/'
		       ? 0
		       : refuse(ret_why, "the path of its socket must begin with a slash");
}

static int parse_colons(const char *at, struct nbd_name *name, const char **ret_why)
{
	const char *key = strstr(at, EXPORT_KEY);
	size_t len = key ? (size_t)(key - at) : strlen(at);

	if (!copy(at, len, false, name->where, sizeof(name->where)))
		return refuse(ret_why, "the path of its socket is too long");
	if (key) {
		key += strlen(EXPORT_KEY);
		if (!copy(key, strlen(key), false, name->export_name, sizeof(name->export_name)))
			return refuse(ret_why, "its export's name is too long");
	}
	name->is_unix = true;
	return check_socket(name, ret_why);
}

static int parse_export(const char *at, size_t len, struct nbd_name *name, const char **ret_why)
{
	return copy(at, len, true, name->export_name, sizeof(name->export_name))
		       ? 0
		       : refuse(ret_why, "its export's name is too long or badly encoded");
}

/* What follows "nbd+unix://": no host, the export's path, and one parameter. */
static int parse_unix_uri(const char *at, struct nbd_name *name, const char **ret_why)
{
	const char *query = strchr(at, '?'), *path = query ? after(query, "?socket=") : NULL;

	name->is_unix = true;
	if (*at != '/' || !path || strchr(path, '&'))
		return refuse(ret_why, "it must have the form nbd+unix:///EXPORT?socket=/PATH");
	if (!copy(path, strlen(path), true, name->where, sizeof(name->where)))
		return refuse(ret_why, "the path of its socket is too long or badly encoded");
	if (parse_export(at + 1, (size_t)(query - at - 1), name, ret_why))
		return -EINVAL;
	return check_socket(name, ret_why);
}

/* ":PORT", or nothing. Returns what follows; NULL when it is not a port. */
static const char *parse_port(const char *at, uint16_t *ret_port)
{
	uint32_t port;

	*ret_port = NBD_PORT;
	if (*at != ':')
		return at;
	at++;
	if (!parse_digits_u32(&at, UINT16_MAX, &port) || port == 0)
		return NULL;
	*ret_port = (uint16_t)port;
	return at;
}

/* What follows "nbd://". An IPv6 address stands in brackets. */
static int parse_host_uri(const char *at, struct nbd_name *name, const char **ret_why)
{
	bool brackets = *at == '[';
	const char *host = at + brackets;
	size_t len = strcspn(host, brackets ? "]" : ":/?");

	if (len == 0 || !copy(host, len, true, name->where, sizeof(name->where)))
		return refuse(ret_why, "it names no host");
	at = host + len;
	if (brackets && *at++ != ']')
		return refuse(ret_why, "the bracket of its address is not closed");
	at = parse_port(at, &name->port);
	if (!at || (*at && *at != '/') || strchr(at, '?'))
		return refuse(ret_why, "it must have the form nbd://HOST:PORT/EXPORT");
	return *at ? parse_export(at + 1, strlen(at + 1), name, ret_why) : 0;
}

int nbd_name_parse(const char *text, struct nbd_name *ret_name, const char **ret_why)
{
	struct nbd_name name = { 0 };
	const char *at;
	int err;

	if ((at = after(text, "nbd:unix:")))
		err = parse_colons(at, &name, ret_why);
	else if ((at = after(text, "nbd+unix://")))
		err = parse_unix_uri(at, &name, ret_why);
	else if ((at = after(text, "nbd://")))
		err = parse_host_uri(at, &name, ret_why);
	else if (after(text, "nbds")) {
		*ret_why = "TLS is not spoken; put a tunnel in front of the server";
		err = -EOPNOTSUPP;
	} else
		err = refuse(ret_why, "it is none of nbd:unix:/PATH, nbd://HOST/EXPORT and "
				      "nbd+unix:///EXPORT?socket=/PATH");
	if (!err)
		*ret_name = name;
	return err;
}

/* %XX for everything that could mean something in a URI. */
static size_t encode(const char *from, char *to, size_t size)
{
	size_t n = 0;

	for (; *from; from++) {
		bool plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~/",
				    *from) != NULL;

		if (n + 4 > size)
			return size;
		n += (size_t)snprintf(to + n, size - n, plain ? "%c" : "%%%02X",
				      (unsigned char)*from);
	}
	return n;
}

int nbd_name_format(const struct nbd_name *name, char *buf, size_t size)
{
	char export_name[NBD_EXPORT_MAX * 3 + 1] = "";
	bool colon = strchr(name->where, ':') != NULL;
	int n;

	if (name->is_unix) {
		n = snprintf(buf, size, "nbd:unix:%s%s%s", name->where,
			     *name->export_name ? EXPORT_KEY : "", name->export_name);
		return (size_t)n >= size ? -ENAMETOOLONG : 0;
	}
	if (encode(name->export_name, export_name, sizeof(export_name)) >= sizeof(export_name))
		return -ENAMETOOLONG;
	n = snprintf(buf, size, colon ? "nbd://[%s]:%u/%s" : "nbd://%s:%u/%s", name->where,
		     name->port, export_name);
	return (size_t)n >= size ? -ENAMETOOLONG : 0;
}
