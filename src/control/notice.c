/* SPDX-License-Identifier: MIT */
#include "control/notice.h"

#define NS_PER_S UINT64_C(1000000000)

/* Since when the counter has grown between any two looks. */
static uint64_t growing_since(struct notices *notices, unsigned int nr, uint64_t count,
			      uint64_t now_ns)
{
	uint64_t since_ns = notices->of[nr].since_ns;

	if (!notices->of[nr].looked || count <= notices->of[nr].count)
		since_ns = 0;
	else if (!since_ns)
		since_ns = now_ns - NOTICE_LOOK_S * NS_PER_S;
	notices->of[nr].looked = true;
	notices->of[nr].count = count;
	return notices->of[nr].since_ns = since_ns;
}

static bool holds(struct notices *notices, const struct notice_rule *rule, unsigned int nr,
		  const struct stats_view *figures, uint64_t now_ns)
{
	uint64_t since_ns =
		rule->kind == STAT_SINCE
			? stats_view_oldest(figures, rule->figure, now_ns)
			: growing_since(notices, nr,
					stats_view_sum(figures, rule->figure, STAT_COUNTER),
					now_ns);

	return since_ns && now_ns - since_ns >= rule->seconds * NS_PER_S;
}

enum notice_change notice_look(struct notices *notices, const struct notice_rule *rules,
			       unsigned int nr, const struct stats_view *figures, uint64_t now_ns)
{
	bool held = notices->of[nr].said;
	uint64_t last_ns = notices->of[nr].said_ns;

	notices->of[nr].holds = holds(notices, &rules[nr], nr, figures, now_ns);
	if (notices->of[nr].holds) {
		if (held || (last_ns && now_ns - last_ns < NOTICE_QUIET_S * NS_PER_S))
			return NOTICE_NONE;
		notices->of[nr].said = true;
		notices->of[nr].said_ns = now_ns;
		return NOTICE_BEGINS;
	}
	notices->of[nr].said = false;
	return held ? NOTICE_ENDS : NOTICE_NONE;
}
