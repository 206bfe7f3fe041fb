/* SPDX-License-Identifier: MIT */
/*
 * A disk's ring is resumed with ten thousand damaged journals. Either each request that was in flight is answered once and
 * correctly, or the ring is refused and not touched. Whatever the damage, nothing else may happen.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "blkback/disk.h"
#include "blkback/image_open.h"
#include "blkback/vbd_file.h"
#include "fake/fake_guest.h"
#include "sim/guest.h"
#include "sim/hv.h"

#define NR_DAMAGES 10000
#define NR_SLOTS   32u
#define BASE       0xfffffff4u /* the indices wrap on the way */
#define ANSWERED   4u          /* requests that were answered */
#define TAKEN      20u         /* the others of these are in flight */
#define PUBLISHED  24u         /* the last ones are still on the ring */
#define PAGE       4096u
#define SLOT       112u
#define DEVID      51712u

enum { REQ_PROD, REQ_EVENT, RSP_PROD, RSP_EVENT };

static struct xensim *sim;
static struct sim_client_conn ctl;
static struct sim_guest guest;
static uint32_t domid, ring_gfn, ring_ref;
static uint32_t gfns[PUBLISHED], refs[PUBLISHED];
static xenevtchn_handle *guest_xce;
static int port;

static char dir[] = "/tmp/pvbackd-damage.XXXXXX";
static char path[128];
static struct message_image image;
static int image_fd;
static struct worker worker;
static struct loop *control;
static struct disk disk;
static uint8_t whole[8192]; /* the journal without damage */
static size_t whole_bytes;
static uint64_t random_state = 1;

static uint32_t pick(uint32_t limit)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((random_state >> 33) % limit);
}

/* --- the guest --- */

static uint32_t *ring_word(unsigned int which)
{
	return (uint32_t *)sim_guest_addr(&guest, ring_gfn) + which;
}

static uint8_t *ring_slot(uint32_t nr)
{
	return (uint8_t *)sim_guest_addr(&guest, ring_gfn) + 64 + ((BASE + nr) % NR_SLOTS) * SLOT;
}

/* Request `nr` reads page `nr` of the image. */
static void put_request(uint32_t nr)
{
	uint8_t *slot = ring_slot(nr);
	uint64_t id = nr, sector = nr * 8ull;

	memset(slot, 0, SLOT);
	slot[1] = 1;
	memcpy(slot + 8, &id, sizeof(id));
	memcpy(slot + 16, &sector, sizeof(sector));
	memcpy(slot + 24, &refs[nr], sizeof(refs[nr]));
	slot[29] = 7;
}

static void prepare_ring(void)
{
	for (uint32_t i = 0; i < PUBLISHED; i++) {
		memset(sim_guest_addr(&guest, gfns[i]), 0, PAGE);
		put_request(i);
	}
	*ring_word(REQ_PROD) = BASE + PUBLISHED;
	*ring_word(REQ_EVENT) = BASE + TAKEN + 1;
	*ring_word(RSP_PROD) = BASE + ANSWERED;
	*ring_word(RSP_EVENT) = BASE + ANSWERED + 1;
}

static bool page_is(uint32_t nr, uint8_t value)
{
	const uint8_t *page = sim_guest_addr(&guest, gfns[nr]);

	for (uint32_t i = 0; i < PAGE; i++)
		if (page[i] != value)
			return false;
	return true;
}

/* --- the backend --- */

static int start_err;
static bool keeps; /* whether the backend keeps its journal when it stops */

static void sent(const struct guest_device *device, const struct message *message)
{
	(void)device;
	CHECK(message->type == MESSAGE_STARTED || message->type == MESSAGE_STOPPED);
	start_err = message->started.err;
	loop_quit(control);
}

static struct guest side = { .worker = &worker, .sent = sent };

static int attach(bool resume, bool keep)
{
	const struct vbd_id id = { dir, domid, DEVID };
	struct message start = {
		.type = MESSAGE_START_DISK, .kind = MESSAGE_VBD, .domid = domid, .devid = DEVID
	};
	int fds[2], err = vbd_file_journal(&id, 0, NR_SLOTS, resume, &fds[0]);

	if (err)
		return err;
	start.disk.nr_rings = 1;
	start.disk.rings[0] = (struct message_disk_ring){ .nr_pages = 1,
							  .refs = { ring_ref },
							  .port = (uint32_t)port };
	start.disk.resume = resume;
	start.disk.discard = true;
	start.disk.image = image;
	fds[1] = dup(image_fd);
	keeps = keep;
	side.home = control;
	CHECK(fake_guest_start(&side, &disk_device_ops, &disk.device, &start, fds, 2) == 0);
	CHECK(loop_run(control) == 0);
	return start_err;
}

/* Before that, it answers the requests in flight. */
static void detach(void)
{
	fake_guest_stop(&disk.device, keeps);
	CHECK(loop_run(control) == 0);
}

/* --- the journal, and what may happen to it --- */

static void write_file(const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	CHECK(write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

static void take(struct journal *journal, uint32_t nr)
{
	struct journal_entry *entry = &journal->entries[nr % NR_SLOTS];
	const struct blkif_limits limits = { .nr_sectors = image.bytes / 512 };

	CHECK(blkif_parse(BLKIF_ABI_64, ring_slot(nr), &limits, &entry->req) == BLKIF_FINE);
	journal_take(journal, entry, BASE + nr);
}

/* The journal of a daemon that has died with sixteen requests in flight. */
static void make_whole(void)
{
	struct journal_id id = { .domid = domid, .devid = DEVID };
	struct journal journal;
	int fd;

	prepare_ring();
	*ring_word(REQ_PROD) = *ring_word(RSP_PROD) = BASE;
	CHECK(attach(false, true) == 0); /* so that the header fits this ring */
	detach();
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	CHECK(pread(fd, &id.ring, sizeof(id.ring), offsetof(struct journal_header, ring)) ==
	      sizeof(id.ring));
	prepare_ring();
	CHECK(journal_open(&journal, fd, &id, NR_SLOTS) == 0);
	for (uint32_t i = 0; i < TAKEN; i++)
		take(&journal, i);
	journal_announce(&journal, BASE + ANSWERED);
	for (uint32_t i = 0; i < ANSWERED; i++)
		journal_answer(&journal.entries[i]);
	journal_published(&journal, BASE + ANSWERED);
	for (uint32_t i = 0; i < ANSWERED; i++)
		journal_release(&journal.entries[i]);
	journal_close(&journal);
	whole_bytes = (size_t)read(fd, whole, sizeof(whole));
	CHECK(whole_bytes > 4000 && whole_bytes < sizeof(whole));
	close(fd);
}

static void flip_bits(uint8_t *bytes, size_t size)
{
	for (uint32_t nr = 1 + pick(8); nr; nr--)
		bytes[pick((uint32_t)size)] ^= (uint8_t)(1u << pick(8));
}

static void change_word(uint8_t *bytes, size_t size)
{
	static const uint32_t values[] = { 0, 1, 2, 3, 31, 32, 0x7fffffff, 0x80000000, UINT32_MAX };
	uint32_t at = pick((uint32_t)size / 4) * 4;
	uint32_t value = values[pick(sizeof(values) / sizeof(values[0]))];

	if (pick(2)) { /* one more or less than it was */
		memcpy(&value, bytes + at, sizeof(value));
		value += pick(2) ? 1 : -1u;
	}
	memcpy(bytes + at, &value, sizeof(value));
}

/* Whole entries, too: exchanged, or doubled. */
static void move_block(uint8_t *bytes, size_t size)
{
	uint32_t unit = pick(2) ? (uint32_t)sizeof(struct journal_entry) : 1 + pick(64);
	uint32_t first = unit == sizeof(struct journal_entry) ? sizeof(struct journal_header) : 0;
	uint32_t nr = ((uint32_t)size - first) / unit;

	memmove(bytes + first + pick(nr) * unit, bytes + first + pick(nr) * unit, unit);
}

static void fill_range(uint8_t *bytes, size_t size)
{
	uint32_t at = pick((uint32_t)size), len = 1 + pick(512);

	memset(bytes + at, pick(2) ? 0 : (int)pick(256), at + len > size ? size - at : len);
}

static void damage_bytes(void)
{
	static void (*const ways[])(uint8_t *, size_t) = { flip_bits, change_word, move_block,
							   fill_range };
	uint8_t bytes[sizeof(whole)];

	memcpy(bytes, whole, whole_bytes);
	for (uint32_t nr = 1 + pick(3); nr; nr--)
		ways[pick(4)](bytes, whole_bytes);
	write_file(bytes, whole_bytes);
}

static void damage_size(void)
{
	uint8_t bytes[sizeof(whole) + 4096] = { 0 };

	memcpy(bytes, whole, whole_bytes);
	write_file(bytes, pick(2) ? pick((uint32_t)whole_bytes) : whole_bytes + 1 + pick(4096));
}

/* The bytes are right, but any user could have written them. */
static void damage_name(void)
{
	char other[160];

	snprintf(other, sizeof(other), "%s/other", dir);
	write_file(whole, whole_bytes);
	switch (pick(5)) {
	case 0:
		CHECK(rename(path, other) == 0 && symlink(other, path) == 0);
		break;
	case 1:
		CHECK(link(path, other) == 0);
		break;
	case 2:
		CHECK(chmod(path, 0622) == 0);
		break;
	case 3:
		CHECK(unlink(path) == 0);
		break;
	default:
		CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
	}
}

static void clear(void)
{
	char other[160];

	snprintf(other, sizeof(other), "%s/other", dir);
	unlink(path);
	unlink(other);
}

/* --- the verdict --- */

static void nothing_happened(int err)
{
	CHECK(err == -EBADMSG || err == -EPROTONOSUPPORT || err == -EPERM || err == -ENOENT);
	CHECK(*ring_word(RSP_PROD) == BASE + ANSWERED);
	for (uint32_t i = 0; i < PUBLISHED; i++)
		CHECK(page_is(i, 0));
}

static void all_is_answered(void)
{
	uint32_t end = *ring_word(RSP_PROD) - BASE;
	bool seen[PUBLISHED] = { false };

	CHECK(end >= TAKEN && end <= PUBLISHED);
	for (uint32_t i = ANSWERED; i < end; i++) {
		const uint8_t *rsp = ring_slot(i);
		int16_t status;
		uint64_t id;

		memcpy(&id, rsp, sizeof(id));
		memcpy(&status, rsp + 10, sizeof(status));
		CHECK(id >= ANSWERED && id < end && !seen[id]);
		CHECK(rsp[8] == BLKIF_READ && status == BLKIF_OKAY);
		CHECK(page_is((uint32_t)id, (uint8_t)(id + 1)));
		seen[id] = true;
	}
	for (uint32_t i = 0; i < PUBLISHED; i++)
		CHECK((i >= ANSWERED && i < end) || page_is(i, 0));
}

/* True if the journal was accepted. */
static bool come_back(void)
{
	int err;

	prepare_ring();
	err = attach(true, false);
	if (!err)
		detach();
	if (err)
		nothing_happened(err);
	else
		all_is_answered();
	clear();
	CHECK(ctl.shm->nr_maps == 0);
	return !err;
}

static void a_whole_journal_is_believed(void **state)
{
	(void)state;
	write_file(whole, whole_bytes);
	CHECK(come_back());
}

static void a_damaged_journal_is_the_truth_or_refused(void **state)
{
	unsigned int believed = 0;

	(void)state;
	for (unsigned int i = 0; i < NR_DAMAGES; i++) {
		uint32_t kind = pick(20);

		if (kind == 0)
			damage_name();
		else if (kind == 1)
			damage_size();
		else
			damage_bytes();
		believed += come_back();
	}
	print_message("%u damaged journals: %u refused, %u where the damage did no harm\n",
		      NR_DAMAGES, NR_DAMAGES - believed, believed);
	CHECK(believed > 0 && believed < NR_DAMAGES / 2);
}

/* --- the machine --- */

static void become(uint32_t id)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", id);
	setenv("XENSIM_DOMID", text, 1);
}

static uint32_t grant_page(uint32_t *ret_gfn)
{
	uint32_t ref;

	CHECK(sim_guest_alloc(&guest, 1, ret_gfn) == 0);
	CHECK(sim_guest_grant(&guest, 0, *ret_gfn, false, &ref) == 0);
	return ref;
}

static void make_guest(void)
{
	struct sim_msg create = { .op = SIM_OP_DOM_CREATE, .arg = { 64, 1 } };

	CHECK(sim_client_open(&ctl, false) == 0);
	CHECK(sim_client_call(&ctl, &create, &domid, NULL) == 0);
	become(domid);
	CHECK(sim_guest_open(&guest, false) == 0);
	guest_xce = xenevtchn_open(NULL, 0);
	CHECK(guest_xce);
	port = xenevtchn_bind_unbound_port(guest_xce, 0);
	CHECK(port > 0);
	become(0);
	ring_ref = grant_page(&ring_gfn);
	for (uint32_t i = 0; i < PUBLISHED; i++)
		refs[i] = grant_page(&gfns[i]);
}

static void make_image(void)
{
	char name[128];
	FILE *file;

	snprintf(name, sizeof(name), "%s/image", dir);
	file = fopen(name, "w");
	CHECK(file);
	for (uint32_t i = 0; i < PUBLISHED * PAGE; i++)
		fputc((int)(i / PAGE + 1), file);
	fclose(file);
	CHECK(image_open(name, false, DISK_CACHE_NONE, &image_fd, &image) == 0);
	unlink(name);
}

static int make_machine(void **state)
{
	static const struct plane *const planes[PLANE_NR] = { &blk_plane, NULL };

	(void)state;
	sim = xensim_start();
	CHECK(sim && mkdtemp(dir));
	make_guest();
	make_image();
	snprintf(path, sizeof(path), "%s/vbd-%u-%u-0.journal", dir, domid, DEVID);
	control = loop_new();
	CHECK(control);
	CHECK(worker_open(&worker, 0, planes) == 0 && worker_start(&worker) == 0);
	make_whole();
	return 0;
}

static int end_machine(void **state)
{
	(void)state;
	worker_close(&worker);
	loop_free(control);
	close(image_fd);
	xenevtchn_close(guest_xce);
	sim_guest_close(&guest);
	sim_client_close(&ctl);
	xensim_stop(sim);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_journal_is_believed),
		cmocka_unit_test(a_damaged_journal_is_the_truth_or_refused),
	};

	return cmocka_run_group_tests(tests, make_machine, end_machine);
}
