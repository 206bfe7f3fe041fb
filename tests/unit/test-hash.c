/* SPDX-License-Identifier: MIT */
/*
 * The guest's hash: which settings are accepted, the published test vectors, and the steering program. The program runs here in
 * a small interpreter, and must find the same queue as the C code.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "netback/hash.h"
#include "netback/steer.h"
#include "netframes.h"

/* "Verifying the RSS Hash Calculation", Microsoft's NDIS documentation. */
static const uint8_t published_key[MESSAGE_HASH_KEY] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa
};
static const struct {
	const char *to, *from;
	uint16_t to_port, from_port;
	uint32_t addresses, with_ports;
} published[] = {
	{ "161.142.100.80", "66.9.149.187", 1766, 2794, 0x323e8fc2, 0x51ccc178 },
	{ "65.69.140.83", "199.92.111.2", 4739, 14230, 0xd718262a, 0xc626b0ea },
	{ "12.22.207.184", "24.19.198.95", 38024, 12898, 0xd2d0a5de, 0x5c2b394a },
	{ "209.142.163.6", "38.27.205.30", 2217, 48228, 0x82989176, 0xafc7327f },
	{ "202.188.127.2", "153.39.163.191", 1303, 44251, 0x5d1809c5, 0x10e828a2 },
	{ "3ffe:2501:200:3::1", "3ffe:2501:200:1fff::7", 1766, 2794, 0x2cc18cd5, 0x40207d3d },
	{ "ff02::1", "3ffe:501:8::260:97ff:fe40:efab", 4739, 14230, 0x0f0c461c, 0xdde51bbf },
	{ "fe80::200:f8ff:fe21:67cf", "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 38024, 44251,
	  0x4b61e985, 0x02d1feef },
};
#define NR_PUBLISHED (sizeof(published) / sizeof(published[0]))

static uint8_t frame[70000];
static struct steer_table table;

/* A TCP frame between the published addresses; returns its length. */
static uint32_t published_frame(size_t i)
{
	bool v6 = strchr(published[i].to, ':');
	struct spec s = { .tcp = true, .v6 = v6, .payload = 30 };
	struct built b = build_blank(frame, &s);
	int family = v6 ? AF_INET6 : AF_INET;

	assert_int_equal(inet_pton(family, published[i].from, frame + b.l3 + (v6 ? 8 : 12)), 1);
	assert_int_equal(inet_pton(family, published[i].to, frame + b.l3 + (v6 ? 24 : 16)), 1);
	put16(frame + b.l4, published[i].from_port);
	put16(frame + b.l4 + 2, published[i].to_port);
	return b.len;
}

static struct message_hash config_with(uint32_t types)
{
	struct message_hash config = { .algorithm = HASH_TOEPLITZ, .types = types };

	memcpy(config.key, published_key, sizeof(config.key));
	return config;
}

static void published_vectors_are_met(void **state)
{
	struct message_hash all = config_with(HASH_ALL_TYPES);
	struct message_hash plain = config_with(1u << HASH_IPV4 | 1u << HASH_IPV6);
	struct hash_value value;

	(void)state;
	for (size_t i = 0; i < NR_PUBLISHED; i++) {
		uint32_t len = published_frame(i);
		bool v6 = i >= 5;

		hash_frame(&all, frame, len, false, &value);
		assert_true(value.valid);
		assert_int_equal(value.value, published[i].with_ports);
		assert_int_equal(value.type, v6 ? HASH_IPV6_TCP : HASH_IPV4_TCP);
		hash_frame(&plain, frame, len, false, &value);
		assert_true(value.valid);
		assert_int_equal(value.value, published[i].addresses);
		assert_int_equal(value.type, v6 ? HASH_IPV6 : HASH_IPV4);
	}
}

static void what_is_not_wanted_is_not_hashed(void **state)
{
	struct message_hash config = config_with(1u << HASH_IPV6_TCP);
	struct hash_value value;
	uint32_t len = published_frame(0);

	(void)state;
	hash_frame(&config, frame, len, false, &value);
	assert_false(value.valid);
	config = config_with(HASH_ALL_TYPES);
	config.algorithm = HASH_NONE;
	hash_frame(&config, frame, len, false, &value);
	assert_false(value.valid);
	config = config_with(HASH_ALL_TYPES);
	put16(frame + 12, 0x0806); /* ARP */
	hash_frame(&config, frame, len, false, &value);
	assert_false(value.valid);
	len = published_frame(0);
	hash_frame(&config, frame, 30, false, &value); /* cut off */
	assert_false(value.valid);
}

static void fragment_is_hashed_by_its_addresses(void **state)
{
	struct message_hash config = config_with(HASH_ALL_TYPES);
	struct hash_value value;
	uint32_t len = published_frame(1);

	(void)state;
	frame[14 + 6] = 0x20;
	hash_frame(&config, frame, len, false, &value);
	assert_int_equal(value.type, HASH_IPV4);
	assert_int_equal(value.value, published[1].addresses);
}

/* --- requests --- */

static enum netctrl_status ask(struct message_hash *config, uint16_t type, uint32_t data0,
			       uint32_t data1, uint32_t data2, const void *copied)
{
	struct netctrl_request request = { .type = type, .data = { data0, data1, data2 } };
	struct message_hash before = *config;
	enum netctrl_status status;
	uint32_t data;

	status = hash_request(config, &request, copied, 4, &data);
	assert_true(hash_config_is_valid(config, 4));
	if (status != NETCTRL_SUCCESS)
		assert_memory_equal(config, &before, sizeof(before));
	return status;
}

static uint32_t wants_copied(uint16_t type, uint32_t data1)
{
	struct netctrl_request request = { .type = type, .data = { 1, data1, 0 } };

	return hash_copy_len(&request);
}

static void algorithm_comes_before_its_types(void **state)
{
	struct message_hash c = { 0 };

	(void)state;
	assert_int_equal(ask(&c, NETCTRL_GET_HASH_FLAGS, 0, 0, 0, NULL), NETCTRL_NOT_SUPPORTED);
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_FLAGS, 1, 0, 0, NULL), NETCTRL_INVALID_PARAMETER);
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_ALGORITHM, 2, 0, 0, NULL),
			 NETCTRL_INVALID_PARAMETER);
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_ALGORITHM, 1, 0, 0, NULL), NETCTRL_SUCCESS);
	assert_int_equal(ask(&c, NETCTRL_GET_HASH_FLAGS, 0, 0, 0, NULL), NETCTRL_SUCCESS);
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_FLAGS, 16, 0, 0, NULL),
			 NETCTRL_INVALID_PARAMETER);
	assert_false(hash_config_is_on(&c));
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_FLAGS, 15, 0, 0, NULL), NETCTRL_SUCCESS);
	assert_true(hash_config_is_on(&c));
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_ALGORITHM, 0, 0, 0, NULL), NETCTRL_SUCCESS);
	assert_false(hash_config_is_on(&c));
}

static void key_is_filled_up_with_zeros(void **state)
{
	struct message_hash c = { 0 };

	(void)state;
	assert_int_equal(wants_copied(NETCTRL_SET_HASH_KEY, 40), 40);
	assert_int_equal(wants_copied(NETCTRL_SET_HASH_KEY, 41), 0);
	assert_int_equal(wants_copied(NETCTRL_SET_HASH_KEY, UINT32_MAX), 0);
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_KEY, 1, 40, 0, published_key), NETCTRL_SUCCESS);
	assert_memory_equal(c.key, published_key, 40);
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_KEY, 1, 41, 0, NULL), NETCTRL_BUFFER_OVERFLOW);
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_KEY, 1, 40, 0, NULL), NETCTRL_INVALID_PARAMETER);
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_KEY, 1, 2, 0, "\xff\xff"), NETCTRL_SUCCESS);
	assert_int_equal(c.key[1], 0xff);
	assert_int_equal(c.key[2], 0);
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_KEY, 1, 0, 0, NULL), NETCTRL_SUCCESS);
	assert_int_equal(c.key[0], 0);
}

static void row_28_mapping_stays_in_its_table_and_names_queues_that_exist(void **state)
{
	static const uint32_t good[4] = { 3, 2, 1, 0 }, bad[4] = { 0, 1, 2, 4 };
	struct message_hash c = { 0 };
	const uint16_t set = NETCTRL_SET_HASH_MAPPING;

	(void)state;
	assert_int_equal(wants_copied(set, 128), HASH_COPY_MAX);
	assert_int_equal(wants_copied(set, 129), 0);
	assert_int_equal(wants_copied(set, 1u << 30), 0);
	assert_int_equal(ask(&c, set, 1, 4, 0, good), NETCTRL_INVALID_PARAMETER); /* no table */
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_MAPPING_SIZE, 129, 0, 0, NULL),
			 NETCTRL_INVALID_PARAMETER);
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_MAPPING_SIZE, 8, 0, 0, NULL), NETCTRL_SUCCESS);
	assert_int_equal(ask(&c, set, 1, 4, 4, good), NETCTRL_SUCCESS);
	assert_int_equal(c.mapping[4], 3);
	assert_int_equal(c.mapping[3], 0);
	assert_int_equal(ask(&c, set, 1, 4, 5, good), NETCTRL_INVALID_PARAMETER);
	assert_int_equal(ask(&c, set, 1, 4, UINT32_MAX - 1, good), NETCTRL_INVALID_PARAMETER);
	assert_int_equal(ask(&c, set, 1, 9, 0, good), NETCTRL_INVALID_PARAMETER);
	assert_int_equal(ask(&c, set, 1, 129, 0, NULL), NETCTRL_BUFFER_OVERFLOW);
	assert_int_equal(ask(&c, set, 1, 4, 0, bad), NETCTRL_INVALID_PARAMETER);
	assert_int_equal(ask(&c, set, 1, 4, 0, NULL), NETCTRL_INVALID_PARAMETER);
	assert_int_equal(ask(&c, set, 1, 0, 8, NULL), NETCTRL_SUCCESS);
	assert_int_equal(ask(&c, NETCTRL_SET_HASH_MAPPING_SIZE, 8, 0, 0, NULL), NETCTRL_SUCCESS);
	assert_int_equal(c.mapping[4], 0); /* a new table is empty */
}

static void unknown_requests_are_not_supported(void **state)
{
	struct message_hash c = { 0 };

	(void)state;
	assert_int_equal(ask(&c, NETCTRL_INVALID, 0, 0, 0, NULL), NETCTRL_NOT_SUPPORTED);
	for (uint32_t type = 8; type < 70000; type += 1237)
		assert_int_equal(ask(&c, (uint16_t)type, 1, 2, 3, NULL), NETCTRL_NOT_SUPPORTED);
}

static void damaged_configuration_is_seen(void **state)
{
	struct message_hash c = config_with(HASH_ALL_TYPES);

	(void)state;
	assert_true(hash_config_is_valid(&c, 1));
	c.mapping[127] = 1;
	assert_false(hash_config_is_valid(&c, 1));
	assert_true(hash_config_is_valid(&c, 2));
	c.mapping_size = 129;
	assert_false(hash_config_is_valid(&c, 2));
	c = config_with(16);
	assert_false(hash_config_is_valid(&c, 2));
}

/* --- the steering program --- */

static uint32_t frame_len;

static uint64_t call_helper(int helper, const uint64_t *r)
{
	if (helper == BPF_FUNC_map_lookup_elem)
		return (uintptr_t)&table;
	assert_int_equal(helper, BPF_FUNC_skb_load_bytes);
	if (r[2] > frame_len || r[4] > frame_len - r[2])
		return (uint64_t)-EFAULT;
	memcpy((void *)(uintptr_t)r[3], frame + r[2], r[4]);
	return 0;
}

static uint64_t load_from(uint64_t address, unsigned int size)
{
	const void *p = (const void *)(uintptr_t)address;
	uint64_t value = 0;

	memcpy(&value, p, size == BPF_B ? 1 : size == BPF_H ? 2 : 4);
	return value;
}

static uint64_t compute(unsigned int op, uint64_t a, uint64_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_AND:
		return a & b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return a << b;
	case BPF_ARSH:
		return (uint64_t)((int64_t)a >> b);
	case BPF_MOD:
		assert_true(b != 0);
		return (uint32_t)a % (uint32_t)b;
	case BPF_MOV:
		return b;
	default:
		fail();
		return 0;
	}
}

static bool jumps(unsigned int op, uint64_t a, uint64_t b)
{
	return op == BPF_JEQ ? a == b : op == BPF_JNE ? a != b : op == BPF_JLT ? a < b : false;
}

/* The few instructions that the program uses; anything else fails the test. */
static uint32_t run(const struct bpf_insn *insns, unsigned int nr)
{
	_Alignas(8) uint8_t stack[512];
	uint64_t r[11] = { [10] = (uintptr_t)(stack + sizeof(stack)) };

	for (unsigned int pc = 0; pc < nr; pc++) {
		const struct bpf_insn *i = &insns[pc];
		uint64_t *dst = &r[i->dst_reg];
		uint64_t operand = i->code & BPF_X ? r[i->src_reg] : (uint64_t)(int64_t)i->imm;
		unsigned int op = i->code & 0xf0, size = i->code & 0x18;

		switch (BPF_CLASS(i->code)) {
		case BPF_ALU:
		case BPF_ALU64:
			*dst = compute(op, *dst, operand);
			break;
		case BPF_LDX:
			*dst = load_from(r[i->src_reg] + (uint64_t)(int64_t)i->off, size);
			break;
		case BPF_ST:
			memset((void *)(uintptr_t)(*dst + (uint64_t)(int64_t)i->off), i->imm, 4);
			break;
		case BPF_LD:
			assert_int_equal(i->imm, 77);
			pc++;
			break;
		case BPF_JMP:
			if (op == BPF_EXIT)
				return (uint32_t)r[0];
			if (op == BPF_CALL)
				r[0] = call_helper(i->imm, r);
			else if (jumps(op, *dst, operand))
				pc += (unsigned int)i->off;
			break;
		default:
			fail();
		}
	}
	fail();
	return 0;
}

static void expect_same_queue(const struct message_hash *config, uint32_t len)
{
	static struct bpf_insn insns[STEER_MAX_INSNS];
	unsigned int nr = steer_program(77, insns);
	struct hash_value value;
	uint32_t expected = 0;

	assert_in_range(nr, 1, STEER_MAX_INSNS);
	frame_len = len;
	steer_table_fill(config, 4, &table);
	hash_frame(config, frame, len, false, &value);
	if (value.valid)
		expected = config->mapping_size
				   ? config->mapping[value.value % config->mapping_size]
				   : value.value % 4;
	assert_int_equal(run(insns, nr), expected);
}

static void kernel_and_daemon_choose_the_same_queue(void **state)
{
	struct message_hash config;

	(void)state;
	for (uint32_t types = 0; types <= HASH_ALL_TYPES; types++)
		for (uint32_t shape = 0; shape < 4 * 32; shape++) {
			struct spec s = { .tcp = shape & 1,
					  .v6 = shape & 2,
					  .nr_tags = shape / 4 % 3,
					  .nr_ip_options = shape & 16 ? 2 : 0,
					  .payload = 60,
					  .seed = shape };
			struct built b = build_blank(frame, &s);

			frame[b.l3 + (s.v6 ? 20 : 14)] = (uint8_t)(shape * 37);
			put16(frame + b.l4, shape * 101);
			if (shape & 32 && !s.v6)
				frame[b.l3 + 6] |= 0x20; /* more fragments */
			config = config_with(types);
			config.mapping_size = shape & 64 ? 100 : 0;
			for (uint32_t i = 0; i < config.mapping_size; i++)
				config.mapping[i] = (i * 7 + types) % 4;
			expect_same_queue(&config, b.len);
		}
}

static void short_and_strange_frames_go_to_queue_0(void **state)
{
	struct message_hash config = config_with(HASH_ALL_TYPES);
	static struct bpf_insn insns[STEER_MAX_INSNS];
	unsigned int nr = steer_program(77, insns);

	(void)state;
	config.mapping_size = 4;
	for (uint32_t i = 0; i < 4; i++)
		config.mapping[i] = 3;
	steer_table_fill(&config, 4, &table);
	(void)published_frame(0);
	for (frame_len = 0; frame_len < 34; frame_len++)
		assert_int_equal(run(insns, nr), 0);
	frame_len = 38;
	assert_int_equal(run(insns, nr), 3);
	put16(frame + 12, 0x0806);
	assert_int_equal(run(insns, nr), 0);
}

static void kernel_takes_the_program(void **state)
{
	struct steer steer = { 0 };
	int err = steer_open(&steer);

	(void)state;
	if (err == -EPERM || err == -ENOSYS)
		skip();
	assert_int_equal(err, 0);
	steer_close(&steer);
	steer_close(&steer);
}

/* --- two threads --- */

static bool bpf_is_faked;
static pthread_barrier_t both_are_written;
static _Atomic int nr_mixed;

/* The part of the program that the kernel reads: its map. */
static void look_at_program(const union bpf_attr *attr, int own_map)
{
	const struct bpf_insn *insns = (const void *)(uintptr_t)attr->insns;

	for (uint32_t i = 0; i < attr->insn_cnt; i++)
		if (insns[i].code == (BPF_LD | BPF_DW | BPF_IMM) && insns[i].imm != own_map)
			nr_mixed++;
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, int command, const union bpf_attr *attr, size_t size);
long __wrap_syscall(long number, int command, const union bpf_attr *attr, size_t size)
{
	static _Thread_local int own_map;

	if (number != SYS_bpf || !bpf_is_faked)
		return __real_syscall(number, command, attr, size);
	if (command == BPF_MAP_CREATE)
		return own_map = eventfd(0, EFD_CLOEXEC);
	pthread_barrier_wait(&both_are_written);
	look_at_program(attr, own_map);
	return eventfd(0, EFD_CLOEXEC);
}

static void *load_programs(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++) {
		struct steer steer = { 0 };

		if (steer_open(&steer) == 0)
			steer_close(&steer);
	}
	return NULL;
}

static void each_of_two_threads_loads_a_program_of_its_own(void **state)
{
	pthread_t threads[2];

	(void)state;
	bpf_is_faked = true;
	assert_int_equal(pthread_barrier_init(&both_are_written, NULL, 2), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, load_programs, NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	pthread_barrier_destroy(&both_are_written);
	bpf_is_faked = false;
	assert_int_equal(nr_mixed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors_are_met),
		cmocka_unit_test(what_is_not_wanted_is_not_hashed),
		cmocka_unit_test(fragment_is_hashed_by_its_addresses),
		cmocka_unit_test(algorithm_comes_before_its_types),
		cmocka_unit_test(key_is_filled_up_with_zeros),
		cmocka_unit_test(row_28_mapping_stays_in_its_table_and_names_queues_that_exist),
		cmocka_unit_test(unknown_requests_are_not_supported),
		cmocka_unit_test(damaged_configuration_is_seen),
		cmocka_unit_test(kernel_and_daemon_choose_the_same_queue),
		cmocka_unit_test(short_and_strange_frames_go_to_queue_0),
		cmocka_unit_test(kernel_takes_the_program),
		cmocka_unit_test(each_of_two_threads_loads_a_program_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
