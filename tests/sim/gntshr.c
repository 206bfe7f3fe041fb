/* SPDX-License-Identifier: MIT */
/*
 * gntshr.c - the part of libxengnttab for pages that a process grants to its own domain, for its own copies. (No domain of the
 * simulated machine maps them.) As with gntalloc, the pages stay as long as they are mapped, also after the handle is closed.
 * mremap() moves them, and they stay the same pages.
 */
#include "gnttab.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIRST_REF (1u << 30) /* no guest's is as large */

/* Pages that were shared in one call, mapped a second time. They are never forgotten: a process has few. */
struct shared {
	struct shared *next;
	char *addr;
	uint32_t first, count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared *all;
static uint32_t next_ref = FIRST_REF;

xengntshr_handle *xengntshr_open(struct xentoollog_logger *logger, unsigned int flags)
{
	int err = sim_fail("xengntshr_open");

	(void)logger, (void)flags;
	errno = err;
	return err ? NULL : calloc(1, sizeof(struct xengntdev_handle));
}

int xengntshr_close(xengntshr_handle *xgs)
{
	free(xgs);
	return 0;
}

static void *map(int fd, size_t bytes)
{
	void *addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return addr == MAP_FAILED ? NULL : addr;
}

/* Two mappings of the same fresh memory: the caller's, and ours. */
static bool map_twice(size_t bytes, char **ret_theirs, char **ret_ours)
{
	int fd = memfd_create("gntalloc", MFD_CLOEXEC);
	bool fine = fd >= 0 && ftruncate(fd, (off_t)bytes) == 0;

	*ret_theirs = fine ? map(fd, bytes) : NULL;
	*ret_ours = *ret_theirs ? map(fd, bytes) : NULL;
	if (*ret_theirs && !*ret_ours)
		munmap(*ret_theirs, bytes);
	if (fd >= 0)
		close(fd);
	return *ret_ours != NULL;
}

void *xengntshr_share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs,
			    int writable)
{
	struct shared *shared = malloc(sizeof(*shared));
	int err = sim_fail("xengntshr_share_pages");
	char *theirs = NULL;

	(void)xgs, (void)domid, (void)writable;
	if (!shared || err || !map_twice((size_t)count * SIM_PAGE_SIZE, &theirs, &shared->addr)) {
		free(shared);
		errno = err ? err : ENOMEM;
		return NULL;
	}
	pthread_mutex_lock(&lock);
	shared->first = next_ref;
	shared->count = (uint32_t)count;
	shared->next = all;
	all = shared;
	next_ref += shared->count;
	pthread_mutex_unlock(&lock);
	for (uint32_t i = 0; i < shared->count; i++)
		refs[i] = shared->first + i;
	return theirs;
}

int xengntshr_unshare(xengntshr_handle *xgs, void *start_address, uint32_t count)
{
	(void)xgs;
	return munmap(start_address, (size_t)count * SIM_PAGE_SIZE);
}

char *sim_shared_page(uint32_t ref)
{
	const struct shared *shared;
	char *addr = NULL;

	pthread_mutex_lock(&lock);
	for (shared = all; shared && !addr; shared = shared->next)
		if (ref - shared->first < shared->count)
			addr = shared->addr + (size_t)(ref - shared->first) * SIM_PAGE_SIZE;
	pthread_mutex_unlock(&lock);
	return addr;
}
