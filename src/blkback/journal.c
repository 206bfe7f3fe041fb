/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blkback/journal.h"

_Static_assert(sizeof(struct blk_segment) == 8, "journal version 1");
_Static_assert(sizeof(struct journal_header) == 32, "journal version 1");
_Static_assert(sizeof(struct journal_entry) == 120, "journal version 1");

static int path_of(const struct journal_id *id, char *path, size_t size)
{
	int n = snprintf(path, size, "%s/vbd-%u-%u-%u.journal", id->dir, id->domid, id->devid,
			 id->queue);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static size_t bytes_of(uint32_t nr_entries)
{
	return sizeof(struct journal_header) + nr_entries * sizeof(struct journal_entry);
}

/* The blocks are allocated here: a full tmpfs must not be found out by SIGBUS in a worker. */
static int map_file(struct journal *journal, int fd)
{
	int err = posix_fallocate(fd, 0, (off_t)journal->bytes);
	void *addr;

	if (err)
		return -err;
	addr = mmap(NULL, journal->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		return -errno;
	journal->header = addr;
	journal->entries = (struct journal_entry *)(void *)(journal->header + 1);
	return 0;
}

int journal_create(struct journal *journal, const struct journal_id *id, uint32_t nr_entries)
{
	int err, fd;

	*journal = (struct journal){ .bytes = bytes_of(nr_entries) };
	err = path_of(id, journal->path, sizeof(journal->path));
	if (err)
		return err;
	if (unlink(journal->path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(journal->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = map_file(journal, fd);
	close(fd);
	if (err) {
		journal_close(journal, true);
		return err;
	}
	*journal->header = (struct journal_header){
		.magic = JOURNAL_MAGIC,
		.version = JOURNAL_VERSION,
		.entry_size = sizeof(struct journal_entry),
		.nr_entries = nr_entries,
		.domid = id->domid,
		.devid = id->devid,
		.queue = id->queue,
	};
	return 0;
}

static bool is_ours(const struct journal_header *header, const struct journal_id *id, off_t size)
{
	return header->magic == JOURNAL_MAGIC && header->version == JOURNAL_VERSION &&
	       header->entry_size == sizeof(struct journal_entry) && header->nr_entries <= 512 &&
	       (off_t)bytes_of(header->nr_entries) == size && header->domid == id->domid &&
	       header->devid == id->devid && header->queue == id->queue;
}

static int count_taken(int fd, const struct journal_id *id)
{
	struct journal_header header;
	struct journal_entry entry;
	struct stat st;
	int taken = 0;

	if (fstat(fd, &st) < 0 || read(fd, &header, sizeof(header)) != (ssize_t)sizeof(header) ||
	    !is_ours(&header, id, st.st_size))
		return -EBADMSG;
	for (uint32_t i = 0; i < header.nr_entries; i++) {
		if (read(fd, &entry, sizeof(entry)) != (ssize_t)sizeof(entry))
			return -EBADMSG;
		taken += entry.state != JOURNAL_FREE;
	}
	return taken;
}

int journal_count_left(const struct journal_id *id)
{
	char path[256];
	int fd, taken, err = path_of(id, path, sizeof(path));

	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	taken = count_taken(fd, id);
	close(fd);
	return taken;
}

/* Release: a crash never leaves a taken entry that is not whole. */
void journal_take(struct journal_entry *entry)
{
	__atomic_store_n(&entry->state, JOURNAL_TAKEN, __ATOMIC_RELEASE);
}

void journal_release(struct journal_entry *entry)
{
	__atomic_store_n(&entry->state, JOURNAL_FREE, __ATOMIC_RELEASE);
}

void journal_close(struct journal *journal, bool remove)
{
	if (journal->header)
		munmap(journal->header, journal->bytes);
	if (remove && *journal->path)
		unlink(journal->path);
	*journal = (struct journal){ 0 };
}
