/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>

#include "core/thread.h"

int thread_start(void *(*main)(void *user), void *user)
{
	sigset_t all, old;
	pthread_t id;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&id, NULL, main, user);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_detach(id);
	return -err;
}
