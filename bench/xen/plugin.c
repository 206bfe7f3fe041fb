/* SPDX-License-Identifier: MIT */
/*
 * A QEMU TCG plugin. It counts the instructions that are executed in a window between two marks (mark.h): for each block of
 * instructions, and separately for domains in hardware virtualisation. Later lib/cost finds the function and the process of
 * each block. With "out=FILE" the plugin writes each window there:
 *
 *   window NUMBER
 *   ADDRESS INSTRUCTIONS SPECIAL RAN RAN-IN-GUEST      one line for each block that ran, all but SPECIAL in hex
 *   end
 *
 * SPECIAL is "-", or the instruction of the block that costs more than others; such an instruction always ends a block. A
 * repeated string instruction is a block of its own from its second round on, and does not count as an instruction there. It is
 * called "movs8" if it moves eight bytes in a round.
 *
 * With "pvh=on" Dom0 is such a domain, too. It is told from the guests by the processor: it alone runs on number 0.
 *
 * The plugin locks nothing, because the emulator has a single thread (-icount).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"
#include "qemu-plugin.h"

#define PLUGIN_VERSION 1
#define MAX_CPUS       16
#define BUCKETS        (1U << 16)

/* The addresses of Xen, which are the same in every address space. */
#define XEN_BEGIN 0xffff800000000000
#define XEN_END   0xffff880000000000

enum act { NOTHING, ENTER_GUEST, BEGIN, END }; /* what else the run of a block means */

struct block {
	struct block *next; /* in the same bucket */
	uint64_t address, ran, ran_in_guest;
	size_t instructions;
	const char *special;
	enum act act;
	bool of_xen;
};

/* What we need of a decoded instruction. */
struct insn {
	const uint8_t *op; /* after the prefixes */
	size_t left;       /* bytes from op on */
	bool repeats, wide, narrow;
};

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_VERSION;

static struct block *buckets[BUCKETS];
static bool in_guest[MAX_CPUS];
static bool open_window, dom0_is_pvh;
static unsigned int windows;
static FILE *out;

static struct insn decode(const uint8_t *at, size_t left)
{
	static const uint8_t others[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67 };
	struct insn insn = { 0 };

	for (; left > 1; at++, left--) {
		if (*at == 0xf2 || *at == 0xf3)
			insn.repeats = true;
		else if (*at == 0x66)
			insn.narrow = true;
		else if ((*at & 0xf0) == 0x40)
			insn.wide = *at & 8;
		else if (!memchr(others, *at, sizeof(others)))
			break;
	}
	insn.op = at;
	insn.left = left;
	return insn;
}

/* A name for a repeated instruction: what it does, and how many bytes in each round. */
static const char *repeated(const struct insn *insn)
{
	static const char *const names[][4] = {
		{ "movs1", "movs2", "movs4", "movs8" },
		{ "stos1", "stos2", "stos4", "stos8" },
		{ "scan1", "scan2", "scan4", "scan8" },
	};
	int what, size = 0;

	switch (insn->op[0] & 0xfe) {
	case 0xa4:
		what = 0;
		break;
	case 0xaa:
		what = 1;
		break;
	case 0xa6:
	case 0xac:
	case 0xae:
		what = 2;
		break;
	default:
		return NULL;
	}
	if (insn->op[0] & 1)
		size = insn->wide ? 3 : insn->narrow ? 1 : 2;
	return names[what][size];
}

static const char *system_instruction(const uint8_t *op, size_t left)
{
	if (left < 2 || op[0] != 0x0f)
		return op[0] == 0xf4 ? "hlt" : op[0] == 0xcf ? "iret" : NULL;
	switch (op[1]) {
	case 0x05:
		return "syscall";
	case 0x07:
		return "sysret";
	case 0x30:
		return "wrmsr";
	case 0xa2:
		return "cpuid";
	case 0x22:
		return left > 2 && (op[2] >> 3 & 7) == 3 ? "cr3" : NULL;
	case 0x01:
		if (left > 2 && op[2] == 0xd8)
			return "vmrun";
		if (left > 2 && op[2] == 0xd9)
			return "vmmcall";
		return left > 2 && op[2] < 0xc0 && (op[2] >> 3 & 7) == 7 ? "invlpg" : NULL;
	default:
		return NULL;
	}
}

static enum act mark_of(const uint8_t *op, size_t left)
{
	static const uint8_t nop[] = { 0x0f, 0x1f, 0x84, 0x00 };
	uint32_t displacement;

	if (left < sizeof(nop) + sizeof(displacement) || memcmp(op, nop, sizeof(nop)) != 0)
		return NOTHING;
	memcpy(&displacement, op + sizeof(nop), sizeof(displacement));
	return displacement == MARK_BEGIN ? BEGIN : displacement == MARK_END ? END : NOTHING;
}

static void take_insn(struct block *block, const struct qemu_plugin_insn *of)
{
	struct insn insn = decode(qemu_plugin_insn_data(of), qemu_plugin_insn_size(of));
	const char *special = insn.repeats ? repeated(&insn) : NULL;
	enum act mark = mark_of(insn.op, insn.left);

	if (special && block->instructions == 1)
		block->instructions = 0;
	if (!special)
		special = system_instruction(insn.op, insn.left);
	if (special)
		block->special = special;
	if (mark != NOTHING)
		block->act = mark;
	else if (special && !strcmp(special, "vmrun"))
		block->act = ENTER_GUEST;
}

/* A block that is translated again keeps its counts, so the same code in pages of several processes has one count. */
static struct block *keep(const struct block *like)
{
	struct block **bucket = &buckets[(like->address ^ like->address >> 16) % BUCKETS], *block;

	for (block = *bucket; block; block = block->next)
		if (block->address == like->address && block->instructions == like->instructions &&
		    block->special == like->special && block->act == like->act)
			return block;
	block = malloc(sizeof(*block));
	if (!block)
		abort();
	*block = *like;
	block->next = *bucket;
	*bucket = block;
	return block;
}

static void begin_window(void)
{
	struct block *block;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (block = buckets[i]; block; block = block->next)
			block->ran = block->ran_in_guest = 0;
	open_window = true;
}

static void end_window(void)
{
	const struct block *block;
	size_t i;

	if (!open_window)
		return;
	open_window = false;
	fprintf(out, "window %u\n", ++windows);
	for (i = 0; i < BUCKETS; i++)
		for (block = buckets[i]; block; block = block->next)
			if (block->ran || block->ran_in_guest)
				fprintf(out, "%" PRIx64 " %zx %s %" PRIx64 " %" PRIx64 "\n",
					block->address, block->instructions, block->special,
					block->ran, block->ran_in_guest);
	fprintf(out, "end\n");
	fflush(out);
}

static void act_on(const struct block *block, unsigned int cpu, bool *guest)
{
	switch (block->act) {
	case NOTHING:
		return;
	case ENTER_GUEST:
		*guest = cpu > 0 || !dom0_is_pvh;
		return;
	case BEGIN:
		begin_window();
		return;
	case END:
		end_window();
		return;
	}
}

/* Called before each run of a block. When Xen runs, the guest has been left. */
static void block_runs(unsigned int cpu, void *data)
{
	struct block *block = data;
	bool *guest = &in_guest[cpu % MAX_CPUS];

	if (block->of_xen)
		*guest = false;
	if (*guest)
		block->ran_in_guest++;
	else
		block->ran++;
	act_on(block, cpu, guest);
}

static void block_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct block block = { .address = qemu_plugin_tb_vaddr(tb),
			       .instructions = qemu_plugin_tb_n_insns(tb),
			       .special = "-" };
	size_t i, n = block.instructions;

	(void)id;
	block.of_xen = block.address >= XEN_BEGIN && block.address < XEN_END;
	for (i = 0; i < n; i++)
		take_insn(&block, qemu_plugin_tb_get_insn(tb, i));
	qemu_plugin_register_vcpu_tb_exec_cb(tb, block_runs, QEMU_PLUGIN_CB_NO_REGS, keep(&block));
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	if (argc == 2 && !strcmp(argv[1], "pvh=on"))
		dom0_is_pvh = true;
	if (argc < 1 || argc > 1 + dom0_is_pvh || strncmp(argv[0], "out=", 4) != 0) {
		fprintf(stderr,
			"plugin.so takes out=FILE, and then pvh=on if Dom0 is a PVH domain\n");
		return -1;
	}
	out = fopen(argv[0] + 4, "w");
	if (!out) {
		fprintf(stderr, "%s: %s\n", argv[0] + 4, strerror(errno));
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
	return 0;
}
