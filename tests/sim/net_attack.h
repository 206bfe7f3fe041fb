/* SPDX-License-Identifier: MIT */
/* net_attack.h - attacks that are spread over net_attack.c and net_attack_bus.c. */
#ifndef SIM_NET_ATTACK_H
#define SIM_NET_ATTACK_H

#include "net_slots.h"

/* An honest connection must still be possible after all this. The backend may be busy yet with what
 * it read before, and turn away what comes after it: so it is asked more than once. */
int net_attack_comes_back(struct net_front *f);

/* These begin before anything is connected. */
int net_attack_tx_at_attach(struct net_front *f);
int net_attack_rx_at_attach(struct net_front *f);
int net_attack_one_page_for_both_rings(struct net_front *f);
int net_attack_foreign_port(struct net_front *f);
int net_attack_same_port_twice(struct net_front *f);
int net_attack_huge_values(struct net_front *f);
int net_attack_vanishing_directory(struct net_front *f);

#endif
