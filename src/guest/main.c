/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/parse.h"
#include "guest/confine.h"
#include "guest/main.h"

struct arguments {
	uint32_t domid, nr_workers, log_level, uid, own_domid;
	bool confine;
};

bool guest_main_is_meant(int argc, char **argv)
{
	return argc > 1 && !strcmp(argv[1], GUEST_ARGUMENT);
}

static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	uint32_t confine_it;

	if (argc != 2 + (int)GUEST_ARGS || parse_u32(argv[2], 0, 0x7fef, &ret->domid) ||
	    parse_u32(argv[3], 1, 64, &ret->nr_workers) ||
	    parse_u32(argv[4], LOG_LEVEL_ERROR, LOG_LEVEL_DEBUG, &ret->log_level) ||
	    parse_u32(argv[5], 0, UINT32_MAX, &ret->uid) || parse_u32(argv[6], 0, 1, &confine_it) ||
	    parse_u32(argv[7], 0, 0x7fef, &ret->own_domid))
		return -EINVAL;
	ret->confine = confine_it;
	return 0;
}

/* Only control handles signals. An admin's Ctrl-C or a stop by systemd must not end a guest's process. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

/* Everything that it needs is open now, and it has read nothing from a ring yet. */
static int give_up_rights(struct guest *guest, const struct arguments *args)
{
	int err = guest_restrict(guest, args->domid);

	if (err)
		log_warning("the event channels of guest %u's process are not held to it: %s",
			    args->domid, strerror(-err));
	return confine(args->uid);
}

static int serve(const struct arguments *args, const struct plane *const *planes,
		 const struct guest_device_ops *const *kinds)
{
	const struct guest_setup setup = { .nr_workers = args->nr_workers,
					   .serves_one = true,
					   .own_domid = args->own_domid,
					   .fd = GUEST_LINK_FD,
					   .listen = GUEST_LISTEN_FD,
					   .planes = planes,
					   .kinds = kinds };
	struct guest *guest;
	int err = listen(GUEST_LISTEN_FD, 4) < 0 ? -errno : 0;

	if (err)
		return err;
	err = guest_new(&setup, &guest);
	if (err)
		return err;
	err = args->confine ? give_up_rights(guest, args) : 0;
	if (!err)
		err = log_start();
	if (!err)
		err = guest_run(guest);
	if (err == -ETIMEDOUT) {
		log_stop();
		_exit(EXIT_SUCCESS);
	}
	guest_free(guest);
	return err;
}

int guest_main(int argc, char **argv, const struct plane *const *planes,
	       const struct guest_device_ops *const *kinds)
{
	struct arguments args;
	int err;

	if (parse_arguments(argc, argv, &args) || fcntl(GUEST_LINK_FD, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(GUEST_LISTEN_FD, F_SETFD, FD_CLOEXEC) < 0) {
		log_error(GUEST_ARGUMENT " is for pvbackd itself");
		return EXIT_FAILURE;
	}
	log_set_level((enum log_level)args.log_level);
	prctl(PR_SET_NAME, "pvbackd-guest");
	mallopt(M_ARENA_MAX, 1); /* its threads hardly ask for memory: one heap is enough */
	ignore_signals();
	err = serve(&args, planes, kinds);
	if (err)
		log_error("guest %u: its process ends: %s", args.domid, strerror(-err));
	log_stop();
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
