/* SPDX-License-Identifier: MIT */
/*
 * Filters as tcpdump takes them, but without names: libpcap would ask DNS for those, and whoever compiles a filter here
 * must not wait for anybody.
 */
#ifndef PVB_NETBACK_PCAP_FILTER_H
#define PVB_NETBACK_PCAP_FILTER_H

#include "core/messages.h"

/*
 * Compile it into a program for frames of ret->snaplen; "": all. 0; -EREMOTE when it has a name in it, -EINVAL when libpcap
 * does not understand it, -E2BIG when it is too long, -EOPNOTSUPP for any filter when libpcap is not there.
 */
int pcap_filter_compile(const char *text, struct message_capture *ret);

/* What is wrong with "the filter", after such an error: "has a name in it..."; NULL for another. */
const char *pcap_filter_problem(int err);

#endif
