/* SPDX-License-Identifier: MIT */
/* net_slots.h - transmit slots put by hand, and what is answered to them. */
#ifndef SIM_NET_SLOTS_H
#define SIM_NET_SLOTS_H

#include "simnet.h"

#define NET_ANSWER_MS 10000

enum verdict {
	MUST_WORK,   /* every slot is answered OKAY (extras NULL) */
	MUST_ERROR,  /* answered, none of the data slots OKAY */
	MUST_ANSWER, /* answered, whatever it says */
	MUST_LEAVE,  /* the backend closes */
};

/* A transmit slot; extras have a type instead of a reference. */
struct net_slot {
	uint32_t offset, size, flags;
	bool is_extra, bad_ref;
	uint8_t extra_type, extra_flags, gso_type;
	uint16_t gso_size;
	const uint8_t *group; /* of a multicast extra */
};

/* The page that all slots point into; frames are put there first. */
extern uint32_t net_page_gfn, net_page_ref;
int net_page_open(struct net_front *f);
void net_put16(uint8_t *at, uint32_t v);
void net_honest_frame(struct net_front *f, enum net_kind kind, size_t len, bool blank);

void net_slot_put(struct net_front *f, const struct net_slot *s, uint16_t id);
/* Wait until all that was sent is answered. -ECANCELED: the backend left. */
int net_wait_answers(struct net_front *f);
int net_must_leave(struct net_front *f);
/* Send, and judge the answers. 0, or -errno. */
int net_try_slots(struct net_front *f, const struct net_slot *slots, unsigned int nr,
		  enum verdict verdict);
/* An ordinary frame is taken. */
int net_still_works(struct net_front *f);

#endif
