/* SPDX-License-Identifier: MIT */
/*
 * fake_process.h - control/guest_process.h without processes: the test has the other end of each socket, and says when the
 * kernel has ended a process. Each domid has at most one.
 */
#ifndef FAKE_PROCESS_H
#define FAKE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_PROCESSES 8u /* domids below that */

struct fake_process {
	int fd;      /* the process's end; below 0: there is none */
	bool left;   /* guest_process_find() finds it */
	bool killed; /* but it has not noticed that yet */
	unsigned int nr_started;
};

extern struct fake_process fake_processes[FAKE_PROCESSES];

/* A process that already ran when control started. */
void fake_process_leave(uint32_t domid);
/* End the process: its end of the socket is closed, and control is told. */
void fake_process_die(uint32_t domid);
/* End all processes, without telling control. */
void fake_process_reset(void);

#endif
