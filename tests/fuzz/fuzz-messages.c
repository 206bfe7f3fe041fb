/* SPDX-License-Identifier: MIT */
/*
 * Guests have taken over their processes, which send any messages to control, while devices are started, adopted, stopped and
 * forgotten, and processes and control itself end. Whatever is sent, a device gets only messages about itself and its present
 * life, and no guest is served by two processes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "control/guests.h"
#include "core/fdpass.h"
#include "fake/fake_process.h"
#include "fuzz/fuzz.h"

enum { NR_DOMS = 3, NR_KINDS = 3, MAX_DATAGRAM = 2048 };

struct toy {
	struct device dev; /* first */
	bool served;       /* started or adopted, and not over */
};

static const char *const kinds[NR_KINDS] = { "vbd", "vbd3", "vif" };
static struct device_ops ops[NR_KINDS];
static struct toy toys[NR_DOMS][NR_KINDS];
static struct loop *loop;
static struct guests *guests;
static struct device_env env;
static bool greeted;

static struct toy *toy_of(struct device *dev)
{
	return (struct toy *)(void *)dev;
}

/* --- control --- */

static void over(struct toy *toy)
{
	guests_forget(&toy->dev);
	toy->served = false;
}

/* A device that is not served must end; an earlier process may still have its rings. */
static void end(struct toy *toy)
{
	if (!toy->served)
		guests_release(&toy->dev);
	else
		over(toy);
}

static void answer(struct device *dev, const struct message *message, int *fds, unsigned int nr_fds)
{
	(void)fds;
	HOLDS(toy_of(dev)->served && dev->served_by);
	HOLDS(nr_fds == 0 || message->type == MESSAGE_STARTED);
	HOLDS(message->domid == dev->domid && message->devid == dev->devid);
	HOLDS(message->life == dev->life && message->kind == message_kind_of(dev->ops->kind));
	HOLDS(message->type >= MESSAGE_STARTED && message->type < MESSAGE_NR_TYPES);
	if (message->type == MESSAGE_STARTED)
		guests_returned(dev);
	if (message->type == MESSAGE_STOPPED ||
	    (message->type == MESSAGE_STARTED && message_err(message->started.err)))
		over(toy_of(dev));
}

void device_lost(struct device *dev)
{
	HOLDS(toy_of(dev)->served && !dev->served_by);
	toy_of(dev)->served = false;
}

void device_look_at_figures(struct device *dev, uint64_t now_ns)
{
	(void)dev, (void)now_ns;
}

void device_log(struct device *dev, enum log_level level, const char *fmt, ...)
{
	(void)dev, (void)level, (void)fmt;
}

static void ready(struct device *dev)
{
	HOLDS(!toy_of(dev)->served);
}

static void all_greeted(void *user)
{
	(void)user;
	HOLDS(!greeted);
	greeted = true;
}

static void begin_control(void)
{
	const struct guests_setup setup = {
		.isolation = ISOLATION_GUEST, .loop = loop, .fd = -1, .hung_s = 30
	};

	HOLDS(guests_new(&setup, &guests) == 0);
	env = (struct device_env){ .loop = loop, .guests = guests, .ready = ready };
	for (uint32_t domid = 0; domid < NR_DOMS; domid++)
		for (unsigned int kind = 0; kind < NR_KINDS; kind++)
			toys[domid][kind] = (struct toy){
				.dev = { .ops = &ops[kind], .env = &env, .domid = domid + 1 }
			};
	greeted = false;
	guests_find(guests, all_greeted, NULL);
}

static void end_control(void)
{
	for (uint32_t domid = 0; domid < NR_DOMS; domid++)
		for (unsigned int kind = 0; kind < NR_KINDS; kind++)
			over(&toys[domid][kind]);
	guests = guests_free(guests);
}

/* Processes outlive it as far as they live. */
static void restart_control(void)
{
	end_control();
	for (uint32_t domid = 1; domid <= NR_DOMS; domid++)
		fake_processes[domid].left = fake_processes[domid].fd >= 0;
	begin_control();
}

static void serve(struct toy *toy)
{
	struct message message = { .type = toy->dev.ops == &ops[2] ? MESSAGE_START_NIC
								   : MESSAGE_START_DISK };
	struct message_served served;

	if (!greeted || toy->served)
		return;
	if (guests_left(&toy->dev)) {
		toy->served = true;
		guests_adopt(&toy->dev, &message, &served);
		HOLDS(message.domid == toy->dev.domid && message.devid == toy->dev.devid);
		HOLDS(message.kind == message_kind_of(toy->dev.ops->kind));
	} else if (guests_may_start(&toy->dev)) {
		toy->served = true;
		HOLDS(guests_start(&toy->dev, &message, NULL, 0) == 0);
	}
}

/* --- a process --- */

static void says(uint32_t domid, const void *bytes, size_t size)
{
	if (fake_processes[domid].fd >= 0)
		send(fake_processes[domid].fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void greets(struct fuzz_input *in, uint32_t domid)
{
	struct message message = { .type = MESSAGE_HELLO };
	uint8_t what = fuzz_u8(in);

	message.hello.protocol = MESSAGE_PROTOCOL + ((what & 0x40) != 0);
	message.hello.nr_devices = what % 8;
	message.hello.ending = (what & 0x10) != 0;
	snprintf(message.hello.version, sizeof(message.hello.version), "%s",
		 what & 0x20 ? "0" : PACKAGE_VERSION);
	says(domid, &message, message_bytes(message.type));
}

static void name_device(struct fuzz_input *in, uint32_t domid, struct message *message)
{
	uint8_t what = fuzz_u8(in);
	const struct toy *toy = &toys[domid - 1][what % NR_KINDS];

	message->kind = message_kind_of(toy->dev.ops->kind);
	message->domid = what & 0x80 ? 1u + fuzz_u8(in) % (uint32_t)NR_DOMS : domid;
	message->devid = what & 0x40 ? fuzz_u8(in) : 0;
	message->life = what & 0x20 ? fuzz_u8(in) % 16 : toy->dev.life;
}

/* Blocks that are no counters, or that others can change. */
static void shows(struct fuzz_input *in, uint32_t domid, const struct message *message)
{
	const struct iovec iov = { (void *)(uintptr_t)message, message_bytes(message->type) };
	uint8_t bytes[256] = "pvbstats\1";
	int fd = memfd_create("figures", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	fuzz_bytes(in, bytes + 12, fuzz_u8(in) % (sizeof(bytes) - 12));
	HOLDS(fd >= 0 && pwrite(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	if (fake_processes[domid].fd >= 0)
		fdpass_send(fake_processes[domid].fd, &iov, 1, &fd, 1, MSG_DONTWAIT);
	close(fd);
}

static void tells_of_a_device(struct fuzz_input *in, uint32_t domid)
{
	struct message message = { .type = MESSAGE_DEVICE };

	name_device(in, domid, &message);
	fuzz_bytes(in, &message.served, 8);
	if (message.served.starting & 2)
		shows(in, domid, &message);
	else
		says(domid, &message, message_bytes(message.type));
	message.type = message.kind == MESSAGE_VIF ? MESSAGE_START_NIC : MESSAGE_START_DISK;
	says(domid, &message, message_bytes(message.type));
}

static void says_of_a_device(struct fuzz_input *in, uint32_t domid)
{
	struct message message = { .type = fuzz_u8(in) % MESSAGE_NR_TYPES };

	name_device(in, domid, &message);
	if (message.type == MESSAGE_HELLO || message.type == MESSAGE_PONG)
		message.kind = message.domid = message.devid = message.life = 0;
	fuzz_bytes(in, &message.hello, fuzz_u8(in));
	if (message.type == MESSAGE_STARTED && message.started.nr_replayed)
		shows(in, domid, &message);
	else
		says(domid, &message, message_bytes(message.type));
}

static void says_anything(struct fuzz_input *in, uint32_t domid)
{
	uint8_t bytes[MAX_DATAGRAM];
	size_t size = 1 + (size_t)fuzz_u8(in) * 8 % MAX_DATAGRAM;

	fuzz_bytes(in, bytes, size);
	says(domid, bytes, size);
}

/* --- all of it --- */

static void quit(struct loop_task *task)
{
	(void)task;
	loop_quit(loop);
}

/* Read all that is in the sockets; then handle the processes that end because of it, and those that waited for that. */
static void turn(void)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct loop_task task = { .run = quit };

		loop_post(loop, &task);
		HOLDS(loop_run(loop) == 0);
	}
}

static void event(struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in);
	uint32_t domid = 1 + (what >> 4) % NR_DOMS;
	struct message stop = { .type = MESSAGE_STOP };

	switch (what & 15) {
	case 0:
	case 1:
		greets(in, domid);
		break;
	case 2:
	case 3:
		tells_of_a_device(in, domid);
		break;
	case 4:
	case 5:
	case 6:
		says_of_a_device(in, domid);
		break;
	case 7:
		says_anything(in, domid);
		break;
	case 8:
	case 9:
	case 10:
		serve(&toys[domid - 1][fuzz_u8(in) % NR_KINDS]);
		break;
	case 11:
		guests_send(&toys[domid - 1][fuzz_u8(in) % NR_KINDS].dev, &stop, NULL, 0);
		break;
	case 12:
		end(&toys[domid - 1][fuzz_u8(in) % NR_KINDS]);
		break;
	case 13:
		fake_process_die(domid);
		break;
	case 14:
		restart_control();
		break;
	case 15:
		if (greeted)
			guests_looked(guests);
		break;
	}
	if (!(what & 0x80)) /* else the next comes at once */
		turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	for (unsigned int kind = 0; kind < NR_KINDS; kind++)
		ops[kind] = (struct device_ops){ .kind = kinds[kind], .answer = answer };
	loop = loop_new();
	HOLDS(loop);
	begin_control();
	for (unsigned int i = 0; in.left && i < 200; i++)
		event(&in);
	turn();
	end_control();
	fake_process_reset();
	loop = loop_free(loop);
	return 0;
}
