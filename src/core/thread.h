/* SPDX-License-Identifier: MIT */
/* Threads that nobody waits for: one may be held up for ever. */
#ifndef PVB_THREAD_H
#define PVB_THREAD_H

/* Run `main` in a thread that ends by itself. Signals stay the main thread's. 0 or -errno. */
int thread_start(void *(*main)(void *user), void *user);

#endif
