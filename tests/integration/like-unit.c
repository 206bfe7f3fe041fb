/* SPDX-License-Identifier: MIT */
/*
 * like-unit NUMBERS COMMAND... - run a command as systemd does with SystemCallFilter= and
 * SystemCallErrorNumber=EPERM: the system calls of those numbers (with blanks between them) are allowed.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { MAX_FILTER = 4096 };

static struct sock_filter filter[MAX_FILTER];
static unsigned short nr;

static void add(struct sock_filter insn)
{
	if (nr == MAX_FILTER)
		exit(2);
	filter[nr++] = insn;
}

static void allow(unsigned int number)
{
	add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

int main(int argc, char **argv)
{
	struct sock_fprog program = { .filter = filter };
	char *number, *end;

	if (argc < 3)
		return 2;
	add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					 offsetof(struct seccomp_data, nr)));
	for (number = argv[1]; *number; number = end + (*end == ' '))
		allow((unsigned int)strtoul(number, &end, 10));
	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1 /* EPERM */));
	program.len = nr;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("seccomp");
		return 2;
	}
	execv(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
