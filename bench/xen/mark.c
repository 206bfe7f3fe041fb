/* SPDX-License-Identifier: MIT */
/*
 * mark - for each line of its input, open a window of so many milliseconds, and print the window's number when it is over. The
 * program that asked sleeps meanwhile, so that only the load is counted.
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
