/* SPDX-License-Identifier: MIT */
/*
 * mark - opens a window of as many milliseconds as each line of its input says, and answers with the window's number
 * when it is over. Who asked sleeps meanwhile, so that what is counted is the load alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mark.h"

/* nopl DISPLACEMENT(%rax,%rax,1) */
#define MARK(displacement)                                                                         \
	__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00\n\t.long %c0"                               \
			 :                                                                         \
			 : "i"(displacement)                                                       \
			 : "memory")

static void window(long ms)
{
	struct timespec length = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	MARK(MARK_BEGIN);
	nanosleep(&length, NULL);
	MARK(MARK_END);
}

int main(void)
{
	char line[32];
	unsigned int number = 0;

	while (fgets(line, sizeof(line), stdin)) {
		window(strtol(line, NULL, 10));
		printf("%u\n", ++number);
		fflush(stdout);
	}
	return 0;
}
