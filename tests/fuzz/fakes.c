/* SPDX-License-Identifier: MIT */
#include "fuzz/fakes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenstore.h>

#include "fake/fake_xen.h"
#include "fuzz/fuzz.h"
#include "core/log.h"

enum { MAX_NODES = 256, PATH_BYTES = 96, VALUE_BYTES = 80, MAX_WATCHES = 16, MAX_EVENTS = 512 };
enum { NR_DOMAINS = 16 };

struct node {
	char path[PATH_BYTES];
	char value[VALUE_BYTES];
	size_t len;
};

struct tree {
	struct node node[MAX_NODES];
	unsigned int nr;
};

static struct tree tree, pending; /* pending: what the open transaction sees */
static bool in_transaction;
static struct {
	char path[PATH_BYTES], token[64];
	bool relative;
} watches[MAX_WATCHES];
static unsigned int nr_watches;
static struct {
	char path[PATH_BYTES], token[64];
} events[MAX_EVENTS];
static unsigned int nr_events;
static int event_fd = -1;
static bool dead[NR_DOMAINS];

void (*fake_on_write)(const char *path, const char *before, const char *value);
struct fake_faults fake_faults;

static const char home[] = "/local/domain/0/";

/* --- nodes --- */

static struct node *find(struct tree *t, const char *path)
{
	for (unsigned int i = 0; i < t->nr; i++)
		if (!strcmp(t->node[i].path, path))
			return &t->node[i];
	return NULL;
}

static bool is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return !strncmp(path, top, len) && (path[len] == '/' || !path[len]);
}

static void set(struct tree *t, const char *path, const void *value, size_t len)
{
	struct node *n = find(t, path);

	if (!n) {
		HOLDS(t->nr < MAX_NODES && strlen(path) < PATH_BYTES);
		n = &t->node[t->nr++];
		strcpy(n->path, path);
	}
	n->len = len < VALUE_BYTES - 1 ? len : VALUE_BYTES - 1;
	memcpy(n->value, value, n->len);
	n->value[n->len] = '\0';
}

static bool fails(unsigned int *count)
{
	if (!*count)
		return false;
	--*count;
	return true;
}

/* --- watches --- */

static void queue_event(unsigned int watch, const char *path)
{
	if (nr_events == MAX_EVENTS)
		return;
	snprintf(events[nr_events].path, PATH_BYTES, "%s",
		 path + (watches[watch].relative ? strlen(home) : 0));
	strcpy(events[nr_events++].token, watches[watch].token);
	eventfd_write(event_fd, 1);
}

/* A change of @path; @removed: watches further down hear of it too. */
static void fire(const char *path, bool removed)
{
	for (unsigned int i = 0; i < nr_watches; i++)
		if (is_below(path, watches[i].path))
			queue_event(i, path);
		else if (removed && is_below(watches[i].path, path))
			queue_event(i, watches[i].path);
}

void fake_fire(const char *path)
{
	fire(path, false);
}

unsigned int fake_nr_watches(void)
{
	return nr_watches;
}

void fake_forget_watches(void)
{
	nr_watches = 0;
}

/* --- the others' side --- */

void fake_reset(void)
{
	HOLDS(!in_transaction);
	tree.nr = 0;
	nr_events = 0;
	memset(dead, 0, sizeof(dead));
	memset(&fake_faults, 0, sizeof(fake_faults));
	memset(&fake_xen, 0, sizeof(fake_xen));
}

void fake_write(const char *path, const void *value, size_t len)
{
	set(&tree, path, value, len);
	fire(path, false);
}

void fake_writef(const char *path, const char *fmt, ...)
{
	char value[VALUE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	fake_write(path, value, strlen(value));
}

static bool cut(struct tree *from, const char *path)
{
	bool any = false;

	for (unsigned int i = 0; i < from->nr;) {
		if (is_below(from->node[i].path, path)) {
			from->node[i] = from->node[--from->nr];
			any = true;
		} else {
			i++;
		}
	}
	return any;
}

void fake_remove(const char *path)
{
	if (cut(&tree, path))
		fire(path, true);
}

const char *fake_value(const char *path)
{
	const struct node *n = find(&tree, path);

	return n ? n->value : "";
}

bool fake_exists(const char *path)
{
	return find(&tree, path) != NULL;
}

/* --- libxenstore --- */

/* The one handle; nobody looks into it. */
static struct xs_handle *handle(void)
{
	return (struct xs_handle *)(void *)&tree;
}

struct xs_handle *xs_open(unsigned long flags)
{
	(void)flags;
	if (event_fd < 0)
		event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return handle();
}

void xs_close(struct xs_handle *xsh)
{
	(void)xsh;
}

int xs_fileno(struct xs_handle *h)
{
	(void)h;
	return event_fd;
}

static const char *absolute(const char *path, char *buf)
{
	snprintf(buf, PATH_BYTES, "%s%s", *path == '/' || *path == '@' ? "" : home, path);
	return buf;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
	char buf[PATH_BYTES];
	const struct node *n = find(t ? &pending : &tree, absolute(path, buf));
	char *value;

	(void)h;
	if (!n) {
		errno = ENOENT;
		return NULL;
	}
	value = malloc(n->len + 1);
	HOLDS(value);
	memcpy(value, n->value, n->len + 1);
	*len = (unsigned int)n->len;
	return value;
}

static void written(const char *path, const char *before, const char *value)
{
	if (fake_on_write)
		fake_on_write(path, before, value);
	fire(path, false);
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data,
	      unsigned int len)
{
	char buf[PATH_BYTES], before[VALUE_BYTES];

	(void)h;
	if (fails(&fake_faults.bad_writes)) {
		errno = ENOSPC;
		return false;
	}
	absolute(path, buf);
	strcpy(before, fake_value(buf));
	set(t ? &pending : &tree, buf, data, len);
	if (!t)
		written(buf, before, data);
	return true;
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	char buf[PATH_BYTES];

	(void)h;
	absolute(path, buf);
	if (t)
		cut(&pending, buf); /* nobody watches what is removed in one */
	else
		fake_remove(buf);
	return true;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
	(void)h;
	HOLDS(!in_transaction);
	in_transaction = true;
	pending = tree;
	return 1;
}

/* Fire the watches, then make the change: a program that reads at once still sees the old values. */
static void commit(void)
{
	static struct tree old;

	old = tree;
	tree = pending;
	for (unsigned int i = 0; i < pending.nr; i++) {
		const struct node *now = &pending.node[i], *was = find(&old, now->path);

		if (!was || was->len != now->len || memcmp(was->value, now->value, now->len))
			written(now->path, was ? was->value : "", now->value);
	}
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool give_up)
{
	(void)h;
	HOLDS(in_transaction && t == 1);
	in_transaction = false;
	if (give_up)
		return true;
	if (fails(&fake_faults.conflicts)) {
		errno = EAGAIN;
		return false;
	}
	commit();
	return true;
}

static void add_name(char *names, unsigned int *nr, const char *name, size_t len)
{
	const char *at = names;

	for (unsigned int i = 0; i < *nr; i++, at += strlen(at) + 1)
		if (strlen(at) == len && !memcmp(at, name, len))
			return;
	memcpy(names + (at - names), name, len);
	names[(size_t)(at - names) + len] = '\0';
	++*nr;
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *num)
{
	const struct tree *from = t ? &pending : &tree;
	char buf[PATH_BYTES], names[4096];
	char **ret;
	size_t bytes = 0;

	(void)h;
	absolute(path, buf);
	*num = 0;
	for (unsigned int i = 0; i < from->nr; i++) {
		const char *at = from->node[i].path;

		if (is_below(at, buf) && at[strlen(buf)])
			add_name(names, num, at + strlen(buf) + 1,
				 strcspn(at + strlen(buf) + 1, "/"));
	}
	for (unsigned int i = 0; i < *num; i++)
		bytes += strlen(names + bytes) + 1;
	ret = malloc(*num * sizeof(ret[0]) + bytes + 1);
	HOLDS(ret);
	memcpy(ret + *num, names, bytes);
	bytes = 0;
	for (unsigned int i = 0; i < *num; i++) {
		ret[i] = (char *)(ret + *num) + bytes;
		bytes += strlen(ret[i]) + 1;
	}
	return ret;
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
	char buf[PATH_BYTES];

	(void)h;
	HOLDS(nr_watches < MAX_WATCHES && strlen(token) < sizeof(watches[0].token));
	strcpy(watches[nr_watches].path, absolute(path, buf));
	strcpy(watches[nr_watches].token, token);
	watches[nr_watches].relative = *path != '/' && *path != '@';
	queue_event(nr_watches++, buf);
	return true;
}

/* Events that were caused before still come. */
bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
	char buf[PATH_BYTES];
	unsigned int at = 0;

	(void)h;
	absolute(path, buf);
	while (at < nr_watches &&
	       (strcmp(watches[at].path, buf) || strcmp(watches[at].token, token)))
		at++;
	HOLDS(at < nr_watches);
	watches[at] = watches[--nr_watches];
	return true;
}

char **xs_check_watch(struct xs_handle *h)
{
	size_t path, token;
	eventfd_t count;
	char **ret;

	(void)h;
	if (!nr_events) {
		eventfd_read(event_fd, &count);
		errno = EAGAIN;
		return NULL;
	}
	path = strlen(events[0].path) + 1;
	token = strlen(events[0].token) + 1;
	ret = malloc(2 * sizeof(ret[0]) + path + token);
	HOLDS(ret);
	ret[XS_WATCH_PATH] = memcpy((char *)(ret + 2), events[0].path, path);
	ret[XS_WATCH_TOKEN] = memcpy((char *)(ret + 2) + path, events[0].token, token);
	memmove(events, events + 1, --nr_events * sizeof(events[0]));
	return ret;
}

/* A driver domain would ask; this is Dom0. */
bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid)
{
	(void)h;
	(void)domid;
	return true;
}

/* --- libxenctrl --- */

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild_logger,
				unsigned int open_flags)
{
	(void)logger;
	(void)dombuild_logger;
	(void)open_flags;
	return (xc_interface *)(void *)dead;
}

int xc_interface_close(xc_interface *xch)
{
	(void)xch;
	return 0;
}

int xc_domain_getinfolist(xc_interface *xch, uint32_t first_domain, unsigned int max_domains,
			  xc_domaininfo_t *info)
{
	(void)xch;
	HOLDS(max_domains == 1);
	memset(info, 0, sizeof(*info));
	info->domain = (domid_t)first_domain;
	if (first_domain < NR_DOMAINS && dead[first_domain])
		info->flags = XEN_DOMINF_dying;
	return 1;
}

void fake_kill_domain(uint32_t domid)
{
	HOLDS(domid < NR_DOMAINS);
	dead[domid] = true;
	fake_fire("@releaseDomain");
}

/* --- the log: words are made, and go nowhere --- */

int log_start(void)
{
	return 0;
}

void log_stop(void)
{
}

void log_set_listener(log_sink_fn fn)
{
	(void)fn;
}

void log_set_level(enum log_level level)
{
	(void)level;
}

bool log_enabled(enum log_level level)
{
	return level != LOG_LEVEL_DEBUG;
}

bool log_allow(struct log_limit *limit, const char *who)
{
	(void)limit;
	HOLDS(*who);
	return true;
}

void log_vnotice(enum log_level level, const char *who, const char *notice, const char *fmt,
		 va_list ap)
{
	(void)notice;
	log_vabout(level, who, fmt, ap);
}

void log_vabout(enum log_level level, const char *who, const char *fmt, va_list ap)
{
	char line[512];

	(void)level;
	HOLDS(!who || *who);
	vsnprintf(line, sizeof(line), fmt, ap);
}

void log_about(enum log_level level, const char *who, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vabout(level, who, fmt, ap);
	va_end(ap);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vabout(level, NULL, fmt, ap);
	va_end(ap);
}

void log_trace_to(int fd)
{
	if (fd >= 0)
		close(fd);
}

void log_vtrace(const char *who, const char *fmt, va_list ap)
{
	log_vabout(LOG_LEVEL_DEBUG, who, fmt, ap);
}
