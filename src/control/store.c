/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/loop.h"
#include "core/parse.h"
#include "control/store.h"

#define MAX_CONFLICTS 100

/*
 * libxenstore's errors for a connection that the other side has ended. xenstored itself never answers with one of
 * these.
 */
static bool is_loss(int err)
{
	return err == EBADF || err == EPIPE || err == ECONNRESET || err == ENOTCONN;
}

int store_trouble(struct store *store)
{
	int trouble = store->trouble;

	store->trouble = 0;
	return trouble;
}

bool store_is_answer(int err)
{
	return !err || err == -ENOENT || err == -EACCES || err == -EINVAL || err == -ERANGE ||
	       err == -E2BIG;
}

static void begin(struct store *store)
{
	store->asked_ns = loop_lately_ns();
	errno = 0;
}

static void end(struct store *store, bool failed)
{
	store->asked_ns = 0;
	if (!failed)
		return;
	if (is_loss(errno))
		store->lost = true;
	if (errno != ENOENT && errno != EACCES && errno != EINVAL && errno != EAGAIN &&
	    !store->trouble)
		store->trouble = -errno;
}

/* Every call that xenstored answers goes through here. errno is that of the call. */
#define ask(store_, call_)                                                                         \
	({                                                                                         \
		begin(store_);                                                                     \
		__typeof__(call_) ret_ = (call_);                                                  \
		end(store_, !ret_);                                                                \
		ret_;                                                                              \
	})

static int failure(void)
{
	return errno ? -errno : -EIO;
}

/* The descriptor that the next open() will get. */
static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd;
}

static bool is_unix_stream(int fd)
{
	int domain, type;
	socklen_t size = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

/* libxenstore does not tell its socket. So find it by its number. */
static struct xs_handle *connect_to(struct store *store, int *ret_socket)
{
	int fd = next_fd();
	struct xs_handle *xs = ask(store, xs_open(0));

	*ret_socket = xs && is_unix_stream(fd) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	return xs;
}

static void disconnect(struct xs_handle **xs, int *socket)
{
	if (*xs && *socket >= 0)
		close(*socket);
	if (*xs)
		xs_close(*xs);
	*xs = NULL;
}

int store_open(struct store *store)
{
	store->watches = NULL;
	store->names = NULL;
	store->trouble = 0;
	store->sockets[1] = -1;
	store->xs = connect_to(store, &store->sockets[0]);
	store->lost = false;
	if (!store->xs)
		return failure();
	if (store_read_u32(store, XBT_NULL, "", "domid", 0, 0x7fef, &store->domid))
		store->domid = 0; /* Dom0 may lack the node */
	return 0;
}

int store_open_watches(struct store *store)
{
	/* Not XS_UNWATCH_FILTER: with it, libxenstore 4.17 leaks each event that it drops. */
	store->watches = connect_to(store, &store->sockets[1]);
	return store->watches ? 0 : failure();
}

void store_close_watches(struct store *store)
{
	disconnect(&store->watches, &store->sockets[1]);
}

void store_close(struct store *store)
{
	store_drop_names(store);
	store_close_watches(store);
	disconnect(&store->xs, &store->sockets[0]);
}

const int *store_sockets(const struct store *store)
{
	return store->sockets;
}

/* --- watches --- */

int store_watch(struct store *store, const char *path, const char *token)
{
	if (ask(store, xs_watch(store->watches, path, token)) || errno == EEXIST)
		return 0;
	return failure();
}

void store_unwatch(struct store *store, const char *path, const char *token)
{
	(void)ask(store, xs_unwatch(store->watches, path, token)); /* or it was not set */
}

char **store_next_event(struct store *store)
{
	char **event;

	errno = 0;
	event = xs_check_watch(store->watches);
	if (!event && errno != EAGAIN)
		store->lost = true;
	return event;
}

int store_events_fd(struct store *store)
{
	return xs_fileno(store->watches);
}

/* --- questions --- */

int store_list(struct store *store, xs_transaction_t t, const char *dir, char ***ret_names,
	       unsigned int *ret_nr)
{
	char **names = ask(store, xs_directory(store->xs, t, dir, ret_nr));

	if (!names)
		return failure();
	*ret_names = names;
	return 0;
}

int store_knows_domain(struct store *store, uint32_t domid)
{
	if (ask(store, xs_is_domain_introduced(store->xs, domid)))
		return 1;
	return -errno;
}

/* DIR/KEY; an empty DIR is our own home. */
static int join(char *path, const char *dir, const char *key)
{
	int n = snprintf(path, STORE_PATH_MAX, "%s%s%s", dir, *dir ? "/" : "", key);

	return n < 0 || (unsigned int)n >= STORE_PATH_MAX ? -ENAMETOOLONG : 0;
}

/* --- the names in a directory, read once --- */

void store_hold_names(struct store *store, const char *dir)
{
	store_drop_names(store);
	if (store_list(store, XBT_NULL, dir, &store->names, &store->nr_names))
		return;
	store->names_of = dir;
}

void store_drop_names(struct store *store)
{
	free(store->names);
	store->names = NULL;
}

const char *store_held_name(const struct store *store, unsigned int index)
{
	return store->names && index < store->nr_names ? store->names[index] : NULL;
}

static bool is_known_missing(const struct store *store, xs_transaction_t t, const char *dir,
			     const char *key)
{
	if (!store->names || t != XBT_NULL || strcmp(dir, store->names_of) != 0 || strchr(key, '/'))
		return false;
	for (unsigned int i = 0; i < store->nr_names; i++)
		if (!strcmp(store->names[i], key))
			return false;
	return true;
}

/* --- reading --- */

/* The caller frees it. NULL with errno set. */
static char *fetch(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		   unsigned int *ret_len)
{
	char path[STORE_PATH_MAX];
	int err = is_known_missing(store, t, dir, key) ? -ENOENT : join(path, dir, key);

	errno = -err;
	return err ? NULL : ask(store, xs_read(store->xs, t, path, ret_len));
}

static bool is_plain_text(const char *text, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return true;
}

static int copy_value(const char *value, unsigned int len, char *buf, size_t size)
{
	if (len >= size)
		return -E2BIG;
	if (!is_plain_text(value, len))
		return -EINVAL;
	memcpy(buf, value, len);
	buf[len] = '\0';
	return 0;
}

int store_read(struct store *store, xs_transaction_t t, const char *dir, const char *key, char *buf,
	       size_t size)
{
	unsigned int len;
	char *value = fetch(store, t, dir, key, &len);
	int err;

	if (!value)
		return errno == E2BIG ? -EIO : failure(); /* a quota, not the value's length */
	err = copy_value(value, len, buf, size);
	free(value);
	return err;
}

int store_read_u32(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		   uint32_t min, uint32_t max, uint32_t *ret)
{
	char text[32];
	int err = store_read(store, t, dir, key, text, sizeof(text));

	if (err)
		return err == -E2BIG ? -ERANGE : err;
	return parse_u32(text, min, max, ret);
}

int store_read_flag(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		    bool fallback, bool *ret)
{
	uint32_t value = fallback;
	int err = store_read_u32(store, t, dir, key, 0, 1, &value);

	if (err && err != -ENOENT)
		return err;
	*ret = value != 0;
	return 0;
}

bool store_exists(struct store *store, xs_transaction_t t, const char *dir, const char *key)
{
	unsigned int len;
	char *value = fetch(store, t, dir, key, &len);

	free(value);
	return value != NULL;
}

bool store_is_gone(struct store *store, const char *dir, const char *key)
{
	char text[STORE_VALUE_MAX];

	return store_read(store, XBT_NULL, dir, key, text, sizeof(text)) == -ENOENT;
}

int store_write(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		const char *value)
{
	char path[STORE_PATH_MAX];
	int err = join(path, dir, key);

	if (err)
		return err;
	return ask(store, xs_write(store->xs, t, path, value, (unsigned int)strlen(value)))
		       ? 0
		       : failure();
}

int store_writef(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		 const char *fmt, ...)
{
	char value[STORE_VALUE_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (n < 0 || (unsigned int)n >= sizeof(value))
		return -E2BIG;
	return store_write(store, t, dir, key, value);
}

int store_remove(struct store *store, xs_transaction_t t, const char *dir, const char *key)
{
	char path[STORE_PATH_MAX];
	int err = join(path, dir, key);

	if (err)
		return err;
	return ask(store, xs_rm(store->xs, t, path)) ? 0 : failure();
}

/* One try: -EAGAIN when someone else changed what it had read. */
static int transact_once(struct store *store, const char *dir, store_fn fn, void *user)
{
	xs_transaction_t t = ask(store, xs_transaction_start(store->xs));
	int err;

	if (t == XBT_NULL)
		return errno ? -errno : -EIO;
	err = !dir || store_exists(store, t, dir, "state") ? fn(store, t, user) : -ENOENT;
	if (!ask(store, xs_transaction_end(store->xs, t, err != 0)) && !err)
		err = failure();
	return err;
}

int store_transact(struct store *store, const char *dir, store_fn fn, void *user)
{
	int err = -EAGAIN;

	for (unsigned int i = 0; i < MAX_CONFLICTS && err == -EAGAIN; i++)
		err = transact_once(store, dir, fn, user);
	return err;
}
