/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/messages.h"

#define HEAD      offsetof(struct message, hello)
#define DOMID_MAX 0x7fefu

/* Whether it is about a device. */
enum about { NOBODY, A_DISK, A_NIC, ANY };

struct shape {
	const char *name;
	size_t body;
	unsigned int max_fds;
	enum about about;
	bool from_control, from_guest;
};

#define BODY(member) sizeof(((struct message *)NULL)->member)

static const struct shape shapes[MESSAGE_NR_TYPES] = {
	[MESSAGE_HELLO] = { "hello", BODY(hello), 0, NOBODY, true, true },
	[MESSAGE_START_DISK] = { "start-disk", BODY(disk), MESSAGE_MAX_FDS, A_DISK, true, true },
	[MESSAGE_START_NIC] = { "start-nic", BODY(nic), MESSAGE_MAX_FDS, A_NIC, true, true },
	[MESSAGE_STOP] = { "stop", BODY(stop), 0, ANY, true, false },
	[MESSAGE_HALT] = { "halt", BODY(flag), 0, ANY, true, false },
	[MESSAGE_FLOW] = { "flow", BODY(flow), 0, ANY, true, false },
	[MESSAGE_TUNE_DISK] = { "tune-disk", BODY(tune_disk), 0, A_DISK, true, false },
	[MESSAGE_TUNE_NIC] = { "tune-nic", BODY(tune_nic), 0, A_NIC, true, false },
	[MESSAGE_CAPTURE] = { "capture", BODY(capture), 1, A_NIC, true, false },
	[MESSAGE_NBD_CONNECTED] = { "nbd-connected", BODY(connected), 1, A_DISK, true, false },
	[MESSAGE_DUMP] = { "dump", 0, 0, NOBODY, true, false },
	[MESSAGE_LOG_LEVEL] = { "log-level", BODY(log_level), 0, NOBODY, true, false },
	[MESSAGE_TRACE] = { "trace", BODY(trace), 1, NOBODY, true, false },
	[MESSAGE_PING] = { "ping", 0, 0, NOBODY, true, false },
	[MESSAGE_END] = { "end", 0, 0, NOBODY, true, false },
	[MESSAGE_DEVICE] = { "device", BODY(served), 1, ANY, false, true },
	[MESSAGE_STARTED] = { "started", BODY(started), 1, ANY, false, true },
	[MESSAGE_STOPPED] = { "stopped", 0, 0, ANY, false, true },
	[MESSAGE_BROKE] = { "broke", BODY(error), 0, ANY, false, true },
	[MESSAGE_FLOWED] = { "flowed", BODY(flow), 0, ANY, false, true },
	[MESSAGE_TUNED] = { "tuned", 0, 0, ANY, false, true },
	[MESSAGE_STALLED] = { "stalled", BODY(error), 0, A_DISK, false, true },
	[MESSAGE_FLUSH_FAILED] = { "flush-failed", BODY(error), 0, A_DISK, false, true },
	[MESSAGE_SIZE] = { "size", BODY(size), 0, A_DISK, false, true },
	[MESSAGE_LATE] = { "late", BODY(flag), 0, A_DISK, false, true },
	[MESSAGE_CARRIER] = { "carrier", BODY(carrier), 0, A_NIC, false, true },
	[MESSAGE_HASH] = { "hash", BODY(hash), 0, A_NIC, false, true },
	[MESSAGE_CAPTURED] = { "captured", BODY(captured), 0, A_NIC, false, true },
	[MESSAGE_NBD_CONNECT] = { "nbd-connect", 0, 0, A_DISK, false, true },
	[MESSAGE_PONG] = { "pong", 0, 0, NOBODY, false, true },
};

static const char *const kinds[MESSAGE_NR_KINDS] = { NULL, "vbd", "vbd3", "vif" };

static const struct shape *shape_of(uint32_t type)
{
	return type < MESSAGE_NR_TYPES && shapes[type].name ? &shapes[type] : NULL;
}

size_t message_bytes(uint32_t type)
{
	const struct shape *shape = shape_of(type);

	return shape ? HEAD + shape->body : 0;
}

static bool is_about(const struct message *message, enum about about)
{
	bool disk = message->kind == MESSAGE_VBD || message->kind == MESSAGE_VBD3;
	bool nic = message->kind == MESSAGE_VIF;

	switch (about) {
	case NOBODY:
		return message->kind == MESSAGE_NO_KIND && !message->domid && !message->devid &&
		       !message->life;
	case A_DISK:
		return disk;
	case A_NIC:
		return nic;
	case ANY:
		return disk || nic;
	}
	return false;
}

#define END_TEXT(text) ((text)[sizeof(text) - 1] = '\0')

/* The text goes into the log and into xenstore, so it must be one line. */
static void plain_text(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

#define PLAIN_TEXT(text) plain_text(text, sizeof(text))

static void end_texts(struct message *message)
{
	switch (message->type) {
	case MESSAGE_HELLO:
		PLAIN_TEXT(message->hello.version);
		break;
	case MESSAGE_START_DISK:
		END_TEXT(message->disk.name);
		break;
	case MESSAGE_CAPTURE:
		END_TEXT(message->capture.ifname);
		END_TEXT(message->capture.name);
		break;
	case MESSAGE_STARTED:
		PLAIN_TEXT(message->started.why);
		break;
	case MESSAGE_DEVICE:
		PLAIN_TEXT(message->served.broke.why);
		break;
	case MESSAGE_BROKE:
	case MESSAGE_STALLED:
	case MESSAGE_FLUSH_FAILED:
		PLAIN_TEXT(message->error.why);
		break;
	case MESSAGE_NBD_CONNECTED:
		END_TEXT(message->connected.why);
		break;
	}
}

/* A START comes with descriptors to the data side only. When it is repeated to a new control it has none. */
static unsigned int max_fds(const struct shape *shape, enum message_from from)
{
	return from == MESSAGE_FROM_GUEST && shape->from_control ? 0 : shape->max_fds;
}

int message_check(struct message *message, size_t size, unsigned int nr_fds, enum message_from from)
{
	const struct shape *shape = size >= HEAD ? shape_of(message->type) : NULL;

	if (!shape || size != HEAD + shape->body)
		return -EPROTO;
	if (!(from == MESSAGE_FROM_CONTROL ? shape->from_control : shape->from_guest))
		return -EPROTO;
	if (nr_fds > max_fds(shape, from))
		return -EPROTO;
	if (!is_about(message, shape->about) || message->domid > DOMID_MAX || message->zero)
		return -EPROTO;
	end_texts(message);
	return 0;
}

int message_err(int32_t err)
{
	return err > 0 || err < -4095 ? -EPROTO : err;
}

const char *message_name(uint32_t type)
{
	const struct shape *shape = shape_of(type);

	return shape ? shape->name : "unknown";
}

const char *message_kind_name(uint32_t kind)
{
	return kind < MESSAGE_NR_KINDS ? kinds[kind] : NULL;
}

uint32_t message_kind_of(const char *name)
{
	for (uint32_t kind = 1; kind < MESSAGE_NR_KINDS; kind++)
		if (!strcmp(kinds[kind], name))
			return kind;
	return MESSAGE_NO_KIND;
}
