/* SPDX-License-Identifier: MIT */
/*
 * Translates between netif's flags and extras and the kernel's struct virtio_net_hdr. Decides which frames pass, which we
 * complete ourselves, and which are dropped. Pure.
 */
#ifndef PVB_NETBACK_OFFLOAD_H
#define PVB_NETBACK_OFFLOAD_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#include "netback/hash.h"
#include "netback/segment.h"
#include "ring/netif.h"

/* What the frontend accepts, from its feature keys. */
struct offload_accept {
	bool sg;      /* feature-sg: frames above one page */
	bool csum_v4; /* not feature-no-csum-offload */
	bool csum_v6; /* feature-ipv6-csum-offload */
	bool gso_v4;  /* feature-gso-tcpv4, with csum_v4 and sg */
	bool gso_v6;
};

/*
 * The kernel may have to cut a large frame in the one call that takes it, once for each port of a bridge. So the number
 * of segments is limited to what honest guests send: 64 KiB with the smallest path MTU that Linux accepts (552,
 * net.ipv4.route.min_pmtu), less 40 bytes of headers and 40 of TCP options. The MSS, which includes the options, is at
 * least the smallest that Linux accepts from a peer (net.ipv4.tcp_min_snd_mss).
 */
#define OFFLOAD_MAX_SEGMENTS 139u
#define OFFLOAD_MIN_MSS      48u

/* The packets on the wire that a frame is cut into. */
struct offload_wire {
	uint32_t packets;
	uint32_t bytes;
};

/*
 * The packets of a frame of `len` bytes with this segment size, if `type` is set. The headers have not been read yet,
 * so they are taken for those of an untagged frame with TCP time stamps. At most OFFLOAD_MAX_SEGMENTS packets: a guest
 * may not send more, and frames of others with so small segments are not so large.
 */
struct offload_wire offload_on_wire(enum netif_gso_type type, uint32_t gso_size, uint32_t len);

/* The TUNSETOFFLOAD flags for such a frontend: what the kernel may leave undone in frames that we read. */
unsigned int offload_tap_flags(const struct offload_accept *accept);

/* The GSO type of a frame that the kernel gives us; NETIF_GSO_NONE also for types that netif.h does not have. */
enum netif_gso_type offload_gso_type(const struct virtio_net_hdr *hdr);

/*
 * From the guest: fill *ret_hdr (little endian) for a frame whose first min(total, FRAME_HEAD_MAX) bytes are in `head`,
 * and write the pseudo-header sum where a checksum is blank. Returns 0; -EINVAL for broken headers; -EPROTO for a GSO
 * extra that does not fit the frame, makes segments too small or too many, or is for the broadcast address (TCP has one
 * receiver); -EOPNOTSUPP for a blank checksum where there can be none.
 */
int offload_from_guest(const struct netif_tx_packet *packet, uint8_t *head,
		       struct virtio_net_hdr *ret_hdr);

enum offload_action {
	OFFLOAD_PASS,
	OFFLOAD_SEGMENT, /* a large frame for a guest that does not accept it: see plan.segments */
	OFFLOAD_DROP,    /* it contradicts itself */
};

struct offload_plan {
	enum offload_action action;
	uint16_t flags; /* NETIF_RX_DATA_VALIDATED, NETIF_RX_CSUM_BLANK */
	enum netif_gso_type gso_type;
	uint16_t gso_size;
	bool finished;          /* the checksum was computed here */
	struct hash_value hash; /* set by the caller */
	struct segment_plan segments;
};

/*
 * To the guest: decide on a whole frame that was read from the tap, and complete its checksum in place if the guest
 * cannot. netif.h and Windows' frontend require DATA_VALIDATED with CSUM_BLANK, and both with GSO.
 */
void offload_to_guest(const struct virtio_net_hdr *hdr, const struct offload_accept *accept,
		      uint8_t *frame, uint32_t len, struct offload_plan *ret);

#endif
