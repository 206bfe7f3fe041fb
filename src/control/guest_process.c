/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/cgroup.h"
#include "control/guest_process.h"
#include "control/spawn.h"
#include "core/link.h"
#include "guest/main.h"

#define NS_PER_S 1000000000ull

extern char **environ;

/* Name the socket through a descriptor of the directory: the directory's path may be too long for a socket's address. */
static int socket_address(const struct guest_process_setup *setup, uint32_t domid, int *ret_dir,
			  struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*ret_dir = open(setup->runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_dir < 0)
		return -errno;
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/guest-%u.socket", *ret_dir,
		 domid);
	return 0;
}

static void remove_socket(const struct guest_process_setup *setup, uint32_t domid)
{
	struct sockaddr_un address;
	int dir;

	if (socket_address(setup, domid, &dir, &address))
		return;
	unlink(address.sun_path);
	close(dir);
}

/* Bind it here; the guest's process listens. A later control gets the process that listens as its peer (SO_PEERCRED). */
static int bind_socket(const struct guest_process_setup *setup, uint32_t domid, int *ret_fd)
{
	struct sockaddr_un address;
	int dir, err = socket_address(setup, domid, &dir, &address);
	int fd;

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(address.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err = -errno;
	close(dir);
	if (err && fd >= 0)
		close(fd);
	if (!err)
		*ret_fd = fd;
	return err;
}

static int open_pidfd(struct guest_process *process)
{
	process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	return process->pidfd < 0 ? -errno : 0;
}

/* --- start --- */

static int spawn_for(const struct guest_process_setup *setup, uint32_t domid, const char *name,
		     int link, int listen, pid_t *ret_pid)
{
	char title[128], numbers[GUEST_ARGS][16];
	char *argv[] = { title,      GUEST_ARGUMENT, numbers[0], numbers[1], numbers[2],
			 numbers[3], numbers[4],     numbers[5], NULL };

	snprintf(title, sizeof(title), "pvbackd: guest %s", name);
	snprintf(numbers[0], sizeof(numbers[0]), "%u", domid);
	snprintf(numbers[1], sizeof(numbers[1]), "%u", setup->nr_workers);
	snprintf(numbers[2], sizeof(numbers[2]), "%d", setup->log_level);
	snprintf(numbers[3], sizeof(numbers[3]), "%u",
		 setup->uid_base ? setup->uid_base + domid : 0);
	snprintf(numbers[4], sizeof(numbers[4]), "%d", setup->confine);
	snprintf(numbers[5], sizeof(numbers[5]), "%u", setup->own_domid);
	return spawn_again(
		&(struct spawn){
			.argv = argv, .fds = { link, listen }, .nr_fds = 2, .apart = true },
		ret_pid);
}

int guest_process_start(const struct guest_process_setup *setup, uint32_t domid, const char *name,
			struct guest_process *ret, int *ret_fd)
{
	struct guest_process process = { .domid = domid, .pidfd = -1 };
	int pair[2], listen = -1, err = bind_socket(setup, domid, &listen);

	if (err)
		return err;
	err = link_pair(pair);
	if (err) {
		close(listen);
		return err;
	}
	err = spawn_for(setup, domid, name, pair[1], listen, &process.pid);
	close(pair[1]);
	close(listen);
	if (!err)
		err = open_pidfd(&process);
	if (err) {
		close(pair[0]);
		return err;
	}
	cgroup_enter(setup->cgroups, process.pid, name);
	*ret = process;
	*ret_fd = pair[0];
	return 0;
}

/* --- find --- */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = { 0 };

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* When it was started, in nanoseconds since the host's boot. That is the 22nd field; the second is in brackets. 0 or -errno. */
static int started_at(pid_t pid, uint64_t *ret_ns)
{
	char path[32], line[512];
	const char *field;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	field = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	for (unsigned int nr = 2; field && nr < 22; nr++)
		field = strchr(field + 1, ' ');
	if (!field)
		return -EIO;
	*ret_ns = strtoull(field, NULL, 10) * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
	return 0;
}

/* For dl_iterate_phdr(). The entry of the program has no name, and that of the kernel (vdso) is no file. */
static int look_at_library(struct dl_phdr_info *library, size_t size, void *user)
{
	uint64_t *newest_ns = user;
	struct stat file;

	(void)size;
	if (stat(library->dlpi_name[0] ? library->dlpi_name : "/proc/self/exe", &file) == 0) {
		uint64_t placed_ns =
			(uint64_t)file.st_ctim.tv_sec * NS_PER_S + (uint64_t)file.st_ctim.tv_nsec;

		if (placed_ns > *newest_ns)
			*newest_ns = placed_ns;
	}
	return 0;
}

/*
 * Whether our program or one of its libraries is newer on disk than the process. The version that a process reports is not
 * enough: two builds may have the same version, and a guest may have taken the old one over by a fault that the new one
 * does not have. And after an upgrade of a library a restart of the daemon should be all that an admin has to do.
 */
static bool is_older_than_us(pid_t pid)
{
	uint64_t boot_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME), started_ns = 0,
		 newest_ns = 0;

	if (started_at(pid, &started_ns))
		return false;
	dl_iterate_phdr(look_at_library, &newest_ns);
	return boot_ns + started_ns < newest_ns;
}

static int connect_to(const struct guest_process_setup *setup, uint32_t domid, int *ret_fd)
{
	struct sockaddr_un address;
	int dir, fd, err = socket_address(setup, domid, &dir, &address);

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err = -errno;
	close(dir);
	if (err && fd >= 0)
		close(fd);
	if (!err)
		*ret_fd = fd;
	return err;
}

int guest_process_find(const struct guest_process_setup *setup, uint32_t domid,
		       struct guest_process *ret, int *ret_fd)
{
	struct guest_process process = { .domid = domid, .pidfd = -1 };
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);
	int fd = -1, err = connect_to(setup, domid, &fd);

	if (err == -ECONNREFUSED)
		remove_socket(setup, domid);
	if (err)
		return err;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		err = -errno;
	process.pid = peer.pid;
	if (!err)
		err = open_pidfd(&process);
	if (err) {
		close(fd);
		return err;
	}
	process.older = is_older_than_us(process.pid);
	*ret = process;
	*ret_fd = fd;
	return 0;
}

unsigned int guest_process_list(const struct guest_process_setup *setup, uint32_t *ret_domids,
				unsigned int max)
{
	DIR *dir = opendir(setup->runtime_dir);
	struct dirent *entry;
	unsigned int nr = 0;

	while (dir && nr < max && (entry = readdir(dir))) {
		int end = 0;

		if (sscanf(entry->d_name, "guest-%u.socket%n", &ret_domids[nr], &end) == 1 && end &&
		    !entry->d_name[end])
			nr++;
	}
	if (dir)
		closedir(dir);
	return nr;
}

/* --- the end --- */

/* The kernel tells this of our own children only. */
static void note_end(struct guest_process *process)
{
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG) < 0 || !info.si_pid)
		return;
	if (info.si_code == CLD_EXITED)
		snprintf(process->how, sizeof(process->how), "exit status %d", info.si_status);
	else
		snprintf(process->how, sizeof(process->how), "killed by signal %d (%.20s)",
			 info.si_status, strsignal(info.si_status));
}

static void ended(void *user, uint32_t events)
{
	struct guest_process *process = user;

	(void)events;
	note_end(process);
	process->watch = loop_remove(process->loop, process->watch);
	process->gone(process->user);
}

int guest_process_watch(struct guest_process *process, struct loop *loop, void (*gone)(void *user),
			void *user)
{
	process->loop = loop;
	process->gone = gone;
	process->user = user;
	process->watch = loop_add(loop, process->pidfd, EPOLLIN, ended, process);
	return process->watch ? 0 : -errno;
}

void guest_process_kill(struct guest_process *process)
{
	if (process->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
}

void guest_process_close(struct guest_process *process, const struct guest_process_setup *setup,
			 bool over)
{
	if (process->pidfd < 0)
		return;
	if (process->loop)
		process->watch = loop_remove(process->loop, process->watch);
	close(process->pidfd);
	process->pidfd = -1;
	if (!over)
		return;
	remove_socket(setup, process->domid);
	cgroup_sweep(setup->cgroups);
}
