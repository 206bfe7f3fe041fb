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

/* What the frontend can take, from its feature keys. */
struct offload_accept {
	bool sg;      /* feature-sg: frames above one page */
	bool csum_v4; /* not feature-no-csum-offload */
	bool csum_v6; /* feature-ipv6-csum-offload */
	bool gso_v4;  /* feature-gso-tcpv4, and csum_v4 and sg with it */
	bool gso_v6;
};

/*
 * The kernel may have to cut a large frame, in the one call that takes it, once for each port of a bridge. So the
 * segments that it may make are bounded by what honest guests send: 64 KiB at the least path MTU that Linux
 * believes in (552, net.ipv4.route.min_pmtu), less 40 bytes of headers and 40 of TCP's options; and an MSS, of which
 * the options are part, is at least the least that Linux takes from a peer (net.ipv4.tcp_min_snd_mss).
 */
#define OFFLOAD_MAX_SEGMENTS 139u
#define OFFLOAD_MIN_MSS      48u

/* The packets on the wire that a frame is cut into. */
struct offload_wire {
	uint32_t packets;
	uint32_t bytes;
};

/*
 * For a frame of `len` bytes with this segment size, if `type` is set; before its headers are looked at, so they
 * are taken for those of an untagged frame with TCP's time stamps. At most OFFLOAD_MAX_SEGMENTS packets: a guest may
 * not send more, and what others sent is not so large with so small segments.
 */
struct offload_wire offload_on_wire(enum netif_gso_type type, uint32_t gso_size, uint32_t len);

/*
 * The TUNSETOFFLOAD flags for such a frontend: what the kernel may leave undone in frames
 * that we read.
 */
unsigned int offload_tap_flags(const struct offload_accept *accept);

/* The GSO type of a frame that the kernel gives us; NETIF_GSO_NONE also for types that netif.h does not have. */
enum netif_gso_type offload_gso_type(const struct virtio_net_hdr *hdr);

/*
 * From the guest: fill *ret_hdr (little endian) for a frame whose first
 * min(total, FRAME_HEAD_MAX) bytes are in `head`, and put the pseudo-header sum in place where a
 * checksum is blank. Returns 0; -EINVAL when the headers are broken, -EPROTO when a GSO extra
 * does not fit the frame, makes segments too small or too many, or is for everybody (TCP has one receiver),
 * -EOPNOTSUPP when the checksum is blank where it cannot be.
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
