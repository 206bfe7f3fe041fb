/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netback/steer.h"

/* --- the table --- */

/* Hash one input bit at a time. That is enough: the hash of a XOR of inputs is the XOR of their hashes. */
static void fill_bits(const uint8_t key[MESSAGE_HASH_KEY], uint32_t bits[HASH_INPUT_MAX * 8])
{
	uint8_t input[HASH_INPUT_MAX] = { 0 };

	for (uint32_t i = 0; i < HASH_INPUT_MAX * 8; i++) {
		input[i / 8] = (uint8_t)(0x80u >> i % 8);
		bits[i] = hash_toeplitz(key, input, i / 8 + 1);
		input[i / 8] = 0;
	}
}

void steer_table_fill(const struct message_hash *config, uint32_t nr_queues,
		      struct steer_table *ret)
{
	bool modulo = config->mapping_size == 0;

	ret->types = config->types;
	ret->mapping_size = modulo ? nr_queues : config->mapping_size;
	for (uint32_t i = 0; i < MESSAGE_HASH_TABLE; i++)
		ret->mapping[i] = modulo ? i : config->mapping[i];
	fill_bits(config->key, ret->bits);
}

/* --- the program --- */

/* Registers that survive calls: the packet, the table, the hash, and the offset of the header that is read next. */
enum { PACKET = BPF_REG_6, TABLE = BPF_REG_7, HASH = BPF_REG_8, AT = BPF_REG_9 };
/* Offsets on the stack, from its frame pointer. */
enum { HEADER = -48, KEY = -56, TYPE = -64 };
enum { PORTS_LEN = 4 };

struct program {
	struct bpf_insn *insns;
	unsigned int nr;
};

static void emit(struct program *p, int code, int dst, int src, int off, int imm)
{
	p->insns[p->nr++] = (struct bpf_insn){ .code = (uint8_t)code,
					       .dst_reg = (uint8_t)(dst & 0xf),
					       .src_reg = (uint8_t)(src & 0xf),
					       .off = (int16_t)off,
					       .imm = imm };
}

static void set(struct program *p, int dst, int imm)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm);
}

static void copy(struct program *p, int dst, int src)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void add(struct program *p, int dst, int imm)
{
	emit(p, BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm);
}

static void load(struct program *p, int size, int dst, int src, int off)
{
	emit(p, BPF_LDX | BPF_MEM | size, dst, src, off, 0);
}

/* A forward jump if `dst` OP imm. land() sets its target. */
static unsigned int jump_if(struct program *p, int op, int dst, int imm)
{
	emit(p, BPF_JMP | op | BPF_K, dst, 0, 0, imm);
	return p->nr - 1;
}

static void land(struct program *p, unsigned int jump)
{
	p->insns[jump].off = (int16_t)(p->nr - jump - 1);
}

static void queue_0(struct program *p)
{
	set(p, BPF_REG_0, 0);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Choose queue 0 unless `dst` OP imm. */
static void require(struct program *p, int op, int dst, int imm)
{
	unsigned int good = jump_if(p, op, dst, imm);

	queue_0(p);
	land(p, good);
}

/* Copy `len` bytes of the packet, from AT, to the stack. */
static void load_bytes(struct program *p, int to, int len)
{
	copy(p, BPF_REG_1, PACKET);
	copy(p, BPF_REG_2, AT);
	copy(p, BPF_REG_3, BPF_REG_10);
	add(p, BPF_REG_3, to);
	set(p, BPF_REG_4, len);
	emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes);
	require(p, BPF_JEQ, BPF_REG_0, 0);
}

static void find_table(struct program *p, int map_fd)
{
	copy(p, PACKET, BPF_REG_1);
	emit(p, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, KEY, 0);
	emit(p, BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map_fd);
	emit(p, 0, 0, 0, 0, 0);
	copy(p, BPF_REG_2, BPF_REG_10);
	add(p, BPF_REG_2, KEY);
	emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
	require(p, BPF_JNE, BPF_REG_0, 0);
	copy(p, TABLE, BPF_REG_0);
}

static void load_type(struct program *p)
{
	load_bytes(p, TYPE, 2);
	load(p, BPF_H, HASH, BPF_REG_10, TYPE); /* HASH holds the type until there is a hash */
}

/* If the type is that of a VLAN tag, the next type is behind the tag. */
static void skip_tag(struct program *p)
{
	unsigned int customer = jump_if(p, BPF_JEQ, HASH, htons(0x8100));
	unsigned int none = jump_if(p, BPF_JNE, HASH, htons(0x88a8));

	land(p, customer);
	add(p, AT, 4);
	load_type(p);
	land(p, none);
}

static void find_ip(struct program *p)
{
	set(p, AT, 12);
	load_type(p);
	skip_tag(p);
	skip_tag(p);
	add(p, AT, 2);
}

/* Bit `in_byte` of the byte in R1 is spread over a word. The word masks that bit's part of the hash. */
static void hash_bit(struct program *p, int in_byte, int in_table)
{
	copy(p, BPF_REG_2, BPF_REG_1);
	emit(p, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_2, 0, 0, 56 + in_byte);
	emit(p, BPF_ALU64 | BPF_ARSH | BPF_K, BPF_REG_2, 0, 0, 63);
	load(p, BPF_W, BPF_REG_3, TABLE, (int)offsetof(struct steer_table, bits) + in_table * 4);
	emit(p, BPF_ALU64 | BPF_AND | BPF_X, BPF_REG_2, BPF_REG_3, 0, 0);
	emit(p, BPF_ALU64 | BPF_XOR | BPF_X, HASH, BPF_REG_2, 0, 0);
}

/* Hash bytes first..last of the input, which begins at `from` on the stack. */
static void hash_bytes(struct program *p, int from, int first, int last)
{
	for (int i = first; i <= last; i++) {
		load(p, BPF_B, BPF_REG_1, BPF_REG_10, from + i);
		for (int bit = 0; bit < 8; bit++)
			hash_bit(p, bit, i * 8 + bit);
	}
}

static void choose_queue(struct program *p)
{
	load(p, BPF_W, BPF_REG_1, TABLE, offsetof(struct steer_table, mapping_size));
	emit(p, BPF_ALU | BPF_MOD | BPF_X, HASH, BPF_REG_1, 0, 0);
	require(p, BPF_JLT, HASH, (int)MESSAGE_HASH_TABLE); /* the verifier requires it */
	emit(p, BPF_ALU64 | BPF_LSH | BPF_K, HASH, 0, 0, 2);
	emit(p, BPF_ALU64 | BPF_ADD | BPF_X, HASH, TABLE, 0, 0);
	load(p, BPF_W, BPF_REG_0, HASH, offsetof(struct steer_table, mapping));
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/*
 * The header is on the stack. If ports may be hashed, R0 is not 0 and AT is their offset. They are put behind the
 * addresses, as one input.
 */
static void hash_input(struct program *p, int addresses, int size, enum hash_type type)
{
	unsigned int no_tcp, not_wanted;

	set(p, HASH, 0);
	hash_bytes(p, HEADER + addresses, 0, size - 1);
	no_tcp = jump_if(p, BPF_JEQ, BPF_REG_0, 0);
	load(p, BPF_W, BPF_REG_1, TABLE, offsetof(struct steer_table, types));
	emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, 1 << (type + 1));
	not_wanted = jump_if(p, BPF_JEQ, BPF_REG_1, 0);
	load_bytes(p, HEADER + addresses + size, PORTS_LEN);
	hash_bytes(p, HEADER + addresses, size, size + PORTS_LEN - 1);
	choose_queue(p);
	land(p, no_tcp);
	land(p, not_wanted);
	load(p, BPF_W, BPF_REG_1, TABLE, offsetof(struct steer_table, types));
	emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, 1 << type);
	require(p, BPF_JNE, BPF_REG_1, 0);
	choose_queue(p);
}

static void steer_ipv4(struct program *p)
{
	unsigned int no_tcp, fragment;

	load_bytes(p, HEADER, 20);
	load(p, BPF_B, BPF_REG_1, BPF_REG_10, HEADER); /* the header's length, in words */
	emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, 0xf);
	emit(p, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_1, 0, 0, 2);
	emit(p, BPF_ALU64 | BPF_ADD | BPF_X, AT, BPF_REG_1, 0, 0);
	set(p, BPF_REG_0, 0);
	load(p, BPF_B, BPF_REG_1, BPF_REG_10, HEADER + 9);
	no_tcp = jump_if(p, BPF_JNE, BPF_REG_1, 6);
	load(p, BPF_H, BPF_REG_1, BPF_REG_10, HEADER + 6);
	emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, htons(0x3fff));
	fragment = jump_if(p, BPF_JNE, BPF_REG_1, 0);
	set(p, BPF_REG_0, 1);
	land(p, no_tcp);
	land(p, fragment);
	hash_input(p, 12, 8, HASH_IPV4);
}

static void steer_ipv6(struct program *p)
{
	unsigned int no_tcp;

	load_bytes(p, HEADER, 40);
	add(p, AT, 40);
	set(p, BPF_REG_0, 0);
	load(p, BPF_B, BPF_REG_1, BPF_REG_10, HEADER + 6);
	no_tcp = jump_if(p, BPF_JNE, BPF_REG_1, 6);
	set(p, BPF_REG_0, 1);
	land(p, no_tcp);
	hash_input(p, 8, 32, HASH_IPV6);
}

unsigned int steer_program(int map_fd, struct bpf_insn ret_insns[STEER_MAX_INSNS])
{
	struct program p = { .insns = ret_insns };
	unsigned int not_v4;

	find_table(&p, map_fd);
	find_ip(&p);
	not_v4 = jump_if(&p, BPF_JNE, HASH, htons(0x0800));
	steer_ipv4(&p);
	land(&p, not_v4);
	require(&p, BPF_JEQ, HASH, htons(0x86dd));
	steer_ipv6(&p);
	return p.nr;
}

/* --- the kernel --- */

static int call_bpf(int command, union bpf_attr *attr)
{
	long ret = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return ret < 0 ? -errno : (int)ret;
}

static int make_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY,
				.key_size = 4,
				.value_size = sizeof(struct steer_table),
				.max_entries = 1 };

	return call_bpf(BPF_MAP_CREATE, &attr);
}

static int load_program(int map_fd)
{
	struct bpf_insn insns[STEER_MAX_INSNS];
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
				.insns = (uintptr_t)insns,
				.license = (uintptr_t) "MIT" };

	attr.insn_cnt = steer_program(map_fd, insns);
	return call_bpf(BPF_PROG_LOAD, &attr);
}

int steer_open(struct steer *steer)
{
	int map_fd = make_map(), prog_fd;

	if (map_fd < 0)
		return map_fd;
	prog_fd = load_program(map_fd);
	if (prog_fd < 0) {
		close(map_fd);
		return prog_fd;
	}
	*steer = (struct steer){ .open = true, .map_fd = map_fd, .prog_fd = prog_fd };
	return 0;
}

void steer_close(struct steer *steer)
{
	if (!steer->open)
		return;
	close(steer->prog_fd);
	close(steer->map_fd);
	*steer = (struct steer){ 0 };
}

int steer_set(struct steer *steer, const struct message_hash *config, uint32_t nr_queues)
{
	struct steer_table table;
	uint32_t key = 0;
	union bpf_attr attr = { .map_fd = (uint32_t)steer->map_fd,
				.key = (uintptr_t)&key,
				.value = (uintptr_t)&table };

	steer_table_fill(config, nr_queues, &table);
	return call_bpf(BPF_MAP_UPDATE_ELEM, &attr);
}
