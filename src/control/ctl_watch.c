/* SPDX-License-Identifier: MIT */
/* Commands of the admin's socket that show what goes on. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/ctl_commands.h"
#include "control/ctl_device.h"
#include "control/events.h"
#include "control/guests.h"
#include "control/json.h"
#include "control/names.h"
#include "core/messages.h"

#define NS_PER_S 1000000000ull

/* --- events --- */

struct named {
	const char *who;
	char *name; /* DEVICE_NAME_MAX; "": none found */
};

static void find_named(void *user, struct device *dev)
{
	struct named *named = user;

	if (!strcmp(dev->name, named->who))
		name_device(dev, named->name);
}

/* The device's name as an admin knows it; of a device that is gone, the name in the log. NULL: the event is about no device. */
static void add_who(const struct ctl_asked *asked, struct json_object *to, const char *who)
{
	char name[DEVICE_NAME_MAX] = "";
	struct named named = { .who = who, .name = name };
	uint32_t domid;

	if (guests_logged(who, &domid))
		name_guest(asked->daemon->env, domid, name);
	else if (*who)
		registry_each(asked->daemon->registry, find_named, &named);
	json_add_text(to, "device", *name ? name : *who ? who : NULL);
}

static struct json_object *run_events(struct ctl_asked *asked)
{
	static const char *const levels[] = { "error", "warning", "info" };
	struct event *events = calloc(EVENTS_MAX, sizeof(*events));
	uint64_t since_ns = 0;
	bool is_start = false;
	unsigned int nr = events ? events_copy(events, &since_ns, &is_start) : 0;
	struct json_object *result = ctl_new_result();
	struct json_object *list;

	json_add_u64(result, "since_s", since_ns / NS_PER_S);
	json_add_flag(result, "since_start", is_start);
	list = json_add_list(result, "events");
	for (unsigned int i = 0; i < nr; i++) {
		struct json_object *item = json_object_new_object();

		json_add_u64(item, "time_s", events[i].time_ns / NS_PER_S);
		json_add_u64(item, "time_ns", events[i].time_ns);
		add_who(asked, item, events[i].who);
		json_add_text(item, "level", levels[events[i].level]);
		json_add_text(item, "text", events[i].text);
		json_add_text(item, "notice", events[i].notice);
		json_object_array_add(list, item);
	}
	free(events);
	return ctl_result(result);
}

/* --- what lasts: captures and traces --- */

/* The answer to one that has begun; with a note when there is nothing to be seen of its device yet. */
static struct json_object *has_begun(const struct ctl_asked *asked)
{
	struct json_object *result = ctl_new_result();
	char name[DEVICE_NAME_MAX], note[DEVICE_NAME_MAX + 64];

	if (!asked->dev || asked->dev->activity == DEVICE_ATTACHED)
		return ctl_result(result);
	name_device(asked->dev, name);
	snprintf(note, sizeof(note), "%s is not connected yet: this begins when it is", name);
	json_add_text(result, "note", note);
	return ctl_result(result);
}

/* --- captures --- */

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

#define MAX_SNAPLEN      65536u
#define DEFAULT_SIZE_MIB 1024u

/* A capture that a client has begun. When its device is gone it does nothing more. */
struct capturing {
	const struct ctl_daemon *daemon;
	const struct device_ops *ops;
	uint32_t domid, devid;
	struct device *dev; /* while it is looked for */
};

static void find_captured(void *user, struct device *dev)
{
	struct capturing *c = user;

	if (dev->ops == c->ops && dev->domid == c->domid && dev->devid == c->devid &&
	    device_is_probed(dev))
		c->dev = dev;
}

/* NULL: the device is gone. */
static struct device *captured_device(struct capturing *c)
{
	c->dev = NULL;
	registry_each(c->daemon->registry, find_captured, c);
	return c->dev;
}

/* The last answer of a capture: `word` says why it has ended. */
static struct json_object *capture_end(const char *word, const char *text,
				       const struct message_captured *how)
{
	struct json_object *result = ctl_new_result();
	char line[128];

	snprintf(line, sizeof(line), "%s: frames=%" PRIu64 " missing=%" PRIu64, text,
		 how->nr_frames, how->nr_missing);
	json_add_text(result, "end", word);
	json_add_text(result, "text", how->err ? line : text);
	json_add_u64(result, "frames", how->nr_frames);
	json_add_u64(result, "missing", how->nr_missing);
	return ctl_result(result);
}

static struct json_object *look_at_capture(void *user)
{
	struct capturing *c = user;
	struct message_captured how = { 0 };

	if (!captured_device(c))
		return capture_end("device-gone", "the device is gone", &how);
	if (!c->ops->captures(c->dev, c, &how))
		return ctl_error("failed", "another capture of the device has begun, or its `pcap` "
					   "was set");
	if (how.err == -EFBIG)
		return capture_end("full", "the file is full", &how);
	if (how.err == -EPIPE)
		return capture_end("reader-gone", "nobody reads the capture any more", &how);
	return how.err ? ctl_error("failed", "the capture cannot be written: %s",
				   strerror(-how.err))
		       : NULL;
}

static void end_capture(void *user)
{
	struct capturing *c = user;

	const char *why;

	if (captured_device(c))
		c->ops->capture(c->dev, &(struct device_capture){ .owner = c, .fd = -1 }, &why);
	free(c);
}

/*
 * The guest's process will write to this descriptor, and the guest may have taken that process over. So it must not be
 * a terminal or a device, and must not be open for reading.
 */
static bool may_be_captured_into(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	return flags >= 0 && (flags & O_ACCMODE) == O_WRONLY && fstat(fd, &st) == 0 &&
	       (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode));
}

/* Take the descriptor. */
static struct json_object *begin_capture(struct ctl_asked *asked, int fd)
{
	uint64_t size_mib = asked->size_mib ? asked->size_mib : DEFAULT_SIZE_MIB;
	struct capturing *c = calloc(1, sizeof(*c));
	struct device_capture what = {
		.owner = c,
		.fd = fd,
		.filter = asked->filter ? asked->filter : "",
		.snaplen = asked->given & CTL_SNAPLEN ? asked->snaplen : MAX_SNAPLEN,
		.max_bytes = lseek(fd, 0, SEEK_CUR) < 0 ? UINT64_MAX : size_mib << 20
	};
	const char *why = NULL;
	int err = c ? asked->dev->ops->capture(asked->dev, &what, &why) : -ENOMEM;

	if (err) {
		close(fd);
		free(c);
		if (why)
			return ctl_error("bad-value", "the filter %s", why);
		return ctl_error("failed", "no capture of %s: %s", asked->device, strerror(-err));
	}
	*c = (struct capturing){ .daemon = asked->daemon,
				 .ops = asked->dev->ops,
				 .domid = asked->dev->domid,
				 .devid = asked->dev->devid };
	ctl_hold(asked->client, &(struct ctl_hold){ look_at_capture, end_capture, c });
	device_log(asked->dev, LOG_LEVEL_INFO, "an admin captures what it moves");
	return has_begun(asked);
}

static struct json_object *run_capture(struct ctl_asked *asked)
{
	int fd = ctl_take_fd(asked->client);

	if (!asked->dev->ops->capture || !device_is_probed(asked->dev)) {
		close_if_open(fd);
		return ctl_error("unsupported", "only network cards are captured");
	}
	if (!asked->on) {
		close_if_open(fd);
		ctl_release(asked->client);
		return ctl_result(ctl_new_result());
	}
	if (fd < 0 || !may_be_captured_into(fd) ||
	    (asked->given & CTL_SNAPLEN && (!asked->snaplen || asked->snaplen > MAX_SNAPLEN))) {
		close_if_open(fd);
		return ctl_error("usage",
				 "capture needs a descriptor of a pipe or a file, open for "
				 "writing only, and a snaplen of 1 to %u",
				 MAX_SNAPLEN);
	}
	return begin_capture(asked, fd);
}

/* --- traces --- */

/* A trace that a client reads. There is one at a time: a new one ends it. */
struct tracing {
	const struct ctl_daemon *daemon;
};

/* `fd`: as for log_trace_to(). */
static void set_traces(const struct ctl_daemon *daemon, const struct trace_filter *filter, int fd,
		       const struct tracing *owner)
{
	trace_set(filter, owner);
	log_trace_to(fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0));
	guests_trace_to(daemon->env->guests, fd);
	registry_retune(daemon->registry);
}

static struct json_object *look_at_tracing(void *user)
{
	if (trace_is_of(user))
		return NULL;
	return ctl_error("failed", "the traces were set anew: by another admin, or as the "
				   "configuration has them");
}

/* The trace that the daemon was started with goes on. Lines for the client do not go into the log. */
static void end_tracing(void *user)
{
	struct tracing *tracing = user;
	const struct trace_filter *own = &tracing->daemon->options->trace;

	if (trace_is_of(tracing)) {
		set_traces(tracing->daemon, own,
			   own->categories ? LOG_TRACE_STDERR : LOG_TRACE_NOWHERE, NULL);
		log_info("an admin's traces have ended");
	}
	free(tracing);
}

/* Only a socket of this kind: a write to it need never wait, and a guest's process can read nothing of the admin's from it. */
static bool may_be_traced_into(int fd)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

/* Take the descriptor. */
static struct json_object *trace_live(struct ctl_asked *asked, const struct trace_filter *filter,
				      int fd)
{
	struct tracing *tracing = calloc(1, sizeof(*tracing));

	if (!tracing || !may_be_traced_into(fd)) {
		free(tracing);
		close(fd);
		return ctl_error("usage", "traces go into a Unix socket of the type SEQPACKET");
	}
	tracing->daemon = asked->daemon;
	ctl_hold(asked->client, &(struct ctl_hold){ look_at_tracing, end_tracing, tracing });
	set_traces(asked->daemon, filter, fd, tracing);
	return has_begun(asked);
}

/* Read what to trace. NULL, or an error. */
static struct json_object *read_filter(const struct ctl_asked *asked, struct trace_filter *ret)
{
	if (trace_parse(asked->filter, ret))
		return ctl_error("bad-value",
				 "`%.64s` is no filter of traces: it takes a list of ring, "
				 "net, blk, bus, grant",
				 asked->filter);
	if (asked->dev && ret->one_domain)
		return ctl_error("usage", "a device is named in one way");
	if (asked->dev) {
		ret->one_domain = ret->one_device = true;
		ret->domid = asked->dev->domid;
		ret->devid = asked->dev->devid;
	}
	return NULL;
}

static struct json_object *run_trace(struct ctl_asked *asked)
{
	struct trace_filter filter = { 0 };
	int fd = ctl_take_fd(asked->client);
	struct json_object *error = asked->on ? read_filter(asked, &filter) : NULL;

	if (error || !asked->on || fd < 0)
		close_if_open(fd);
	if (error)
		return error;
	log_info("an admin turns traces %s", asked->on ? "on" : "off");
	if (asked->on && fd >= 0)
		return trace_live(asked, &filter, fd);
	set_traces(asked->daemon, &filter, asked->on ? LOG_TRACE_STDERR : LOG_TRACE_NOWHERE, NULL);
	return asked->on ? has_begun(asked) : ctl_result(ctl_new_result());
}

const struct ctl_command ctl_watch_commands[] = {
	{ "events", 0, 0, run_events },
	{ "capture", CTL_DEVICE | CTL_ON, CTL_FILTER | CTL_SNAPLEN | CTL_SIZE, run_capture },
	{ "trace", CTL_ON, CTL_DEVICE | CTL_FILTER, run_trace },
	{ 0 },
};
