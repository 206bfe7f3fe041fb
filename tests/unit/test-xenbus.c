/* SPDX-License-Identifier: MIT */
/* The state table: what each kind of frontend and toolstack needs, and every pair at all. */
#include "unit.h"

#include <stdbool.h>
#include <string.h>

#include "control/xenbus.h"

static const struct xenbus_view idle = { .online = true };

static enum xenbus_action next(int own, int front)
{
	struct xenbus_view v = idle;

	v.own = (enum xenbus_state)own;
	v.front = (enum xenbus_state)front;
	return xenbus_next(&v);
}

static enum xenbus_action next_plugged(int own, int front)
{
	struct xenbus_view v = idle;

	v.own = (enum xenbus_state)own;
	v.front = (enum xenbus_state)front;
	v.plugged = true;
	return xenbus_next(&v);
}

static enum xenbus_action next_attached(int own, int front)
{
	struct xenbus_view v = idle;

	v.own = (enum xenbus_state)own;
	v.front = (enum xenbus_state)front;
	v.plugged = true;
	v.attached = true;
	return xenbus_next(&v);
}

static void a_new_device_is_advertised_at_once(void **state)
{
	(void)state;
	CHECK(next(1, 1) == XENBUS_DO_ADVERTISE);
}

static void state_2_is_kept_until_the_script_has_reported(void **state)
{
	(void)state;
	for (int front = 1; front <= 4; front++)
		CHECK(next(2, front) == XENBUS_DO_NOTHING);
	CHECK(next_plugged(2, 3) == XENBUS_DO_CONNECT);
	CHECK(next_plugged(2, 4) == XENBUS_DO_CONNECT); /* OVMF skips 3; so do resumed guests */
	CHECK(next_plugged(2, 1) == XENBUS_DO_NOTHING);
	CHECK(next_attached(2, 3) == XENBUS_DO_ANNOUNCE); /* traffic flows before it is said */
	CHECK(next_attached(2, 4) == XENBUS_DO_ANNOUNCE);
	CHECK(next_attached(2, 1) == XENBUS_DO_CLOSING);
}

static void a_device_that_never_connected_is_closed_in_lock_step(void **state)
{
	(void)state; /* Windows and OVMF, at every boot */
	CHECK(next_plugged(2, 5) == XENBUS_DO_CLOSING);
	CHECK(next_plugged(5, 5) == XENBUS_DO_NOTHING);
	CHECK(next_plugged(5, 6) == XENBUS_DO_CLOSED);
	CHECK(next_plugged(6, 6) == XENBUS_DO_NOTHING);
	CHECK(next_plugged(6, 1) == XENBUS_DO_ADVERTISE);
}

static void a_connected_device_stays_connected(void **state)
{
	(void)state;
	CHECK(next_attached(4, 4) == XENBUS_DO_NOTHING);
	CHECK(next_attached(4, 3) == XENBUS_DO_NOTHING);
}

static void a_frontend_that_starts_over_gets_5_6_2(void **state)
{
	(void)state;
	CHECK(next_attached(4, 1) == XENBUS_DO_CLOSING);
	CHECK(next_plugged(5, 1) == XENBUS_DO_CLOSED);
	CHECK(next_plugged(6, 1) == XENBUS_DO_ADVERTISE);
}

static void a_detach_waits_for_a_live_frontend_and_for_no_other(void **state)
{
	(void)state;
	CHECK(next_attached(5, 4) == XENBUS_DO_NOTHING); /* the toolstack's 5 */
	CHECK(next_plugged(5, 3) == XENBUS_DO_NOTHING);
	CHECK(next_attached(5, 5) == XENBUS_DO_CLOSING);
	CHECK(next_attached(5, 6) == XENBUS_DO_CLOSED);
	CHECK(next_plugged(5, 1) == XENBUS_DO_CLOSED);
	CHECK(next_attached(5, 0) == XENBUS_DO_CLOSED); /* forced */
}

static void an_offline_device_is_not_advertised_again(void **state)
{
	struct xenbus_view v = { .own = XENBUS_CLOSED, .front = XENBUS_INITIALISING };

	(void)state;
	CHECK(xenbus_next(&v) == XENBUS_DO_NOTHING);
	v.own = XENBUS_INITIALISING;
	CHECK(xenbus_next(&v) == XENBUS_DO_CLOSED);
	v.own = XENBUS_INIT_WAIT; /* taken offline between our 6 and our 2 */
	CHECK(xenbus_next(&v) == XENBUS_DO_CLOSED);
	v.front = XENBUS_CONNECTED;
	v.plugged = true;
	CHECK(xenbus_next(&v) == XENBUS_DO_CLOSED);
}

static void a_live_ring_of_an_earlier_life_is_resumed_once(void **state)
{
	struct xenbus_view v = idle;

	(void)state;
	v.own = v.front = XENBUS_CONNECTED;
	v.fresh = true;
	CHECK(xenbus_next(&v) == XENBUS_DO_RESUME);
	v.fresh = false;
	CHECK(xenbus_next(&v) == XENBUS_DO_CLOSING);
}

/* A guest that has the disk mounted refuses to close it when the toolstack asks. */
static void a_ring_in_use_is_resumed_though_a_detach_waits(void **state)
{
	struct xenbus_view v = idle;

	(void)state;
	v.own = XENBUS_CLOSING;
	v.front = XENBUS_CONNECTED;
	v.online = false;
	v.fresh = v.left = true;
	CHECK(xenbus_next(&v) == XENBUS_DO_RESUME);
	v.attached = true;
	CHECK(xenbus_next(&v) == XENBUS_DO_NOTHING);
	v.attached = v.left = false; /* it was given up, or never had rings */
	CHECK(xenbus_next(&v) == XENBUS_DO_NOTHING);
}

static void a_dead_domain_is_let_go_from_every_state(void **state)
{
	(void)state;
	for (int own = 1; own < XENBUS_NR_STATES; own++)
		for (int front = 0; front < XENBUS_NR_STATES; front++)
			for (int attached = 0; attached < 2; attached++) {
				struct xenbus_view v = { .own = (enum xenbus_state)own,
							 .front = (enum xenbus_state)front,
							 .online = true,
							 .plugged = true,
							 .attached = attached != 0,
							 .dead = true };
				bool ended = own == XENBUS_CLOSED && !attached;

				CHECK(xenbus_next(&v) ==
				      (ended ? XENBUS_DO_NOTHING : XENBUS_DO_CLOSED));
			}
}

static void a_vanished_directory_is_forgotten_whatever_else(void **state)
{
	(void)state;
	for (int front = 0; front < XENBUS_NR_STATES; front++) {
		CHECK(next_attached(0, front) == XENBUS_DO_FORGET);
		CHECK(next(0, front) == XENBUS_DO_FORGET);
	}
}

static void a_broken_frontend_gets_no_ring_until_it_closed(void **state)
{
	(void)state;
	for (int own = 1; own < XENBUS_NR_STATES; own++)
		for (int front = 0; front < XENBUS_NR_STATES; front++) {
			struct xenbus_view v = { .own = (enum xenbus_state)own,
						 .front = (enum xenbus_state)front,
						 .online = true,
						 .plugged = true,
						 .broken = true };
			enum xenbus_action action = xenbus_next(&v);

			CHECK(action != XENBUS_DO_CONNECT && action != XENBUS_DO_RESUME);
			v.attached = true;
			CHECK(xenbus_next(&v) == XENBUS_DO_CLOSING);
		}
}

static void reconfiguration_is_answered_and_ended(void **state)
{
	(void)state;
	CHECK(next_attached(4, 7) == XENBUS_DO_RECONFIGURE);
	CHECK(next_attached(8, 7) == XENBUS_DO_NOTHING);
	CHECK(next_attached(8, 4) == XENBUS_DO_RECONFIGURED);
	CHECK(next_attached(8, 5) == XENBUS_DO_CLOSING);
}

/*
 * From any state a guest that stops moving must leave us at rest: the walk ends,
 * and it never asks for rings while they are attached.
 */
static void every_walk_ends(void **state)
{
	static const enum xenbus_state result[] = {
		[XENBUS_DO_ADVERTISE] = XENBUS_INIT_WAIT,
		[XENBUS_DO_ANNOUNCE] = XENBUS_CONNECTED,

		[XENBUS_DO_CLOSING] = XENBUS_CLOSING,
		[XENBUS_DO_CLOSED] = XENBUS_CLOSED,
		[XENBUS_DO_RECONFIGURE] = XENBUS_RECONFIGURED,
		[XENBUS_DO_RECONFIGURED] = XENBUS_CONNECTED,
	};

	(void)state;
	for (unsigned int bits = 0; bits < 64; bits++)
		for (int own = 1; own < XENBUS_NR_STATES; own++)
			for (int front = 0; front < XENBUS_NR_STATES; front++) {
				struct xenbus_view v = {
					.own = (enum xenbus_state)own,
					.front = (enum xenbus_state)front,
					.online = bits & 1,
					.plugged = bits & 2,
					.attached = bits & 4,
					.dead = bits & 8,
					.fresh = bits & 16,
					.left = bits & 32,
				};
				unsigned int steps = 0;
				enum xenbus_action action;

				while ((action = xenbus_next(&v)) != XENBUS_DO_NOTHING) {
					bool attach = action == XENBUS_DO_CONNECT ||
						      action == XENBUS_DO_RESUME;

					CHECK(++steps < 8);
					CHECK(!attach || !v.attached);
					v.attached = attach ||
						     (v.attached && action != XENBUS_DO_CLOSING &&
						      action != XENBUS_DO_CLOSED);
					if (!attach) /* rings first, then the state */
						v.own = result[action];
					v.fresh = v.left = false;
				}
			}
}

static void every_state_has_a_name(void **state)
{
	(void)state;
	for (int s = 0; s < XENBUS_NR_STATES; s++)
		CHECK(strlen(xenbus_state_name((enum xenbus_state)s)) > 0);
	CHECK(!strcmp(xenbus_state_name((enum xenbus_state)77), "nonsense"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_device_is_advertised_at_once),
		cmocka_unit_test(state_2_is_kept_until_the_script_has_reported),
		cmocka_unit_test(a_device_that_never_connected_is_closed_in_lock_step),
		cmocka_unit_test(a_connected_device_stays_connected),
		cmocka_unit_test(a_frontend_that_starts_over_gets_5_6_2),
		cmocka_unit_test(a_detach_waits_for_a_live_frontend_and_for_no_other),
		cmocka_unit_test(an_offline_device_is_not_advertised_again),
		cmocka_unit_test(a_live_ring_of_an_earlier_life_is_resumed_once),
		cmocka_unit_test(a_ring_in_use_is_resumed_though_a_detach_waits),
		cmocka_unit_test(a_dead_domain_is_let_go_from_every_state),
		cmocka_unit_test(a_vanished_directory_is_forgotten_whatever_else),
		cmocka_unit_test(a_broken_frontend_gets_no_ring_until_it_closed),
		cmocka_unit_test(reconfiguration_is_answered_and_ended),
		cmocka_unit_test(every_walk_ends),
		cmocka_unit_test(every_state_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
