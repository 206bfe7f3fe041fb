/* SPDX-License-Identifier: MIT */
/* The worker's loop: when it asks the kernel whether there is something to do. */
#include "unit.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <xen/grant_table.h> /* wants stdlib.h's stdint.h before it */

#include "fake/fake_xen.h"
#include "guest/worker.h"

#define LOOKS 1000u

static struct worker worker;
static struct queue queue;
static unsigned int nr_answers, nr_asked; /* passes; times that the kernel was asked */
static bool looks;
static uint64_t now_ns, step_ns;

static uint64_t read_clock(void)
{
	return now_ns += step_ns;
}

static void nothing(struct queue *of)
{
	(void)of;
}

static bool answer(struct queue *of)
{
	of->looks = looks;
	return ++nr_answers < LOOKS;
}

static const struct queue_ops ops = {
	.plane = PLANE_BLK, .take = nothing, .act = nothing, .give = nothing, .answer = answer
};

/* Always readable: the kernel says so whenever it is asked. */
static void asked(void *user, uint32_t events)
{
	(void)user, (void)events;
	nr_asked++;
	if (nr_answers == LOOKS)
		loop_quit(worker.loop);
}

static void serve(bool only_looks, uint64_t each_takes_ns)
{
	const struct plane *const planes[PLANE_NR] = { NULL };
	int fd = eventfd(1, EFD_CLOEXEC);
	struct loop_watch *watch;

	CHECK(fd >= 0 && worker_open(&worker, 0, planes) == 0);
	worker.clock = (struct pass_clock){ .now_ns = read_clock };
	watch = loop_add(worker.loop, fd, EPOLLIN, asked, NULL);
	nr_answers = nr_asked = 0;
	looks = only_looks;
	step_ns = each_takes_ns;
	worker_attach(&worker, &queue, &ops);
	queue_mark(&queue);
	CHECK(watch && loop_run(worker.loop) == 0);
	CHECK(nr_answers == LOOKS);
	worker_detach(&queue);
	loop_remove(worker.loop, watch);
	worker_close(&worker);
	close(fd);
}

/* Before the first pass, and after the last. */
static void who_only_looks_does_so_in_memory(void **state)
{
	(void)state;
	serve(true, 0);
	CHECK(nr_asked == 2);
}

static void others_do_not_wait_long_for_it(void **state)
{
	(void)state;
	serve(true, 1000000);
	CHECK(nr_asked > LOOKS / 2);
}

static void who_has_something_to_do_is_not_taken_for_one_that_looks(void **state)
{
	(void)state;
	serve(false, 0);
	CHECK(nr_asked == LOOKS + 1);
}

/* Our end of a copy. */
static const union xengnttab_copy_ptr *added(struct grant_batch *batch, uint8_t *local,
					     uint32_t len)
{
	const struct grant_copy copy = {
		.direction = GRANT_FROM_GUEST, .domid = 7, .ref = 8, .len = len, .local = local
	};

	CHECK(grant_batch_add(batch, &copy) == 0);
	return &batch->segs[0].dest;
}

static void a_copy_names_pages_of_our_own_by_reference(void **state)
{
	static uint8_t pages[3 * GRANT_PAGE_SIZE];
	uint32_t refs[] = { 100, 101 };
	const struct own_pages own = { .at = pages, .nr = 2, .refs = refs };
	struct grant_batch batch = { .own = &own };
	const union xengnttab_copy_ptr *ours;

	(void)state;
	ours = added(&batch, pages + GRANT_PAGE_SIZE + 16, GRANT_PAGE_SIZE - 16);
	CHECK(batch.segs[0].flags == (GNTCOPY_source_gref | GNTCOPY_dest_gref));
	CHECK(ours->foreign.domid == DOMID_SELF && ours->foreign.ref == 101);
	CHECK(ours->foreign.offset == 16 && batch.segs[0].source.foreign.ref == 8);
	grant_batch_done(&batch);
}

static void a_copy_names_all_else_by_address(void **state)
{
	static uint8_t pages[3 * GRANT_PAGE_SIZE];
	uint32_t refs[] = { 100, 101 };
	const struct own_pages own = { .at = pages, .nr = 2, .refs = refs };
	uint8_t *const others[] = { pages + 2 * GRANT_PAGE_SIZE,
				    pages + 17 }; /* outside; in two pages */

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct grant_batch batch = { .own = &own };

		CHECK(added(&batch, others[i], GRANT_PAGE_SIZE - 16)->virt == others[i]);
		CHECK(batch.segs[0].flags == GNTCOPY_source_gref);
		grant_batch_done(&batch);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_only_looks_does_so_in_memory),
		cmocka_unit_test(others_do_not_wait_long_for_it),
		cmocka_unit_test(who_has_something_to_do_is_not_taken_for_one_that_looks),
		cmocka_unit_test(a_copy_names_pages_of_our_own_by_reference),
		cmocka_unit_test(a_copy_names_all_else_by_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
