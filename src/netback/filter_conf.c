/* SPDX-License-Identifier: MIT */
/* Turns an admin's text into rules. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "netback/filter.h"
#include "core/parse.h"

#define SEPARATORS ", \t\n"

/* The next word of a list, or NULL when there is none. A word that is too long is cut, and then unknown. */
static const char *next_word(const char **at, char *buf, size_t size)
{
	size_t len;

	*at += strspn(*at, SEPARATORS);
	len = strcspn(*at, SEPARATORS);
	if (!len)
		return NULL;
	snprintf(buf, size, "%.*s", (int)len, *at);
	*at += len;
	return buf;
}

static const struct {
	const char *name;
	unsigned int want;
} names[] = {
	{ "mac", FILTER_WANT_MAC },
	{ "ip", FILTER_WANT_IP },
	{ "dhcp", FILTER_WANT_DHCP },
	{ "ra", FILTER_WANT_RA },
	{ "on", FILTER_WANT_ALL },
	{ "1", FILTER_WANT_ALL },
	{ "off", 0 },
	{ "0", 0 },
};

#define NR_NAMES (sizeof(names) / sizeof(names[0]))

int filter_parse_want(const char *text, unsigned int *ret_want)
{
	unsigned int want = 0;
	char word[16];
	size_t i;

	while (next_word(&text, word, sizeof(word))) {
		for (i = 0; i < NR_NAMES; i++)
			if (!strcmp(word, names[i].name))
				break;
		if (i == NR_NAMES)
			return -EINVAL;
		want |= names[i].want;
	}
	*ret_want = want;
	return 0;
}

void filter_print_want(unsigned int want, char *buf, size_t size)
{
	size_t used = 0;

	if (!want || want == FILTER_WANT_ALL || want & FILTER_WANT_SILENCE) {
		snprintf(buf, size, "%s",
			 !want                     ? "off"
			 : want == FILTER_WANT_ALL ? "on"
						   : "nothing passes");
		return;
	}
	for (size_t i = 0; names[i].want != FILTER_WANT_ALL && used < size; i++)
		if (want & names[i].want)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? "," : "",
						 names[i].name);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int filter_parse_mac(const char *text, uint8_t ret_mac[6])
{
	uint8_t mac[6];

	for (unsigned int i = 0; i < 6; i++, text += 3) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0 || text[2] != (i == 5 ? '\0' : ':'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	if (mac[0] & 1)
		return -EINVAL;
	memcpy(ret_mac, mac, sizeof(mac));
	return 0;
}

static int parse_bits(const char *text, unsigned int max, uint8_t *ret)
{
	uint32_t bits;
	int err = parse_u32(text, 0, max, &bits);

	if (!err)
		*ret = (uint8_t)bits;
	return err;
}

/* ADDRESS or ADDRESS/BITS; cuts `word` at the slash. */
static int parse_addr(char *word, struct message_addr *ret)
{
	char *slash = strchr(word, '/');
	struct message_addr addr = { 0 };

	if (slash)
		*slash++ = '\0';
	addr.v6 = strchr(word, ':') != NULL;
	if (inet_pton(addr.v6 ? AF_INET6 : AF_INET, word, addr.addr) != 1)
		return -EINVAL;
	addr.bits = addr.v6 ? 128 : 32;
	if (slash && parse_bits(slash, addr.bits, &addr.bits))
		return -EINVAL;
	*ret = addr;
	return 0;
}

int filter_parse_addrs(const char *text, struct message_filter *filter)
{
	struct message_addr addrs[MESSAGE_ADDRS];
	char word[64];
	uint32_t nr = 0;

	while (next_word(&text, word, sizeof(word))) {
		if (nr == MESSAGE_ADDRS)
			return -E2BIG;
		if (parse_addr(word, &addrs[nr++]))
			return -EINVAL;
	}
	memcpy(filter->addrs, addrs, nr * sizeof(addrs[0]));
	filter->nr_addrs = nr;
	return 0;
}
