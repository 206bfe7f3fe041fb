/* SPDX-License-Identifier: MIT */
/*
 * Block rings on one worker, pass by pass: how much of a pass a deep ring gets, and how much the others; and what the journal
 * has when responses become public.
 * This test is also the guest and the medium, and counts; nothing depends on time.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "blkback/disk.h"
#include "fake/fake_guest.h"
#include "fake/fake_xen.h"
#include "turn.h"

#define NR_RINGS   2u
#define RING_PAGES 16u
#define DEEP       256u
#define SHARE      32u /* of a pass, for each ring */
#define PAGE       4096u

static uint8_t rings[NR_RINGS][RING_PAGES * PAGE] __attribute__((aligned(4096)));

/*
 * --- the guest: reference 16 * ring + page is a ring's page, DATA_REF one that can be mapped, any other
 * one can be copied ---
 */

#define DATA_REF 2000u

static uint8_t data[PAGE] __attribute__((aligned(4096)));

static void *page_of(uint32_t domid, uint32_t ref, int prot)
{
	static uint8_t any[PAGE];

	(void)domid;
	if (ref < NR_RINGS * RING_PAGES)
		return rings[ref / RING_PAGES] + ref % RING_PAGES * PAGE;
	if (ref == DATA_REF)
		return data;
	CHECK(!prot || ref > DATA_REF);
	return prot ? NULL : any;
}

static void (*at_notify)(unsigned int ring);

static void notified(uint32_t domid, uint32_t port)
{
	(void)domid;
	if (at_notify)
		at_notify(port - 1);
}

/* --- the medium: it keeps requests until the test lets them complete --- */

static struct image_request *asked[NR_RINGS * 512];
static unsigned int nr_asked;
static unsigned int asked_by[NR_RINGS]; /* in this pass */
static uint32_t answered_by[NR_RINGS];  /* before this pass */
static unsigned int most_asked, most_answered, shallow_asked_in, shallow_answered_in, nr_passes;
static struct aio the_aio;
static struct disk disks[NR_RINGS];

static unsigned int ring_of(const struct image_request *req)
{
	const struct vbd_queue *q = ((const struct vbd_io *)(const void *)req)->queue;

	return q == &disks[1].queues[0] || q == &disks[0].queues[1];
}

static void medium_submit(struct aio *aio, struct image_request *req)
{
	(void)aio;
	asked[nr_asked++] = req;
	asked_by[ring_of(req)]++;
}

static bool medium_is_away;

static bool medium_away(const struct image *image)
{
	(void)image;
	return medium_is_away;
}

/* The medium has begun with so many; the others can be cancelled. */
static unsigned int begun;

static void medium_recall(struct aio *aio, struct image_request *req)
{
	unsigned int i = 0;

	(void)aio;
	while (asked[i] != req)
		i++;
	if (i < begun)
		return;
	nr_asked--;
	memmove(asked + i, asked + i + 1, (nr_asked - i) * sizeof(asked[0]));
	req->given_back(req);
}

static int medium_size(const struct image *image, uint64_t *ret_bytes)
{
	*ret_bytes = image->bytes;
	return 0;
}

static void medium_close(struct image *image)
{
	close(image->fd);
}

static const struct image_ops medium_ops = {
	.submit = medium_submit,
	.recall = medium_recall,
	.away = medium_away,
	.takes_pieces = true,
	.size = medium_size,
	.close = medium_close,
};

static void medium_is_done(void)
{
	unsigned int nr = nr_asked;

	nr_asked = 0;
	for (unsigned int i = 0; i < nr; i++)
		asked[i]->done(asked[i], asked[i]->op == IMAGE_FLUSH ? 0 : (long)asked[i]->bytes);
}

static void medium_fails(long result)
{
	unsigned int nr = nr_asked;

	nr_asked = 0;
	for (unsigned int i = 0; i < nr; i++)
		asked[i]->done(asked[i], result);
}

static uint32_t word(unsigned int ring, unsigned int which)
{
	uint32_t value;

	memcpy(&value, rings[ring] + which * 4, 4);
	return value;
}

/* Between taking and answering in a pass: check what was asked in this pass, and answered in the one before. */
static void end_of_pass(void *ctx)
{
	uint32_t answered;

	(void)ctx;
	nr_passes++;
	answered = word(0, 2) - answered_by[0];
	answered_by[0] += answered;
	if (answered > most_answered)
		most_answered = answered;
	if (asked_by[0] > most_asked)
		most_asked = asked_by[0];
	if (asked_by[1] && !shallow_asked_in)
		shallow_asked_in = nr_passes;
	if (word(1, 2) && !shallow_answered_in)
		shallow_answered_in = nr_passes - 1;
	asked_by[0] = asked_by[1] = 0;
}

static int plane_open(struct worker *worker, void *prepared, void **ret_ctx)
{
	(void)prepared;
	the_aio = (struct aio){ .buffers = bufpool_new((size_t)64 << 20), .worker = worker };
	*ret_ctx = &the_aio;
	return the_aio.buffers ? 0 : -ENOMEM;
}

static void plane_close(void *ctx)
{
	(void)ctx;
	bufpool_free(the_aio.buffers);
}

static const struct plane plane = { .open = plane_open,
				    .close = plane_close,
				    .submit = end_of_pass };

/* --- the rig --- */

static struct worker worker;
static bool one_disk; /* both rings belong to it */
static bool stalls;   /* requests that the medium fails are held */
static bool resumes;
static bool starts_halted;
static uint32_t requests_an_hour; /* of the disk's limits; 0: none */
static int journals[NR_RINGS];

static struct vbd_queue *queue(unsigned int ring)
{
	return one_disk ? &disks[0].queues[ring] : &disks[ring].queues[0];
}

/* Nothing here has to wait, so this many turns are enough. */
static void settle(void)
{
	turn(worker.loop, 40);
	CHECK(!queue(0)->part.queue.dirty && !queue(1)->part.queue.dirty);
}

static uint32_t asked_ref, max_kept;
static bool copies_kept;

/* Reads of one sector each, as a 64-bit guest writes them. */
static void guest_asks(unsigned int ring, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		uint8_t *slot = rings[ring] + 64 + (size_t)i * 112;
		uint64_t id = i, sector = i;
		uint32_t ref = asked_ref;

		memset(slot, 0, 112);
		slot[1] = 1;
		memcpy(slot + 8, &id, 8);
		memcpy(slot + 16, &sector, 8);
		memcpy(slot + 24, &ref, 4);
	}
	memcpy(rings[ring], &nr, 4);
}

static struct guest guest = { .worker = &worker };

/* A disk of so many rings, the first of which is `first`. */
static void start_disk(struct disk *disk, unsigned int first, unsigned int nr)
{
	struct message start = {
		.type = MESSAGE_START_DISK, .kind = MESSAGE_VBD, .domid = 1, .devid = first
	};
	struct message_disk_tuning *tuning = &start.disk.tuning;
	int fds[NR_RINGS + 1];

	start.disk.nr_rings = nr;
	start.disk.image =
		(struct message_image){ .bytes = 1 << 20, .block = 512, .physical_block = 512 };
	start.disk.max_kept = max_kept;
	start.disk.copy_kept = copies_kept;
	start.disk.resume = resumes;
	start.disk.halted = starts_halted;
	tuning->stall = stalls;
	tuning->requests = requests_an_hour;
	tuning->requests_usecs = requests_an_hour ? 3600u * 1000000u : 0;
	for (unsigned int i = 0; i < nr; i++) {
		struct message_disk_ring *ring = &start.disk.rings[i];

		ring->nr_pages = RING_PAGES;
		ring->port = 1 + first + i;
		for (uint32_t page = 0; page < RING_PAGES; page++)
			ring->refs[page] = (first + i) * RING_PAGES + page;
		if (!resumes)
			CHECK(ftruncate(journals[first + i], 0) == 0 &&
			      ftruncate(journals[first + i],
					(off_t)journal_bytes(JOURNAL_MAX_ENTRIES)) == 0);
		fds[i] = dup(journals[first + i]);
	}
	fds[nr] = memfd_create("image", MFD_CLOEXEC);
	CHECK(fake_guest_start(&guest, &disk_device_ops, &disk->device, &start, fds, nr + 1) == 0);
	disk->image.ops = &medium_ops;
}

static void attach(unsigned int ring)
{
	start_disk(&disks[ring], ring, 1);
}

static void attach_both(void)
{
	if (one_disk) {
		start_disk(&disks[0], 0, NR_RINGS);
		return;
	}
	attach(0);
	attach(1);
}

/* Its image is closed by a thread. */
static void detach(unsigned int ring, bool keep)
{
	unsigned int before = guest.nr_stopped;

	fake_guest_stop(&disks[ring].device, keep);
	while (guest.nr_stopped == before)
		settle();
}

/* An admin runs retry. */
static void retry(void)
{
	struct message tune = { .type = MESSAGE_TUNE_DISK,
				.tune_disk = { .stall = true, .retry = true } };

	fake_guest_tell(&disks[0].device, &tune);
	settle();
}

static int setup(void **state)
{
	static const struct plane *const planes[PLANE_NR] = { [PLANE_BLK] = &plane };

	(void)state;
	memset(rings, 0, sizeof(rings));
	memset(disks, 0, sizeof(disks));
	begun = 0;
	CHECK(worker_open(&worker, 0, planes) == 0);
	guest.home = worker.loop;
	for (unsigned int i = 0; i < NR_RINGS; i++)
		journals[i] = memfd_create("journal", MFD_CLOEXEC);
	one_disk = stalls = resumes = starts_halted = medium_is_away = false;
	requests_an_hour = 0;
	asked_ref = 1000;
	max_kept = 0;
	copies_kept = false;
	fake_xen = (struct fake_xen){ .page = page_of, .notified = notified };
	guest.nr_started = guest.nr_stopped = nr_asked = nr_passes = 0;
	most_asked = most_answered = shallow_asked_in = shallow_answered_in = 0;
	memset(answered_by, 0, sizeof(answered_by));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	detach(0, false);
	if (!one_disk)
		detach(1, false);
	CHECK(fake_xen_nr_mapped() == 0 && fake_xen_nr_bound() == 0);
	CHECK(bufpool_used(the_aio.buffers) == 0);
	worker_close(&worker);
	for (unsigned int i = 0; i < NR_RINGS; i++)
		close(journals[i]);
	return 0;
}

/* --- the tests --- */

/* The deep ring comes first, and has eight times as many requests as its share. */
static void a_deep_ring_leaves_the_pass_to_others(void **state)
{
	(void)state;
	guest_asks(0, DEEP);
	guest_asks(1, 1);
	attach_both();
	settle();
	CHECK(guest.nr_started == 2 && nr_asked == SHARE + 1);
	CHECK(most_asked == SHARE && shallow_asked_in == 1);
	nr_passes = 0;
	while (nr_asked) {
		medium_is_done();
		settle();
	}
	CHECK(word(0, 2) == DEEP && word(1, 2) == 1);
	CHECK(most_answered == SHARE && shallow_answered_in == 1);
}

/* The medium has no more requests of it than of a ring of one page, as long as another ring has few requests. */
static void a_deep_ring_leaves_the_medium_to_one_that_has_few(void **state)
{
	uint32_t most = 0, done = 0;

	(void)state;
	guest_asks(0, 500);
	guest_asks(1, 1);
	attach_both();
	settle();
	for (; nr_asked; settle()) {
		if (done > SHARE &&
		    done < SHARE_WINDOW - SHARE) /* once it knows, and not yet forgot */
			CHECK(nr_asked <= SHARE_REQUESTS);
		most = nr_asked > most ? nr_asked : most;
		done += nr_asked;
		medium_is_done();
	}
	CHECK(most > SHARE + 1);
	CHECK(word(0, 2) == 500);
}

static void two_deep_rings_ask_nothing_of_each_other(void **state)
{
	(void)state;
	guest_asks(0, DEEP);
	guest_asks(1, DEEP);
	attach_both();
	settle();
	CHECK(nr_asked == 2 * DEEP);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == DEEP && word(1, 2) == DEEP);
}

static void rings_of_one_disk_ask_nothing_of_each_other(void **state)
{
	(void)state;
	one_disk = true;
	guest_asks(0, DEEP);
	guest_asks(1, 1);
	attach_both();
	settle();
	CHECK(nr_asked == DEEP + 1);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == DEEP && word(1, 2) == 1);
}

static int nr_replayed[2];
static unsigned int nr_deaths;

/* What the next daemon would do if this one died here: its responses are public, and nothing else is done. */
static void would_replay(unsigned int ring)
{
	static uint8_t left[1 << 20] __attribute__((aligned(8)));
	static uint32_t order[JOURNAL_MAX_ENTRIES];
	struct journal journal = queue(ring)->journal;
	size_t offset = (size_t)((uint8_t *)journal.entries - (uint8_t *)journal.header);

	CHECK(ring == 0 && journal.bytes <= sizeof(left) && nr_deaths < 2);
	memcpy(left, journal.header, journal.bytes);
	journal.header = (struct journal_header *)(void *)left;
	journal.entries = (struct journal_entry *)(void *)(left + offset);
	nr_replayed[nr_deaths++] = journal_recover(&journal, word(ring, 2), order);
}

/* No request is in flight, and the journal has none. */
static bool journal_is_at_rest(unsigned int ring)
{
	const struct journal *journal = &queue(ring)->journal;

	for (uint32_t i = 0; i < journal->header->nr_entries; i++)
		if (journal->entries[i].state != JOURNAL_FREE)
			return false;
	return journal->header->rsp_prod == word(ring, 2) &&
	       journal->header->rsp_next == word(ring, 2);
}

static void guest_wants_an_event_after(unsigned int ring, uint32_t nr)
{
	uint32_t rsp_event = word(ring, 2) + nr;

	memcpy(rings[ring] + 12, &rsp_event, 4);
}

static void what_is_public_is_not_replayed(void **state)
{
	(void)state;
	guest_asks(0, 8);
	attach_both();
	settle();
	CHECK(nr_asked == 8);
	nr_deaths = 0;
	at_notify = would_replay;
	guest_wants_an_event_after(0, 3);
	for (; nr_asked > 5; nr_asked--) /* the youngest are done first */
		asked[nr_asked - 1]->done(asked[nr_asked - 1], 512);
	settle();
	guest_wants_an_event_after(0, 5);
	medium_is_done();
	settle();
	at_notify = NULL;
	CHECK(word(0, 2) == 8 && journal_is_at_rest(0));
	CHECK(nr_deaths == 2 && nr_replayed[0] == 5 && nr_replayed[1] == 0);
}

static void a_ring_alone_is_served_whole(void **state)
{
	(void)state;
	guest_asks(0, 500);
	attach_both();
	settle();
	CHECK(nr_asked == 500);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 500);
}

/* The frontends of both rings use persistent grants; requests name the page `ref`. */
static void attach_keeping(uint32_t ref)
{
	max_kept = 4;
	asked_ref = ref;
	attach_both();
	settle();
}

/* Put requests on the ring until there are so many; then notify. */
static void more_is_asked(uint32_t nr)
{
	guest_asks(0, nr);
	queue_mark(&queue(0)->part.queue);
	settle();
}

/* The medium reads into a page that stays mapped; nothing is copied. */
static void data_of_persistent_grants_stays_where_it_lies(void **state)
{
	(void)state;
	attach_keeping(DATA_REF);
	more_is_asked(3);
	CHECK(nr_asked == 3 && asked[0]->nr_vec == 1 && asked[0]->vec[0].iov_base == data &&
	      asked[0]->vec[0].iov_len == 512);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 3 && fake_xen.nr_copies == 0 && queue(0)->stats->in_place == 3);
	CHECK(queue(0)->stats->bytes_read == 3 * 512);
}

/* A request one of whose pages cannot be mapped is copied. */
static void what_is_not_mapped_is_copied(void **state)
{
	(void)state;
	attach_keeping(DATA_REF + 1);
	more_is_asked(1);
	CHECK(nr_asked == 1 && asked[0]->nr_vec == 0);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 1 && fake_xen.nr_copies == 1 && queue(0)->stats->in_place == 0);
}

/* When the kernel refuses a request, it is done again through a buffer, and so are all later ones. */
static void what_the_kernel_cannot_reach_is_copied(void **state)
{
	(void)state;
	attach_keeping(DATA_REF);
	more_is_asked(2);
	CHECK(nr_asked == 2 && asked[0]->nr_vec == 1 && asked[1]->nr_vec == 1);
	nr_asked = 0;
	asked[0]->done(asked[0], -EFAULT);
	asked[1]->done(asked[1], 100);
	settle();
	CHECK(nr_asked == 2 && asked[0]->nr_vec == 0 && asked[1]->nr_vec == 0 && word(0, 2) == 0);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 2 && queue(0)->stats->io_errors == 0);
	more_is_asked(3);
	CHECK(nr_asked == 1 && asked[0]->nr_vec == 0);
	medium_is_done();
	settle();
}

/* If control has set this, the worker copies through the mapping, without the hypervisor. */
static void data_of_persistent_grants_is_copied_if_that_is_cheaper(void **state)
{
	(void)state;
	copies_kept = true;
	attach_keeping(DATA_REF);
	more_is_asked(1);
	CHECK(nr_asked == 1 && asked[0]->nr_vec == 0);
	memset(data, 0, sizeof(data));
	memset(asked[0]->buf, 'x', asked[0]->bytes);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 1 && fake_xen.nr_copies == 0 && queue(0)->stats->in_place == 0);
	CHECK(data[0] == 'x' && data[511] == 'x' && data[512] == 0);
}

/* So many requests of ring 0 are held, and another disk asks it to have few in flight. */
static void hold(uint32_t nr)
{
	stalls = true;
	guest_asks(0, nr);
	attach_both();
	settle();
	CHECK(nr_asked == nr);
	medium_fails(-ENOSPC);
	settle();
	CHECK(queue(0)->in[VBD_HELD].nr == nr && word(0, 2) == 0);
	guest_asks(1, 2);
	queue_mark(&queue(1)->part.queue);
	settle();
	medium_is_done();
	settle();
	CHECK(word(1, 2) == 2 && share_is_asked(&the_aio.share, queue(0)->disk));
}

/* The worker wants an event for the next request of the guest. */
static bool wants_events(unsigned int ring)
{
	return word(ring, 1) == word(ring, 0) + 1;
}

static void a_ring_does_not_sleep_over_what_is_held(void **state)
{
	(void)state;
	hold(SHARE_REQUESTS + 4);
	CHECK(wants_events(0));
	more_is_asked(SHARE_REQUESTS + 6);
	CHECK(nr_asked == 2);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 2 && wants_events(0));
}

/* While an image is away, one request waits for it; held requests do not count. */
static void a_ring_with_requests_held_asks_an_image_that_is_away(void **state)
{
	(void)state;
	hold(2);
	medium_is_away = true;
	more_is_asked(5);
	CHECK(nr_asked == 1);
	medium_is_away = false;
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 1 && nr_asked == 2);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 3);
}

/* Every slot of the ring is held. An admin runs retry, which wakes the ring, and all requests are answered. */
static void a_ring_that_is_all_held_goes_on_at_an_admins_word(void **state)
{
	uint32_t all;

	(void)state;
	hold(2);
	all = queue(0)->ring.nr_slots;
	more_is_asked(all);
	for (; nr_asked; settle())
		medium_fails(-EIO);
	CHECK(queue(0)->in[VBD_HELD].nr == all && word(0, 2) == 0);
	retry();
	for (; nr_asked; settle())
		medium_is_done();
	CHECK(word(0, 2) == all && wants_events(0));
}

/* Each number from the medium is the result of a request, and means nothing else. */
static void any_error_of_the_medium_is_answered(void **state)
{
	(void)state;
	guest_asks(0, 3);
	attach_both();
	settle();
	CHECK(nr_asked == 3);
	medium_fails(-ECANCELED);
	settle();
	CHECK(word(0, 2) == 3 && queue(0)->stats->io_errors == 3 && journal_is_at_rest(0));
}

/* --- a domain that has shut down --- */

static void domain_halts(bool halted)
{
	for (unsigned int i = 0; i < NR_RINGS; i++)
		fake_guest_halt(&disks[i].device, halted);
	settle();
}

/* Eight are asked, the medium has begun with five, and four more are in the ring. */
static void halt_with_five_begun(void)
{
	guest_asks(0, 8);
	attach_both();
	settle();
	CHECK(nr_asked == 8);
	begun = 5;
	domain_halts(true);
	CHECK(nr_asked == 5);
	more_is_asked(12);
	CHECK(nr_asked == 5);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 5 && nr_asked == 0);
}

static void a_halted_queue_goes_on_where_it_was(void **state)
{
	(void)state;
	halt_with_five_begun();
	domain_halts(false);
	CHECK(nr_asked == 7 && ((struct vbd_io *)(void *)asked[0])->entry->req.id == 5);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 12 && wants_events(0) && journal_is_at_rest(0));
}

/* The teardown finds no requests left. */
static void a_halted_queue_ends_without_what_it_had_not_begun(void **state)
{
	(void)state;
	halt_with_five_begun();
	detach(0, false);
	CHECK(nr_asked == 0);
	attach(0);
	settle();
	CHECK(nr_asked == 7 && queue(0)->nr_replayed == 0); /* from the ring itself */
	medium_is_done();
	settle();
}

static void a_queue_that_is_attached_halted_replays_when_its_domain_runs(void **state)
{
	(void)state;
	guest_asks(0, 8);
	attach_both();
	settle();
	begun = 0;
	detach(0, true);
	CHECK(nr_asked == 0 && word(0, 2) == 0);
	starts_halted = true;
	resumes = true;
	attach(0);
	settle();
	CHECK(nr_asked == 0 && queue(0)->nr_replayed == 8);
	domain_halts(false);
	CHECK(nr_asked == 8);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 8);
}

static void what_waits_for_a_limit_is_not_done_when_that_is_lifted(void **state)
{
	(void)state;
	requests_an_hour = 1;
	guest_asks(1, 3);
	attach_both();
	settle();
	CHECK(nr_asked == 1 && queue(1)->throttle.armed);
	begun = 1;
	domain_halts(true);
	rate_set(&disks[1].rates.packets, 0, 0);
	queue_mark(&queue(1)->part.queue);
	settle();
	medium_is_done();
	settle();
	CHECK(word(1, 2) == 1 && nr_asked == 0);
	detach(1, false);
	CHECK(word(1, 2) == 1 && nr_asked == 0);
	starts_halted = true;
	attach(1);
	settle();
}

/* --- where the time goes --- */

static uint64_t fake_ns;

static uint64_t fake_clock(void)
{
	return fake_ns;
}

/* The worker looks at the first ring again after this time. */
static void later(uint64_t ns)
{
	fake_ns += ns;
	queue_mark(&queue(0)->part.queue);
	settle();
}

static void attach_by_a_fake_clock(void)
{
	fake_ns = 1000;
	worker.clock = (struct pass_clock){ .now_ns = fake_clock };
	attach_both();
	settle();
}

static bool times_are(const struct stat_times *times, uint64_t nr, uint64_t sum)
{
	return stat_times_count(times) == nr && times->sum == sum;
}

static void each_stage_has_its_own_time(void **state)
{
	const struct vbd_stats *s;

	(void)state;
	guest_asks(0, 3);
	attach_by_a_fake_clock();
	s = queue(0)->stats;
	CHECK(s->in_flight == 3 && s->submitted == 3);
	CHECK(s->oldest == 1000 && s->oldest_submitted == 1000);
	fake_ns += 20000000;
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 3 && times_are(&s->time_medium, 3, 60000000));
	CHECK(times_are(&s->time_total, 3, 60000000));
	CHECK(times_are(&s->time_order, 0, 0) && times_are(&s->time_limit, 0, 0));
	CHECK(s->in_flight == 0 && s->oldest == 0 && s->oldest_submitted == 0);
	CHECK(s->read == 3 && s->time_medium.buckets[stat_bucket(20000000)] == 3);
}

static void a_wait_for_a_limit_is_no_time_of_the_medium(void **state)
{
	(void)state;
	requests_an_hour = 1;
	guest_asks(0, 2);
	attach_by_a_fake_clock();
	CHECK(nr_asked == 1 && queue(0)->throttle.armed);
	later(300000000);
	rate_set(&disks[0].rates.packets, 0, 0);
	later(200000000);
	CHECK(nr_asked == 2);
	fake_ns += 7000;
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 2 && times_are(&queue(0)->stats->time_limit, 1, 500000000));
	CHECK(times_are(&queue(0)->stats->time_medium, 2, 500000000 + 7000 + 7000));
	CHECK(times_are(&queue(0)->stats->time_buffer, 0, 0));
}

static void a_wait_for_a_buffer_is_told_from_one_for_a_limit(void **state)
{
	struct bufpool *own;
	void *common[64], *reserve;
	uint32_t nr = 0;

	(void)state;
	attach_by_a_fake_clock();
	own = queue(0)->client.buffers.own;
	reserve = bufpool_get(own, BUFPOOL_MAX_BYTES);
	while ((common[nr] = bufpool_get(the_aio.buffers, BUFPOOL_MAX_BYTES)))
		nr++;
	guest_asks(0, 1);
	later(0);
	CHECK(nr_asked == 0 && queue(0)->stats->buffer_waits == 1);
	while (nr)
		bufpool_put(the_aio.buffers, common[--nr], BUFPOOL_MAX_BYTES);
	bufpool_put(own, reserve, BUFPOOL_MAX_BYTES);
	later(40000000);
	CHECK(nr_asked == 1);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 1 && times_are(&queue(0)->stats->time_buffer, 1, 40000000));
	CHECK(times_are(&queue(0)->stats->time_limit, 0, 0));
	CHECK(times_are(&queue(0)->stats->time_total, 1, 40000000));
}

static void what_is_held_waits_for_the_admin(void **state)
{
	const struct vbd_stats *s;

	(void)state;
	stalls = true;
	guest_asks(0, 1);
	rings[0][64] = 1; /* a write */
	attach_by_a_fake_clock();
	s = queue(0)->stats;
	fake_ns += 1000000;
	medium_fails(-ENOSPC);
	settle();
	CHECK(s->no_space == 1 && s->io_errors == 1 && s->submitted == 0);
	CHECK(s->oldest == 1000 && s->oldest_submitted == 0);
	fake_ns += 5000000;
	retry();
	fake_ns += 2000000;
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 1 && times_are(&s->time_held, 1, 5000000));
	CHECK(times_are(&s->time_medium, 1, 3000000));
}

static void a_barrier_waits_for_those_before_it(void **state)
{
	(void)state;
	guest_asks(0, 2);
	rings[0][64 + 112] = 2; /* the second is a barrier */
	attach_by_a_fake_clock();
	fake_ns += 9000000;
	medium_is_done();
	settle();
	CHECK(times_are(&queue(0)->stats->time_medium, 1, 9000000));
	while (nr_asked) { /* its flush, and its data */
		medium_is_done();
		settle();
	}
	CHECK(word(0, 2) == 2 && times_are(&queue(0)->stats->time_order, 1, 9000000));
}

static void a_halted_barrier_begins_anew(void **state)
{
	(void)state;
	guest_asks(0, 2);
	rings[0][64 + 112] = 2; /* the second is a barrier */
	attach_both();
	settle();
	CHECK(nr_asked == 1 && queue(0)->in[VBD_TURN].nr == 1);
	medium_is_done();
	settle();
	CHECK(nr_asked == 1 && asked[0]->op == IMAGE_FLUSH);
	begun = 1;
	domain_halts(true);
	medium_is_done();
	settle();
	CHECK(nr_asked == 0 && queue(0)->in[VBD_TURN].nr == 1);
	domain_halts(false);
	CHECK(nr_asked == 1 && asked[0]->op == IMAGE_FLUSH);
	medium_is_done();
	settle();
	CHECK(nr_asked == 1 && asked[0]->op == IMAGE_WRITE);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 2);
}

/* Nor do held requests: an admin's retry takes effect when the domain runs. */
static void what_is_held_waits_for_the_domain_too(void **state)
{
	(void)state;
	hold(2);
	domain_halts(true);
	retry();
	CHECK(nr_asked == 0);
	domain_halts(false);
	CHECK(nr_asked == 2);
	medium_is_done();
	settle();
	CHECK(word(0, 2) == 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_deep_ring_leaves_the_pass_to_others, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_deep_ring_leaves_the_medium_to_one_that_has_few,
						setup, teardown),
		cmocka_unit_test_setup_teardown(two_deep_rings_ask_nothing_of_each_other, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_public_is_not_replayed, setup, teardown),
		cmocka_unit_test_setup_teardown(rings_of_one_disk_ask_nothing_of_each_other, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_ring_alone_is_served_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(data_of_persistent_grants_stays_where_it_lies,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_mapped_is_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(
			data_of_persistent_grants_is_copied_if_that_is_cheaper, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_kernel_cannot_reach_is_copied, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_ring_does_not_sleep_over_what_is_held, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			a_ring_with_requests_held_asks_an_image_that_is_away, setup, teardown),
		cmocka_unit_test_setup_teardown(a_ring_that_is_all_held_goes_on_at_an_admins_word,
						setup, teardown),
		cmocka_unit_test_setup_teardown(any_error_of_the_medium_is_answered, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_halted_queue_goes_on_where_it_was, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_halted_queue_ends_without_what_it_had_not_begun,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_queue_that_is_attached_halted_replays_when_its_domain_runs, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			what_waits_for_a_limit_is_not_done_when_that_is_lifted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_halted_barrier_begins_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(each_stage_has_its_own_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wait_for_a_limit_is_no_time_of_the_medium, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_wait_for_a_buffer_is_told_from_one_for_a_limit,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_held_waits_for_the_admin, setup, teardown),
		cmocka_unit_test_setup_teardown(a_barrier_waits_for_those_before_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_held_waits_for_the_domain_too, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
