/* SPDX-License-Identifier: MIT */
/*
 * Filters in tcpdump's syntax, but without names: libpcap would ask DNS for them, and the thread that compiles a filter
 * must not wait.
 */
#ifndef PVB_NETBACK_PCAP_FILTER_H
#define PVB_NETBACK_PCAP_FILTER_H

#include "core/messages.h"

/*
 * Compile it into a program for frames of ret->snaplen. "" passes all frames. 0; -EREMOTE when it has a name in it;
 * -EINVAL when libpcap does not understand it; -E2BIG when it is too long; -EOPNOTSUPP for any filter without libpcap.
 */
int pcap_filter_compile(const char *text, struct message_capture *ret);

/*
 * What is wrong with the filter after such an error, to follow "the filter": "has a name in it..."; NULL for other
 * errors.
 */
const char *pcap_filter_problem(int err);

#endif
