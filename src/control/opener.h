/* SPDX-License-Identifier: MIT */
/*
 * Calls that a medium or a server can hold up for any time: opening an image, connecting. Control makes none of them:
 * a process that waits for dead storage cannot be killed, keeps its locks, and with them the next control from
 * starting. A child makes them (this program, executed again) and passes the descriptor back.
 *
 * One child answers many questions, one after the other. Where one is slow, it keeps its question and others go on with
 * another child; where nobody asks any more, it is told to end and nobody waits until it can.
 */
#ifndef PVB_OPENER_H
#define PVB_OPENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "core/loop.h"

#define OPENER_ARGUMENT  "--internal-open" /* the only one of the child */
#define OPENER_BYTES_MAX 32768u

struct opener;
struct opener_child;

/* A kind of question. It is a struct without pointers, and so is the answer: the same one. */
struct opener_kind {
	size_t bytes; /* at most OPENER_BYTES_MAX */
	/* In the child, which may wait as long as it takes: answer it in place. Returns what to pass back, or -1. */
	int (*answer)(void *question);
};

/* Embedded in whatever waits for the answer. */
struct opener_request {
	const struct opener_kind *kind; /* borrowed */
	void *question;                 /* borrowed until done() */
	/*
	 * In the control loop, never from within opener_ask(): `question` holds the answer, and `fd` is the caller's now,
	 * or -1. Or -errno: there is no answer.
	 */
	void (*done)(struct opener_request *req, int err, int fd);
	/* the opener's */
	TAILQ_ENTRY(opener_request) link;
	struct opener_child *child; /* borrowed: who has it; NULL: it waits, or nobody asks */
	bool waits;
};

/* `kinds`: all that there are, NULL behind the last: the same as the child's. NULL when there is no memory. */
struct opener *opener_new(struct loop *loop, const struct opener_kind *const *kinds);
/* Nothing may be asked. It waits for nobody. NULL is fine; returns NULL. */
struct opener *opener_free(struct opener *opener);

/* 0, with done() to follow; or -errno when there can be no child. */
int opener_ask(struct opener *opener, struct opener_request *req);
/* Nobody wants to know any more: done() does not follow. Idempotent. */
void opener_give_up(struct opener *opener, struct opener_request *req);

/* The child's main(): answer until control is gone. The process's exit status. */
int opener_serve(const struct opener_kind *const *kinds);

#endif
