/* SPDX-License-Identifier: MIT */
/* Filters of captures: whatever the filter has, no name in it is looked up. */
#include "unit.h"

#include "config.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netback/pcap_filter.h"

/* --- the functions that look up names: libpcap finds these before those of the C library --- */

static unsigned int nr_asked;

static bool is_numeric(const char *text)
{
	struct in6_addr addr;

	return !text || inet_pton(AF_INET, text, &addr) == 1 ||
	       inet_pton(AF_INET6, text, &addr) == 1 || text[strspn(text, "0123456789")] == '\0';
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (is_numeric(node) && is_numeric(service))
		return real(node, service, hints, ret);
	if (!hints || !(hints->ai_flags & AI_NUMERICHOST))
		nr_asked++;
	return EAI_NONAME;
}

struct hostent *gethostbyname(const char *name)
{
	(void)name;
	nr_asked++;
	return NULL;
}

struct netent *getnetbyname(const char *name)
{
	(void)name;
	nr_asked++;
	return NULL;
}

struct servent *getservbyname(const char *name, const char *protocol)
{
	(void)name, (void)protocol;
	nr_asked++;
	return NULL;
}

struct protoent *getprotobyname(const char *name)
{
	(void)name;
	nr_asked++;
	return NULL;
}

/* --- tests --- */

static int compile(const char *text)
{
	static struct message_capture capture = { .snaplen = 96 };

	return pcap_filter_compile(text, &capture);
}

static int with_pcap(int err)
{
#ifdef HAVE_PCAP
	return err;
#else
	(void)err;
	return -EOPNOTSUPP;
#endif
}

static void what_has_no_names_is_taken(void **state)
{
	static const char *const rows[] = {
		"ip6 and udp",
		"host 192.0.2.1 and port 80",
		"net 10 or net 10.1 or src net 10.0.0.0/8",
		"ether host 00:16:3e:1:2:3",
		"ip6 host ::1 or ip6 host fe80::216:3eff:fe01:203 or net 2001:db8::/32",
		"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
		"tcp[13:1]&0x3f=2 && len - 4 > 60 && !arp",
		"portrange 80-90",
		"icmp[icmptype] != icmp-echo",
		"vlan 5 and ether proto 0x806",
		"greater 100 and not broadcast",
	};

	(void)state;
	CHECK(compile("") == 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (compile(rows[i]) != with_pcap(0))
			fail_msg("%s", rows[i]);
}

static void a_name_is_refused(void **state)
{
	static const char *const rows[] = {
		"host www",
		"host www.example.org",
		"host 10.example.org",
		"port http",
		"ip proto \\tcp",
		"net loopback",
		"gateway 10.0.0",
		"ether host box",
		"host 1.2.3.4.5",
		"host 10.",
		"host 80-90",
		"host be:ef",
		"host 10abc",
		"host 0x1g",
		"host tcp-ack2",
		"port 80a",
		"portrange a-b",
		"host \xc3\xa4.example.org",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (compile(rows[i]) != with_pcap(-EREMOTE))
			fail_msg("%s", rows[i]);
	CHECK(compile("no such thing") == with_pcap(-EREMOTE));
	CHECK(compile("tcp tcp tcp (") == with_pcap(-EINVAL));
	CHECK(nr_asked == 0);
}

static void each_error_has_its_words(void **state)
{
	(void)state;
	CHECK(pcap_filter_problem(-EREMOTE) && pcap_filter_problem(-EINVAL));
	CHECK(pcap_filter_problem(-E2BIG) && pcap_filter_problem(-EOPNOTSUPP));
	CHECK(!pcap_filter_problem(-ENOMEM) && !pcap_filter_problem(0));
}

/* Words that libpcap takes for names, in filters that we accept. */
static void nobody_is_asked(void **state)
{
	static const char *const pieces[] = {
		"host",
		"net",
		"port",
		"portrange",
		"src",
		"dst",
		"ether",
		"ip",
		"ip6",
		"tcp",
		"udp",
		"proto",
		"and",
		"or",
		"not",
		"mask",
		"10.0",
		"1.2",
		"::1",
		"be::",
		"::be",
		"fe80::",
		"a:b:c:d:e:f",
		"80",
		"0x50",
		"1-2",
		":",
		"-",
		".",
		"/",
		"[",
		"]",
		"(",
		")",
		"&",
		"be",
		"1:2:3:4:5:6:7:8",
		"1:2::",
		"!",
		"$",
		"::1.2.3.4",
		"::ffff:1.2.3.4",
		"a::b:1.2.3.4",
		"00:11:22:33:44:55",
		"tcpflags",
		"vlan",
	};
	char text[256];

	(void)state;
	srand(1);
	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int nr = 1 + (unsigned int)rand() % 7;
		size_t len = 0;

		while (nr--)
			len += (size_t)snprintf(
				text + len, sizeof(text) - len, "%s%s",
				pieces[(size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]))],
				rand() % 4 ? " " : "");
		compile(text);
		if (nr_asked)
			fail_msg("%s", text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_no_names_is_taken),
		cmocka_unit_test(a_name_is_refused),
		cmocka_unit_test(each_error_has_its_words),
		cmocka_unit_test(nobody_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
