/* SPDX-License-Identifier: MIT */
/* net_attack.h - attacks that are spread over net_attack.c and net_attack_bus.c. */
#ifndef SIM_NET_ATTACK_H
#define SIM_NET_ATTACK_H

#include "net_slots.h"

/* Back to the start of everything, so that the next try is a fresh one. */
int net_attack_start_over(struct net_front *f);
/* An honest connection must still be possible after all this. */
int net_attack_connects_again(struct net_front *f);

/* These begin before anything is connected. */
int net_attack_tx_at_attach(struct net_front *f);
int net_attack_rx_at_attach(struct net_front *f);
int net_attack_one_page_for_both_rings(struct net_front *f);
int net_attack_foreign_port(struct net_front *f);
int net_attack_same_port_twice(struct net_front *f);
int net_attack_huge_values(struct net_front *f);
int net_attack_vanishing_directory(struct net_front *f);

#endif
