/* SPDX-License-Identifier: MIT */
/* What a queue of a network card counts: the list of core/stats.h. */
#ifndef PVB_NETBACK_VIF_STATS_H
#define PVB_NETBACK_VIF_STATS_H

#include "core/stats.h"

/*
 * All frames are counted. Except for frames on their way at the moment,
 *   rx_read - rx_merged - rx_segmented + rx_segments = rx_packets + all rx_drop_*, and
 *   frames and group changes from the guest =
 *     tx_packets + tx_mcast + tx_mcast_refused + all tx_drop_* + all tx_refused_*.
 *
 * "tx" is from the guest, "rx" is to the guest, as in netif.h.
 */
#define VIF_STATS(COUNTER, GAUGE, SINCE, TIMES)                                                    \
	COUNTER(tx_packets, "frames", "From the guest, and written to the tap.")                   \
	COUNTER(tx_bytes, "bytes", "In these.")                                                    \
	COUNTER(tx_gso, "frames", "Of these, large TCP frames.")                                   \
	COUNTER(tx_csum_finished, "frames", "Whose checksum was computed for the host.")           \
	COUNTER(tx_throttled, "times", "The rate limit made the queue wait.")                      \
	COUNTER(tx_drop_slots, "frames", "Dropped: in too many pieces.")                           \
	COUNTER(tx_drop_long, "frames",                                                            \
		"Dropped: the pieces are more than the size that was said.")                       \
	COUNTER(tx_drop_short, "frames", "Dropped: less than an Ethernet header.")                 \
	COUNTER(tx_drop_copy, "frames", "Dropped: memory that was not granted.")                   \
	COUNTER(tx_drop_header, "frames", "Dropped: an offload that the headers do not allow.")    \
	COUNTER(tx_drop_gso, "frames",                                                             \
		"Dropped: a large TCP frame against its protocol, for the broadcast address, "     \
		"below an MSS of 48 bytes, or of more than 139 segments.")                         \
	COUNTER(tx_drop_csum, "frames", "Dropped: a blank checksum where there is none.")          \
	COUNTER(tx_mcast, "times", "Multicast addresses added or removed.")                        \
	COUNTER(tx_mcast_refused, "times",                                                         \
		"Likewise, but the list is full, or it was no group's address.")                   \
	COUNTER(tx_refused_mac, "frames", "Port security: not its hardware address.")              \
	COUNTER(tx_refused_type, "frames",                                                         \
		"Port security: neither ARP nor IP, SNAP, too many tags.")                         \
	COUNTER(tx_refused_arp, "frames", "Port security: an ARP sender that it is not.")          \
	COUNTER(tx_refused_ipv4, "frames", "Port security: not its IPv4 address.")                 \
	COUNTER(tx_refused_ipv6, "frames", "Port security: not its IPv6 address.")                 \
	COUNTER(tx_refused_nd, "frames", "Port security: neighbour discovery for others.")         \
	COUNTER(tx_refused_dhcp, "frames", "Port security: as a DHCP server.")                     \
	COUNTER(tx_refused_ra, "frames", "Port security: as an IPv6 router.")                      \
	COUNTER(tx_refused_header, "frames", "Port security: headers without an end.")             \
	COUNTER(tx_refused_rules, "frames",                                                        \
		"Port security: the rules cannot be read, so nothing passes.")                     \
	COUNTER(tx_drop_tap_down, "frames", "Dropped: the interface is down.")                     \
	COUNTER(tx_drop_tap_busy, "frames", "Dropped: the host has no room at the moment.")        \
	COUNTER(tx_drop_tap_error, "frames", "Dropped: another error of the host.")                \
	COUNTER(rx_read, "frames", "Taken from the tap.")                                          \
	COUNTER(rx_packets, "frames",                                                              \
		"Of these, and of what they were cut into: given to the guest.")                   \
	COUNTER(rx_bytes, "bytes", "In these.")                                                    \
	COUNTER(rx_gso, "frames", "Of these, large TCP frames.")                                   \
	COUNTER(rx_csum_finished, "frames", "Whose checksum was computed for the guest.")          \
	COUNTER(rx_merged, "frames",                                                               \
		"Large TCP frames that went to the guest as one with another of their flow.")      \
	COUNTER(rx_segmented, "frames", "Large TCP frames that were cut for the guest.")           \
	COUNTER(rx_segments, "frames", "What these were cut into.")                                \
	COUNTER(rx_held, "frames", "That had to wait for the guest's slots.")                      \
	COUNTER(rx_starved, "times", "The guest had posted too few slots.")                        \
	SINCE(rx_no_slots, "ns",                                                                   \
	      "How long they have been too few now; nobody knows whether there are frames.")       \
	COUNTER(rx_throttled, "times", "The rate limit made the queue wait.")                      \
	COUNTER(rx_stalled, "times",                                                               \
		"The guest had no slots for so long that the carrier went off.")                   \
	COUNTER(rx_drop_stalled, "frames", "Dropped: the guest took nothing for ten seconds.")     \
	COUNTER(rx_drop_big, "frames", "Dropped: the guest cannot take frames so large.")          \
	COUNTER(rx_drop_mcast, "frames", "Dropped: of a group that the guest has not asked for.")  \
	COUNTER(rx_drop_header, "frames", "Dropped: the host's offload contradicts the frame.")    \
	COUNTER(rx_drop_copy, "frames", "Dropped: memory that was not granted.")                   \
	COUNTER(rx_read_errors, "times", "The tap could not be read.")                             \
	COUNTER(notify_sent, "times", "Answers made public, and the guest was woken.")             \
	COUNTER(notify_suppressed, "times",                                                        \
		"Answers made public, and the guest had not asked to be woken.")                   \
	TIMES(time_tx, "ns", "From the taking of a frame to its answer.")                          \
	TIMES(time_tx_limit, "ns",                                                                 \
	      "The queue waited for the rate limit, and the guest had frames in the ring.")        \
	TIMES(time_rx, "ns",                                                                       \
	      "From the reading of a frame to when the guest has it. How long it lay in the tap "  \
	      "before is not known.")                                                              \
	TIMES(time_rx_limit, "ns",                                                                 \
	      "The queue waited for the rate limit, and there were frames in the tap.")            \
	TIMES(time_rx_slots, "ns",                                                                 \
	      "Frames waited for the guest's slots, in the tap or one of them here.")

struct vif_stats {
	STAT_MEMBERS(VIF_STATS)
};

extern const struct stat_list vif_stat_list;

#endif
