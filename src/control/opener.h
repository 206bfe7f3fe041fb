/* SPDX-License-Identifier: MIT */
/*
 * Opening an image and connecting to a server may block for any time. Control makes no such call: a process that waits for
 * dead storage cannot be killed, and its lock would keep the next control from starting. A child makes these calls (this
 * program, executed again) and passes the descriptor back.
 *
 * One child answers many questions, one after the other. When a question takes long, the next one goes to another child.
 * When nobody wants an answer any more the child is killed, and nobody waits for its end.
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

/* A kind of question. A question is a struct without pointers. The answer is written into the same struct. */
struct opener_kind {
	size_t bytes; /* at most OPENER_BYTES_MAX */
	/* Called in the child, and may block: answer the question in place. Returns the descriptor to pass back, or -1. */
	int (*answer)(void *question);
};

/* Embedded in whatever waits for the answer. */
struct opener_request {
	const struct opener_kind *kind; /* borrowed */
	void *question;                 /* borrowed until done() */
	/*
	 * Called in the control loop, never from within opener_ask(). `question` holds the answer, and `fd` is the callee's now,
	 * or -1. With an -errno there is no answer.
	 */
	void (*done)(struct opener_request *req, int err, int fd);
	/* for the opener */
	TAILQ_ENTRY(opener_request) link;
	struct opener_child
		*child; /* borrowed: the child that has it; NULL: it waits, or is not asked */
	bool waits;
};

/* `kinds`: all kinds, NULL-terminated; the child must have the same. Returns NULL when there is no memory. */
struct opener *opener_new(struct loop *loop, const struct opener_kind *const *kinds);
/* No question may be open. Does not wait for children. NULL is fine; returns NULL. */
struct opener *opener_free(struct opener *opener);

/* 0: done() follows; or -errno when no child can be started. */
int opener_ask(struct opener *opener, struct opener_request *req);
/* The answer is no longer wanted: done() does not follow. Idempotent. */
void opener_give_up(struct opener *opener, struct opener_request *req);

/* The child's main(): answer until control is gone. The process's exit status. */
int opener_serve(const struct opener_kind *const *kinds);

#endif
