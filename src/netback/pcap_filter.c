/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#ifdef HAVE_PCAP
#include <pcap/pcap.h>
#endif

#include "netback/pcap_filter.h"

const char *pcap_filter_problem(int err)
{
	switch (err) {
	case -EREMOTE:
		return "has a name in it, and nobody is asked for addresses: write numbers (host "
		       "192.0.2.1, port 80)";
	case -EINVAL:
		return "is not understood: it takes an expression of pcap-filter(7)";
	case -E2BIG:
		return "is too long: make it shorter";
	case -EOPNOTSUPP:
		return "cannot be: this pvbackd was built without libpcap";
	default:
		return NULL;
	}
}

#ifdef HAVE_PCAP
/* --- words --- */

/*
 * The keywords that libpcap knows for Ethernet. It looks up any other word that is not a number as a name. `gateway` is
 * not here: a name must follow it.
 */
static const char *const words[] = {
	"aarp",
	"ah",
	"and",
	"arp",
	"atalk",
	"broadcast",
	"byte",
	"carp",
	"clnp",
	"csnp",
	"decnet",
	"dst",
	"es-is",
	"esis",
	"esp",
	"ether",
	"geneve",
	"greater",
	"host",
	"icmp",
	"icmp6",
	"icmp6code",
	"icmp6type",
	"icmp6-destinationunreach",
	"icmp6-echo",
	"icmp6-echoreply",
	"icmp6-packettoobig",
	"icmp6-parameterproblem",
	"icmp6-timeexceeded",
	"icmpcode",
	"icmptype",
	"icmp-echo",
	"icmp-echoreply",
	"icmp-ireq",
	"icmp-ireqreply",
	"icmp-maskreply",
	"icmp-maskreq",
	"icmp-paramprob",
	"icmp-redirect",
	"icmp-routeradvert",
	"icmp-routersolicit",
	"icmp-sourcequench",
	"icmp-timxceed",
	"icmp-tstamp",
	"icmp-tstampreply",
	"icmp-unreach",
	"igmp",
	"igrp",
	"iih",
	"inbound",
	"ip",
	"ip6",
	"ipx",
	"is-is",
	"isis",
	"iso",
	"l1",
	"l2",
	"lat",
	"len",
	"length",
	"less",
	"link",
	"llc",
	"lsp",
	"mask",
	"mopdl",
	"moprc",
	"mpls",
	"multicast",
	"net",
	"netbeui",
	"not",
	"or",
	"outbound",
	"pim",
	"port",
	"portrange",
	"ppp",
	"pppoed",
	"pppoes",
	"proto",
	"protochain",
	"psnp",
	"rarp",
	"sca",
	"sctp",
	"snp",
	"src",
	"stp",
	"tcp",
	"tcpflags",
	"tcp-ack",
	"tcp-cwr",
	"tcp-ece",
	"tcp-fin",
	"tcp-push",
	"tcp-rst",
	"tcp-syn",
	"tcp-urg",
	"udp",
	"vlan",
	"vrrp",
};

static bool is_keyword(const char *word)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i], word))
			return true;
	return false;
}

/* 80, 0x800, 10.1, 192.0.2.1. */
static bool is_number(const char *word)
{
	unsigned int nr = 0;

	if (word[0] == '0' && (word[1] | 0x20) == 'x')
		return word[2] && word[2 + strspn(word + 2, "0123456789abcdefABCDEF")] == '\0';
	for (; isdigit((unsigned char)*word) && ++nr <= 4; word += *word == '.') {
		word += strspn(word, "0123456789");
		if (!*word)
			return true;
		if (*word != '.')
			return false;
	}
	return false;
}

/* 80-90. */
static bool is_range(const char *word)
{
	word += strspn(word, "0123456789");
	return word[0] == '-' && word[1] && word[1 + strspn(word + 1, "0123456789")] == '\0';
}

/* 00:16:3e:1:2:3 */
static bool is_mac(const char *word)
{
	unsigned int nr = 0;

	for (; isxdigit((unsigned char)*word) && ++nr <= 6; word += *word == ':') {
		word += 1 + (isxdigit((unsigned char)word[1]) != 0);
		if (!*word)
			return nr == 6;
		if (*word != ':')
			return false;
	}
	return false;
}

static bool is_address(const char *word)
{
	struct in6_addr addr;

	return is_mac(word) || inet_pton(AF_INET6, word, &addr) == 1;
}

/* Check each part between colons: tcp[0:2]. */
static bool are_plain(char *word, bool after_portrange)
{
	char *part;

	if (is_address(word) || (after_portrange && is_range(word)))
		return true;
	while ((part = strsep(&word, ":")))
		if (*part && !is_number(part) && !is_keyword(part))
			return false;
	return true;
}

#define BEGINS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:"

static bool has_names(const char *text)
{
	bool after_portrange = false;
	char word[64];

	for (text += strcspn(text, BEGINS); *text; text += strcspn(text, BEGINS)) {
		size_t len = strspn(text, BEGINS "-._");

		if (len >= sizeof(word))
			return true;
		snprintf(word, len + 1, "%s", text);
		if (!are_plain(word, after_portrange))
			return true;
		after_portrange = !strcmp(word, "portrange");
		text += len;
	}
	return false;
}

/* --- programs --- */

static int take_program(const struct bpf_program *program, struct message_capture *ret)
{
	if (program->bf_len > MESSAGE_INSNS)
		return -E2BIG;
	ret->nr_insns = program->bf_len;
	memcpy(ret->insns, program->bf_insns, program->bf_len * sizeof(ret->insns[0]));
	return 0;
}

int pcap_filter_compile(const char *text, struct message_capture *ret)
{
	struct bpf_program program;
	pcap_t *none;
	int err;

	ret->nr_insns = 0;
	if (!*text)
		return 0;
	if (strchr(text, '\\') ||
	    has_names(text)) /* after a backslash, libpcap takes a keyword for a name */
		return -EREMOTE;
	none = pcap_open_dead(DLT_EN10MB, (int)ret->snaplen);
	if (!none)
		return -ENOMEM;
	err = pcap_compile(none, &program, text, 1, PCAP_NETMASK_UNKNOWN) ? -EINVAL : 0;
	pcap_close(none);
	if (err)
		return err;
	err = take_program(&program, ret);
	pcap_freecode(&program);
	return err;
}
#else
int pcap_filter_compile(const char *text, struct message_capture *ret)
{
	ret->nr_insns = 0;
	return *text ? -EOPNOTSUPP : 0;
}
#endif
