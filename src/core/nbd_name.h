/* SPDX-License-Identifier: MIT */
/*
 * The name of an NBD export, in the forms that QEMU and the NBD project's URI document use. Pure: no I/O.
 *
 *   nbd:unix:/PATH[:exportname=NAME]
 *   nbd+unix:///[NAME]?socket=/PATH
 *   nbd://HOST[:PORT][/NAME]
 *
 * In the two URIs %XX stands for a byte.
 */
#ifndef PVB_NBD_NAME_H
#define PVB_NBD_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NBD_WHERE_MAX  108u /* sizeof(sun_path) */
#define NBD_EXPORT_MAX 256u
#define NBD_PORT       10809u

struct nbd_name {
	bool is_unix;
	char where[NBD_WHERE_MAX]; /* the socket's path, or the host */
	uint16_t port;             /* of a host */
	char export_name[NBD_EXPORT_MAX];
};

/* Whether the text means an NBD export at all: "nbd:", "nbd+unix:", "nbds:" and the like. */
bool nbd_name_is(const char *text);

/* 0; or -EINVAL or -EOPNOTSUPP with *ret_why, a static text for the admin. */
int nbd_name_parse(const char *text, struct nbd_name *ret_name, const char **ret_why);

/* The same name as nbd:unix:… or nbd://…; -ENAMETOOLONG when it does not fit. 0 else. */
int nbd_name_format(const struct nbd_name *name, char *buf, size_t size);

#endif
