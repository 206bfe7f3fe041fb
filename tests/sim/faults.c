/* SPDX-License-Identifier: MIT */
/*
 * faults.c - makes system calls fail on request. Preload lib/xensim-faults.so into the program under test; $XENSIM_FAIL then
 * also accepts these names:
 *
 *   io_setup  io_submit  io_getevents
 *   io_submit.partial       takes the first half of a batch of two or more
 *   io_setup.opaque         the completion ring cannot be read without io_getevents()
 *   io_getevents.result     one completion says that its I/O failed
 *   open                    open() and openat() of anything but the tap device
 *   tap.open  tap.ioctl  tap.read  tap.write
 *   netlink.socket  netlink.send  netlink.recv
 *
 * Calls that take the kernel's RTNL lock may wait for long, so only the main thread should make them. When another thread does,
 * a line on stderr names it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <linux/major.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xenstore.h>

#include "fail.h"

enum { MAX_FDS = 4096, TAP_MINOR = 200 };

enum opened { OPENED_OTHER, OPENED_TAP, OPENED_NETLINK };

static unsigned char opened[MAX_FDS]; /* enum opened: by this process */

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* The real function of that name, looked up once. */
#define REAL(name_)                                                                                \
	({                                                                                         \
		static __typeof__(&name_) fn_;                                                     \
		if (!fn_)                                                                          \
			fn_ = (__typeof__(&name_))real(#name_);                                    \
		fn_;                                                                               \
	})

static int remember(int fd, enum opened what)
{
	if (fd >= 0 && fd < MAX_FDS)
		__atomic_store_n(&opened[fd], (unsigned char)what, __ATOMIC_RELAXED);
	return fd;
}

static bool was_opened(int fd, enum opened what)
{
	return fd >= 0 && fd < MAX_FDS && __atomic_load_n(&opened[fd], __ATOMIC_RELAXED) == what;
}

/* This finds also descriptors that another process has opened. */
static bool is_tap(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(MISC_MAJOR, TAP_MINOR);
}

/* A call that takes RTNL. */
static void note_rtnl(const char *call, unsigned long what)
{
	if (gettid() != getpid())
		fprintf(stderr, "xensim: %s %#lx is made on a data thread\n", call, what);
}

/* True, with errno set, when this use of the call must fail. */
static bool fails(const char *call)
{
	int err = sim_fail(call);

	if (err)
		errno = err;
	return err != 0;
}

static bool tap_fails(int fd, const char *call)
{
	int err = errno;
	bool tap = is_tap(fd);

	errno = err;
	return tap && fails(call);
}

static bool netlink_fails(int fd, const char *call)
{
	return was_opened(fd, OPENED_NETLINK) && fails(call);
}

/* --- libaio: results are 0 or more, or -errno --- */

/* The mapping that the kernel shares with the program. */
struct completion_ring {
	unsigned int id, nr, head, tail, magic, compat, incompat, header_length;
	struct io_event events[];
};

int io_setup(int maxevents, io_context_t *ctxp)
{
	struct completion_ring *ring;
	int err = sim_fail("io_setup");

	if (err)
		return -err;
	err = REAL(io_setup)(maxevents, ctxp);
	if (err || !sim_fail("io_setup.opaque"))
		return err;
	ring = (void *)*ctxp;
	ring->incompat = 1;
	return 0;
}

/*
 * A frame that the tap does not take: it goes to /dev/null, and its completion is changed, which is in the mapping
 * when the call returns.
 */
static int submit_bad_frame(io_context_t ctx, long nr, struct iocb *ios[], long bad, int err)
{
	struct iocb *list[nr], copy = *ios[bad];
	struct completion_ring *ring = (void *)ctx;
	unsigned int at = ring->tail;
	int null = REAL(open)("/dev/null", O_WRONLY), ret;

	memcpy(list, ios, sizeof(list));
	list[bad] = &copy;
	copy.aio_fildes = null;
	ret = REAL(io_submit)(ctx, nr, list);
	for (; at != ring->tail; at = (at + 1) % ring->nr)
		if (ring->events[at].obj == &copy)
			ring->events[at].res = (unsigned long)-err;
	close(null);
	return ret;
}

int io_submit(io_context_t ctx, long nr, struct iocb *ios[])
{
	int err = sim_fail("io_submit");

	if (err)
		return -err;
	if (nr > 1 && sim_fail("io_submit.partial"))
		nr /= 2;
	for (long i = 0; i < nr; i++) {
		err = is_tap(ios[i]->aio_fildes) ? sim_fail("tap.write") : 0;
		if (err)
			return submit_bad_frame(ctx, nr, ios, i, err);
	}
	return REAL(io_submit)(ctx, nr, ios);
}

int io_getevents(io_context_t ctx_id, long min_nr, long nr, struct io_event *events,
		 struct timespec *timeout)
{
	int err = sim_fail("io_getevents"), got;

	if (err)
		return -err;
	got = REAL(io_getevents)(ctx_id, min_nr, nr, events, timeout);
	for (int i = 0; i < got; i++) {
		err = sim_fail("io_getevents.result");
		if (err)
			events[i].res = (unsigned long)-(long)err;
	}
	return got;
}

/* --- files --- */

static bool is_tap_device(const char *path)
{
	return !strcmp(path, "/dev/net/tun");
}

static int open_with(int (*fn)(int, const char *, int, ...), int dir, const char *path, int flags,
		     va_list ap)
{
	unsigned int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, unsigned int) : 0;
	bool tap = is_tap_device(path);

	if (fails(tap ? "tap.open" : "open"))
		return -1;
	return remember(fn(dir, path, flags, mode), tap ? OPENED_TAP : OPENED_OTHER);
}

#define DEFINE_OPEN(name_, params_, dir_)                                                          \
	int name_ params_                                                                          \
	{                                                                                          \
		va_list ap_;                                                                       \
		int fd_;                                                                           \
		va_start(ap_, oflag);                                                              \
		fd_ = open_with(REAL(openat), dir_, file, oflag, ap_);                             \
		va_end(ap_);                                                                       \
		return fd_;                                                                        \
	}

DEFINE_OPEN(open, (const char *file, int oflag, ...), AT_FDCWD)
DEFINE_OPEN(open64, (const char *file, int oflag, ...), AT_FDCWD)
DEFINE_OPEN(openat, (int fd, const char *file, int oflag, ...), fd)
DEFINE_OPEN(openat64, (int fd, const char *file, int oflag, ...), fd)

int close(int fd)
{
	if (was_opened(fd, OPENED_TAP)) /* closing a copy of it is nothing to the kernel */
		note_rtnl("close of a tap", (unsigned long)fd);
	remember(fd, OPENED_OTHER);
	return REAL(close)(fd);
}

/* --- the tap --- */

/* Those of /dev/net/tun begin at 200; sockets' own are of another type. */
static bool is_on_net(unsigned long request)
{
	return (_IOC_TYPE(request) == 'T' && _IOC_NR(request) >= 200) ||
	       _IOC_TYPE(request) == SIOCGIFNAME >> 8;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (is_on_net(request))
		note_rtnl("ioctl", request);
	return tap_fails(fd, "tap.ioctl") ? -1 : REAL(ioctl)(fd, request, arg);
}

ssize_t read(int fd, void *buf, size_t nbytes)
{
	return tap_fails(fd, "tap.read") ? -1 : REAL(read)(fd, buf, nbytes);
}

ssize_t readv(int fd, const struct iovec *iovec, int count)
{
	return tap_fails(fd, "tap.read") ? -1 : REAL(readv)(fd, iovec, count);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	return tap_fails(fd, "tap.write") ? -1 : REAL(write)(fd, buf, n);
}

ssize_t writev(int fd, const struct iovec *iovec, int count)
{
	return tap_fails(fd, "tap.write") ? -1 : REAL(writev)(fd, iovec, count);
}

/* --- netlink --- */

int socket(int domain, int type, int protocol)
{
	if (domain == AF_NETLINK && fails("netlink.socket"))
		return -1;
	return remember(REAL(socket)(domain, type, protocol),
			domain == AF_NETLINK ? OPENED_NETLINK : OPENED_OTHER);
}

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	if (was_opened(fd, OPENED_NETLINK))
		note_rtnl("netlink", (unsigned long)fd);
	return netlink_fails(fd, "netlink.send") ? -1 : REAL(send)(fd, buf, n, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (was_opened(fd, OPENED_NETLINK))
		note_rtnl("netlink", (unsigned long)fd);
	return netlink_fails(fd, "netlink.send") ? -1 : REAL(sendmsg)(fd, message, flags);
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	return netlink_fails(fd, "netlink.recv") ? -1 : REAL(recv)(fd, buf, n, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return netlink_fails(fd, "netlink.recv") ? -1 : REAL(recvmsg)(fd, message, flags);
}

/* --- libxenstore: NULL or false, with errno --- */

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
	return fails("xs_read") ? NULL : REAL(xs_read)(h, t, path, len);
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *num)
{
	return fails("xs_directory") ? NULL : REAL(xs_directory)(h, t, path, num);
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data,
	      unsigned int len)
{
	return !fails("xs_write") && REAL(xs_write)(h, t, path, data, len);
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
	return !fails("xs_watch") && REAL(xs_watch)(h, path, token);
}

/* A call that fails has closed the descriptor all the same. */
bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
	int err = sim_fail("xs_transaction_end");
	bool done = REAL(xs_transaction_end)(h, t, abort || err);

	if (err)
		errno = err;
	return done && !err;
}
