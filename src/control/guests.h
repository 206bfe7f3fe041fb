/* SPDX-License-Identifier: MIT */
/*
 * Control's end of the links to those who serve the rings (guest/guest.h): a process for each guest that has a device, or
 * one thread for all guests. A process is started when a device needs it, and is found again after a restart of control.
 * It is asked whether it lives, and is replaced when it does not. Control thread only.
 *
 * Two processes never serve one guest: a new one is started only when the old one is gone. If the old one cannot die,
 * because the kernel still has its I/O, its own guest waits and no other does.
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
		hung_s; /* a process that has not answered for so long is killed; all its loops turn many times a second */
	struct guest_process_setup process;
};

/* 0 with *ret, or -errno. */
int guests_new(const struct guests_setup *setup, struct guests **ret);
/*
 * Greet the processes that an earlier control left. `greeted` follows when each has answered or has been given up; it may
 * be called from within. Start no process before.
 */
void guests_find(struct guests *guests, void (*greeted)(void *user), void *user);
/*
 * All devices have been looked at. Those that nobody has adopted exist no longer: stop them. And begin to replace the
 * processes from before an upgrade, one after the other. The next has its turn when the devices of the one before are
 * served again, or cannot be, or after five seconds.
 */
void guests_looked(struct guests *guests);
/* To be called once a second: asks the processes whether they live, and has devices give their notices. */
void guests_look_after(struct guests *guests);
/* The processes go on by themselves. NULL is fine; returns NULL. */
struct guests *guests_free(struct guests *guests);

/* What is known of a process. */
struct guests_process {
	uint32_t domid;
	pid_t pid;           /* 0 until the next one starts */
	const char *version; /* borrowed; "": it has not greeted yet */
	uint32_t protocol;
	uint64_t since_ns; /* when it was started, or found by us; or when the one before it died */
	unsigned int restarts; /* how often that guest's process was replaced since we run */
	const char *
		state; /* "starting", "serving", "ending", "hung"; "waits": the next starts later */
};
void guests_each(struct guests *guests,
		 void (*each)(void *user, const struct guests_process *process), void *user);
/* Tell that guest's process to let go of its rings and end. The next one takes them up. Returns its pid, or -ENOENT. */
pid_t guests_restart(struct guests *guests, uint32_t domid);
/*
 * What a guest, or a device with `awaits_guest`, waits for: "the process that serves guest db has died 5 times in a
 * row; ...". False when it waits for nothing.
 */
bool guests_awaited(const struct guests *guests, uint32_t domid, char *buf, size_t size);
/* The process that serves a device's rings; with isolation = none our own; 0: none. */
pid_t guests_pid(const struct device *dev);

/* Write a line about a guest's process into the log: "guest DOMID: ...". And whether a line is such a one (log.h). */
void guests_log(uint32_t domid, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool guests_logged(const char *who, uint32_t *ret_domid);

/* Whether all loops of the thread that serves all guests have turned lately. guests_look_after() sees to processes. */
bool guests_live(const struct guests *guests);
/* Tell all of them to write their figures into the log. */
void guests_dump(struct guests *guests);
/* Tell all of them which lines to drop: those above this level. */
void guests_set_log_level(struct guests *guests, enum log_level level);
/* Tell all processes, and later ones, where to write traces (log_trace_to()). Takes the descriptor. */
void guests_trace_to(struct guests *guests, int fd);
/* Tell all processes to let go of their rings and end, as soon as their media allow it. The guests wait. */
void guests_end(struct guests *guests);

/* --- for devices --- */

/*
 * Whether guests_start() may be called now. False while the process that served it last is not gone, or when its guest's
 * processes have died too often. Then env->ready() is called when it is time to try again.
 */
bool guests_may_start(struct device *dev);
/*
 * Send a START to the guest's process, which is started if there is none; kind, ids and life are filled in here.
 * ops->answer() follows with STARTED, or ops->lost(). No message of an earlier life comes after this. 0, or -errno when no
 * process can be started. The descriptors stay the caller's.
 */
int guests_start(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds);
/* Send a later message about the device; kind, ids and life are filled in here. Does nothing if no process serves it. */
void guests_send(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds);
/* Nobody needs what its rings hold any more: do not wait long for the process that serves them. */
void guests_abandon(struct device *dev);
/* The device is no longer served: call this after STOPPED, or after a STARTED with an error. Idempotent. */
void guests_forget(struct device *dev);

/* The device is served again, or will not be. Then the next process may have its turn. Idempotent. */
void guests_returned(struct device *dev);
/*
 * For a device that is not attached and whose rings must not be served any more. False if a process of an earlier life
 * serves them that cannot be told to stop this device. Then it is told to end, before its turn; env->ready() follows when
 * it is gone, or when that takes long.
 */
bool guests_release(struct device *dev);

/* Whether a process that has outlived the last control serves the device. */
bool guests_left(const struct device *dev);
/*
 * Take the device over from that process: gives its START, and what has happened since. The device is then as after
 * guests_start() and STARTED. Only after guests_left() has said true, and once.
 */
void guests_adopt(struct device *dev, struct message *ret_start, struct message_served *ret_served);

#endif
