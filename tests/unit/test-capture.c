/* SPDX-License-Identifier: MIT */
/* Captures: any reader can read the file, and the data path never waits for it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"
#include "netback/capture.h"
#include "netback/pcap_filter.h"
#include "netback/vif_pcap.h"

static char dir[] = "/tmp/test-capture-XXXXXX";
static char path[64];
static struct message_capture options;
static uint8_t frame[70000];

static int setup_all(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x.pcapng", dir);
	return 0;
}

static int teardown_all(void **state)
{
	char old[80];

	(void)state;
	unlink(path);
	snprintf(old, sizeof(old), "%s.old", path);
	unlink(old);
	return rmdir(dir);
}

static int setup(void **state)
{
	(void)state;
	unlink(path);
	options = (struct message_capture){ .on = true,
					    .ifname = "vif7.0",
					    .name = "a file",
					    .snaplen = 65536,
					    .max_bytes = 16 << 20 };
	return 0;
}

static struct capture *begin(void)
{
	struct capture *c;
	int fd = vif_pcap_open(path);

	assert_true(fd >= 0);
	assert_int_equal(capture_start(&options, "vif 7/0", fd, &c), 0);
	return c;
}

static void add(struct capture *c, uint32_t len, bool inbound, const char *reason)
{
	struct iovec iov[3] = { { frame, 10 }, { frame + 10, 0 }, { frame + 10, len - 10 } };

	capture_add(c, iov, 3, inbound, reason);
}

/* --- a reader of our own --- */

struct found {
	unsigned int nr_packets, nr_inbound, nr_dropped;
	uint32_t seen, len; /* of the last packet */
	uint64_t received, lost;
	bool statistics;
	uint64_t bytes;
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void read_options(const uint8_t *at, const uint8_t *end, bool packet, struct found *found)
{
	for (;;) {
		uint16_t code = get16(at), size = get16(at + 2);

		assert_true(at + 4 + size <= end);
		if (!code)
			break;
		if (packet && code == 2)
			found->nr_inbound += get32(at + 4) == 1;
		if (packet && code == 1 && !memcmp(at + 4, "dropped: ipv4", 13) && size == 13)
			found->nr_dropped++;
		if (!packet && code == 4)
			memcpy(&found->received, at + 4, 8);
		if (!packet && code == 5)
			memcpy(&found->lost, at + 4, 8);
		at += 4 + (size + 3u) / 4 * 4;
	}
	assert_ptr_equal(at + 4, end);
}

static void read_block(const uint8_t *block, uint32_t size, struct found *found)
{
	uint32_t data;

	switch (get32(block)) {
	case 1:
		assert_int_equal(get16(block + 8), 1);
		assert_int_equal(get32(block + 12), options.snaplen);
		assert_memory_equal(block + 20, "vif7.0", 6);
		break;
	case 6:
		found->seen = get32(block + 20);
		found->len = get32(block + 24);
		data = (found->seen + 3) / 4 * 4;
		assert_memory_equal(block + 28, frame, found->seen);
		read_options(block + 28 + data, block + size - 4, true, found);
		found->nr_packets++;
		break;
	case 5:
		read_options(block + 20, block + size - 4, false, found);
		found->statistics = true;
		break;
	default:
		fail_msg("block type %x", get32(block));
	}
}

static struct found parse(const uint8_t *bytes, size_t nr)
{
	struct found found = { .bytes = nr };

	assert_true(nr >= 28);
	assert_int_equal(get32(bytes), 0x0a0d0d0a);
	assert_int_equal(get32(bytes + 8), 0x1a2b3c4d);
	for (size_t at = 0; at < nr;) {
		uint32_t size = get32(bytes + at + 4);

		assert_int_equal(size % 4, 0);
		assert_true(size >= 12 && size <= nr - at);
		assert_int_equal(get32(bytes + at + size - 4), size);
		if (get32(bytes + at) != 0x0a0d0d0a) /* a section begins */
			read_block(bytes + at, size, &found);
		at += size;
	}
	return found;
}

static struct found read_file(void)
{
	static uint8_t bytes[20 << 20];
	FILE *file = fopen(path, "r");
	struct found found;

	assert_non_null(file);
	found = parse(bytes, fread(bytes, 1, sizeof(bytes), file));
	fclose(file);
	return found;
}

static struct found end(struct capture *c)
{
	capture_put(c, 60000);
	return read_file();
}

/* --- the tests --- */

static void an_empty_capture_is_a_file(void **state)
{
	struct found found = end(begin());

	(void)state;
	assert_int_equal(found.nr_packets, 0);
	assert_true(found.statistics);
}

static void frames_have_direction_and_reason(void **state)
{
	struct capture *c = begin();
	struct found found;

	(void)state;
	add(c, 61, true, NULL); /* a length that needs padding */
	add(c, 62, false, NULL);
	add(c, 63, true, "ipv4");
	add(c, 65535, false, NULL);
	found = end(c);
	assert_int_equal(found.nr_packets, 4);
	assert_int_equal(found.nr_inbound, 2);
	assert_int_equal(found.nr_dropped, 1);
	assert_int_equal(found.seen, 65535);
	assert_int_equal(found.received, 4);
	assert_int_equal(found.lost, 0);
}

static void snaplen_cuts_frames(void **state)
{
	struct capture *c;
	struct found found;

	(void)state;
	options.snaplen = 41;
	c = begin();
	add(c, 1514, true, NULL);
	found = end(c);
	assert_int_equal(found.seen, 41);
	assert_int_equal(found.len, 1514);
}

static void the_file_ends_at_its_limit(void **state)
{
	struct capture *c;
	struct found found;

	(void)state;
	options.snaplen = 100;
	options.max_bytes = 4096;
	c = begin();
	for (int i = 0; i < 1000; i++)
		add(c, 100, true, NULL);
	found = end(c);
	assert_in_range(found.nr_packets, 20, 30);
	assert_in_range(found.bytes, 3000, 4096 + 64);
}

static void an_earlier_file_is_replaced(void **state)
{
	struct capture *c = begin();

	(void)state;
	for (int i = 0; i < 100; i++)
		add(c, 1000, true, NULL);
	end(c);
	assert_int_equal(end(begin()).nr_packets, 0);
}

/* When a guest's driver connects again, the frames of the first one stay, and count for the limit. */
static void a_second_capture_goes_on_in_the_file(void **state)
{
	struct capture *c;
	struct found found;
	int fd = vif_pcap_open(path);

	(void)state;
	options.max_bytes = 300 * 1024;
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(capture_start(&options, "vif 7/0", dup(fd), &c), 0);
		for (int frames = 0; frames < 100; frames++)
			add(c, 1000, true, NULL);
		found = end(c);
		assert_in_range(found.nr_packets, 100 * i + 1, 100 * i + 100);
		assert_in_range(found.bytes, 1, options.max_bytes);
	}
	assert_in_range(found.nr_packets, 201, 299);
	close(fd);
}

/* A pipe without a reader is like a very slow disk. */
static void a_slow_disk_loses_frames_and_stops_nobody(void **state)
{
	static uint8_t bytes[20 << 20];
	struct capture *c;
	struct found found;
	size_t nr = 0;
	ssize_t n;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(capture_start(&options, "vif 7/0", dup(fd), &c), 0);
	for (int i = 0; i < 5000; i++)
		add(c, 1500, true, NULL);
	capture_stop(c); /* does not wait */
	while (nr < 64 || get32(bytes + nr - 4) != 52 || get32(bytes + nr - 52) != 5) {
		n = read(fd, bytes + nr, sizeof(bytes) - nr);
		assert_true(n > 0);
		nr += (size_t)n;
	}
	close(fd);
	capture_put(c, 60000);
	found = parse(bytes, nr);
	assert_true(found.lost > 0);
	assert_int_equal(found.received, found.nr_packets);
	assert_int_equal(found.nr_packets + found.lost, 5000);
}

static void a_full_disk_ends_the_capture(void **state)
{
	struct capture *c;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(
		capture_start(&options, "vif 7/0", open("/dev/full", O_WRONLY | O_CLOEXEC), &c), 0);
	for (int i = 0; i < 5000; i++)
		add(c, 1500, true, NULL);
	capture_put(c, 60000);
}

static void what_cannot_be_opened_is_an_error(void **state)
{
	struct capture *c;

	(void)state;
	assert_int_equal(vif_pcap_open("/nowhere/x.pcapng"), -ENOENT);
	assert_int_equal(capture_start(&options, "vif 7/0", -1, &c), -EBADF);
}

static void filters_choose(void **state)
{
	struct capture *c;

	(void)state;
#ifdef HAVE_PCAP
	assert_int_equal(pcap_filter_compile("greater 1000", &options), 0);
	c = begin();
	add(c, 999, true, NULL);
	add(c, 1001, true, NULL);
	assert_int_equal(end(c).nr_packets, 1);
	options.insns[0] = (struct message_insn){ .code = 5, .k = 1000000 }; /* a jump out of it */
	assert_int_equal(capture_start(&options, "vif 7/0", vif_pcap_open(path), &c), -EINVAL);
	options.nr_insns = MESSAGE_INSNS + 1;
	assert_int_equal(capture_start(&options, "vif 7/0", vif_pcap_open(path), &c), -EINVAL);
	assert_int_equal(pcap_filter_compile("tcp tcp", &options), -EINVAL);
	assert_int_equal(pcap_filter_compile("", &options), 0);
	assert_int_equal(options.nr_insns, 0);
#else
	(void)c;
	assert_int_equal(pcap_filter_compile("greater 1000", &options), -EOPNOTSUPP);
#endif
}

static void keys_are_read(void **state)
{
	static const char *const wrong[] = { "yes",      "size=",        "size=0",
					     "size=x",   "snaplen=0",    "snaplen=65537",
					     "on,foo=1", "size=1048577", "size=-1" };

	(void)state;
	assert_int_equal(vif_pcap_parse("on", &options), 0);
	assert_true(options.on);
	assert_int_equal(options.snaplen, 65536);
	assert_int_equal(options.max_bytes, 16 << 20);
	assert_int_equal(vif_pcap_parse("snaplen=96, size=2", &options), 0);
	assert_true(options.on);
	assert_int_equal(options.snaplen, 96);
	assert_int_equal(options.max_bytes, 2 << 20);
	assert_int_equal(vif_pcap_parse("", &options), 0);
	assert_false(options.on);
	assert_int_equal(vif_pcap_parse("off", &options), 0);
	assert_false(options.on);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(vif_pcap_parse(wrong[i], &options), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_empty_capture_is_a_file, setup),
		cmocka_unit_test_setup(frames_have_direction_and_reason, setup),
		cmocka_unit_test_setup(snaplen_cuts_frames, setup),
		cmocka_unit_test_setup(the_file_ends_at_its_limit, setup),
		cmocka_unit_test_setup(an_earlier_file_is_replaced, setup),
		cmocka_unit_test_setup(a_second_capture_goes_on_in_the_file, setup),
		cmocka_unit_test_setup(a_slow_disk_loses_frames_and_stops_nobody, setup),
		cmocka_unit_test_setup(a_full_disk_ends_the_capture, setup),
		cmocka_unit_test_setup(what_cannot_be_opened_is_an_error, setup),
		cmocka_unit_test_setup(filters_choose, setup),
		cmocka_unit_test_setup(keys_are_read, setup),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
