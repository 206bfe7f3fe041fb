/* SPDX-License-Identifier: MIT */
/*
 * Make the kernel put each frame for a guest into the tap's queue that the guest's hash selects. This is an eBPF
 * program for TUNSETSTEERINGEBPF. All that can change is in a map of one entry. The daemon writes each instruction of
 * the program; none depends on the guest.
 *
 * The hash is a linear function of the input bits, so the program adds (XOR) a constant for each bit. It has no loop,
 * and only its last step computes an address from data of the packet. With more such steps the kernel refuses the
 * program to a daemon that has CAP_BPF but not CAP_PERFMON, because of speculative execution. Frames that it cannot
 * hash go to queue 0. Silent.
 */
#ifndef PVB_NETBACK_STEER_H
#define PVB_NETBACK_STEER_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "netback/hash.h"

struct steer_table {
	uint32_t types;
	uint32_t mapping_size; /* 1..MESSAGE_HASH_TABLE */
	uint32_t mapping[MESSAGE_HASH_TABLE];
	uint32_t bits[HASH_INPUT_MAX * 8];
};

/* Fill a table. Pure. A mapping of size 0 becomes queue = hash modulo nr_queues. */
void steer_table_fill(const struct message_hash *config, uint32_t nr_queues,
		      struct steer_table *ret);

#define STEER_MAX_INSNS 3072u
/* Write the program that reads the map behind `map_fd`. Pure. Returns its length. */
unsigned int steer_program(int map_fd, struct bpf_insn ret_insns[STEER_MAX_INSNS]);

struct steer {
	bool open; /* if not, it owns nothing */
	int map_fd;
	int prog_fd;
};

/*
 * Create the map and the program. 0, or -errno with nothing open: -EPERM if the daemon may not load programs (CAP_BPF),
 * -ENOSYS if the kernel has no eBPF.
 */
int steer_open(struct steer *steer);
/* Idempotent. */
void steer_close(struct steer *steer);

/* Set the program's configuration, which must be on, for a tap of `nr_queues` (tap_steer()). 0 or -errno. */
int steer_set(struct steer *steer, const struct message_hash *config, uint32_t nr_queues);

#endif
