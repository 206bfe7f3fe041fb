/* SPDX-License-Identifier: MIT */
/* What a network frontend may write into xenstore. A table replaces xenstore here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netback/quirks.h"
#include "netback/vif_front.h"

#define FRONT "/local/domain/7/device/vif/0"

/* --- xenstore --- */

static struct {
	char path[128];
	char value[64];
} nodes[64];
static unsigned int nr_nodes;
static char reason[256];
static int nr_reasons;

/* NULL removes. */
static void set(const char *key, const char *value)
{
	char path[128];
	unsigned int i;

	snprintf(path, sizeof(path), FRONT "/%s", key);
	for (i = 0; i < nr_nodes && strcmp(nodes[i].path, path) != 0; i++)
		;
	if (i == nr_nodes)
		nr_nodes++;
	assert_true(nr_nodes <= 64);
	memcpy(nodes[i].path, path, sizeof(path));
	nodes[i].value[0] = '\0';
	if (value)
		snprintf(nodes[i].value, sizeof(nodes[i].value), "%s", value);
	else
		nodes[i].path[0] = '\0';
}

static const char *find(const char *dir, const char *key)
{
	char path[STORE_PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, key);
	for (unsigned int i = 0; i < nr_nodes; i++)
		if (strcmp(nodes[i].path, path) == 0)
			return nodes[i].value;
	return NULL;
}

void store_hold_names(struct store *store, const char *dir)
{
	(void)store;
	assert_string_equal(dir, FRONT);
}

void store_drop_names(struct store *store)
{
	(void)store;
}

int store_read(struct store *store, xs_transaction_t t, const char *dir, const char *key, char *buf,
	       size_t size)
{
	const char *text = find(dir, key);

	(void)store;
	(void)t;
	if (!text)
		return -ENOENT;
	return snprintf(buf, size, "%s", text) < (int)size ? 0 : -E2BIG;
}

bool store_exists(struct store *store, xs_transaction_t t, const char *dir, const char *key)
{
	(void)store;
	(void)t;
	return find(dir, key);
}

int store_read_u32(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		   uint32_t min, uint32_t max, uint32_t *ret)
{
	const char *text = find(dir, key);
	unsigned long long value;
	char *end;

	(void)store;
	(void)t;
	if (!text)
		return -ENOENT;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end)
		return -EINVAL;
	if (value < min || value > max)
		return -ERANGE;
	*ret = (uint32_t)value;
	return 0;
}

int store_read_flag(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		    bool fallback, bool *ret)
{
	uint32_t value = fallback;
	int err = store_read_u32(store, t, dir, key, 0, 1, &value);

	if (err && err != -ENOENT)
		return err;
	*ret = value;
	return 0;
}

void device_reason(struct device *dev, int err, const char *fmt, ...)
{
	va_list ap;

	(void)dev;
	(void)err;
	nr_reasons++;
	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
}

/* --- the rig --- */

static struct device_env env;
static struct device dev = { .env = &env, .fe_path = FRONT };
static struct vif_front front;

static int read_front(void)
{
	memset(&front, 0xee, sizeof(front));
	nr_reasons = 0;
	return vif_front_read(&dev, 4, &front);
}

/* The frontend is refused, and the admin is told once why. */
static void expect_refusal(int err, const char *word)
{
	assert_int_equal(read_front(), err);
	assert_int_equal(nr_reasons, 1);
	assert_non_null(strstr(reason, word));
}

/* What Linux writes. */
static int setup(void **state)
{
	(void)state;
	nr_nodes = 0;
	set("tx-ring-ref", "768");
	set("rx-ring-ref", "769");
	set("event-channel-tx", "20");
	set("event-channel-rx", "21");
	set("request-rx-copy", "1");
	set("feature-rx-notify", "1");
	set("feature-sg", "1");
	set("feature-gso-tcpv4", "1");
	set("feature-gso-tcpv6", "1");
	set("feature-ipv6-csum-offload", "1");
	return 0;
}

static void linux_is_understood(void **state)
{
	(void)state;
	assert_int_equal(read_front(), 0);
	assert_int_equal(front.nr_queues, 1);
	assert_int_equal(front.queues[0].tx_ref, 768);
	assert_int_equal(front.queues[0].rx_ref, 769);
	assert_int_equal(front.queues[0].tx_port, 20);
	assert_int_equal(front.queues[0].rx_port, 21);
	assert_true(front.rx_notify);
	assert_true(front.accept.sg && front.accept.csum_v4 && front.accept.csum_v6);
	assert_true(front.accept.gso_v4 && front.accept.gso_v6);
}

static void silence_means_the_oldest_frontend(void **state)
{
	(void)state;
	nr_nodes = 0;
	set("tx-ring-ref", "1");
	set("rx-ring-ref", "2");
	set("event-channel", "3");
	set("request-rx-copy", "1");
	assert_int_equal(read_front(), 0);
	assert_int_equal(front.queues[0].tx_port, 3);
	assert_int_equal(front.queues[0].rx_port, 0);
	assert_false(front.rx_notify);
	assert_true(front.accept.csum_v4);
	assert_false(front.accept.sg || front.accept.csum_v6);
	assert_false(front.accept.gso_v4 || front.accept.gso_v6);
}

static void copies_must_be_accepted(void **state)
{
	(void)state;
	set("request-rx-copy", "0");
	expect_refusal(-EOPNOTSUPP, "request-rx-copy");
	set("request-rx-copy", NULL);
	expect_refusal(-EOPNOTSUPP, "request-rx-copy");
}

static void large_frames_need_sg_and_blank_checksums(void **state)
{
	(void)state;
	set("feature-sg", "0");
	assert_int_equal(read_front(), 0);
	assert_false(front.accept.gso_v4 || front.accept.gso_v6);
	set("feature-sg", "1");
	set("feature-no-csum-offload", "1");
	assert_int_equal(read_front(), 0);
	assert_false(front.accept.csum_v4 || front.accept.gso_v4);
	assert_true(front.accept.gso_v6);
	set("feature-ipv6-csum-offload", "0");
	assert_int_equal(read_front(), 0);
	assert_false(front.accept.gso_v6);
}

static void row_25_missing_keys_are_named(void **state)
{
	static const char *const keys[] = { "tx-ring-ref", "rx-ring-ref", "event-channel-rx" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		setup(state);
		set(keys[i], NULL);
		expect_refusal(-ENOENT, keys[i]);
	}
	setup(state);
	set("event-channel-tx", NULL);
	expect_refusal(-ENOENT, "event-channel");
}

static void row_25_nonsense_is_refused_in_every_key(void **state)
{
	static const char *const keys[] = { "tx-ring-ref",
					    "rx-ring-ref",
					    "event-channel-tx",
					    "event-channel-rx",
					    "request-rx-copy",
					    "feature-rx-notify",
					    "feature-sg",
					    "feature-gso-tcpv4",
					    "feature-gso-tcpv6",
					    "feature-no-csum-offload",
					    "feature-ipv6-csum-offload",
					    "multi-queue-num-queues" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		setup(state);
		set(keys[i], "x");
		expect_refusal(-EINVAL, keys[i]);
		set(keys[i], "4294967296");
		expect_refusal(-ERANGE, keys[i]);
	}
}

static void row_25_no_queue_and_too_many_are_refused(void **state)
{
	(void)state;
	set("multi-queue-num-queues", "0");
	expect_refusal(-ERANGE, "multi-queue-num-queues");
	set("multi-queue-num-queues", "5");
	expect_refusal(-ERANGE, "multi-queue-num-queues");
}

static void headroom_leaves_room_for_a_header(void **state)
{
	(void)state;
	assert_int_equal(read_front(), 0);
	assert_int_equal(front.headroom, 0);
	set("xdp-headroom", "256");
	assert_int_equal(read_front(), 0);
	assert_int_equal(front.headroom, 256);
	set("xdp-headroom", "4082");
	assert_int_equal(read_front(), 0);
	set("xdp-headroom", "4083");
	expect_refusal(-ERANGE, "xdp-headroom");
}

static void control_ring_needs_its_event_channel(void **state)
{
	(void)state;
	assert_int_equal(read_front(), 0);
	assert_false(front.ctrl);
	set("ctrl-ring-ref", "770");
	expect_refusal(-ENOENT, "event-channel-ctrl");
	set("event-channel-ctrl", "22");
	assert_int_equal(read_front(), 0);
	assert_true(front.ctrl);
	assert_int_equal(front.ctrl_ref, 770);
	assert_int_equal(front.ctrl_port, 22);
}

static void quirks_are_known_by_name(void **state)
{
	unsigned int bits = 77;

	(void)state;
	assert_int_equal(quirks_parse("freebsd", &bits), 0);
	assert_int_equal(bits, QUIRK_NO_CSUM);
	assert_int_equal(quirks_parse("poll,single-slot", &bits), 0);
	assert_int_equal(bits, QUIRK_POLL | QUIRK_SINGLE_SLOT);
	assert_int_equal(quirks_parse("none", &bits), 0);
	assert_int_equal(bits, 0);
	assert_int_equal(quirks_parse("", &bits), -EINVAL);
	assert_int_equal(quirks_parse("free", &bits), -EINVAL);
	assert_int_equal(quirks_parse("freebsd,", &bits), -EINVAL);
	assert_int_equal(quirks_parse("freebsd, poll", &bits), -EINVAL);
}

static void quirks_take_away_what_the_frontend_claims(void **state)
{
	(void)state;
	assert_int_equal(read_front(), 0);
	vif_front_apply_quirks(&front, 0);
	assert_true(front.accept.gso_v4 && front.accept.sg && front.rx_notify);
	assert_false(front.finish_csum);
	vif_front_apply_quirks(&front, QUIRK_NO_GSO);
	assert_false(front.accept.gso_v4 || front.accept.gso_v6);
	assert_true(front.accept.csum_v4 && front.accept.sg);
	assert_int_equal(read_front(), 0);
	vif_front_apply_quirks(&front, QUIRK_NO_CSUM);
	assert_false(front.accept.csum_v4 || front.accept.csum_v6 || front.accept.gso_v4);
	assert_true(front.finish_csum);
	assert_int_equal(read_front(), 0);
	vif_front_apply_quirks(&front, QUIRK_SINGLE_SLOT | QUIRK_POLL);
	assert_false(front.accept.sg || front.accept.gso_v6 || front.rx_notify);
	assert_true(front.accept.csum_v4);
}

static void freebsd_is_told_by_what_it_does_not_say(void **state)
{
	(void)state;
	set("multi-queue-num-queues", "1");
	assert_int_equal(read_front(), 0);
	assert_false(front.is_freebsd); /* Linux */
	set("feature-gso-tcpv6", NULL);
	set("feature-ipv6-csum-offload", NULL);
	assert_int_equal(read_front(), 0);
	assert_true(front.is_freebsd);
	set("multi-queue-num-queues", NULL);
	assert_int_equal(read_front(), 0);
	assert_false(front.is_freebsd); /* or an old Linux; the keys do not say which */
}

static void event_channel_0_is_none(void **state)
{
	(void)state;
	set("event-channel-rx", "0");
	expect_refusal(-ERANGE, "event-channel-rx");
}

static void several_queues_have_a_folder_each(void **state)
{
	char key[64], value[16];

	(void)state;
	set("multi-queue-num-queues", "4");
	for (unsigned int i = 0; i < 4; i++) {
		snprintf(value, sizeof(value), "%u", 100 + i);
		snprintf(key, sizeof(key), "queue-%u/tx-ring-ref", i);
		set(key, value);
		snprintf(key, sizeof(key), "queue-%u/rx-ring-ref", i);
		set(key, value);
		snprintf(key, sizeof(key), "queue-%u/event-channel", i);
		if (i == 3)
			expect_refusal(-ENOENT, "event-channel"); /* the flat ones do not count */
		set(key, value);
	}
	assert_int_equal(read_front(), 0);
	assert_int_equal(front.nr_queues, 4);
	assert_int_equal(front.queues[3].tx_ref, 103);
	assert_int_equal(front.queues[3].rx_port, 0);
}

static void one_queue_has_flat_keys_even_when_it_says_so(void **state)
{
	(void)state;
	set("multi-queue-num-queues", "1");
	set("queue-0/tx-ring-ref", "1");
	assert_int_equal(read_front(), 0);
	assert_int_equal(front.queues[0].tx_ref, 768);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(linux_is_understood, setup),
		cmocka_unit_test_setup(silence_means_the_oldest_frontend, setup),
		cmocka_unit_test_setup(copies_must_be_accepted, setup),
		cmocka_unit_test_setup(large_frames_need_sg_and_blank_checksums, setup),
		cmocka_unit_test_setup(row_25_missing_keys_are_named, setup),
		cmocka_unit_test_setup(row_25_nonsense_is_refused_in_every_key, setup),
		cmocka_unit_test_setup(row_25_no_queue_and_too_many_are_refused, setup),
		cmocka_unit_test_setup(headroom_leaves_room_for_a_header, setup),
		cmocka_unit_test_setup(control_ring_needs_its_event_channel, setup),
		cmocka_unit_test(quirks_are_known_by_name),
		cmocka_unit_test_setup(quirks_take_away_what_the_frontend_claims, setup),
		cmocka_unit_test_setup(freebsd_is_told_by_what_it_does_not_say, setup),
		cmocka_unit_test_setup(event_channel_0_is_none, setup),
		cmocka_unit_test_setup(several_queues_have_a_folder_each, setup),
		cmocka_unit_test_setup(one_queue_has_flat_keys_even_when_it_says_so, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
