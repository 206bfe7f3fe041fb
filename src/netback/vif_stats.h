/* SPDX-License-Identifier: MIT */
/* What a network queue counts. Names are as they appear in the dump; see pvbackd(8). */
#ifndef PVB_NETBACK_VIF_STATS_H
#define PVB_NETBACK_VIF_STATS_H

#include <stdint.h>
#include <stdio.h>

/*
 * Nothing goes uncounted: of what is not on its way at the moment,
 *   rx_read - rx_merged - rx_segmented + rx_segments = rx_packets + all rx_drop_*, and
 *   frames and group changes from the guest = tx_packets + tx_mcast + tx_mcast_refused + all tx_drop_*.
 *
 * "tx" is from the guest, "rx" is to the guest, as in netif.h.
 */
#define VIF_STATS(X)                                                                               \
	X(tx_packets) /* written to the tap */                                                     \
	X(tx_bytes)                                                                                \
	X(tx_gso)            /* of these, large TCP frames */                                      \
	X(tx_csum_finished)  /* checksums computed for the host */                                 \
	X(tx_throttled)      /* waits for the rate limit */                                        \
	X(tx_drop_slots)     /* too many slots */                                                  \
	X(tx_drop_long)      /* pieces exceed the announced size */                                \
	X(tx_drop_short)     /* less than an Ethernet header */                                    \
	X(tx_drop_copy)      /* a grant copy failed */                                             \
	X(tx_drop_header)    /* broken headers where offload needs them */                         \
	X(tx_drop_gso)       /* GSO against the frame's protocol, or with tiny or many segments */ \
	X(tx_drop_csum)      /* blank checksum where there is none */                              \
	X(tx_mcast)          /* multicast addresses added or removed */                            \
	X(tx_mcast_refused)  /* the list is full, or it was no group's address */                  \
	X(tx_refused_mac)    /* port security: not its hardware address */                         \
	X(tx_refused_type)   /* neither ARP nor IP, SNAP, too many tags */                         \
	X(tx_refused_arp)    /* an ARP sender that it is not */                                    \
	X(tx_refused_ipv4)   /* not its address */                                                 \
	X(tx_refused_ipv6)   /* likewise */                                                        \
	X(tx_refused_nd)     /* neighbour discovery for others */                                  \
	X(tx_refused_dhcp)   /* as a DHCP server */                                                \
	X(tx_refused_ra)     /* as an IPv6 router */                                               \
	X(tx_refused_header) /* headers without an end */                                          \
	X(tx_refused_rules)  /* the rules cannot be read: nothing passes */                        \
	X(tx_drop_tap_down)  /* the interface is down */                                           \
	X(tx_drop_tap_busy)  /* the host takes no more at the moment */                            \
	X(tx_drop_tap_error) /* any other refusal */                                               \
	X(rx_read)           /* frames taken from the tap */                                       \
	X(rx_packets)        /* of these, and of what they were cut into: given to the guest */    \
	X(rx_bytes)                                                                                \
	X(rx_gso)                                                                                  \
	X(rx_csum_finished) /* checksums computed for the guest */                                 \
	X(rx_merged)        /* frames that were put behind another of their flow */                \
	X(rx_segmented)     /* large frames cut for the guest */                                   \
	X(rx_segments)      /* into so many */                                                     \
	X(rx_held)          /* frames that had to wait for slots */                                \
	X(rx_starved)       /* times the guest had posted too few slots */                         \
	X(rx_throttled)     /* waits for the rate limit */                                         \
	X(rx_stalled)       /* times the carrier went off for that */                              \
	X(rx_drop_stalled)  /* frames given up after the drain time */                             \
	X(rx_drop_big)      /* above a page, guest without feature-sg */                           \
	X(rx_drop_mcast)    /* of groups that the guest has not asked for */                       \
	X(rx_drop_header)   /* offload fields that contradict the frame */                         \
	X(rx_drop_copy)     /* frames with a slot whose grant copy failed */                       \
	X(rx_read_errors)                                                                          \
	X(notify_sent)                                                                             \
	X(notify_suppressed)

struct vif_stats {
#define X(name) uint64_t name;
	VIF_STATS(X)
#undef X
};

/* Write all of them, " name=value" each. */
void vif_stats_print(const struct vif_stats *stats, FILE *out);

#endif
