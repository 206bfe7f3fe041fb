/* SPDX-License-Identifier: MIT */
/*
 * takeover.c - preloaded into pvbackd, it simulates a guest that has taken over its process. At SIGRTMIN the process, which is
 * already confined and serves, makes the attempts below, and writes the result of each.
 *
 * $XENSIM_DIR/takeover is opened when the process starts, because it can open nothing later. There the test writes the targets:
 * control's PID and the other guest's, the other guest's domid, the reference of its ring, and its port.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#include "core/messages.h"
#include "guest/main.h"
#include "role.h"

static int orders = -1;
static xenevtchn_handle *evtchn;
static xengnttab_handle *gnttab;

/* --- what the process opens before it gives up its rights --- */

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	typeof(&xenevtchn_open) real =
		(typeof(&xenevtchn_open))(uintptr_t)dlsym(RTLD_NEXT, "xenevtchn_open");

	return evtchn = real(logger, flags);
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned int flags)
{
	typeof(&xengnttab_open) real =
		(typeof(&xengnttab_open))(uintptr_t)dlsym(RTLD_NEXT, "xengnttab_open");

	return gnttab = real(logger, flags);
}

/* --- the attempts --- */

static void came_to(const char *attempt, long result)
{
	char line[128];
	int size = snprintf(line, sizeof(line), "takeover: %s: %s\n", attempt,
			    result < 0 ? strerrorname_np(errno) : "done");

	if (write(STDERR_FILENO, line, (size_t)size) < 0)
		_exit(1);
}

static void files(void)
{
	came_to("open a file", syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
	came_to("open its memory", syscall(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR));
	came_to("open privcmd", syscall(SYS_openat, AT_FDCWD, "/dev/xen/privcmd", O_RDWR));
	came_to("make a file", syscall(SYS_openat, AT_FDCWD, "/tmp/x", O_CREAT | O_RDWR, 0600));
	came_to("open a folder", syscall(SYS_open, "/", O_RDONLY | O_DIRECTORY));
	came_to("remove a file", syscall(SYS_unlink, "/etc/passwd"));
}

static void programs(void)
{
	char *const argv[] = { "/bin/true", NULL };

	came_to("execute", syscall(SYS_execve, argv[0], argv, NULL));
	came_to("fork", syscall(SYS_fork));
	came_to("write code", syscall(SYS_mmap, NULL, 4096, PROT_WRITE | PROT_EXEC,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	came_to("be root", syscall(SYS_setuid, 0));
	came_to("make a namespace", syscall(SYS_unshare, CLONE_NEWUSER));
	came_to("load a module", syscall(SYS_init_module, NULL, 0, ""));
}

static void others(const char *whom, pid_t pid)
{
	char attempt[64];

	snprintf(attempt, sizeof(attempt), "trace %s", whom);
	came_to(attempt, syscall(SYS_ptrace, PTRACE_ATTACH, pid, NULL, NULL));
	snprintf(attempt, sizeof(attempt), "kill %s", whom);
	came_to(attempt, syscall(SYS_kill, pid, SIGKILL));
	snprintf(attempt, sizeof(attempt), "kill a thread of %s", whom);
	came_to(attempt, syscall(SYS_tgkill, pid, pid, SIGKILL));
	snprintf(attempt, sizeof(attempt), "read the memory of %s", whom);
	came_to(attempt, syscall(SYS_process_vm_readv, pid, NULL, 0, NULL, 0, 0));
	snprintf(attempt, sizeof(attempt), "take descriptors of %s", whom);
	came_to(attempt, syscall(SYS_pidfd_open, pid, 0));
}

static void sockets(void)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/x" };

	came_to("make a socket", syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET, 0));
	came_to("connect elsewhere",
		syscall(SYS_connect, GUEST_LISTEN_FD, &address, sizeof(address)));
}

static void xen(uint32_t domid, uint32_t ref, uint32_t port)
{
	void *page;

	came_to("bind the neighbour's event channel",
		xenevtchn_bind_interdomain(evtchn, domid, port));
	page = xengnttab_map_grant_ref(gnttab, domid, ref, PROT_READ);
	came_to("map the neighbour's grant", page ? 0 : -1);
	if (page)
		xengnttab_unmap(gnttab, page, 1);
}

/* Send each message of the protocol about the other guest's disk, for each life that it may have. */
static void lies(uint32_t domid)
{
	static const uint32_t types[] = { MESSAGE_STOPPED, MESSAGE_BROKE, MESSAGE_STALLED,
					  MESSAGE_SIZE, MESSAGE_STARTED };
	struct message message = { .kind = MESSAGE_VBD, .domid = domid, .devid = 51712 };
	long sent = 0;

	for (message.life = 1; message.life < 8; message.life++)
		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && sent >= 0; i++) {
			message.type = types[i];
			sent = send(GUEST_LINK_FD, &message, message_bytes(message.type), 0);
		}
	came_to("say that the neighbour's disk has stopped", sent);
}

/* The last attempt is a message that the process may not send. Control reports the result, because this process may be killed first. */
static void echo(uint32_t domid)
{
	struct message message = { .type = MESSAGE_DEVICE,
				   .kind = MESSAGE_VBD,
				   .domid = domid,
				   .devid = 51712,
				   .life = 1 };

	if (send(GUEST_LINK_FD, &message, message_bytes(message.type), 0) < 0)
		came_to("say that it serves the neighbour's disk", -1);
}

static void taken_over(int signal)
{
	char text[128] = "";
	pid_t control = 0, neighbour = 0;
	uint32_t domid = 0, ref = 0, port = 0;

	(void)signal;
	if (pread(orders, text, sizeof(text) - 1, 0) < 0 ||
	    sscanf(text, "%d %d %u %u %u", &control, &neighbour, &domid, &ref, &port) != 5)
		return;
	files();
	programs();
	others("control", control);
	others("the neighbour", neighbour);
	sockets();
	xen(domid, ref, port);
	lies(domid);
	echo(domid);
}

static void __attribute__((constructor)) begin(void)
{
	char path[256];

	if (strcmp(sim_role, "guest"))
		return;
	snprintf(path, sizeof(path), "%s/takeover", getenv("XENSIM_DIR"));
	orders = open(path, O_RDONLY | O_CLOEXEC);
	signal(SIGRTMIN, taken_over);
}
