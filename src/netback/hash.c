/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "netback/hash.h"

enum { IPV4_ADDRESSES = 12, IPV6_ADDRESSES = 8, IPV6_LEN = 40, PORTS_LEN = 4 };

/* --- what the guest asks for --- */

bool hash_config_is_valid(const struct message_hash *config, uint32_t nr_queues)
{
	if (config->algorithm > HASH_TOEPLITZ || (config->types & ~HASH_ALL_TYPES) ||
	    config->mapping_size > MESSAGE_HASH_TABLE)
		return false;
	for (uint32_t i = 0; i < MESSAGE_HASH_TABLE; i++)
		if (config->mapping[i] >= nr_queues)
			return false;
	return true;
}

bool hash_config_is_on(const struct message_hash *config)
{
	return config->algorithm != HASH_NONE && config->types != 0;
}

uint32_t hash_copy_len(const struct netctrl_request *request)
{
	uint32_t len = request->data[1];

	if (request->type == NETCTRL_SET_HASH_KEY && len <= MESSAGE_HASH_KEY)
		return len;
	if (request->type == NETCTRL_SET_HASH_MAPPING && len <= MESSAGE_HASH_TABLE)
		return len * 4u;
	return 0; /* too much, which will be refused; or nothing to copy */
}

static enum netctrl_status set_algorithm(struct message_hash *config, uint32_t algorithm)
{
	if (algorithm > HASH_TOEPLITZ)
		return NETCTRL_INVALID_PARAMETER;
	config->algorithm = algorithm;
	return NETCTRL_SUCCESS;
}

static enum netctrl_status get_types(const struct message_hash *config, uint32_t *ret_data)
{
	if (config->algorithm == HASH_NONE)
		return NETCTRL_NOT_SUPPORTED;
	*ret_data = HASH_ALL_TYPES;
	return NETCTRL_SUCCESS;
}

static enum netctrl_status set_types(struct message_hash *config, uint32_t types)
{
	if (config->algorithm == HASH_NONE || (types & ~HASH_ALL_TYPES))
		return NETCTRL_INVALID_PARAMETER;
	config->types = types;
	return NETCTRL_SUCCESS;
}

/* Bytes of the key that the guest does not give are zero. */
static enum netctrl_status set_key(struct message_hash *config, const uint8_t *copied, uint32_t len)
{
	if (len > MESSAGE_HASH_KEY)
		return NETCTRL_BUFFER_OVERFLOW;
	if (len && !copied)
		return NETCTRL_INVALID_PARAMETER;
	memset(config->key, 0, sizeof(config->key));
	if (len)
		memcpy(config->key, copied, len);
	return NETCTRL_SUCCESS;
}

static enum netctrl_status set_mapping_size(struct message_hash *config, uint32_t size)
{
	if (size > MESSAGE_HASH_TABLE)
		return NETCTRL_INVALID_PARAMETER;
	config->mapping_size = size;
	memset(config->mapping, 0, sizeof(config->mapping));
	return NETCTRL_SUCCESS;
}

/* XSA-270: the part must lie within the table that is in use, and name queues that exist. */
static enum netctrl_status set_mapping(struct message_hash *config, const uint8_t *copied,
				       uint32_t len, uint32_t offset, uint32_t nr_queues)
{
	uint32_t part[MESSAGE_HASH_TABLE];

	if (len > MESSAGE_HASH_TABLE)
		return NETCTRL_BUFFER_OVERFLOW;
	if (len > config->mapping_size || offset > config->mapping_size - len || (len && !copied))
		return NETCTRL_INVALID_PARAMETER;
	if (len)
		memcpy(part, copied, len * 4u);
	for (uint32_t i = 0; i < len; i++)
		if (part[i] >= nr_queues)
			return NETCTRL_INVALID_PARAMETER;
	memcpy(config->mapping + offset, part, len * 4u);
	return NETCTRL_SUCCESS;
}

enum netctrl_status hash_request(struct message_hash *config, const struct netctrl_request *request,
				 const uint8_t *copied, uint32_t nr_queues, uint32_t *ret_data)
{
	const uint32_t *data = request->data;

	*ret_data = 0;
	switch (request->type) {
	case NETCTRL_SET_HASH_ALGORITHM:
		return set_algorithm(config, data[0]);
	case NETCTRL_GET_HASH_FLAGS:
		return get_types(config, ret_data);
	case NETCTRL_SET_HASH_FLAGS:
		return set_types(config, data[0]);
	case NETCTRL_SET_HASH_KEY:
		return set_key(config, copied, data[1]);
	case NETCTRL_GET_HASH_MAPPING_SIZE:
		*ret_data = MESSAGE_HASH_TABLE;
		return NETCTRL_SUCCESS;
	case NETCTRL_SET_HASH_MAPPING_SIZE:
		return set_mapping_size(config, data[0]);
	case NETCTRL_SET_HASH_MAPPING:
		return set_mapping(config, copied, data[1], data[2], nr_queues);
	default:
		return NETCTRL_NOT_SUPPORTED;
	}
}

/* --- the hash --- */

/* For each set bit of the data, XORs the 32 bits of the key that begin at the same position. */
uint32_t hash_toeplitz(const uint8_t key[MESSAGE_HASH_KEY], const uint8_t *data, uint32_t len)
{
	uint32_t window = frame_get32(key), value = 0;

	for (uint32_t i = 0; i < len; i++) {
		uint8_t next = key[i + 4]; /* shifted in from the right, bit by bit */

		for (unsigned int bit = 0; bit < 8; bit++) {
			if (data[i] << bit & 0x80)
				value ^= window;
			window = window << 1 | ((uint32_t)next >> (7 - bit) & 1u);
		}
	}
	return value;
}

static bool has(const struct message_hash *config, enum hash_type type)
{
	return config->types >> type & 1u;
}

void hash_frame(const struct message_hash *config, const uint8_t *head, uint32_t len, bool gso,
		struct hash_value *ret)
{
	uint8_t input[HASH_INPUT_MAX];
	struct frame frame;
	uint32_t size;
	bool v6, tcp;

	ret->valid = false;
	if (!hash_config_is_on(config) || frame_parse(head, len, gso, &frame) ||
	    frame.l3 == FRAME_L3_OTHER)
		return;
	v6 = frame.l3 == FRAME_IPV6;
	/* Ports behind IPv6 extension headers are not hashed: the steering program does not do it either. */
	tcp = frame.l4 == FRAME_TCP && (!v6 || frame.l4_offset == frame.l3_offset + IPV6_LEN) &&
	      has(config, v6 ? HASH_IPV6_TCP : HASH_IPV4_TCP);
	if (!tcp && !has(config, v6 ? HASH_IPV6 : HASH_IPV4))
		return;
	size = v6 ? 32 : 8;
	memcpy(input, head + frame.l3_offset + (v6 ? IPV6_ADDRESSES : IPV4_ADDRESSES), size);
	if (tcp)
		memcpy(input + size, head + frame.l4_offset, PORTS_LEN);
	ret->type = (v6 ? HASH_IPV6 : HASH_IPV4) + (tcp ? 1u : 0u);
	ret->value = hash_toeplitz(config->key, input, tcp ? size + PORTS_LEN : size);
	ret->valid = true;
}
