/* SPDX-License-Identifier: MIT */
/* What a guest can do that has taken over its process. Each case is a process that is confined and then tries. */
#include "config.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "guest/confine.h"

#define UID 65537u

static uint32_t uid(void)
{
	return geteuid() == 0 ? UID : 0;
}

/* True if `attempt` returns true in a confined process. */
static bool confined(bool (*attempt)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		log_set_level(LOG_LEVEL_ERROR);
		_exit(confine(uid()) ? 2 : attempt() ? 0 : 1);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 2)
		fail_msg("the process came to status 0x%x", (unsigned int)status);
	return WEXITSTATUS(status) == 0;
}

static bool refused(long result)
{
	return result < 0 && (errno == EPERM || errno == EACCES || errno == ENOSYS);
}

static bool opens_nothing(void)
{
	return refused(open("/etc/passwd", O_RDONLY)) && refused(open("/proc/self/mem", O_RDWR)) &&
	       refused(open("/dev/null", O_WRONLY)) &&
	       refused(open("/tmp/pvbackd-test-confine", O_CREAT | O_RDWR, 0600)) &&
	       refused(syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0)) &&
	       refused(syscall(SYS_open_by_handle_at, 3, NULL, O_RDONLY));
}

static bool sees_no_file(void)
{
	struct stat st;

	return stat("/etc/passwd", &st) < 0 &&
	       (errno == ENOENT || errno == EACCES || errno == EPERM);
}

static bool reaches_nobody(void)
{
	return refused(socket(AF_UNIX, SOCK_STREAM, 0)) &&
	       refused(socket(AF_INET, SOCK_STREAM, 0)) &&
	       refused(socket(AF_NETLINK, SOCK_RAW, 0)) &&
	       refused(syscall(SYS_connect, 0, NULL, 0)) && refused(syscall(SYS_bind, 0, NULL, 0));
}

static bool executes_nothing(void)
{
	char *const argv[] = { "/bin/true", NULL };

	return refused(execv("/bin/true", argv)) &&
	       refused(syscall(SYS_execveat, 3, "", argv, NULL, 0));
}

static bool makes_no_process(void)
{
	return refused(syscall(SYS_fork)) && refused(syscall(SYS_vfork)) &&
	       refused(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)) &&
	       refused(syscall(SYS_clone3, NULL, 0)) && refused(unshare(CLONE_NEWUSER));
}

static bool touches_no_other_process(void)
{
	return refused(kill(1, 0)) && refused(kill(getppid(), SIGKILL)) && refused(kill(-1, 0)) &&
	       refused(ptrace(PTRACE_ATTACH, 1, NULL, NULL)) &&
	       refused(syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0)) &&
	       refused(syscall(SYS_pidfd_open, 1, 0)) &&
	       refused(syscall(SYS_tgkill, 1, 1, SIGKILL));
}

static bool runs_no_code_of_its_own(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page != MAP_FAILED && refused(mprotect(page, 4096, PROT_READ | PROT_EXEC)) &&
	       refused((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static bool changes_no_kernel(void)
{
	return refused(syscall(SYS_bpf, 0, NULL, 0)) &&
	       refused(syscall(SYS_init_module, NULL, 0, "")) &&
	       refused(syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL)) &&
	       refused(syscall(SYS_keyctl, 0, 0, 0, 0, 0)) &&
	       refused(syscall(SYS_io_uring_setup, 8, NULL)) &&
	       refused(syscall(SYS_userfaultfd, 0)) && refused(syscall(SYS_setuid, 0)) &&
	       refused(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
}

static bool is_somebody_else(void)
{
	return geteuid() == (uid() ? uid() : geteuid()) && prctl(PR_GET_DUMPABLE) < 1;
}

static void *add_one(void *user)
{
	++*(int *)user;
	return NULL;
}

/* What a confined process needs for its work. */
static bool works_on(void)
{
	char *large = malloc(1u << 20);
	int pair = memfd_create("test", MFD_CLOEXEC), count = 0;
	pthread_t thread;

	if (!large || pair < 0 || ftruncate(pair, 8192) < 0)
		return false;
	memset(large, 1, 1u << 20);
	if (pwrite(pair, large, 4096, 4096) != 4096 ||
	    pthread_create(&thread, NULL, add_one, &count) || pthread_join(thread, NULL))
		return false;
	free(large);
	return count == 1;
}

#define CONFINED(sentence, attempt)                                                                \
	static void sentence(void **state)                                                         \
	{                                                                                          \
		(void)state;                                                                       \
		CHECK(confined(attempt));                                                          \
	}

CONFINED(it_opens_no_file, opens_nothing)
CONFINED(it_reaches_nobody_by_a_socket, reaches_nobody)
CONFINED(it_executes_nothing, executes_nothing)
CONFINED(it_makes_threads_and_no_processes, makes_no_process)
CONFINED(it_touches_no_other_process, touches_no_other_process)
CONFINED(it_runs_no_code_that_it_has_written, runs_no_code_of_its_own)
CONFINED(it_changes_nothing_of_the_kernel, changes_no_kernel)
CONFINED(it_is_another_user_where_it_was_root, is_somebody_else)
CONFINED(memory_threads_and_its_descriptors_are_left, works_on)

/* Inside a chroot the kernel makes no user namespaces, so the process gets no empty root. */
static bool may_have_a_namespace(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) != 0);
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status == 0;
}

static void the_hosts_files_are_not_there(void **state)
{
	(void)state;
	if (!may_have_a_namespace())
		skip();
	CHECK(confined(sees_no_file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_opens_no_file),
		cmocka_unit_test(the_hosts_files_are_not_there),
		cmocka_unit_test(it_reaches_nobody_by_a_socket),
		cmocka_unit_test(it_executes_nothing),
		cmocka_unit_test(it_makes_threads_and_no_processes),
		cmocka_unit_test(it_touches_no_other_process),
		cmocka_unit_test(it_runs_no_code_that_it_has_written),
		cmocka_unit_test(it_changes_nothing_of_the_kernel),
		cmocka_unit_test(it_is_another_user_where_it_was_root),
		cmocka_unit_test(memory_threads_and_its_descriptors_are_left),
	};

#if !defined(HAVE_SECCOMP) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return 77; /* no filter is built in, or the sanitizer itself needs calls that are not allowed */
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
