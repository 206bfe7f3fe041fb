/* SPDX-License-Identifier: MIT */
/* The control ring's wire format (xen/io/netif.h, "Control ring"). One request, one response. */
#ifndef PVB_NETCTRL_H
#define PVB_NETCTRL_H

#include <stdint.h>

#define NETCTRL_SLOT_SIZE 16u

enum netctrl_type {
	NETCTRL_INVALID = 0,
	NETCTRL_GET_HASH_FLAGS = 1,
	NETCTRL_SET_HASH_FLAGS = 2,
	NETCTRL_SET_HASH_KEY = 3,
	NETCTRL_GET_HASH_MAPPING_SIZE = 4,
	NETCTRL_SET_HASH_MAPPING_SIZE = 5,
	NETCTRL_SET_HASH_MAPPING = 6,
	NETCTRL_SET_HASH_ALGORITHM = 7,
};

enum netctrl_status {
	NETCTRL_SUCCESS = 0,
	NETCTRL_NOT_SUPPORTED = 1,
	NETCTRL_INVALID_PARAMETER = 2,
	NETCTRL_BUFFER_OVERFLOW = 3,
};

struct netctrl_request {
	uint16_t id;
	uint16_t type; /* enum netctrl_type, or anything else */
	uint32_t data[3];
};

struct netctrl_response {
	uint16_t id;
	uint16_t type;
	uint32_t status;
	uint32_t data;
};

_Static_assert(sizeof(struct netctrl_request) == NETCTRL_SLOT_SIZE, "control request");
_Static_assert(sizeof(struct netctrl_response) == 12, "control response");

#endif
