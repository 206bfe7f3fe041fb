/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "blkback/nbd_keep.h"
#include "core/statefile.h"

#define KEEP_MAGIC    0x5045454b4e560001ull
#define WORTH_FREEING 65536u

static uint64_t sum_of(const char *text)
{
	uint64_t sum = 14695981039346656037ull;

	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * 1099511628211ull;
	return sum;
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static bool is_readable(const struct nbd_keep *keep, const char *name)
{
	const struct nbd_keep_header *h = keep->header;

	return h->magic == KEEP_MAGIC && h->name == sum_of(name) && h->start <= h->end &&
	       h->end - h->start <= NBD_KEEP_BYTES;
}

static void begin(struct nbd_keep *keep, const char *name)
{
	struct nbd_keep_header *h = keep->header;

	store(&h->magic, 0);
	store(&h->start, 0);
	store(&h->end, 0);
	h->name = sum_of(name);
	store(&h->magic, KEEP_MAGIC);
}

int nbd_keep_open(struct nbd_keep *keep, int fd, const char *name, bool *ret_lost)
{
	void *addr;
	int err = statefile_map(fd, NBD_KEEP_FILE_BYTES, &addr);

	*keep = (struct nbd_keep)NBD_KEEP_CLOSED;
	if (err)
		return err;
	*keep = (struct nbd_keep){ .fd = fd, .header = addr };
	*ret_lost = false;
	if (is_readable(keep, name))
		return 0;
	*ret_lost = keep->header->magic != 0;
	begin(keep, name);
	return 0;
}

void nbd_keep_close(struct nbd_keep *keep)
{
	statefile_unmap(keep->header, NBD_KEEP_FILE_BYTES);
	keep->header = NULL;
	statefile_close(&keep->fd);
}

/* --- the ring of bytes --- */

static off_t place(uint64_t pos)
{
	return (off_t)(NBD_KEEP_FILE_BYTES + pos % NBD_KEEP_BYTES);
}

/* How many of `bytes` from `pos` lie before the ring's end. */
static size_t before_wrap(uint64_t pos, size_t bytes)
{
	uint64_t left = NBD_KEEP_BYTES - pos % NBD_KEEP_BYTES;

	return bytes < left ? bytes : (size_t)left;
}

static int put(int fd, uint64_t pos, const void *buf, size_t bytes)
{
	const uint8_t *at = buf;

	while (bytes) {
		ssize_t n = pwrite(fd, at, before_wrap(pos, bytes), place(pos));

		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		at += n;
		pos += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int get(int fd, uint64_t pos, void *buf, size_t bytes)
{
	uint8_t *at = buf;

	while (bytes) {
		ssize_t n = pread(fd, at, before_wrap(pos, bytes), place(pos));

		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		at += n;
		pos += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

int nbd_keep_append(struct nbd_keep *keep, uint64_t offset, const void *buf, uint64_t bytes)
{
	struct nbd_keep_record record = { .offset = offset, .bytes = bytes };
	uint64_t end = load(&keep->header->end), used = end - load(&keep->header->start);
	int err;

	if (bytes > NBD_KEEP_LARGEST)
		return -E2BIG;
	if (sizeof(record) + bytes > NBD_KEEP_BYTES - used)
		return -ENOSPC;
	err = put(keep->fd, end, &record, sizeof(record));
	if (!err)
		err = put(keep->fd, end + sizeof(record), buf, (size_t)bytes);
	if (!err)
		store(&keep->header->end, end + sizeof(record) + bytes);
	return err;
}

uint64_t nbd_keep_mark(const struct nbd_keep *keep)
{
	return load(&keep->header->end);
}

void nbd_keep_drop(struct nbd_keep *keep, uint64_t mark)
{
	uint64_t start = load(&keep->header->start);

	if (mark <= start) /* a flush that was sent later was answered first */
		return;
	store(&keep->header->start, mark);
	if (nbd_keep_is_empty(keep) && mark - start >= WORTH_FREEING)
		fallocate(keep->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, NBD_KEEP_FILE_BYTES,
			  (off_t)NBD_KEEP_BYTES);
}

bool nbd_keep_is_empty(const struct nbd_keep *keep)
{
	return load(&keep->header->start) == load(&keep->header->end);
}

uint64_t nbd_keep_first(const struct nbd_keep *keep)
{
	return load(&keep->header->start);
}

int nbd_keep_next(const struct nbd_keep *keep, uint64_t *pos, struct nbd_keep_record *ret_record,
		  void *buf, size_t size)
{
	uint64_t left = load(&keep->header->end) - *pos;
	struct nbd_keep_record record;
	int err;

	if (left == 0)
		return -ENOENT;
	if (left < sizeof(record))
		return -EBADMSG;
	err = get(keep->fd, *pos, &record, sizeof(record));
	if (err)
		return err;
	if (record.bytes > size || record.bytes > left - sizeof(record))
		return -EBADMSG;
	err = get(keep->fd, *pos + sizeof(record), buf, (size_t)record.bytes);
	if (err)
		return err;
	*pos += sizeof(record) + record.bytes;
	*ret_record = record;
	return 0;
}
