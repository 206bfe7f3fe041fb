/* SPDX-License-Identifier: MIT */
/*
 * holdfs - simulates network storage whose server can be stopped: a FUSE file system with the files of one folder.
 *
 * usage: holdfs FILES HOLD MOUNTPOINT
 *
 * It prints "ready" when it is mounted. While the file HOLD/NAME exists, it answers no request for the file NAME; while
 * HOLD/NAME.flush exists, it does not answer those that close NAME. When such a file is removed, it answers the waiting requests
 * in the order in which they came. No other program can answer them, so a process that waits for one cannot be killed. Such a
 * file system has no RWF_NOWAIT. holdfs serves until it is killed; then all requests end. It needs root, to mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FILES   32u
#define MAX_DATA    (128u << 10)
#define MAX_REQUEST (MAX_DATA + 4096u)
#define LOOK_MS     10 /* how often to look whether files in HOLD are gone */

struct request {
	STAILQ_ENTRY(request) link;
	const struct fuse_in_header *head; /* of `bytes` */
	const void *arg;                   /* what follows it */
	char bytes[MAX_REQUEST] __attribute__((aligned(8)));
};

static struct file {
	char name[64];
	int fd;
} files[MAX_FILES]; /* node numbers are one more than their places, and that of the folder is 1 */

static STAILQ_HEAD(requests, request) held = STAILQ_HEAD_INITIALIZER(held);
static int device, files_dir, hold_dir;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* --- answers --- */

static void answer(const struct request *req, int err, const void *data, size_t bytes)
{
	struct fuse_out_header out = { .len = (uint32_t)(sizeof(out) + bytes),
				       .error = -err,
				       .unique = req->head->unique };
	struct iovec vec[] = { { &out, sizeof(out) }, { (void *)(uintptr_t)data, bytes } };

	/* ENOENT: the process that asked has given up. */
	if (writev(device, vec, bytes ? 2 : 1) < 0 && errno != ENOENT)
		die("holdfs: answer");
}

static void answer_result(const struct request *req, int result)
{
	answer(req, result < 0 ? errno : 0, NULL, 0);
}

static struct file *file_of(const struct request *req)
{
	uint64_t nr = req->head->nodeid - 1;

	return nr > 0 && nr < MAX_FILES && files[nr].name[0] ? &files[nr] : NULL;
}

static struct fuse_attr attr_of(uint64_t node, const struct stat *st)
{
	return (struct fuse_attr){ .ino = node,
				   .size = (uint64_t)st->st_size,
				   .blocks = (uint64_t)st->st_blocks,
				   .mode = st->st_mode,
				   .nlink = 1,
				   .blksize = 4096 };
}

static void answer_attr(const struct request *req)
{
	const struct file *file = file_of(req);
	struct fuse_attr_out out = { 0 };
	struct stat st;

	if (fstat(file ? file->fd : files_dir, &st) < 0) {
		answer(req, errno, NULL, 0);
		return;
	}
	out.attr = attr_of(req->head->nodeid, &st);
	answer(req, 0, &out, sizeof(out));
}

/* --- requests --- */

static struct file *open_file(const char *name)
{
	struct file *at = &files[1];

	while (at < files + MAX_FILES && at->name[0] && strcmp(at->name, name))
		at++;
	if (at == files + MAX_FILES || strlen(name) >= sizeof(at->name)) {
		errno = ENFILE;
		return NULL;
	}
	if (at->name[0])
		return at;
	at->fd = openat(files_dir, name, O_RDWR | O_CLOEXEC);
	if (at->fd < 0)
		return NULL;
	strcpy(at->name, name);
	return at;
}

static void look_up(const struct request *req)
{
	const struct file *file = open_file(req->arg);
	struct fuse_entry_out out = { 0 };
	struct stat st;

	if (!file || fstat(file->fd, &st) < 0) {
		answer(req, errno, NULL, 0);
		return;
	}
	out.nodeid = (uint64_t)(file - files) + 1;
	out.attr = attr_of(out.nodeid, &st);
	answer(req, 0, &out, sizeof(out));
}

static void set_attr(const struct request *req, const struct file *file)
{
	const struct fuse_setattr_in *in = req->arg;

	if (in->valid & FATTR_SIZE && ftruncate(file->fd, (off_t)in->size) < 0)
		answer(req, errno, NULL, 0);
	else
		answer_attr(req);
}

static void read_file(const struct request *req, const struct file *file)
{
	const struct fuse_read_in *in = req->arg;
	static char data[MAX_DATA];
	ssize_t n =
		pread(file->fd, data, in->size < MAX_DATA ? in->size : MAX_DATA, (off_t)in->offset);

	answer(req, n < 0 ? errno : 0, data, n < 0 ? 0 : (size_t)n);
}

static void write_file(const struct request *req, const struct file *file)
{
	const struct fuse_write_in *in = req->arg;
	ssize_t n = pwrite(file->fd, in + 1, in->size, (off_t)in->offset);
	struct fuse_write_out out = { .size = (uint32_t)n };

	answer(req, n < 0 ? errno : 0, &out, n < 0 ? 0 : sizeof(out));
}

static void punch_file(const struct request *req, const struct file *file)
{
	const struct fuse_fallocate_in *in = req->arg;

	answer_result(req,
		      fallocate(file->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length));
}

static void answer_init(const struct request *req)
{
	const struct fuse_init_in *in = req->arg;
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION,
				     .max_readahead = in->max_readahead,
				     .flags = in->flags & (FUSE_ASYNC_READ | FUSE_ASYNC_DIO |
							   FUSE_BIG_WRITES | FUSE_MAX_PAGES),
				     .max_background = 256,
				     .congestion_threshold = 256,
				     .max_write = MAX_DATA,
				     .max_pages = MAX_DATA / 4096 };

	answer(req, 0, &out, sizeof(out));
}

static void serve_file(const struct request *req, const struct file *file)
{
	static const struct fuse_open_out opened;

	switch (req->head->opcode) {
	case FUSE_SETATTR:
		set_attr(req, file);
		break;
	case FUSE_OPEN:
		answer(req, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		read_file(req, file);
		break;
	case FUSE_WRITE:
		write_file(req, file);
		break;
	case FUSE_FSYNC:
		answer_result(req, fsync(file->fd));
		break;
	case FUSE_FALLOCATE:
		punch_file(req, file);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		answer(req, 0, NULL, 0);
		break;
	default:
		answer(req, ENOSYS, NULL, 0);
	}
}

static void serve(const struct request *req)
{
	switch (req->head->opcode) {
	case FUSE_INIT:
		answer_init(req);
		return;
	case FUSE_LOOKUP:
		look_up(req);
		return;
	case FUSE_GETATTR:
		answer_attr(req);
		return;
	case FUSE_FORGET: /* these have no answer */
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		break;
	}
	if (file_of(req))
		serve_file(req, file_of(req));
	else
		answer(req, ENOSYS, NULL, 0);
}

/* --- holding --- */

static bool is_held(const struct request *req)
{
	const struct file *file = file_of(req);
	const char *name = req->head->opcode == FUSE_LOOKUP ? req->arg : file ? file->name : "";
	char flush[sizeof(file->name) + sizeof(".flush")];

	snprintf(flush, sizeof(flush), "%.63s.flush", name);
	return *name &&
	       (faccessat(hold_dir, name, F_OK, 0) == 0 ||
		(req->head->opcode == FUSE_FLUSH && faccessat(hold_dir, flush, F_OK, 0) == 0));
}

static void serve_held(void)
{
	struct requests all = STAILQ_HEAD_INITIALIZER(all);
	struct request *req;

	STAILQ_CONCAT(&all, &held);
	while ((req = STAILQ_FIRST(&all))) {
		STAILQ_REMOVE_HEAD(&all, link);
		if (is_held(req)) {
			STAILQ_INSERT_TAIL(&held, req, link);
			continue;
		}
		serve(req);
		free(req);
	}
}

/* False when the file system is unmounted. A request for a file with held requests waits behind them. */
static bool take(void)
{
	struct request *req = malloc(sizeof(*req));
	ssize_t n;

	if (!req)
		die("holdfs");
	n = read(device, req->bytes, sizeof(req->bytes));
	if (n < 0) {
		free(req);
		return errno != ENODEV; /* otherwise the process that asked has given up */
	}
	req->head = (const void *)req->bytes;
	req->arg = req->head + 1;
	STAILQ_INSERT_TAIL(&held, req, link);
	serve_held();
	return true;
}

static void mount_at(const char *mountpoint)
{
	char options[128];

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		 device);
	if (mount("holdfs", mountpoint, "fuse", MS_NODEV | MS_NOSUID, options) < 0)
		die("holdfs: mount");
}

int main(int argc, char **argv)
{
	struct pollfd poller;

	if (argc != 4) {
		fprintf(stderr, "usage: holdfs FILES HOLD MOUNTPOINT\n");
		return 2;
	}
	files_dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hold_dir = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (files_dir < 0 || hold_dir < 0 || device < 0)
		die("holdfs");
	mount_at(argv[3]);
	puts("ready");
	fflush(stdout);
	poller = (struct pollfd){ .fd = device, .events = POLLIN };
	for (;;) {
		int n = poll(&poller, 1, STAILQ_EMPTY(&held) ? -1 : LOOK_MS);

		if (n < 0 && errno != EINTR)
			die("holdfs: poll");
		if (n == 1 && !take())
			return 0;
		serve_held();
	}
}
