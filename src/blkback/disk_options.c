/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "blkback/disk_options.h"

#define AMOUNT_MAX ((uint64_t)1 << 40)
#define USECS      1000000u

const struct disk_options disk_options_default = {
	.max_persistent_grants = 1056, /* 32 requests: 32 data pages and a page of segments each */
	.nbd_timeout_s = 60,
};

static const char *const cache_modes[] = { [DISK_CACHE_NONE] = "none",
					   [DISK_CACHE_WRITEBACK] = "writeback",
					   [DISK_CACHE_WRITETHROUGH] = "writethrough",
					   NULL };
static const char *const error_policies[] = {
	[DISK_ERRORS_REPORT] = "report", [DISK_ERRORS_STALL] = "stall", NULL
};

static const char *const persistent_choices[] = { [DISK_PERSISTENT_AUTO] = "auto",
						  [DISK_PERSISTENT_YES] = "yes",
						  [DISK_PERSISTENT_NO] = "no",
						  NULL };

/* The key was a flag in the past: 0 and 1 keep their meaning. */
static int parse_persistent(const struct key *key, const char *text, void *ret)
{
	bool flag;

	if (key_flag(key, text, &flag))
		return key_choice(key, text, ret);
	*(enum disk_persistent *)ret = flag ? DISK_PERSISTENT_YES : DISK_PERSISTENT_NO;
	return 0;
}

#define AT(field_)                                                                                 \
	.at = offsetof(struct disk_options, field_),                                               \
	.size = sizeof(((struct disk_options *)NULL)->field_)
#define AMOUNT(field_)       .parse = key_amount, .max = AMOUNT_MAX, AT(field_)
#define LIMIT(field_, zero_) .when = KEY_AT_ONCE, .is_limit = true, .zero = zero_, AMOUNT(field_)

const struct key disk_keys[] = {
	{ .name = "persistent-grants",
	  .when = KEY_AT_CONNECT,
	  .parse = parse_persistent,
	  .words = persistent_choices,
	  AT(persistent_grants) },
	{ .name = "max-persistent-grants",
	  .when = KEY_AT_CONNECT,
	  .parse = key_u32,
	  .max = PERSISTENT_GRANTS_MAX,
	  AT(max_persistent_grants) },
	{ .name = "error-policy",
	  .when = KEY_AT_ONCE,
	  .parse = key_choice,
	  .words = error_policies,
	  AT(errors) },
	{ .name = "iops", LIMIT(iops, "no limit") },
	{ .name = "iops-burst", LIMIT(iops_burst, "a tenth of iops") },
	{ .name = "bps", LIMIT(bps, "no limit") },
	{ .name = "bps-burst", LIMIT(bps_burst, "a tenth of bps") },
	{ .name = "cache-mode",
	  .when = KEY_AT_CONNECT,
	  .parse = key_choice,
	  .words = cache_modes,
	  AT(cache) },
	{ .name = "poll-time",
	  .when = KEY_AT_ONCE,
	  .parse = key_u32,
	  .max = POLL_US_MAX,
	  .zero = "off",
	  AT(poll_us) },
	{ .name = "nbd-timeout",
	  .when = KEY_AT_CONNECT,
	  .parse = key_u32,
	  .min = 1,
	  .max = NBD_TIMEOUT_S_MAX,
	  AT(nbd_timeout_s),
	  .value = "SECONDS",
	  .help = "how long requests wait for a lost NBD server (default: 60)" },
	{ 0 },
};

bool disk_offers_persistent(const struct disk_options *options)
{
	return options->persistent_grants != DISK_PERSISTENT_NO;
}

bool disk_copies_kept(const struct disk_options *options, bool dear)
{
	return options->persistent_grants == DISK_PERSISTENT_AUTO || dear;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void disk_rate(uint64_t per_second, uint64_t burst, uint32_t *ret_amount, uint32_t *ret_usecs)
{
	*ret_amount = *ret_usecs = 0;
	if (per_second == 0)
		return;
	burst = most(burst ? burst : per_second / 10, most(per_second / 1000, 1));
	if (burst > UINT32_MAX)
		burst = UINT32_MAX;
	if (burst / per_second >= UINT32_MAX / USECS) /* the interval must fit in 32 bits */
		burst = per_second * (UINT32_MAX / USECS);
	*ret_amount = (uint32_t)burst;
	*ret_usecs = (uint32_t)(burst * USECS / per_second);
}
