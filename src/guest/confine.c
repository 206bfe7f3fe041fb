/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/log.h"
#include "guest/confine.h"

/* --- who we are --- */

static int become(uint32_t uid)
{
	if (!uid)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	/* Else root would still own the files in /proc that set up a user namespace. give_up_rights() undoes this. */
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* --- an empty root, in namespaces of our own --- */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
	int err = n < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

/* In a user namespace of its own a process without rights may make the other namespaces. */
static int map_ourselves(uid_t uid, gid_t gid)
{
	char text[64];
	int err = write_file("/proc/self/setgroups", "deny");

	snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	if (!err)
		err = write_file("/proc/self/uid_map", text);
	snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	return err ? err : write_file("/proc/self/gid_map", text);
}

/* Change to an empty file system as root, with no way back to the host's. */
static int empty_root(void)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/proc", "tmpfs", flags, "size=4k,nr_inodes=2,mode=0500") < 0 ||
	    chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ||
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0)
		return -errno;
	return 0;
}

static int leave_namespaces(void)
{
	const int others =
		CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int err;

	if (unshare(CLONE_NEWUSER | others) < 0)
		return -errno;
	err = map_ourselves(uid, gid);
	return err ? err : empty_root();
}

/* --- Landlock: for hosts where namespaces are not to be had --- */

static int lock_files(void)
{
	/* All rights that version 1 of Landlock knows: none of them is allowed anywhere. */
	struct landlock_ruleset_attr attr = { .handled_access_fs =
						      (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	int err;

	if (fd < 0)
		return -errno;
	err = syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
	close(fd);
	return err;
}

static void hide_files(void)
{
	int apart = leave_namespaces(), locked = lock_files();

	if (apart && locked)
		log_warning("the process of this guest sees the host's files: neither namespaces "
			    "(%s) nor Landlock (%s) are to be had; only its system calls are "
			    "filtered",
			    strerror(-apart), strerror(-locked));
	else if (apart)
		log_debug("no namespaces of its own for this guest (%s); Landlock does it",
			  strerror(-apart));
}

/* --- rights, and limits --- */

static int give_up_rights(void)
{
	const struct rlimit none = { 0 };

	for (int cap = 0; cap < 64; cap++)
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, cap, 0, 0);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	return 0;
}

static int drop_capabilities(void)
{
	struct {
		uint32_t version;
		int pid;
	} head = { 0x20080522, 0 }; /* _LINUX_CAPABILITY_VERSION_3 */
	const struct {
		uint32_t effective, permitted, inheritable;
	} none[2] = { 0 };

	return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

/* --- system calls --- */

#ifdef HAVE_SECCOMP
#include <seccomp.h>

/* Xen's devices by number: xen/gntdev.h and xen/evtchn.h of the kernel. */
#define GNTDEV(nr, size) _IOC(_IOC_NONE, 'G', nr, size)
#define EVTCHN(nr, size) _IOC(_IOC_NONE, 'E', nr, size)

static const unsigned int ioctls[] = {
	GNTDEV(0, 24), /* map */
	GNTDEV(1, 16), /* unmap */
	GNTDEV(2, 24), /* the offset of an address */
	GNTDEV(7, 16), /* unmap notify */
	GNTDEV(8, 16), /* copy */
	GNTDEV(5, 24), /* gntalloc: pages that are granted */
	EVTCHN(1, 8),  /* bind to another domain's port */
	EVTCHN(3, 4),  /* unbind */
	EVTCHN(4, 4),  /* notify */
	BLKGETSIZE64,  BLKDISCARD, BLKSECDISCARD,
};

/* The system calls of the loops, of libaio, of libnbd on a connected socket, and of glibc's threads and malloc. */
static const int calls[] = {
	/* descriptors that are there */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwritev2),
	SCMP_SYS(close),
	SCMP_SYS(fcntl),
	SCMP_SYS(dup),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	/* the sockets to control and to an NBD server */
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(accept4),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	/* the loops */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(memfd_create),
	/* libaio */
	SCMP_SYS(io_setup),
	SCMP_SYS(io_destroy),
	SCMP_SYS(io_submit),
	SCMP_SYS(io_cancel),
	SCMP_SYS(io_getevents),
	SCMP_SYS(io_pgetevents),
	/* the io_uring that is there, and restricts itself (blkback/uring.h) */
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	/* memory */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	/* threads, and time */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(getrandom),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* signals */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
};

static int allow_some(scmp_filter_ctx filter)
{
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(calls) / sizeof(calls[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; !err && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, ioctls[i]));
	return err;
}

/* Calls with conditions: no memory that is executable; threads but no processes; signals to ourselves only. */
static int allow_in_part(scmp_filter_ctx filter)
{
	const uint64_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
	int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
	if (!err) /* clone3() has its flags in memory, where no filter sees them; with ENOSYS glibc uses clone() */
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid(), 0));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1,
				       SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid(), 0));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				       SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
	return err;
}

static int filter_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;

	if (!filter)
		return -ENOMEM;
	err = allow_some(filter);
	if (!err)
		err = allow_in_part(filter);
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}
#else
static int filter_calls(void)
{
	log_warning("this pvbackd was built without libseccomp: the system calls of this guest's "
		    "process are not filtered");
	return 0;
}
#endif

/* --- all of it --- */

static int failed(const char *layer, int err)
{
	log_error("the process of this guest cannot be confined: %s: %s", layer, strerror(-err));
	return err;
}

int confine(uint32_t uid)
{
	int err = become(uid);

	if (err)
		return failed("its user", err);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed("no new privileges", -errno);
	hide_files();
	err = drop_capabilities();
	if (!err)
		err = give_up_rights();
	if (err)
		return failed("capabilities", err);
	err = filter_calls();
	return err ? failed("its system calls", err) : 0;
}
