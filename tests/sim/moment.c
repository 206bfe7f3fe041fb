/* SPDX-License-Identifier: MIT */
/*
 * moment.c - preloaded into a backend, it kills it at a chosen moment of its life.
 *
 * A moment is whatever somebody else can notice: a call of a Xen library (fail.c tells of
 * those), a request to xenstore that changes something, a system call with an effect, and each
 * store to memory that outlives the process: mapped rings and small shared file mappings. What another process can see does not change
 * between two moments, so dying right before each of them in turn is dying everywhere.
 *
 * XENSIM_DIE_AT=N       SIGKILL right before moment N, and say on stderr which one it was
 * XENSIM_DIE_AT=N:TEXT  the same, of those only whose names contain TEXT
 *
 * Stores are caught on x86-64 only, without the program's help: the mappings are read-only, and
 * a store that faults is let through as a single step. One worker makes the numbers repeatable.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#define MAX_REGIONS 256
#define SMALL       (1u << 20) /* larger mappings are the machine itself */
#define TRAP_FLAG   0x100
#define REAL(name)  ((typeof(&name))real(#name))
#define WRAP(name, ...)                                                                            \
	{                                                                                          \
		sim_moment(#name);                                                                 \
		return REAL(name)(__VA_ARGS__);                                                    \
	}

struct region {
	char *addr;
	size_t size; /* 0: free */
	char name[48];
};

static struct region regions[MAX_REGIONS];
static unsigned int die_at, now; /* `now` is atomic */
static const char *only;         /* names with this in them; "": all */

void sim_moment(const char *what);

static void *real(const char *name)
{
	void *fn = dlsym(RTLD_NEXT, name);

	if (!fn)
		abort();
	return fn;
}

static void moment(const char *what, size_t offset, bool is_store)
{
	unsigned int n;
	char name[100], text[160];
	int len;

	if (!die_at)
		return;
	snprintf(name, sizeof(name), is_store ? "store to %s+%#zx" : "%s", what, offset);
	if (!strstr(name, only))
		return;
	n = __atomic_add_fetch(&now, 1, __ATOMIC_SEQ_CST);
	if (n != die_at)
		return;
	len = snprintf(text, sizeof(text), "xensim: dies at moment %u, %s\n", n, name);
	syscall(SYS_write, 2, text, (size_t)len);
	syscall(SYS_kill, getpid(), SIGKILL);
	for (;;)
		pause();
}

void sim_moment(const char *what)
{
	moment(what, 0, false);
}

/* --- stores --- */

static void protect(int prot)
{
	for (unsigned int i = 0; i < MAX_REGIONS; i++)
		if (regions[i].size)
			syscall(SYS_mprotect, regions[i].addr, regions[i].size, prot);
}

static const struct region *region_at(const char *addr)
{
	for (unsigned int i = 0; i < MAX_REGIONS; i++)
		if (regions[i].size && addr >= regions[i].addr &&
		    addr < regions[i].addr + regions[i].size)
			return &regions[i];
	return NULL;
}

#ifdef __x86_64__
static void on_fault(int sig, siginfo_t *info, void *context)
{
	const struct region *region = region_at(info->si_addr);
	ucontext_t *uc = context;

	if (!region) {
		signal(sig, SIG_DFL);
		return;
	}
	moment(region->name, (size_t)((char *)info->si_addr - region->addr), true);
	protect(PROT_READ | PROT_WRITE);
	uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	protect(PROT_READ);
}

static void catch_stores(void)
{
	struct sigaction fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	struct sigaction step = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

	sigfillset(&fault.sa_mask);
	sigfillset(&step.sa_mask);
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGTRAP, &step, NULL);
}
#else
static void catch_stores(void)
{
}
#endif

static bool is_shared(int prot, int flags, int fd, size_t size)
{
	return die_at && fd >= 0 && (flags & MAP_SHARED) && (prot & PROT_WRITE) && size <= SMALL;
}

static void region_name(struct region *region, int fd)
{
	char link[64], path[256];
	const char *base;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	base = strrchr(path, '/');
	snprintf(region->name, sizeof(region->name), "%s",
		 !base || strstr(base, "memfd") ? "ring" : base + 1);
}

static void region_add(char *addr, size_t size, int fd)
{
	for (unsigned int i = 0; i < MAX_REGIONS; i++) {
		if (regions[i].size)
			continue;
		region_name(&regions[i], fd);
		regions[i].addr = addr;
		regions[i].size = size;
		syscall(SYS_mprotect, addr, size, PROT_READ);
		return;
	}
	abort();
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	void *addr;

	if (is_shared(prot, flags, fd, size))
		sim_moment("mmap");
	addr = REAL(mmap)(at, size, prot, flags, fd, offset);
	if (addr != MAP_FAILED && is_shared(prot, flags, fd, size))
		region_add(addr, size, fd);
	return addr;
}

int munmap(void *addr, size_t size)
{
	char *from = addr;

	for (unsigned int i = 0; i < MAX_REGIONS; i++)
		if (regions[i].size && regions[i].addr >= from && regions[i].addr < from + size)
			regions[i].size = 0;
	return REAL(munmap)(addr, size);
}

/* A blocked fault would be the end of the program. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old)
{
	sigset_t open;

	if (!set || !die_at || how == SIG_UNBLOCK)
		return REAL(pthread_sigmask)(how, set, ret_old);
	open = *set;
	sigdelset(&open, SIGSEGV);
	sigdelset(&open, SIGTRAP);
	return REAL(pthread_sigmask)(how, &open, ret_old);
}

/* --- calls --- */

/*
 * A request to xenstore is written in pieces, and counts when it is whole: its header is the moment,
 * unless it only asks. One thread talks to xenstore.
 */
static int xs_fd;
static size_t xs_left; /* of the request that is being written */

static bool only_asks(uint32_t type)
{
	return type == XS_READ || type == XS_DIRECTORY || type == XS_GET_PERMS;
}

static void moment_of_write(int fd, const struct xsd_sockmsg *msg, size_t size)
{
	if (size != sizeof(*msg)) {
		sim_moment("write");
		return;
	}
	if (!only_asks(msg->type))
		sim_moment("xenstore");
	xs_fd = fd;
	xs_left = size + msg->len;
}

ssize_t write(int fd, const void *data, size_t size)
{
	bool is_rest = fd == xs_fd && xs_left;
	ssize_t n;

	if (!is_rest)
		moment_of_write(fd, data, size);
	n = REAL(write)(fd, data, size);
	if (n > 0 && fd == xs_fd)
		xs_left -= (size_t)n;
	return n;
}

ssize_t writev(int fd, const struct iovec *iov, int nr) WRAP(writev, fd, iov, nr);
int unlink(const char *path) WRAP(unlink, path);
int unlinkat(int dir, const char *path, int flags) WRAP(unlinkat, dir, path, flags);
int rename(const char *from, const char *to) WRAP(rename, from, to);
int fallocate(int fd, int mode, off_t at, off_t size) WRAP(fallocate, fd, mode, at, size);
int posix_fallocate(int fd, off_t at, off_t size) WRAP(posix_fallocate, fd, at, size);
int fsync(int fd) WRAP(fsync, fd);
int close(int fd) WRAP(close, fd);
int io_submit(io_context_t ctx, long nr, struct iocb **list) WRAP(io_submit, ctx, nr, list);

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	sim_moment("open");
	return REAL(open)(path, flags, mode);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	sim_moment("ioctl");
	return REAL(ioctl)(fd, request, arg);
}

/* Netlink only: the other messages are xensim's own. */
ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const struct sockaddr_nl *to = msg->msg_name;

	if (to && to->nl_family == AF_NETLINK)
		sim_moment("netlink");
	return REAL(sendmsg)(fd, msg, flags);
}

static void __attribute__((constructor)) begin(void)
{
	const char *text = getenv("XENSIM_DIE_AT");
	char *end = NULL;

	die_at = text ? (unsigned int)strtoul(text, &end, 10) : 0;
	only = end && *end == ':' ? end + 1 : "";
	if (die_at)
		catch_stores();
}

/* Whoever walks through a life wants to know how long it was. */
static void __attribute__((destructor)) end(void)
{
	if (die_at)
		fprintf(stderr, "xensim: lived through %u moments\n", now);
}
