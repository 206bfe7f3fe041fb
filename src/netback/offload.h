/* SPDX-License-Identifier: MIT */
/*
 * Between netif's flags and extras and the kernel's struct virtio_net_hdr: what passes, what
 * we finish ourselves, what is dropped. Pure.
 */
#ifndef PVB_NETBACK_OFFLOAD_H
#define PVB_NETBACK_OFFLOAD_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#include "netback/hash.h"
#include "netback/segment.h"
#include "ring/netif.h"

/* What the frontend can take, from its feature keys. */
struct offload_accept {
	bool sg;      /* feature-sg: frames above one page */
	bool csum_v4; /* not feature-no-csum-offload */
	bool csum_v6; /* feature-ipv6-csum-offload */
	bool gso_v4;  /* feature-gso-tcpv4, and csum_v4 and sg with it */
	bool gso_v6;
};

/*
 * The TUNSETOFFLOAD flags for such a frontend: what the kernel may leave undone in frames
 * that we read.
 */
unsigned int offload_tap_flags(const struct offload_accept *accept);

/*
 * From the guest: fill *ret_hdr (little endian) for a frame whose first
 * min(total, FRAME_HEAD_MAX) bytes are in `head`, and put the pseudo-header sum in place where a
 * checksum is blank. Returns 0; -EINVAL when the headers are broken, -EPROTO when a GSO extra
 * does not fit the frame, -EOPNOTSUPP when the checksum is blank where it cannot be.
 */
int offload_from_guest(const struct netif_tx_packet *packet, uint8_t *head,
		       struct virtio_net_hdr *ret_hdr);

enum offload_action {
	OFFLOAD_PASS,
	OFFLOAD_SEGMENT, /* large, and the guest takes no such frame: see plan.segments */
	OFFLOAD_DROP,    /* contradicts itself */
};

struct offload_plan {
	enum offload_action action;
	uint16_t flags; /* NETIF_RX_DATA_VALIDATED, NETIF_RX_CSUM_BLANK */
	enum netif_gso_type gso_type;
	uint16_t gso_size;
	bool finished;          /* the checksum was computed here */
	struct hash_value hash; /* the caller's */
	struct segment_plan segments;
};

/*
 * To the guest: decide on a whole frame read from the tap, and complete its checksum in place when the
 * guest cannot. netif.h and Windows' frontend want CSUM_BLANK only with DATA_VALIDATED, and
 * both with GSO.
 */
void offload_to_guest(const struct virtio_net_hdr *hdr, const struct offload_accept *accept,
		      uint8_t *frame, uint32_t len, struct offload_plan *ret);

#endif
