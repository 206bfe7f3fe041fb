/* SPDX-License-Identifier: MIT */
/*
 * Control's end of the links to whoever serves the rings (guest/guest.h): one process for each guest that has a device,
 * or one thread for all. It is started when a device needs it, found again after a restart of control, asked whether it
 * lives, and replaced when it does not. Control thread only.
 *
 * Two processes never serve one guest: a new one is started when the old one is gone for certain. One that cannot die
 * (the kernel still has its I/O) is waited for, by its own guest alone.
 */
#ifndef PVB_GUESTS_H
#define PVB_GUESTS_H

#include "control/device.h"
#include "control/guest_process.h"
#include "core/messages.h"

enum isolation {
	ISOLATION_NONE,  /* all rings on threads of control's process */
	ISOLATION_GUEST, /* a process for each guest */
};

struct guests_setup {
	enum isolation isolation;
	struct loop *loop;   /* borrowed: control's */
	struct store *store; /* borrowed: for the guests' names */
	int fd;              /* of the thread that serves all; owned; below 0: processes do */
	unsigned int
		hung_s; /* without an answer: a process is ended; every loop of it turns many times a second */
	struct guest_process_setup process;
};

/* 0 with *ret, or -errno. */
int guests_new(const struct guests_setup *setup, struct guests **ret);
/*
 * Greet the processes that an earlier control left: `greeted` follows, when all have answered or have been given up, and
 * may come at once. Nothing may be started before.
 */
void guests_find(struct guests *guests, void (*greeted)(void *user), void *user);
/*
 * All devices that there are have been looked at. Those that nobody has adopted are no more: they are stopped. And the
 * processes of another version are replaced, the next one when the one before has somebody else serve its devices, or
 * when they are not served for other reasons, or after five seconds.
 */
void guests_looked(struct guests *guests);
/* To be called once a second: who serves is asked whether it lives, and devices whose figures tell something say so. */
void guests_look_after(struct guests *guests);
/* The processes go on by themselves. NULL is fine; returns NULL. */
struct guests *guests_free(struct guests *guests);

/* What is known of a process. */
struct guests_process {
	uint32_t domid;
	pid_t pid;           /* 0 while the next is waited for */
	const char *version; /* borrowed; "": it has not greeted yet */
	uint32_t protocol;
	uint64_t since_ns;     /* it was started, or found by us; or the one before it has died */
	unsigned int restarts; /* of that guest's processes before it, since we run */
	const char *
		state; /* "starting", "serving", "ending", "hung"; "waits": the next starts later */
};
void guests_each(struct guests *guests,
		 void (*each)(void *user, const struct guests_process *process), void *user);
/* Have that guest's process let go of its rings and end; the next takes them up. Its number, or -ENOENT. */
pid_t guests_restart(struct guests *guests, uint32_t domid);
/*
 * What a guest, or a device of it that awaits_guest, waits for: "the process that serves guest db has died 5 times in a
 * row; ...". False when there is nothing to say.
 */
bool guests_awaited(const struct guests *guests, uint32_t domid, char *buf, size_t size);
/* Who serves a device's rings: ourselves, with isolation = none; 0: nobody. */
pid_t guests_pid(const struct device *dev);

/* A line of the log about a guest's process, which begins with "guest DOMID: "; whether a line is about one (log.h). */
void guests_log(uint32_t domid, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool guests_logged(const char *who, uint32_t *ret_domid);

/* Whether every loop of the thread that serves all has turned lately. Processes are looked after here. */
bool guests_live(const struct guests *guests);
/* Have all of them write their figures into the log. */
void guests_dump(struct guests *guests);
/* Lines of theirs above this level are dropped from now on. */
void guests_set_log_level(struct guests *guests, enum log_level level);
/* Have all processes, also those to come, put their traces there (log_trace_to()). Takes the descriptor. */
void guests_trace_to(struct guests *guests, int fd);
/* Have all processes let go of their rings and end, as soon as their media let them; the guests wait. */
void guests_end(struct guests *guests);

/* --- for devices --- */

/*
 * Whether guests_start() may be called now. False when whoever served it last is not gone yet, or has died too often of
 * late: env->ready() tells when it is worth another try.
 */
bool guests_may_start(struct device *dev);
/*
 * Have the device served: message->type is a START; kind, ids and life are filled in here. ops->answer() follows with
 * STARTED, or ops->lost(). Nothing of an earlier life comes any more. 0, or -errno when nobody can be started who would
 * serve it. The descriptors stay the caller's.
 */
int guests_start(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds);
/* Any later message for it: kind, ids and life are filled in here. Nothing happens if nobody serves it. */
void guests_send(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds);
/* Nobody waits any more for what its rings hold: nor does it, for long, for a word of whoever serves them. */
void guests_abandon(struct device *dev);
/* It is served no more: after STOPPED, or a STARTED that says no. Idempotent. */
void guests_forget(struct device *dev);

/* It is served, or it will not be: the next one's turn may come. Whenever that is decided; idempotent. */
void guests_returned(struct device *dev);
/*
 * For a device that is not attached, when nothing may be done with its rings any more: false if a process of an earlier
 * life has them that cannot be asked to stop it. It is told to end, before its turn, and env->ready() follows when it is
 * gone, or takes long.
 */
bool guests_release(struct device *dev);

/* Whether a process that outlived the last control serves it. */
bool guests_left(const struct device *dev);
/*
 * What that process says of it: how it was started, and what happened since. Once: the device is then as after
 * guests_start() and STARTED. Only when guests_left() says so.
 */
void guests_adopt(struct device *dev, struct message *ret_start, struct message_served *ret_served);

#endif
