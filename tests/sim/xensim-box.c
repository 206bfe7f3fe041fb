/* SPDX-License-Identifier: MIT */
/*
 * xensim-box - run a command that leaves no process behind, whatever it forks into the background.
 *
 * usage: xensim-box [--limit=SECONDS] COMMAND [ARG...]
 *
 * A process whose parent ends becomes a child of the box. The box kills all processes that are left when the command has ended,
 * after SECONDS (it then prints what still runs), at SIGTERM, SIGINT or SIGHUP, and when its own parent dies. Exit status: the command's;
 * 124 after the limit, 128 and the signal's number after a signal, 127 without the command.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"

static pid_t parent_of(const char *pid)
{
	char path[64], line[512];
	size_t len;
	int parent = -1;
	char *name_end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	len = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[len] = '\0';
	name_end = strrchr(line, ')'); /* the name may hold anything */
	if (name_end)
		sscanf(name_end, ") %*c %d", &parent);
	return parent;
}

/* The words in one of its files below /proc; empty if there is none. */
static const char *words_of(const char *pid, const char *name, char words[200])
{
	size_t len = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, name);
	file = fopen(path, "re");
	if (file) {
		len = fread(words, 1, 199, file);
		fclose(file);
	}
	for (size_t i = 0; i < len; i++)
		words[i] = words[i] ? words[i] : ' ';
	words[len] = '\0';
	return words;
}

static void tell(const char *pid)
{
	char words[200], where[200];

	if (*words_of(pid, "cmdline", words)) /* else it is dead already */
		fprintf(stderr, "xensim-box: still running: %s %s, in %s\n", pid, words,
			words_of(pid, "wchan", where));
}

/* Our own children only: theirs become ours when they are dead. */
static void kill_children(bool loudly)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		sim_die("/proc: %s", strerror(errno));
	while ((entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid <= 0 || parent_of(entry->d_name) != getpid())
			continue;
		if (loudly)
			tell(entry->d_name);
		kill(pid, SIGKILL);
	}
	closedir(proc);
}

static void kill_all(bool loudly)
{
	do
		kill_children(loudly);
	while (waitpid(-1, NULL, 0) > 0 || errno != ECHILD);
}

/*
 * The exit status. The signals that wake the box are blocked, and taken here one by one; SIGALRM is the
 * limit.
 */
static int wait_for(pid_t command, const sigset_t *signals, bool *ret_timeout)
{
	int status, sig;
	pid_t pid;

	for (;;) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == command)
				return WIFEXITED(status) ? WEXITSTATUS(status)
							 : 128 + WTERMSIG(status);
		sigwait(signals, &sig);
		*ret_timeout = sig == SIGALRM;
		if (*ret_timeout)
			return 124;
		if (sig != SIGCHLD)
			return 128 + sig;
	}
}

int main(int argc, char **argv)
{
	uint32_t limit = 0;
	sigset_t signals, before;
	pid_t command;
	bool timeout = false;
	int at = 1, result;

	if (argc > 1 && !strncmp(argv[1], "--limit=", 8)) {
		if (sim_parse_u32(argv[1] + 8, 1, 1000000, &limit))
			sim_die("\"%s\" is no number of seconds", argv[1] + 8);
		at = 2;
	}
	if (argc <= at)
		sim_die("usage: xensim-box [--limit=SECONDS] COMMAND [ARG...]");
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGALRM);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, &before);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) || prctl(PR_SET_PDEATHSIG, SIGTERM))
		sim_die("prctl: %s", strerror(errno));
	command = fork();
	if (command < 0)
		sim_die("fork: %s", strerror(errno));
	if (!command) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		execvp(argv[at], argv + at);
		fprintf(stderr, "xensim-box: %s: %s\n", argv[at], strerror(errno));
		_exit(127);
	}
	alarm(limit);
	result = wait_for(command, &signals, &timeout);
	if (timeout)
		fprintf(stderr, "xensim-box: %u seconds are over\n", limit);
	kill_all(timeout);
	return result;
}
