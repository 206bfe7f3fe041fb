/* SPDX-License-Identifier: MIT */
/*
 * What plugin.c uses of QEMU's interface for TCG plugins, version 1 (QEMU 4.2 to 8.2), as QEMU's documentation of it
 * ("QEMU TCG Plugins") describes it: Debian 12 has no header for it. The functions are the emulator's, found when it
 * loads the plugin.
 */
#ifndef BENCH_XEN_QEMU_PLUGIN_H
#define BENCH_XEN_QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLUGIN_EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;   /* a block of instructions that is being translated */
struct qemu_plugin_insn; /* one of them */

/* What the emulator tells of itself: never looked at. */
typedef struct qemu_info_t qemu_info_t;

/* Whether a callback looks at registers; none here does. */
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

/* The plugin's: the version it is written for, and what is called once, with the words behind -plugin as NAME=VALUE. */
PLUGIN_EXPORT extern int qemu_plugin_version;
PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
				      char **argv);

/* The emulator's: a call for each block that is translated, */
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*cb)(qemu_plugin_id_t id,
						      struct qemu_plugin_tb *tb));
/* and, asked for there, one before each run of it. */
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int cpu, void *data),
					  enum qemu_plugin_cb_flags flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
/* The bytes of an instruction, and how many. */
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

#endif
