/* SPDX-License-Identifier: MIT */
/*
 * The hash that spreads a guest's frames over its queues (netif.h, "Hash types" and "Control messages"): the guest's
 * settings, and the hash itself. Pure. The guest's requests are hostile.
 */
#ifndef PVB_NETBACK_HASH_H
#define PVB_NETBACK_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/messages.h"
#include "netback/frame.h"
#include "ring/netctrl.h"

/* The most bytes that a request makes us copy from the guest. */
#define HASH_COPY_MAX (MESSAGE_HASH_TABLE * 4u)
/* Bytes of a frame that go into a hash: two IPv6 addresses and two ports. */
#define HASH_INPUT_MAX 36u

enum hash_algorithm { HASH_NONE = 0, HASH_TOEPLITZ = 1 };
enum hash_type { HASH_IPV4 = 0, HASH_IPV4_TCP = 1, HASH_IPV6 = 2, HASH_IPV6_TCP = 3 };
#define HASH_ALL_TYPES 0xfu /* one bit each */

/* Whether this configuration can be the result of hash_request(), for a vif of `nr_queues`. */
bool hash_config_is_valid(const struct message_hash *config, uint32_t nr_queues);
/* Whether frames are to be hashed. */
bool hash_config_is_on(const struct message_hash *config);

/*
 * How many bytes (up to HASH_COPY_MAX) must be copied from the start of the page behind data[0] before the request can be
 * carried out; 0: none.
 */
uint32_t hash_copy_len(const struct netctrl_request *request);

/*
 * Carry out a request. `copied`: those bytes; NULL when the copy failed. Returns the status to answer, with *ret_data for
 * the response. *config changes only with NETCTRL_SUCCESS.
 */
enum netctrl_status hash_request(struct message_hash *config, const struct netctrl_request *request,
				 const uint8_t *copied, uint32_t nr_queues, uint32_t *ret_data);

/* The Toeplitz hash of `len` (up to HASH_INPUT_MAX) bytes. */
uint32_t hash_toeplitz(const uint8_t key[MESSAGE_HASH_KEY], const uint8_t *data, uint32_t len);

struct hash_value {
	bool valid; /* if not, the other members mean nothing */
	enum hash_type type;
	uint32_t value;
};

/*
 * Hash the frame whose first min(len, FRAME_HEAD_MAX) bytes are in `head`, by the most detailed type that is set. `gso`: as
 * for frame_parse().
 */
void hash_frame(const struct message_hash *config, const uint8_t *head, uint32_t len, bool gso,
		struct hash_value *ret);

#endif
