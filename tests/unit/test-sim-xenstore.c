/* SPDX-License-Identifier: MIT */
/* The simulated xenstore, asked through the real libxenstore. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xenstore.h>

#include "sim/hv.h"
#include "control/store.h"

#define LIMIT_MS 20000 /* nothing here takes long: only a hang gets this far */

static struct xensim *sim;
static char *main_path;
static struct xs_handle *dom0, *guest;

/* A connection that speaks for @domid, which must be introduced. */
static struct xs_handle *open_as(unsigned int domid)
{
	char path[128];
	struct xs_handle *xs;

	if (domid)
		snprintf(path, sizeof(path), "%s.%u", main_path, domid);
	setenv("XENSTORED_PATH", domid ? path : main_path, 1);
	xs = xs_open(XS_UNWATCH_FILTER);
	setenv("XENSTORED_PATH", main_path, 1);
	return xs;
}

static int setup(void **state)
{
	(void)state;
	sim = xensim_start();
	main_path = strdup(getenv("XENSTORED_PATH"));
	dom0 = open_as(0);
	assert_non_null(dom0);
	assert_true(xs_introduce_domain(dom0, 7, 1, 1));
	guest = open_as(7);
	assert_non_null(guest);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	xs_close(guest);
	xs_close(dom0);
	xensim_stop(sim);
	free(main_path);
	return 0;
}

static bool put(struct xs_handle *xs, xs_transaction_t t, const char *path, const char *value)
{
	return xs_write(xs, t, path, value, (unsigned int)strlen(value));
}

static void value_is(struct xs_handle *xs, xs_transaction_t t, const char *path, const char *value)
{
	char *got = xs_read(xs, t, path, NULL);

	if (value)
		assert_string_equal(got, value);
	else
		assert_null(got);
	free(got);
}

/* The next event; fails when none comes. */
static void expect_event(struct xs_handle *xs, const char *path, const char *token)
{
	struct pollfd p = { .fd = xs_fileno(xs), .events = POLLIN };
	char **ev = xs_check_watch(xs);

	while (!ev) {
		assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
		ev = xs_check_watch(xs);
	}
	assert_string_equal(ev[XS_WATCH_PATH], path);
	assert_string_equal(ev[XS_WATCH_TOKEN], token);
	free(ev);
}

/*
 * No event is on its way: events and replies share one stream, so after the
 * reply to another request every earlier event has been read.
 */
static void expect_no_event(struct xs_handle *xs)
{
	free(xs_read(xs, XBT_NULL, "/", NULL));
	assert_null(xs_check_watch(xs));
}

static void give_to_guest(const char *path)
{
	struct xs_permissions perms[] = { { .id = 7, .perms = XS_PERM_NONE },
					  { .id = 0, .perms = XS_PERM_READ } };

	assert_true(xs_mkdir(dom0, XBT_NULL, path));
	assert_true(xs_set_permissions(dom0, XBT_NULL, path, perms, 2));
}

static void values_are_read_back_and_parents_appear(void **state)
{
	(void)state;
	assert_true(put(dom0, XBT_NULL, "/a/b/c", "one"));
	value_is(dom0, XBT_NULL, "/a/b/c", "one");
	value_is(dom0, XBT_NULL, "/a/b", "");
	value_is(dom0, XBT_NULL, "/a/x", NULL);
	assert_int_equal(errno, ENOENT);
}

static void values_are_binary_and_may_be_empty(void **state)
{
	const char bin[] = { 'x', 0, (char)0xff, 0 };
	unsigned int len;
	char *got;

	(void)state;
	assert_true(xs_write(dom0, XBT_NULL, "/bin", bin, sizeof(bin)));
	got = xs_read(dom0, XBT_NULL, "/bin", &len);
	assert_int_equal(len, sizeof(bin));
	assert_memory_equal(got, bin, sizeof(bin));
	free(got);
	assert_true(xs_write(dom0, XBT_NULL, "/bin", "", 0));
	value_is(dom0, XBT_NULL, "/bin", "");
}

static void a_relative_path_starts_at_the_domains_home(void **state)
{
	(void)state;
	assert_true(put(dom0, XBT_NULL, "backend/vbd/7/0/state", "1"));
	value_is(dom0, XBT_NULL, "/local/domain/0/backend/vbd/7/0/state", "1");
	give_to_guest("/local/domain/7/data");
	assert_true(put(guest, XBT_NULL, "data/k", "v"));
	value_is(dom0, XBT_NULL, "/local/domain/7/data/k", "v");
}

static void a_bad_path_is_refused(void **state)
{
	static const char *const bad[] = { "/a//b", "/a/", "/a b", "/\xc3\xa4", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(put(dom0, XBT_NULL, bad[i], "x"));
		assert_int_equal(errno, EINVAL);
	}
	assert_false(xs_rm(dom0, XBT_NULL, "/"));
}

static void removing_what_is_not_there_needs_its_parent(void **state)
{
	(void)state;
	assert_true(xs_mkdir(dom0, XBT_NULL, "/p"));
	assert_true(xs_rm(dom0, XBT_NULL, "/p/none"));
	assert_false(xs_rm(dom0, XBT_NULL, "/q/none"));
	assert_int_equal(errno, ENOENT);
}

static void a_directory_larger_than_a_message_is_listed_whole(void **state)
{
	unsigned int nr;
	char path[64], **list;

	(void)state;
	for (int i = 0; i < 500; i++) {
		snprintf(path, sizeof(path), "/big/a-rather-long-name-%d", i);
		assert_true(put(dom0, XBT_NULL, path, ""));
	}
	list = xs_directory(dom0, XBT_NULL, "/big", &nr);
	assert_int_equal(nr, 500);
	assert_string_equal(list[499], "a-rather-long-name-499");
	free(list);
}

static void a_transaction_sees_its_own_writes_and_others_see_them_at_the_end(void **state)
{
	xs_transaction_t t = xs_transaction_start(dom0);
	struct xs_handle *other = open_as(0);

	(void)state;
	assert_true(put(dom0, t, "/t/k", "new"));
	value_is(dom0, t, "/t/k", "new");
	value_is(other, XBT_NULL, "/t/k", NULL);
	assert_true(xs_transaction_end(dom0, t, false));
	value_is(other, XBT_NULL, "/t/k", "new");
	xs_close(other);
}

static void an_aborted_transaction_changes_nothing(void **state)
{
	xs_transaction_t t;

	(void)state;
	assert_true(put(dom0, XBT_NULL, "/ab/k", "old"));
	t = xs_transaction_start(dom0);
	assert_true(put(dom0, t, "/ab/k", "new"));
	assert_true(xs_rm(dom0, t, "/ab"));
	assert_true(xs_transaction_end(dom0, t, true));
	value_is(dom0, XBT_NULL, "/ab/k", "old");
}

static void a_transaction_that_read_a_changed_node_must_start_over(void **state)
{
	xs_transaction_t t;

	(void)state;
	assert_true(put(dom0, XBT_NULL, "/c/k", "1"));
	t = xs_transaction_start(dom0);
	value_is(dom0, t, "/c/k", "1");
	assert_true(put(dom0, XBT_NULL, "/c/k", "2"));
	value_is(dom0, t, "/c/k", "1");
	assert_true(put(dom0, t, "/c/other", "x"));
	assert_false(xs_transaction_end(dom0, t, false));
	assert_int_equal(errno, EAGAIN);
	value_is(dom0, XBT_NULL, "/c/other", NULL);
}

static void a_transaction_that_saw_a_node_missing_conflicts_when_it_appears(void **state)
{
	xs_transaction_t t = xs_transaction_start(dom0);

	(void)state;
	value_is(dom0, t, "/m", NULL);
	assert_true(put(dom0, XBT_NULL, "/m", "1"));
	assert_false(xs_transaction_end(dom0, t, false));
	assert_int_equal(errno, EAGAIN);
}

static void unrelated_changes_do_not_disturb_a_transaction(void **state)
{
	xs_transaction_t t;

	(void)state;
	assert_true(put(dom0, XBT_NULL, "/u1/k", "1"));
	assert_true(put(dom0, XBT_NULL, "/u2/k", "1"));
	t = xs_transaction_start(dom0);
	assert_true(put(dom0, t, "/u1/k", "2"));
	assert_true(put(dom0, XBT_NULL, "/u2/k", "2"));
	assert_true(xs_transaction_end(dom0, t, false));
	value_is(dom0, XBT_NULL, "/u1/k", "2");
}

static void a_watch_fires_at_once_and_for_everything_below(void **state)
{
	(void)state;
	assert_true(xs_watch(dom0, "/w", "tok"));
	expect_event(dom0, "/w", "tok");
	assert_true(put(dom0, XBT_NULL, "/w/x/y", "1"));
	expect_event(dom0, "/w/x/y", "tok");
	assert_true(put(dom0, XBT_NULL, "/wide", "1"));
	assert_true(xs_rm(dom0, XBT_NULL, "/w/x"));
	expect_event(dom0, "/w/x", "tok");
	assert_true(xs_unwatch(dom0, "/w", "tok"));
	assert_false(xs_unwatch(dom0, "/w", "tok"));
	assert_int_equal(errno, ENOENT);
	expect_no_event(dom0);
}

static void a_relative_watch_answers_with_relative_paths(void **state)
{
	(void)state;
	assert_true(xs_watch(dom0, "backend/vif", "rel"));
	expect_event(dom0, "backend/vif", "rel");
	assert_true(put(dom0, XBT_NULL, "/local/domain/0/backend/vif/7/0/state", "1"));
	expect_event(dom0, "backend/vif/7/0/state", "rel");
	assert_true(xs_unwatch(dom0, "backend/vif", "rel"));
}

static void removing_a_tree_fires_watches_on_exactly_its_nodes(void **state)
{
	(void)state;
	assert_true(put(dom0, XBT_NULL, "/tree/a/state", "4"));
	assert_true(xs_watch(dom0, "/tree/a/state", "s"));
	expect_event(dom0, "/tree/a/state", "s");
	assert_true(xs_rm(dom0, XBT_NULL, "/tree"));
	expect_event(dom0, "/tree/a/state", "s");
	expect_no_event(dom0);
	assert_true(xs_unwatch(dom0, "/tree/a/state", "s"));
}

static void events_of_a_transaction_come_when_it_commits(void **state)
{
	xs_transaction_t t;

	(void)state;
	assert_true(xs_watch(dom0, "/tw", "t"));
	expect_event(dom0, "/tw", "t");
	t = xs_transaction_start(dom0);
	assert_true(put(dom0, t, "/tw/1", ""));
	assert_true(put(dom0, t, "/tw/2", ""));
	expect_no_event(dom0);
	assert_true(xs_transaction_end(dom0, t, false));
	expect_event(dom0, "/tw/1", "t");
	expect_event(dom0, "/tw/2", "t");
	assert_true(xs_unwatch(dom0, "/tw", "t"));
}

static void a_guest_changes_only_what_it_owns(void **state)
{
	struct xs_permissions steal[] = { { .id = 0, .perms = XS_PERM_NONE } };

	(void)state;
	assert_true(put(dom0, XBT_NULL, "/secret/key", "x"));
	value_is(guest, XBT_NULL, "/secret/key", NULL);
	assert_int_equal(errno, EACCES);
	assert_false(put(guest, XBT_NULL, "/secret/key", "y"));
	assert_int_equal(errno, EACCES);
	assert_false(put(guest, XBT_NULL, "/secret/new", "y"));
	assert_int_equal(errno, EACCES);
	give_to_guest("/own");
	assert_true(put(guest, XBT_NULL, "/own/k", "v"));
	assert_false(xs_set_permissions(guest, XBT_NULL, "/own/k", steal, 1));
	assert_int_equal(errno, EPERM);
	assert_true(xs_rm(guest, XBT_NULL, "/own"));
}

static void a_guest_reads_what_it_was_given_to_read(void **state)
{
	struct xs_permissions perms[] = { { .id = 0, .perms = XS_PERM_NONE },
					  { .id = 7, .perms = XS_PERM_READ } };

	(void)state;
	assert_true(xs_mkdir(dom0, XBT_NULL, "/be"));
	assert_true(xs_set_permissions(dom0, XBT_NULL, "/be", perms, 2));
	assert_true(put(dom0, XBT_NULL, "/be/state", "2"));
	value_is(guest, XBT_NULL, "/be/state", "2");
	assert_false(put(guest, XBT_NULL, "/be/state", "4"));
	assert_false(xs_rm(guest, XBT_NULL, "/be"));
	assert_true(xs_watch(guest, "/be", "g"));
	expect_event(guest, "/be", "g");
	assert_true(put(dom0, XBT_NULL, "/be/state", "4"));
	expect_event(guest, "/be/state", "g");
	assert_true(xs_unwatch(guest, "/be", "g"));
}

static void a_guest_hears_nothing_of_what_it_may_not_read(void **state)
{
	(void)state;
	assert_true(xs_watch(guest, "/", "all"));
	expect_event(guest, "/", "all");
	assert_true(put(dom0, XBT_NULL, "/hidden/k", "x"));
	expect_no_event(guest);
	assert_true(xs_unwatch(guest, "/", "all"));
}

static void a_guest_has_quotas(void **state)
{
	char big[2049] = { 0 }, path[32], token[16];
	int nr;

	(void)state;
	give_to_guest("/quota");
	assert_false(xs_write(guest, XBT_NULL, "/quota/big", big, sizeof(big)));
	assert_int_equal(errno, ENOSPC);
	for (nr = 0; nr < 2000; nr++) {
		snprintf(path, sizeof(path), "/quota/%d", nr);
		if (!put(guest, XBT_NULL, path, ""))
			break;
	}
	assert_int_equal(errno, ENOSPC);
	assert_in_range(nr, 900, 1000);
	assert_true(xs_rm(guest, XBT_NULL, "/quota"));
	for (nr = 0; nr < 200; nr++) {
		snprintf(token, sizeof(token), "%d", nr);
		if (!xs_watch(guest, "/quota", token))
			break;
	}
	assert_int_equal(errno, E2BIG);
	assert_int_equal(nr, 128);
}

static void introducing_and_releasing_fire_the_special_watches(void **state)
{
	struct xs_handle *eight;

	(void)state;
	assert_true(xs_watch(dom0, "@introduceDomain", "i"));
	expect_event(dom0, "@introduceDomain", "i");
	assert_true(xs_watch(dom0, "@releaseDomain", "r"));
	expect_event(dom0, "@releaseDomain", "r");
	assert_false(xs_is_domain_introduced(dom0, 8));
	assert_true(xs_introduce_domain(dom0, 8, 1, 2));
	expect_event(dom0, "@introduceDomain", "i");
	assert_true(xs_is_domain_introduced(dom0, 8));
	eight = open_as(8);
	assert_non_null(eight);
	assert_true(xs_release_domain(dom0, 8));
	expect_event(dom0, "@releaseDomain", "r");
	value_is(eight, XBT_NULL, "/", NULL);
	assert_null(open_as(8));
	xs_close(eight);
	assert_true(xs_unwatch(dom0, "@introduceDomain", "i"));
	assert_true(xs_unwatch(dom0, "@releaseDomain", "r"));
}

static void the_nodes_of_a_released_domain_vanish_without_an_event(void **state)
{
	struct xs_permissions perms[] = { { .id = 9, .perms = XS_PERM_NONE } };

	(void)state;
	assert_true(xs_introduce_domain(dom0, 9, 1, 2));
	assert_true(put(dom0, XBT_NULL, "/local/domain/9/device/vbd/0/state", "4"));
	assert_true(xs_set_permissions(dom0, XBT_NULL, "/local/domain/9/device/vbd/0", perms, 1));
	assert_true(xs_watch(dom0, "/local/domain/9", "n"));
	expect_event(dom0, "/local/domain/9", "n");
	assert_true(xs_release_domain(dom0, 9));
	value_is(dom0, XBT_NULL, "/local/domain/9/device/vbd/0/state", NULL);
	value_is(dom0, XBT_NULL, "/local/domain/9/device/vbd", "");
	expect_no_event(dom0);
}

static void only_dom0_may_introduce(void **state)
{
	(void)state;
	assert_false(xs_introduce_domain(guest, 20, 1, 1));
	assert_int_equal(errno, EACCES);
}

/* libxenstore 4.17 leaks the events that it filters, and a guest can cause many: ours are all read. */
static void the_daemon_reads_what_a_watch_left_behind(void **state)
{
	struct store store;

	(void)state;
	assert_int_equal(store_open(&store), 0);
	assert_int_equal(store_open_watches(&store), 0);
	assert_true(xs_watch(store.watches, "/left", "tok"));
	assert_true(put(store.xs, XBT_NULL, "/left/x", "1"));
	assert_true(xs_unwatch(store.watches, "/left", "tok"));
	expect_event(store.watches, "/left", "tok");
	expect_event(store.watches, "/left/x", "tok");
	expect_no_event(store.watches);
	store_close(&store);
}

static void a_key_that_was_not_there_is_missing_while_names_are_held(void **state)
{
	struct store store;

	(void)state;
	assert_int_equal(store_open(&store), 0);
	assert_int_equal(store_write(&store, XBT_NULL, "/held", "there", "1"), 0);
	store_hold_names(&store, "/held");
	assert_int_equal(store_write(&store, XBT_NULL, "/held", "late", "1"), 0);
	assert_int_equal(store_write(&store, XBT_NULL, "/other", "late", "1"), 0);
	assert_true(store_exists(&store, XBT_NULL, "/held", "there"));
	assert_false(store_exists(&store, XBT_NULL, "/held", "late"));
	assert_true(store_exists(&store, XBT_NULL, "/other", "late"));
	store_drop_names(&store);
	assert_true(store_exists(&store, XBT_NULL, "/held", "late"));
	store_hold_names(&store, "/nowhere"); /* cannot be listed: nothing is known of it */
	assert_int_equal(store_write(&store, XBT_NULL, "/nowhere", "late", "1"), 0);
	assert_true(store_exists(&store, XBT_NULL, "/nowhere", "late"));
	store_close(&store);
}

static void a_watch_on_the_root_hears_everything_once(void **state)
{
	struct xs_handle *xs = xs_open(0);

	(void)state;
	assert_true(xs_watch(xs, "/", "tok"));
	expect_event(xs, "/", "tok");
	assert_true(put(xs, XBT_NULL, "/deep/below", "1"));
	expect_event(xs, "/deep/below", "tok");
	expect_no_event(xs);
	xs_close(xs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_read_back_and_parents_appear),
		cmocka_unit_test(values_are_binary_and_may_be_empty),
		cmocka_unit_test(a_relative_path_starts_at_the_domains_home),
		cmocka_unit_test(a_bad_path_is_refused),
		cmocka_unit_test(removing_what_is_not_there_needs_its_parent),
		cmocka_unit_test(a_directory_larger_than_a_message_is_listed_whole),
		cmocka_unit_test(a_transaction_sees_its_own_writes_and_others_see_them_at_the_end),
		cmocka_unit_test(an_aborted_transaction_changes_nothing),
		cmocka_unit_test(a_transaction_that_read_a_changed_node_must_start_over),
		cmocka_unit_test(a_transaction_that_saw_a_node_missing_conflicts_when_it_appears),
		cmocka_unit_test(unrelated_changes_do_not_disturb_a_transaction),
		cmocka_unit_test(a_watch_fires_at_once_and_for_everything_below),
		cmocka_unit_test(a_relative_watch_answers_with_relative_paths),
		cmocka_unit_test(removing_a_tree_fires_watches_on_exactly_its_nodes),
		cmocka_unit_test(events_of_a_transaction_come_when_it_commits),
		cmocka_unit_test(a_guest_changes_only_what_it_owns),
		cmocka_unit_test(a_guest_reads_what_it_was_given_to_read),
		cmocka_unit_test(a_guest_hears_nothing_of_what_it_may_not_read),
		cmocka_unit_test(a_guest_has_quotas),
		cmocka_unit_test(introducing_and_releasing_fire_the_special_watches),
		cmocka_unit_test(the_nodes_of_a_released_domain_vanish_without_an_event),
		cmocka_unit_test(only_dom0_may_introduce),
		cmocka_unit_test(the_daemon_reads_what_a_watch_left_behind),
		cmocka_unit_test(a_key_that_was_not_there_is_missing_while_names_are_held),
		cmocka_unit_test(a_watch_on_the_root_hears_everything_once),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
