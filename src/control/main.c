/* SPDX-License-Identifier: MIT */
/* The order of the start, and the exit status. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "blkback/disk.h"
#include "blkback/image_find.h"
#include "blkback/medium_lock.h"
#include "blkback/nbd_dial.h"
#include "blkback/vbd.h"
#include "control/cgroup.h"
#include "control/config_file.h"
#include "control/ctl_commands.h"
#include "control/events.h"
#include "control/leftover.h"
#include "control/metrics_all.h"
#include "control/metrics_socket.h"
#include "control/opener.h"
#include "control/options.h"
#include "control/reason.h"
#include "control/registry.h"
#include "control/spawn.h"
#include "control/watchdog.h"
#include "core/dump.h"
#include "core/log.h"
#include "core/log_journal.h"
#include "core/sd.h"
#include "core/trace.h"
#include "guest/main.h"
#include "netback/nic.h"
#include "netback/tap_keeper.h"
#include "netback/vif.h"
#include "netback/vif_file.h"
#include "netback/vif_pcap.h"

enum { EXIT_USAGE = 2 };
enum { HUNG_S = 10 };      /* a guest's process that has not answered for so long is killed */
enum { LOCK_TRIES = 300 }; /* one each ten milliseconds */
enum { STORE_TRIES = 50 }; /* one each fifth of a second */

struct daemon {
	int argc;
	char **argv; /* borrowed */
	struct options options;
	struct store store;
	struct loop *loop;
	struct opener *opener; /* owned */
	struct device_env env;
	struct guest *guest;   /* owned: the thread that serves all; NULL: processes do */
	struct guests *guests; /* owned */
	struct loop_tick guests_tick;
	int cgroups; /* directory of the guests' cgroups; -1: none */
	struct registry *registry;
	struct ctl_daemon asked;        /* what the admin's socket uses */
	struct ctl *ctl;                /* owned; NULL when it could not be opened */
	struct metrics_daemon measured; /* what the metrics socket uses */
	struct metrics_socket *metrics;
	struct watchdog *watchdog;
	struct loop_watch *signal_watch;
	bool told_to_stop;
	bool leave; /* end without detaching: all devices stay as they are */
	int err;    /* error of a start from within the loop */
	int signal_fd;
	int lock_fd; /* held for life: one daemon per runtime directory */
};

static const struct device_ops *const kinds[] = { &vbd_device_ops, &vbd3_device_ops,
						  &vif_device_ops, NULL };
/* The kinds that `serve` names. */
static const struct device_ops *served[sizeof(kinds) / sizeof(kinds[0])];
static const struct leftover *const leftovers[] = { vbd_leftovers, vif_leftovers, NULL };
static const struct opener_kind *const openings[] = { &image_find_kind, &nbd_dial_kind,
						      &pcap_open_kind, NULL };
static const struct plane *const planes[PLANE_NR] = { &blk_plane, &vif_plane };
static const struct guest_device_ops *const guest_kinds[] = { &disk_device_ops, &nic_device_ops,
							      NULL };

/* --- SIGUSR1: dump the state of all rings --- */

static void write_devices(void *user, FILE *out)
{
	registry_dump(user, out);
}

static void dump_all(struct daemon *daemon)
{
	if (daemon->registry)
		dump_to_log(write_devices, daemon->registry);
	if (daemon->guests)
		guests_dump(daemon->guests);
}

/*
 * At SIGTERM the guests' processes go on serving, for the next control. At Ctrl-C everything is to end: each process ends as soon
 * as its media allow it. Threads end with us, and let go of the rings before.
 */
static void stop_serving(struct daemon *daemon, bool all)
{
	bool apart = daemon->options.isolation == ISOLATION_GUEST;

	log_info("stopping; the guests %s", apart && !all ? "are served on by their own processes"
							  : "keep their devices and wait");
	if (!apart && daemon->registry) {
		registry_stop(daemon->registry);
		return;
	}
	if (all && daemon->guests)
		guests_end(daemon->guests);
	daemon->leave = apart;
	loop_quit(daemon->loop);
}

/* --- SIGHUP: what has changed in the configuration --- */

/* Apply the options that do not need the registry. */
static void apply_options(const struct options *options)
{
	log_set_level(options->log_level);
	trace_set(&options->trace, NULL);
	log_trace_to(LOG_TRACE_STDERR);
}

static int reload(void *user, struct config_faults *ret_faults)
{
	struct daemon *daemon = user;

	if (options_reload(daemon->argc, daemon->argv, &daemon->options, ret_faults)) {
		config_faults_log(ret_faults);
		log_error("the configuration is not taken over, and what was in force stays; when "
			  "it is put right: systemctl reload pvbackd");
		return -EINVAL;
	}
	apply_options(&daemon->options);
	if (daemon->guests)
		guests_set_log_level(daemon->guests, daemon->options.log_level);
	if (daemon->guests)
		guests_trace_to(daemon->guests, LOG_TRACE_STDERR);
	if (daemon->registry)
		registry_retune(daemon->registry);
	log_info("the configuration has been read again");
	return 0;
}

static int check(void *user, struct config_faults *ret_faults)
{
	struct daemon *daemon = user;

	return options_check(daemon->argc, daemon->argv, ret_faults);
}

/* --- signals --- */

static void signal_came(void *user, uint32_t events)
{
	struct daemon *daemon = user;
	struct signalfd_siginfo info;
	struct config_faults faults;

	(void)events;
	if (read(daemon->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGUSR1:
		dump_all(daemon);
		return;
	case SIGHUP:
		reload(daemon, &faults);
		config_faults_free(&faults);
		return;
	case SIGUSR2:
		return;
	}
	daemon->told_to_stop = true;
	sd_notify(0, "STOPPING=1");
	stop_serving(daemon, info.ssi_signo == SIGINT);
}

/* --- start --- */

/* Block the signals before any thread exists, so that all threads inherit the mask. */
static int take_signals(struct daemon *daemon)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	daemon->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (daemon->signal_fd < 0)
		return -errno;
	daemon->signal_watch =
		loop_add(daemon->loop, daemon->signal_fd, EPOLLIN, signal_came, daemon);
	return daemon->signal_watch ? 0 : -errno;
}

/*
 * A daemon that was killed holds the lock until the kernel has ended its I/O, so that its writes cannot come after our
 * replays. So wait a little for the lock.
 */
static int take_lock(int fd)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (unsigned int i = 0; i < LOCK_TRIES; i++) {
		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return 0;
		nanosleep(&pause, NULL);
	}
	return -EBUSY;
}

/* The directory's real path, by which other daemons know us (owner.h). */
static int name_runtime_dir(struct daemon *daemon)
{
	char *dir = daemon->options.runtime_dir;
	char path[PATH_MAX];

	if (!realpath(dir, path) || strlen(path) >= STORE_VALUE_MAX) {
		log_error("%s cannot be the runtime directory: %s", dir,
			  strerror(strlen(dir) >= STORE_VALUE_MAX ? ENAMETOOLONG : errno));
		return -ENAMETOOLONG;
	}
	strcpy(dir, path);
	return 0;
}

static int take_runtime_dir(struct daemon *daemon)
{
	const char *dir = daemon->options.runtime_dir;
	char path[PATH_MAX];
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		log_error("cannot make %s: %s", dir, strerror(errno));
		return -errno;
	}
	if (name_runtime_dir(daemon))
		return -EINVAL;
	if (stat(dir, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH))) {
		log_error("%s must belong to the user that pvbackd runs as, and nobody else may "
			  "write to it: what it holds is trusted",
			  dir);
		return -EPERM;
	}
	if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	daemon->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (daemon->lock_fd < 0) {
		log_error("cannot open %s: %s", path, strerror(errno));
		return -errno;
	}
	if (take_lock(daemon->lock_fd)) {
		log_error("another pvbackd is running in %s", dir);
		return -EBUSY;
	}
	return 0;
}

/* Each disk and NIC needs some descriptors: allow ourselves as many as we may. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static unsigned int default_workers(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 1 ? 1 : cpus > 4 ? 4 : (unsigned int)cpus;
}

static unsigned int count_workers(const struct daemon *daemon)
{
	return daemon->options.nr_workers ?: default_workers();
}

static void warn_of_kernel_backends(void)
{
	if (access("/sys/bus/xen-backend/drivers/vbd", F_OK) == 0)
		log_error("xen-blkback is loaded and will take disks from pvbackd; "
			  "unload it (modprobe -r xen-blkback) and block it, see pvbackd(8)");
	if (access("/sys/bus/xen-backend/drivers/vif", F_OK) == 0)
		log_error("xen-netback is loaded and will take NICs from pvbackd; "
			  "unload it (modprobe -r xen-netback) and block it, see pvbackd(8)");
}

/* Wait a little for a signal to stop. True when one came. For use while the loop does not run. */
static bool told_to_stop(void)
{
	const struct timespec while_ns = { .tv_nsec = 200 * 1000 * 1000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	return sigtimedwait(&set, NULL, &while_ns) > 0;
}

/* xenstored may be about to start, or to restart. Without systemd nobody would start us again, so try for a while. */
static int open_store(struct daemon *daemon)
{
	int err = store_open(&daemon->store);

	if (err)
		log_error("cannot reach xenstore: %s; pvbackd must run in Dom0 (or a driver "
			  "domain) of a Xen host, after xenstored; trying for %u s",
			  strerror(-err), STORE_TRIES / 5);
	for (unsigned int i = 0; i < STORE_TRIES && err; i++) {
		if (told_to_stop())
			return -EINTR;
		err = store_open(&daemon->store);
	}
	if (err)
		log_error("xenstore still cannot be reached: %s; pvbackd ends", strerror(-err));
	return err;
}

/*
 * Remove taps and files whose devices are gone. Once before any device is taken up, because such a tap may have the name
 * that a vif wants; and once after the first look at all devices, for those that went in between.
 */
static void sweep(const struct device_env *env)
{
	leftover_sweep(env->store, env->runtime_dir, leftovers);
	medium_lock_sweep(env->runtime_dir);
	for (const struct device_ops *const *ops = kinds; *ops; ops++)
		reason_sweep(env->store, (*ops)->kind);
}

static void looked(const struct device_env *env)
{
	guests_looked(env->guests);
	sweep(env);
}

static void choose_kinds(unsigned int serve)
{
	size_t nr = 0;

	for (size_t i = 0; kinds[i]; i++)
		if (serve & 1u << i)
			served[nr++] = kinds[i];
	served[nr] = NULL;
}

/* Serve all rings on threads of ours. They speak with control as a process does, over a socket pair. */
static int start_thread(struct daemon *daemon, int *ret_fd)
{
	struct guest_setup setup = { .nr_workers = count_workers(daemon),
				     .own_domid = daemon->store.domid,
				     .listen = -1,
				     .planes = planes,
				     .kinds = guest_kinds };
	int pair[2], err = link_pair(pair);

	if (err)
		return err;
	setup.fd = pair[1];
	err = guest_new(&setup, &daemon->guest);
	if (!err)
		err = guest_start_thread(daemon->guest);
	*ret_fd = pair[0];
	return err;
}

/* systemd's watchdog time for us is our limit for the guests' processes, if it is shorter. */
static unsigned int patience(void)
{
	uint64_t usec = 0;

	if (sd_watchdog_enabled(0, &usec) <= 0 || usec / 1000000 >= HUNG_S)
		return HUNG_S;
	return (unsigned int)(usec / 1000000) + 1;
}

static void look_after_guests(void *user)
{
	guests_look_after(user);
}

static int start_guests(struct daemon *daemon)
{
	struct guests_setup setup = {
		.isolation = daemon->options.isolation,
		.loop = daemon->loop,
		.store = &daemon->store,
		.fd = -1,
		.hung_s = patience(),
		.process = { .runtime_dir = daemon->options.runtime_dir,
			     .nr_workers = count_workers(daemon),
			     .log_level = (int)daemon->options.log_level,
			     .uid_base = geteuid() == 0 ? daemon->options.guest_uid : 0,
			     .confine = daemon->options.confine,
			     .own_domid = daemon->store.domid,
			     .cgroups = -1 },
	};
	int err = setup.isolation == ISOLATION_NONE ? start_thread(daemon, &setup.fd) : 0;

	if (setup.isolation == ISOLATION_GUEST)
		setup.process.cgroups = daemon->cgroups = cgroup_find();
	if (!err)
		err = guests_new(&setup, &daemon->guests);
	if (!err)
		loop_tick_add(daemon->loop, &daemon->guests_tick, look_after_guests,
			      daemon->guests);
	return err;
}

static int start_registry(struct daemon *daemon)
{
	daemon->opener = opener_new(daemon->loop, openings);
	if (!daemon->opener)
		return -ENOMEM;
	daemon->env = (struct device_env){
		.store = &daemon->store,
		.loop = daemon->loop,
		.guests = daemon->guests,
		.served_apart = daemon->options.isolation == ISOLATION_GUEST,
		.nr_workers = count_workers(daemon),
		.opener = daemon->opener,
		.runtime_dir = daemon->options.runtime_dir,
		.disk = &daemon->options.disk,
		.vif = &daemon->options.vif,
		.settings = &daemon->options.settings,
		.looked = looked,
	};
	sweep(&daemon->env);
	choose_kinds(daemon->options.serve);
	daemon->registry = registry_new(&daemon->env, served);
	if (daemon->registry)
		return 0;
	log_error("cannot watch for devices: %s", strerror(errno));
	return -EIO;
}

/* Not fatal: guests are served without it. */
static void start_ctl(struct daemon *daemon)
{
	struct ctl_setup setup = { .loop = daemon->loop,
				   .runtime_dir = daemon->options.runtime_dir,
				   .ask = ctl_command,
				   .user = &daemon->asked };
	int err;

	daemon->asked = (struct ctl_daemon){ .env = &daemon->env,
					     .registry = daemon->registry,
					     .options = &daemon->options,
					     .started_ns = loop_now_ns(),
					     .check = check,
					     .reload = reload,
					     .user = daemon };
	err = ctl_new(&setup, &daemon->ctl);
	if (err)
		log_error("the admin's socket %s/ctl cannot be made, and pvbackctl has nobody to "
			  "ask: %s",
			  daemon->options.runtime_dir, strerror(-err));
}

static void start_metrics(struct daemon *daemon)
{
	struct metrics_socket_setup setup = { .loop = daemon->loop,
					      .runtime_dir = daemon->options.runtime_dir,
					      .write = metrics_write_all,
					      .user = &daemon->measured };
	int err;

	daemon->measured = (struct metrics_daemon){ &daemon->env, daemon->registry };
	err = metrics_socket_new(&setup, &daemon->metrics);
	if (err)
		log_error("the socket %s/metrics cannot be made, so nobody can ask for metrics: %s",
			  daemon->options.runtime_dir, strerror(-err));
}

/* We know the processes that still serve. Now look at the devices. */
static void all_greeted(void *user)
{
	struct daemon *daemon = user;

	daemon->err = start_registry(daemon);
	if (daemon->err) {
		loop_quit(daemon->loop);
		return;
	}
	start_ctl(daemon);
	start_metrics(daemon);
	warn_of_kernel_backends();
	log_info("pvbackd %s serves with %u workers", PACKAGE_VERSION, count_workers(daemon));
	sd_notify(0, "READY=1");
}

/* On the watchdog's thread, when the control thread waits for xenstored and sees no signal. Requests are safe in journals. */
static void stop_without_xenstored(void)
{
	sigset_t set;

	if (sigpending(&set) < 0 || !(sigismember(&set, SIGTERM) || sigismember(&set, SIGINT)))
		return;
	log_info("stopping, without xenstored; the guests keep their devices and wait");
	log_stop();
	_exit(EXIT_SUCCESS);
}

static bool guests_are_live(void *user)
{
	const struct daemon *daemon = user;

	return !daemon->guests || guests_live(daemon->guests);
}

static int start_watchdog(struct daemon *daemon)
{
	const struct watchdog_setup setup = {
		.control = daemon->loop,
		.serves = guests_are_live,
		.user = daemon,
		.store = &daemon->store,
		.held_up = stop_without_xenstored,
	};
	int err = watchdog_start(&setup, &daemon->watchdog);

	if (err)
		log_error("the watchdog's thread cannot be started: %s", strerror(-err));
	return err;
}

static int start(struct daemon *daemon)
{
	int err = spawn_reserve();

	if (err) {
		log_error("/dev/null cannot be opened, or no more than once: %s", strerror(-err));
		return err;
	}
	raise_limits();
	daemon->loop = loop_new();
	if (!daemon->loop)
		return -ENOMEM;
	err = take_signals(daemon);
	if (!err)
		err = log_start();
	if (!err)
		err = take_runtime_dir(daemon);
	if (!err)
		tap_keeper_start(daemon->options.runtime_dir);
	if (!err)
		err = start_watchdog(daemon);
	if (!err)
		err = open_store(daemon);
	if (!err)
		err = start_guests(daemon);
	if (!err)
		guests_find(daemon->guests, all_greeted, daemon);
	return err;
}

static void stop(struct daemon *daemon)
{
	registry_free(daemon->registry);
	loop_tick_remove(&daemon->guests_tick);
	guests_free(daemon->guests);
	guest_free(daemon->guest);
	tap_keeper_stop();
	watchdog_stop(daemon->watchdog);
	opener_free(daemon->opener);
	watchdog_free(daemon->watchdog);
	store_close(&daemon->store);
	if (daemon->loop)
		loop_remove(daemon->loop, daemon->signal_watch);
	if (daemon->signal_fd >= 0)
		close(daemon->signal_fd);
	loop_free(daemon->loop);
	if (daemon->cgroups >= 0)
		close(daemon->cgroups);
	if (daemon->lock_fd >= 0)
		close(daemon->lock_fd);
}

static int serve(struct daemon *daemon)
{
	int err = start(daemon);
	bool left;

	if (!err)
		err = loop_run(daemon->loop);
	if (!err)
		err = daemon->err;
	if (!err && daemon->store.lost && !daemon->told_to_stop)
		err = -ENOTCONN;
	/* In every case: no socket may stay behind without a daemon. */
	daemon->ctl = ctl_free(daemon->ctl);
	daemon->metrics = metrics_socket_free(daemon->metrics);
	daemon->leave |= err == -ENOTCONN && daemon->env.served_apart;
	left = daemon->leave || (daemon->registry && registry_leaves_any(daemon->registry)) ||
	       (daemon->guest && guest_lingers(daemon->guest));
	if (!left)
		stop(daemon);
	log_stop();
	if (left && err != -ENOTCONN) /* threads hang, so we cannot wait for them */
		_exit(err ? EXIT_FAILURE : EXIT_SUCCESS);
	return err;
}

/*
 * When the connection to xenstored ends, all watches are lost, and what we have read may be outdated. So execute the
 * program again: it takes the rings up as after any restart, and needs no systemd for that.
 */
static void start_anew(char **argv)
{
	close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	struct daemon daemon = {
		.argc = argc, .argv = argv, .cgroups = -1, .signal_fd = -1, .lock_fd = -1
	};
	int err;

	if (argc == 2 && !strcmp(argv[1], OPENER_ARGUMENT))
		return opener_serve(openings);
	if (log_journal_is_stderr())
		log_set_sink(log_journal_send);
	events_start();
	if (guest_main_is_meant(argc, argv))
		return guest_main(argc, argv, planes, guest_kinds);
	switch (options_parse(argc, argv, &daemon.options)) {
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_WRONG:
		return EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	apply_options(&daemon.options);
	err = serve(&daemon);
	options_free(&daemon.options);
	if (err == -ENOTCONN)
		start_anew(argv);
	return err && err != -EINTR ? EXIT_FAILURE : EXIT_SUCCESS;
}
