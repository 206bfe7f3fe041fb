/* SPDX-License-Identifier: MIT */
/*
 * The data side of a disk and its messages with control. It refuses a START that makes no sense, and keeps nothing of it. It
 * answers a correct START. It repeats to a new control what that has missed.
 */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blkback/disk.h"
#include "fake/fake_guest.h"
#include "fake/fake_xen.h"
#include "turn.h"

#define PAGE 4096u

static uint8_t ring[PAGE] __attribute__((aligned(4096)));
static struct worker worker;
static struct message last[MESSAGE_NR_TYPES]; /* of each type */
static unsigned int nr_sent[MESSAGE_NR_TYPES];

static void sent(const struct guest_device *device, const struct message *message)
{
	(void)device;
	last[message->type] = *message;
	nr_sent[message->type]++;
}

static struct guest guest = { .worker = &worker, .sent = sent };
static struct disk disk;

static void *page_of(uint32_t domid, uint32_t ref, int prot)
{
	(void)domid, (void)ref, (void)prot;
	return ring;
}

static struct message a_start(void)
{
	return (struct message){
		.type = MESSAGE_START_DISK,
		.kind = MESSAGE_VBD,
		.domid = 1,
		.disk = { .nr_rings = 1,
			  .rings[0] = { .nr_pages = 1, .port = 1 },
			  .image = { .bytes = 1 << 20, .block = 512, .physical_block = 512 } }
	};
}

static int file_of(size_t bytes)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	return fd;
}

/* So many descriptors: a journal, an image, and others. */
static int begin(const struct message *start, unsigned int nr_fds)
{
	int fds[MESSAGE_MAX_FDS];

	for (unsigned int i = 0; i < nr_fds; i++)
		fds[i] = file_of(i ? 1 << 20 : journal_bytes(32));
	return fake_guest_start(&guest, &disk_device_ops, &disk.device, start, fds, nr_fds);
}

/* Wait until a message of that type was sent. */
static void await(uint32_t type, unsigned int nr)
{
	uint64_t begin_ns = loop_now_ns();

	while (nr_sent[type] < nr) {
		CHECK(loop_now_ns() - begin_ns < 60 * UINT64_C(1000000000)); /* it never comes */
		turn(worker.loop, 1);
	}
}

static int lowest_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static int setup(void **state)
{
	static const struct plane *const planes[PLANE_NR] = { [PLANE_BLK] = &blk_plane };

	(void)state;
	memset(ring, 0, sizeof(ring));
	memset(nr_sent, 0, sizeof(nr_sent));
	fake_xen = (struct fake_xen){ .page = page_of };
	CHECK(worker_open(&worker, 0, planes) == 0);
	guest.home = worker.loop;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	CHECK(fake_xen_nr_mapped() == 0 && fake_xen_nr_bound() == 0);
	worker_close(&worker);
	return 0;
}

/* --- a start that makes no sense --- */

static void no_rings(struct message_start_disk *start)
{
	start->nr_rings = 0;
}

static void too_many_rings(struct message_start_disk *start)
{
	start->nr_rings = MESSAGE_DISK_RINGS + 1;
}

static void no_abi(struct message_start_disk *start)
{
	start->abi = 7;
}

static void no_pages(struct message_start_disk *start)
{
	start->rings[0].nr_pages = 0;
}

static void three_pages(struct message_start_disk *start)
{
	start->rings[0].nr_pages = 3;
}

static void too_many_pages(struct message_start_disk *start)
{
	start->rings[0].nr_pages = 2 * MESSAGE_RING_PAGES;
}

static void no_medium(struct message_start_disk *start)
{
	start->image.bytes = 0;
}

static void small_blocks(struct message_start_disk *start)
{
	start->image.block = 1;
}

static void large_blocks(struct message_start_disk *start)
{
	start->image.block = 1 << 20;
}

static void small_physical_blocks(struct message_start_disk *start)
{
	start->image.physical_block = 0;
}

static void a_descriptor_is_missing(struct message_start_disk *start)
{
	start->xentop = true;
}

static void one_is_too_many(struct message_start_disk *start)
{
	start->nbd = true;
}

static void nonsense_is_refused(void **state)
{
	static void (*const ways[])(struct message_start_disk * start) = { no_rings,
									   too_many_rings,
									   no_abi,
									   no_pages,
									   three_pages,
									   too_many_pages,
									   no_medium,
									   small_blocks,
									   large_blocks,
									   small_physical_blocks,
									   a_descriptor_is_missing,
									   one_is_too_many };
	int lowest = lowest_descriptor();

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct message start = a_start();

		ways[i](&start.disk);
		CHECK(begin(&start, 2) == -EINVAL);
		CHECK(lowest_descriptor() == lowest && nr_sent[MESSAGE_STARTED] == 0);
	}
}

/* --- what control hears --- */

static void a_disk_starts_and_stops(void **state)
{
	struct message start = a_start();
	int lowest = lowest_descriptor();

	(void)state;
	CHECK(begin(&start, 2) == 0);
	await(MESSAGE_STARTED, 1);
	CHECK(last[MESSAGE_STARTED].started.err == 0);
	fake_guest_stop(&disk.device, false);
	await(MESSAGE_STOPPED, 1);
	CHECK(lowest_descriptor() == lowest);
}

static void a_ring_that_cannot_start_is_named(void **state)
{
	struct message start = a_start();

	(void)state;
	fake_xen.bad_binds = 1;
	CHECK(begin(&start, 2) == 0);
	await(MESSAGE_STARTED, 1);
	CHECK(last[MESSAGE_STARTED].started.err == -EACCES);
	CHECK(strstr(last[MESSAGE_STARTED].started.why, "ring 0"));
}

static void an_impossible_ring_is_said_once(void **state)
{
	struct message start = a_start();
	uint32_t req_prod = 1000;

	(void)state;
	CHECK(begin(&start, 2) == 0);
	await(MESSAGE_STARTED, 1);
	memcpy(ring, &req_prod, sizeof(req_prod));
	fake_xen_event(1, 1);
	await(MESSAGE_BROKE, 1);
	CHECK(last[MESSAGE_BROKE].error.err == -EPROTO);
	fake_guest_stop(&disk.device, false);
	await(MESSAGE_STOPPED, 1);
	CHECK(nr_sent[MESSAGE_BROKE] == 1);
}

/* A new control has not received the earlier messages. */
static void what_was_said_is_said_again(void **state)
{
	struct message start = a_start();
	struct message tune = { .type = MESSAGE_TUNE_DISK, .tune_disk = { .stall = true } };

	(void)state;
	start.disk.tuning.stall = true;
	CHECK(begin(&start, 2) == 0);
	await(MESSAGE_STARTED, 1);
	disk_stalled(&disk, -ENOSPC);
	disk_flush_failed(&disk, -EIO);
	await(MESSAGE_FLUSH_FAILED, 1);
	CHECK(nr_sent[MESSAGE_STALLED] == 1 && last[MESSAGE_STALLED].error.err == -ENOSPC);
	fake_guest_tell(&disk.device, &tune);
	CHECK(nr_sent[MESSAGE_STALLED] == 1 && nr_sent[MESSAGE_SIZE] == 0);
	tune.tune_disk.again = true;
	fake_guest_tell(&disk.device, &tune);
	CHECK(nr_sent[MESSAGE_STALLED] == 2 && nr_sent[MESSAGE_FLUSH_FAILED] == 2);
	CHECK(last[MESSAGE_SIZE].size.bytes == 1 << 20);
	/* whoever does not know of a failed flush does not forgive it; an admin does */
	CHECK(disk.refuses);
	tune.tune_disk = (struct message_disk_tuning){ .stall = true, .retry = true };
	fake_guest_tell(&disk.device, &tune);
	CHECK(!disk.refuses);
	fake_guest_stop(&disk.device, false);
	await(MESSAGE_STOPPED, 1);
}

static void ask_flow(uint64_t asked_ns)
{
	struct message flow = { .type = MESSAGE_FLOW, .flow.asked_ns = asked_ns };

	fake_guest_tell(&disk.device, &flow);
}

/* A question that comes while the rings work on an earlier one gets its own answer; one last answer is enough for several. */
static void an_idle_medium_flows(void **state)
{
	struct message start = a_start();

	(void)state;
	CHECK(begin(&start, 2) == 0);
	await(MESSAGE_STARTED, 1);
	ask_flow(10);
	ask_flow(20);
	ask_flow(30);
	await(MESSAGE_FLOWED, 1);
	CHECK(last[MESSAGE_FLOWED].flow.asked_ns == 10);
	await(MESSAGE_FLOWED, 2);
	CHECK(last[MESSAGE_FLOWED].flow.asked_ns == 30);
	ask_flow(40);
	await(MESSAGE_FLOWED, 3);
	CHECK(last[MESSAGE_FLOWED].flow.asked_ns == 40);
	fake_guest_stop(&disk.device, true);
	await(MESSAGE_STOPPED, 1);
	CHECK(nr_sent[MESSAGE_FLOWED] == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nonsense_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_disk_starts_and_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(a_ring_that_cannot_start_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(an_impossible_ring_is_said_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_said_is_said_again, setup, teardown),
		cmocka_unit_test_setup_teardown(an_idle_medium_flows, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
