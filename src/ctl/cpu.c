/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/cpu.h"

uint64_t cpu_of(uint64_t pid)
{
	uint64_t user, system;
	char path[48], line[1024];
	const char *at = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fgets(line, sizeof(line), file))
		at = strrchr(line, ')'); /* what the program calls itself may have anything in it */
	fclose(file);
	if (!at ||
	    sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
		   &user, &system) != 2)
		return 0;
	return (user + system) * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
}

double cpu_share(uint64_t before_ns, uint64_t now_ns, uint64_t interval_ns)
{
	if (!before_ns || now_ns < before_ns || !interval_ns)
		return -1;
	return (double)(now_ns - before_ns) / (double)interval_ns;
}
