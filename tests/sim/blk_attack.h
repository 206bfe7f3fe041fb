/* SPDX-License-Identifier: MIT */
/* blk_attack.h - what the two halves of the hostile block frontend share. */
#ifndef SIM_BLK_ATTACK_H
#define SIM_BLK_ATTACK_H

#include "simblk.h"

#define ANSWER_MS 10000 /* a backend that needs longer for an answer hangs */

/* On a connected ring: an honest read must be answered. 0 or -errno. */
int blk_attack_still_works(struct blk_front *f);

/* Attacks through xenstore; they begin without a connection. 0 or -errno. */
int blk_attack_junk_keys(struct blk_front *f);
int blk_attack_huge_values(struct blk_front *f);
int blk_attack_flapping_states(struct blk_front *f);
int blk_attack_flapping_connections(struct blk_front *f);
int blk_attack_vanishing_directory(struct blk_front *f);
int blk_attack_one_page_twice(struct blk_front *f);
int blk_attack_full_at_attach(struct blk_front *f);
int blk_attack_foreign_port(struct blk_front *f);

#endif
