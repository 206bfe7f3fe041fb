/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "core/rate.h"
#include "netback/filter.h"
#include "netback/quirks.h"
#include "netback/vif_options.h"
#include "netback/pcap_filter.h"
#include "netback/vif_pcap.h"

#define MAX_MS 86400000u /* a day */

const struct vif_options vif_options_default = { .rx_drain_ms = 10000, .rx_stall_ms = 60000 };

static int parse_antispoof(const struct key *key, const char *text, void *ret)
{
	(void)key;
	return *text ? filter_parse_want(text, ret) : -EINVAL;
}

static int parse_quirks(const struct key *key, const char *text, void *ret)
{
	struct vif_quirks_choice *quirks = ret;
	int err = quirks_parse(text, &quirks->bits);

	(void)key;
	if (!err)
		quirks->given = true;
	return err;
}

static int parse_vif_rate(const struct key *key, const char *text, void *ret)
{
	struct message_rate *rate = ret;

	(void)key;
	return rate_parse(text, &rate->amount, &rate->usecs);
}

static void print_antispoof(const void *value, char *buf, size_t size)
{
	filter_print_want(*(const unsigned int *)value, buf, size);
}

static void print_quirks(const void *value, char *buf, size_t size)
{
	const struct vif_quirks_choice *quirks = value;

	if (quirks->given)
		quirks_print(quirks->bits, buf, size);
	else
		snprintf(buf, size, "as the frontend looks");
}

static void print_vif_rate(const void *value, char *buf, size_t size)
{
	const struct message_rate *rate = value;

	snprintf(buf, size, "%" PRIu32 ",%" PRIu32, rate->amount, rate->usecs);
}

#define AT(field_)                                                                                 \
	.at = offsetof(struct vif_options, field_),                                                \
	.size = sizeof(((struct vif_options *)NULL)->field_)
#define MBIT    "1250000,100000 is 100 Mbit/s"
#define PACKETS "1000,100000 is 10000 packets a second"
#define RATE(unit_, field_, example_)                                                              \
	.when = KEY_AT_ONCE, .is_limit = true, .zero = "no limit", .parse = parse_vif_rate,        \
	.print = print_vif_rate, .allowed = unit_ ",MICROSECONDS: " example_, AT(field_)

const struct key vif_keys[] = {
	{ .name = "antispoof",
	  .when = KEY_AT_ONCE,
	  .parse = parse_antispoof,
	  .print = print_antispoof,
	  AT(antispoof),
	  .allowed = "on, off or a list of mac, ip, dhcp, ra",
	  .if_wrong = "on",
	  .value = "LIST",
	  .help = "port security of NICs without a key of their own: on, off (default)\n"
		  "or a list of mac, ip, dhcp, ra" },
	{ .name = "vif-quirks",
	  .when = KEY_AT_CONNECT,
	  .parse = parse_quirks,
	  .print = print_quirks,
	  AT(quirks),
	  .allowed = "a list of " QUIRKS_NAMES,
	  .value = "LIST",
	  .help = "workarounds for all NICs: no-csum, no-gso, single-slot, poll,\n"
		  "freebsd, ipxe, legacy or none" },
	{ .name = "rx-drain-timeout",
	  .when = KEY_AT_CONNECT,
	  .parse = key_u32,
	  AT(rx_drain_ms),
	  .min = 1,
	  .max = MAX_MS,
	  .value = "MS",
	  .help = "drop frames that a guest has not taken for so long (10000)" },
	{ .name = "rx-stall-timeout",
	  .when = KEY_AT_CONNECT,
	  .parse = key_u32,
	  AT(rx_stall_ms),
	  .max = MAX_MS,
	  .zero = "never",
	  .value = "MS",
	  .help = "turn the carrier off after so long; 0: never (60000)" },
	{ .name = "pcap-dir",
	  .when = KEY_AT_ONCE,
	  .parse = key_text,
	  AT(pcap_dir),
	  .max = PATH_MAX,
	  .zero = "the runtime-dir",
	  .value = "DIR",
	  .help = "write captures of NICs into DIR (default: the runtime-dir)" },
	{ .name = "rate", RATE("BYTES", rate, MBIT) },
	{ .name = "rate-rx", RATE("BYTES", rate_rx, MBIT) },
	{ .name = "packet-rate", RATE("PACKETS", packet_rate, PACKETS) },
	{ .name = "packet-rate-rx", RATE("PACKETS", packet_rate_rx, PACKETS) },
	{ 0 },
};

/* A capture is not an option: vif_pcap.c reads its keys. */
static int parse_pcap(const struct key *key, const char *text, void *ret)
{
	struct message_capture capture;

	(void)key, (void)ret;
	return vif_pcap_parse(text, &capture);
}

static int parse_pcap_filter(const struct key *key, const char *text, void *ret)
{
	struct message_capture capture = { .snaplen = 1 };

	(void)key, (void)ret;
	return pcap_filter_compile(text, &capture);
}

const struct key vif_own_keys[] = {
	{ .name = "antispoof",
	  .when = KEY_AT_ONCE,
	  .parse = parse_antispoof,
	  .print = print_antispoof,
	  AT(antispoof),
	  .allowed = "on, off or a list of mac, ip, dhcp, ra" },
	{ .name = "pcap",
	  .when = KEY_AT_ONCE,
	  .parse = parse_pcap,
	  .allowed = "on, off or a list of snaplen=BYTES, size=MIB" },
	{ .name = "pcap-filter",
	  .when = KEY_AT_ONCE,
	  .parse = parse_pcap_filter,
	  .allowed = "an expression of pcap-filter(7) without names" },
	{ .name = "quirks",
	  .when = KEY_AT_CONNECT,
	  .parse = parse_quirks,
	  .print = print_quirks,
	  AT(quirks),
	  .allowed = "a list of " QUIRKS_NAMES },
	{ .name = "rate", RATE("BYTES", rate, MBIT) },
	{ .name = "rate-rx", RATE("BYTES", rate_rx, MBIT) },
	{ .name = "packet-rate", RATE("PACKETS", packet_rate, PACKETS) },
	{ .name = "packet-rate-rx", RATE("PACKETS", packet_rate_rx, PACKETS) },
	{ 0 },
};
