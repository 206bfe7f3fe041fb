/* SPDX-License-Identifier: MIT */
/*
 * faults.c - system calls that fail on request: LD_PRELOAD lib/xensim-faults.so into the program
 * under test, and $XENSIM_FAIL knows these names as well:
 *
 *   io_setup  io_submit  io_getevents
 *   io_submit.partial       takes the first half of a batch of two or more
 *   io_setup.opaque         the completion ring cannot be read without io_getevents()
 *   io_getevents.result     one completion says that its I/O failed
 *   open                    open() and openat() of anything but the tap device
 *   tap.open  tap.ioctl  tap.read  tap.write
 *   netlink.socket  netlink.send  netlink.recv
 *
 * What takes the kernel's RTNL lock, which may be held for long, belongs on the main thread: another thread that does
 * it is named on stderr.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xenstore.h>

#include "fail.h"

enum { MAX_FDS = 4096 };
enum fd_kind { FD_OTHER, FD_TAP, FD_NETLINK };

static unsigned char kinds[MAX_FDS]; /* enum fd_kind */

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

static int remember(int fd, enum fd_kind kind)
{
	if (fd >= 0 && fd < MAX_FDS)
		__atomic_store_n(&kinds[fd], (unsigned char)kind, __ATOMIC_RELAXED);
	return fd;
}

static bool is(int fd, enum fd_kind kind)
{
	return fd >= 0 && fd < MAX_FDS && __atomic_load_n(&kinds[fd], __ATOMIC_RELAXED) == kind;
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

static bool fd_fails(int fd, enum fd_kind kind, const char *call)
{
	return is(fd, kind) && fails(call);
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
		err = is(ios[i]->aio_fildes, FD_TAP) ? sim_fail("tap.write") : 0;
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
	return remember(fn(dir, path, flags, mode), tap ? FD_TAP : FD_OTHER);
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
	if (is(fd, FD_TAP))
		note_rtnl("close of a tap", (unsigned long)fd);
	remember(fd, FD_OTHER);
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
	return fd_fails(fd, FD_TAP, "tap.ioctl") ? -1 : REAL(ioctl)(fd, request, arg);
}

ssize_t read(int fd, void *buf, size_t nbytes)
{
	return fd_fails(fd, FD_TAP, "tap.read") ? -1 : REAL(read)(fd, buf, nbytes);
}

ssize_t readv(int fd, const struct iovec *iovec, int count)
{
	return fd_fails(fd, FD_TAP, "tap.read") ? -1 : REAL(readv)(fd, iovec, count);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	return fd_fails(fd, FD_TAP, "tap.write") ? -1 : REAL(write)(fd, buf, n);
}

ssize_t writev(int fd, const struct iovec *iovec, int count)
{
	return fd_fails(fd, FD_TAP, "tap.write") ? -1 : REAL(writev)(fd, iovec, count);
}

/* --- netlink --- */

int socket(int domain, int type, int protocol)
{
	if (domain == AF_NETLINK && fails("netlink.socket"))
		return -1;
	return remember(REAL(socket)(domain, type, protocol),
			domain == AF_NETLINK ? FD_NETLINK : FD_OTHER);
}

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	if (is(fd, FD_NETLINK))
		note_rtnl("netlink", (unsigned long)fd);
	return fd_fails(fd, FD_NETLINK, "netlink.send") ? -1 : REAL(send)(fd, buf, n, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (is(fd, FD_NETLINK))
		note_rtnl("netlink", (unsigned long)fd);
	return fd_fails(fd, FD_NETLINK, "netlink.send") ? -1 : REAL(sendmsg)(fd, message, flags);
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	return fd_fails(fd, FD_NETLINK, "netlink.recv") ? -1 : REAL(recv)(fd, buf, n, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return fd_fails(fd, FD_NETLINK, "netlink.recv") ? -1 : REAL(recvmsg)(fd, message, flags);
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

/* One that fails has ended all the same. */
bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
	int err = sim_fail("xs_transaction_end");
	bool done = REAL(xs_transaction_end)(h, t, abort || err);

	if (err)
		errno = err;
	return done && !err;
}
