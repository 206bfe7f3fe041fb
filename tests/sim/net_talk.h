/* SPDX-License-Identifier: MIT */
/*
 * net_talk.h - what the conversations of net_check.c are made of. The peer sends each frame back to the
 * address it came from, in order.
 */
#ifndef SIM_NET_TALK_H
#define SIM_NET_TALK_H

#include "simnet.h"

#define NET_EVENTUALLY_MS 15000

/* Say what failed: -EPROTO. */
int net_failed(const char *what);

/* A frame from `source`, with a number by which it is known when it comes back. 0 or -errno. */
int net_send_from(struct net_front *f, const uint8_t *source, uint16_t number);

/* The next test frame on any queue, if one is there; it stays in f->packet. */
bool net_take_frame(struct net_front *f, struct net_frame *frame);

/* The next test frame that the host sends. 0 or -ETIMEDOUT. */
int net_receive_frame(struct net_front *f, struct net_frame *frame);

/* The same: its number, or -ETIMEDOUT. */
int net_receive_number(struct net_front *f);

/* A link that has just come up drops frames at first: wait until it does not. 0 or -errno. */
int net_warm_up(struct net_front *f);

/* "waiting" is printed; then $XENSIM_DIR/go must appear. 0 or -ETIMEDOUT. */
int net_wait_for_go(void);

#endif
