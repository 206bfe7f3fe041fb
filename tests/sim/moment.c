/* SPDX-License-Identifier: MIT */
/*
 * moment.c - preloaded into a backend, it kills the process at a chosen moment.
 *
 * A moment is each action that other processes can notice: a call of a Xen library (fail.c reports these), a request that changes
 * xenstore, a message between control and a guest's process (before it is sent, and after it was received), a system call with an
 * effect, and each store to memory that outlives the process: mapped rings and small shared file mappings, but no counters. Between
 * two moments nothing changes for other processes. So it is enough to die right before each moment in turn.
 *
 * XENSIM_DIE_AT=N       SIGKILL right before moment N, and say on stderr which one it was
 * XENSIM_DIE_AT=N,M     another one M moments after that, and so on
 * XENSIM_DIE_EVERY=N    at random, on average every N moments, without end; XENSIM_DIE_SEED=S chooses which
 *
 * With :TEXT after any of these, only moments whose names contain TEXT count. Moments count only in processes of one role
 * (role.h), which is XENSIM_DIE_ROLE or control. These processes have one common count in $XENSIM_DIR/moments, so the process that
 * replaces a killed one goes on counting. With XENSIM_DIE_AT, control starts a new count when it starts.
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

#include "core/messages.h"
#include "role.h"

#define MAX_REGIONS 256
#define MAX_DEATHS  16
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
static unsigned int die_at[MAX_DEATHS]; /* counts that are deaths; 0: no more */
static unsigned int die_every, seed;
static bool counts;       /* moments of this process are deaths */
static unsigned int *now; /* shared by all whose moments are counted together; atomic */
static const char *only;  /* names with this in them; "": all */
static int own_fds;       /* /proc/self/fd: later there may be no /proc */

void sim_moment(const char *what);

static void *real(const char *name)
{
	void *fn = dlsym(RTLD_NEXT, name);

	if (!fn)
		abort();
	return fn;
}

/* A number that looks random, and is always the same for the same @n. */
static unsigned int scatter(unsigned int n)
{
	uint64_t x = ((uint64_t)seed << 32 | n) + 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (unsigned int)(x >> 32);
}

static bool is_death(unsigned int n)
{
	for (unsigned int i = 0; i < MAX_DEATHS && die_at[i]; i++)
		if (die_at[i] == n)
			return true;
	return die_every && scatter(n) % die_every == 0;
}

static void moment(const char *what, size_t offset, bool is_store)
{
	unsigned int n;
	char name[100], text[160];
	int len;

	if (!counts)
		return;
	snprintf(name, sizeof(name), is_store ? "store to %s+%#zx" : "%s", what, offset);
	if (!strstr(name, only))
		return;
	n = __atomic_add_fetch(now, 1, __ATOMIC_SEQ_CST);
	if (!is_death(n))
		return;
	len = snprintf(text, sizeof(text), "xensim: %s dies at moment %u, %s\n", sim_role, n, name);
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
static greg_t storing; /* the address of the instruction that is being stepped */

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const struct region *region = region_at(info->si_addr);
	ucontext_t *uc = context;

	if (!region) {
		signal(sig, SIG_DFL);
		return;
	}
	moment(region->name, (size_t)((char *)info->si_addr - region->addr), true);
	storing = uc->uc_mcontext.gregs[REG_RIP];
	protect(PROT_READ | PROT_WRITE);
	uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

/* A string instruction is one store, however often it steps. */
static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	if (uc->uc_mcontext.gregs[REG_RIP] == storing)
		return;
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
	return counts && fd >= 0 && (flags & MAP_SHARED) && (prot & PROT_WRITE) && size <= SMALL;
}

/*
 * False for counters in shared memory, where each step would be a moment, and for pages that no other process maps: they are
 * granted for our own copies, and are moved after they were mapped.
 */
static bool region_name(char name[static 48], int fd)
{
	char link[16], path[256];
	const char *base;
	ssize_t n;

	snprintf(link, sizeof(link), "%d", fd);
	n = readlinkat(own_fds, link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	base = strrchr(path, '/');
	snprintf(name, 48, "%s", !base || strstr(base, "memfd") ? "ring" : base + 1);
	return !strstr(path, "memfd:pvbackd-stats") && !strstr(path, "memfd:gntalloc");
}

static void region_add(char *addr, size_t size, int fd)
{
	for (unsigned int i = 0; i < MAX_REGIONS; i++) {
		if (regions[i].size)
			continue;
		if (!region_name(regions[i].name, fd))
			return;
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

/* A SIGSEGV that is blocked would end the program. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old)
{
	sigset_t open;

	if (!set || !counts || how == SIG_UNBLOCK)
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

/* NULL: no message of the protocol. xensim's own socket is of the same kind, but waits. */
static const char *protocol_message(int fd, const struct msghdr *msg, size_t size, int flags)
{
	const uint32_t *type = msg->msg_iov->iov_base;
	socklen_t len = sizeof(int);
	int kind = 0;

	if (!counts || !(flags & MSG_DONTWAIT) || size < sizeof(*type) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &len) < 0 || kind != SOCK_SEQPACKET ||
	    message_bytes(*type) != size)
		return NULL;
	return message_name(*type);
}

static void moment_of_message(const char *name, const char *what)
{
	char text[64];

	if (!name)
		return;
	snprintf(text, sizeof(text), "message %s %s", name, what);
	sim_moment(text);
}

/* Of netlink and of the protocol: the others are xensim's own. */
ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const struct sockaddr_nl *to = msg->msg_name;

	if (to && to->nl_family == AF_NETLINK)
		sim_moment("netlink");
	moment_of_message(protocol_message(fd, msg, msg->msg_iov->iov_len, flags), "to be sent");
	return REAL(sendmsg)(fd, msg, flags);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = REAL(recvmsg)(fd, msg, flags);

	if (n > 0)
		moment_of_message(protocol_message(fd, msg, (size_t)n, flags), "taken");
	return n;
}

/* Use the system calls, not our own open() and mmap(). */
static unsigned int *count_map(bool anew)
{
	const char *dir = getenv("XENSIM_DIR");
	void *addr = MAP_FAILED;
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/moments", dir ? dir : "");
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd >= 0 && !ftruncate(fd, sizeof(*now)))
		addr = REAL(mmap)(NULL, sizeof(*now), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		abort();
	syscall(SYS_close, fd);
	if (anew)
		*(unsigned int *)addr = 0;
	return addr;
}

/* Between fork() and exec(), a child has no moments. */
static void count_no_more(void)
{
	counts = false;
}

static const char *deaths_parse(const char *text)
{
	unsigned int n = 0;
	char *end = (char *)(uintptr_t)text;

	for (unsigned int i = 0; i < MAX_DEATHS - 1; i++) {
		n += (unsigned int)strtoul(end, &end, 10);
		die_at[i] = n;
		if (*end != ',')
			break;
		end++;
	}
	return end;
}

static void __attribute__((constructor)) begin(void)
{
	const char *at = getenv("XENSIM_DIE_AT"), *every = getenv("XENSIM_DIE_EVERY");
	const char *role = getenv("XENSIM_DIE_ROLE"), *salt = getenv("XENSIM_DIE_SEED");
	const char *end = "";
	bool is_control = !strcmp(sim_role, "control");

	if (!at && !every)
		return;
	if (at) {
		end = deaths_parse(at);
	} else {
		die_every = (unsigned int)strtoul(every, (char **)(uintptr_t)&end, 10);
		seed = salt ? (unsigned int)strtoul(salt, NULL, 10) : 0;
	}
	only = *end == ':' ? end + 1 : "";
	now = count_map(at && is_control);
	counts = !strcmp(sim_role, role ? role : "control");
	if (!counts)
		return;
	own_fds = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd",
			       O_PATH | O_DIRECTORY | O_CLOEXEC);
	catch_stores();
	pthread_atfork(NULL, NULL, count_no_more);
}

/* Print the number of moments, for a test that walks through them. */
static void __attribute__((destructor)) end(void)
{
	if (counts)
		fprintf(stderr, "xensim: lived through %u moments\n", *now);
}
