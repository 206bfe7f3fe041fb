/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "control/guest_process.h"
#include "core/link.h"
#include "fake/fake_process.h"

struct fake_process fake_processes[FAKE_PROCESSES] = {
	{ .fd = -1 }, { .fd = -1 }, { .fd = -1 }, { .fd = -1 },
	{ .fd = -1 }, { .fd = -1 }, { .fd = -1 }, { .fd = -1 },
};
static struct guest_process *watched[FAKE_PROCESSES];

static void close_end(struct fake_process *process)
{
	if (process->fd >= 0)
		close(process->fd);
	process->fd = -1;
}

static int open_one(uint32_t domid, struct guest_process *ret, int *ret_fd)
{
	int pair[2];

	if (domid >= FAKE_PROCESSES || link_pair(pair))
		abort();
	close_end(&fake_processes[domid]);
	fake_processes[domid].fd = pair[1];
	fake_processes[domid].killed = false;
	*ret = (struct guest_process){ .domid = domid, .pid = 1000, .pidfd = eventfd(0, 0) };
	*ret_fd = pair[0];
	return 0;
}

int guest_process_start(const struct guest_process_setup *setup, uint32_t domid, const char *name,
			struct guest_process *ret, int *ret_fd)
{
	(void)setup, (void)name;
	if (domid < FAKE_PROCESSES)
		fake_processes[domid].nr_started++;
	return open_one(domid, ret, ret_fd);
}

int guest_process_find(const struct guest_process_setup *setup, uint32_t domid,
		       struct guest_process *ret, int *ret_fd)
{
	(void)setup;
	return open_one(domid, ret, ret_fd);
}

unsigned int guest_process_list(const struct guest_process_setup *setup, uint32_t *ret_domids,
				unsigned int max)
{
	unsigned int nr = 0;

	(void)setup;
	for (uint32_t domid = 0; domid < FAKE_PROCESSES && nr < max; domid++)
		if (fake_processes[domid].left)
			ret_domids[nr++] = domid;
	return nr;
}

int guest_process_watch(struct guest_process *process, struct loop *loop, void (*gone)(void *user),
			void *user)
{
	process->loop = loop;
	process->gone = gone;
	process->user = user;
	watched[process->domid] = process;
	return 0;
}

void guest_process_kill(struct guest_process *process)
{
	if (process->pidfd >= 0)
		fake_processes[process->domid].killed = true;
}

void guest_process_close(struct guest_process *process, const struct guest_process_setup *setup,
			 bool over)
{
	(void)setup, (void)over;
	if (process->pidfd < 0)
		return;
	close(process->pidfd);
	process->pidfd = -1;
	watched[process->domid] = NULL;
}

void fake_process_leave(uint32_t domid)
{
	fake_processes[domid].left = true;
}

void fake_process_die(uint32_t domid)
{
	close_end(&fake_processes[domid]);
	if (watched[domid])
		watched[domid]->gone(watched[domid]->user);
}

void fake_process_reset(void)
{
	for (uint32_t domid = 0; domid < FAKE_PROCESSES; domid++) {
		close_end(&fake_processes[domid]);
		fake_processes[domid] = (struct fake_process){ .fd = -1 };
	}
}
