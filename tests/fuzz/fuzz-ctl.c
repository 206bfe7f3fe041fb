/* SPDX-License-Identifier: MIT */
/*
 * Clients of the admin's socket send any bytes, in any pieces, with descriptors, do not read, and disconnect. Whatever they do,
 * another client gets its answer, and nothing of these clients is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/config_file.h"
#include "control/ctl_commands.h"
#include "control/guests.h"
#include "control/json.h"
#include "core/fdpass.h"
#include "fuzz/fakes.h"
#include "fuzz/fuzz.h"

enum { NR_CLIENTS = 5, MAX_EVENTS = 200 };

#define BE "/local/domain/0/backend/vbd/7/51712"
#define FE "/local/domain/7/device/vbd/51712"

static struct store store;
static struct device_env env;
static struct guests *guests;
static struct registry *registry;
static struct options options;
static struct ctl *ctl;
static char dir[] = "/tmp/fuzz-ctl-XXXXXX";
static int clients[NR_CLIENTS]; /* -1: not connected */

/* --- a device --- */

static int toy_probe(struct device *dev)
{
	(void)dev;
	return 0;
}

static int toy_advertise(struct device *dev, xs_transaction_t t)
{
	(void)dev, (void)t;
	return 0;
}

static bool toy_says_no(struct device *dev)
{
	(void)dev;
	return false;
}

static void toy_in_force(const struct device *dev, void *ret)
{
	(void)dev;
	*(struct disk_options *)ret = disk_options_default;
}

static void toy_describe(const struct device *dev, struct json_object *ret,
			 struct json_object *detail)
{
	(void)detail;
	json_add_text(ret, "target", dev->name);
}

static int toy_capture(struct device *dev, const struct device_capture *what, const char **ret_why)
{
	(void)dev, (void)ret_why;
	HOLDS(what->owner && (what->fd < 0 || (what->snaplen >= 1 && what->snaplen <= 65536)));
	if (what->fd >= 0)
		close(what->fd);
	return 0;
}

static bool toy_captures(const struct device *dev, const void *owner, struct message_captured *ret)
{
	(void)dev;
	*ret = (struct message_captured){ .err = -EFBIG };
	return owner != NULL;
}

static bool toy_holds(const struct device *dev)
{
	(void)dev;
	return true;
}

static void toy_done(struct device *dev, bool removed)
{
	(void)dev, (void)removed;
}

static const struct device_ops toy_ops = { .kind = "vbd",
					   .size = sizeof(struct device),
					   .kernel_module = "xen-blkback",
					   .name_key = "dev",
					   .section = "disk",
					   .keys = disk_keys,
					   .own_keys = disk_keys,
					   .defaults = &disk_options_default,
					   .options_size = sizeof(struct disk_options),
					   .holds = toy_holds,
					   .probe = toy_probe,
					   .advertise = toy_advertise,
					   .plugged = toy_says_no,
					   .known = toy_says_no,
					   .capture = toy_capture,
					   .captures = toy_captures,
					   .in_force = toy_in_force,
					   .describe = toy_describe,
					   .done = toy_done };
static const struct device_ops *const kinds[] = { &toy_ops, NULL };

/* --- the daemon --- */

static int check(void *user, struct config_faults *ret_faults)
{
	(void)user;
	*ret_faults = (struct config_faults){ 0 };
	return 0;
}

static struct ctl_daemon asked;

static void begin_once(void)
{
	if (env.loop)
		return;
	HOLDS(mkdtemp(dir) && store_open(&store) == 0);
	options = (struct options){ .isolation = ISOLATION_GUEST,
				    .config = "/dev/null/pvbackd.conf" };
	env = (struct device_env){ .store = &store, .loop = loop_new(), .runtime_dir = dir };
	HOLDS(env.loop);
}

static void begin(void)
{
	const struct guests_setup setup = {
		.isolation = ISOLATION_GUEST, .loop = env.loop, .fd = -1, .hung_s = 30
	};

	begin_once();
	HOLDS(mkdir(dir, 0700) == 0 || access(dir, F_OK) == 0);
	fake_reset();
	fake_write("/local/domain/7/name", "web", 3);
	fake_write(BE "/frontend", FE, strlen(FE));
	fake_write(BE "/frontend-id", "7", 1);
	fake_write(BE "/dev", "xvda", 4);
	fake_write(BE "/state", "1", 1);
	fake_write(FE "/state", "1", 1);
	HOLDS(guests_new(&setup, &guests) == 0);
	env.guests = guests;
	registry = registry_new(&env, kinds);
	asked = (struct ctl_daemon){ .env = &env,
				     .registry = registry,
				     .options = &options,
				     .check = check,
				     .reload = check };
	HOLDS(registry && ctl_new(&(struct ctl_setup){ .loop = env.loop,
						       .runtime_dir = dir,
						       .ask = ctl_command,
						       .user = &asked },
				  &ctl) == 0);
	for (unsigned int i = 0; i < NR_CLIENTS; i++)
		clients[i] = -1;
}

static void quit(struct loop_task *task)
{
	(void)task;
	loop_quit(env.loop);
}

static void turn(void)
{
	struct loop_task task = { .run = quit };

	loop_post(env.loop, &task);
	HOLDS(loop_run(env.loop) == 0);
}

/* --- clients --- */

static int connect_one(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/ctl", dir);
	HOLDS(fd >= 0);
	for (unsigned int i = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)); i++) {
		HOLDS(errno == EAGAIN && i < 100); /* many have come, and gone perhaps */
		turn();
	}
	return fd;
}

static void go(int *client)
{
	if (*client >= 0)
		close(*client);
	*client = -1;
}

static void say(int fd, const char *text, size_t len, int passed)
{
	const struct iovec iov = { (void *)(uintptr_t)text, len };

	if (fd >= 0 && len)
		fdpass_send(fd, &iov, 1, &passed, passed >= 0, MSG_DONTWAIT);
}

static void listen_to(int fd)
{
	char text[4096];

	while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
		;
}

/* Most of a request is right, so that some get far. */
static void request(struct fuzz_input *in, int fd, int passed)
{
	static const char *const commands[] = { "list",    "show",    "stats",   "version",
						"set",     "unset",   "retry",   "check",
						"reload",  "restart", "drain",   "events",
						"capture", "trace",   "metrics", "dance" };
	static const char *const members[] = { "\"device\":\"web/xvda\"",
					       "\"device\":\"7/51712\"",
					       "\"guest\":\"web\"",
					       "\"key\":\"iops\"",
					       "\"value\":\"500\"",
					       "\"config\":true",
					       "\"on\":true",
					       "\"on\":false",
					       "\"filter\":\"blk\"",
					       "\"snaplen\":70000",
					       "\"snaplen\":-1",
					       "\"size_mib\":1",
					       "\"value\":\"\\u0000\"",
					       "\"device\":[]",
					       "\"key\":null",
					       "\"a\":{\"b\":[[]]}" };
	char text[1024];
	int len = snprintf(text, sizeof(text), "{\"command\":\"%s\"", commands[fuzz_u8(in) % 16]);

	for (uint8_t more = fuzz_u8(in) % 5; more; more--)
		len += snprintf(text + len, sizeof(text) - (size_t)len, ",%s",
				members[fuzz_u8(in) % 16]);
	len += snprintf(text + len, sizeof(text) - (size_t)len, "}\n");
	say(fd, text, (size_t)len, passed);
}

static void anything(struct fuzz_input *in, int fd)
{
	char text[256];
	size_t len = fuzz_u8(in);

	fuzz_bytes(in, text, len);
	say(fd, text, len, -1);
}

static void without_end(int fd)
{
	static char text[1 << 14];

	memset(text, '[', sizeof(text));
	for (unsigned int i = 0; i < 5; i++) {
		say(fd, text, sizeof(text), -1);
		turn();
	}
}

static void with_a_descriptor(struct fuzz_input *in, int fd)
{
	int fds[2];

	HOLDS(pipe2(fds, O_CLOEXEC) == 0);
	request(in, fd, fds[fuzz_u8(in) % 2]);
	close(fds[0]);
	close(fds[1]);
}

/* A correct client is answered, whatever the others do. */
static void another_is_answered(void)
{
	struct json_object *answer;
	char text[4096];
	ssize_t len = -1;
	int fd = connect_one();

	say(fd, "{\"command\":\"list\"}\n", 19, -1);
	for (unsigned int i = 0; i < 100 && len <= 0; i++) {
		turn();
		len = read(fd, text, sizeof(text) - 1);
	}
	HOLDS(len > 0 && text[len - 1] == '\n');
	text[len] = '\0';
	answer = json_tokener_parse(text);
	HOLDS(json_object_get_boolean(json_object_object_get(answer, "ok")));
	json_object_put(answer);
	close(fd);
}

static void event(struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in);
	int *client = &clients[what / 16 % NR_CLIENTS];

	switch (what % 16) {
	case 0:
	case 1:
		go(client);
		*client = connect_one();
		break;
	case 2:
		go(client);
		break;
	case 3:
		if (*client >= 0)
			shutdown(*client, SHUT_WR);
		break;
	case 4:
	case 5:
		anything(in, *client);
		break;
	case 6:
		say(*client, "\n", 1, -1);
		break;
	case 7:
		without_end(*client);
		break;
	case 8:
		with_a_descriptor(in, *client);
		break;
	case 9:
		listen_to(*client);
		break;
	case 10:
		another_is_answered();
		break;
	default:
		request(in, *client, -1);
	}
	if (!(what & 0x80)) /* else the next comes at once */
		turn();
}

static int lowest_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	int lowest;

	begin_once();
	lowest = lowest_descriptor();
	begin();
	for (unsigned int i = 0; in.left && i < MAX_EVENTS; i++)
		event(&in);
	another_is_answered();
	for (unsigned int i = 0; i < NR_CLIENTS; i++)
		go(&clients[i]);
	turn();
	ctl = ctl_free(ctl);
	registry = registry_free(registry);
	guests = guests_free(guests);
	fake_forget_watches();
	HOLDS(rmdir(dir) == 0 && lowest_descriptor() == lowest);
	return 0;
}
