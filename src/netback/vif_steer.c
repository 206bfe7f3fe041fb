/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/log.h"
#include "netback/vif_steer.h"

#define INTERVAL_NS (1000000000u / VIF_STEER_PER_SECOND)

/* Logged once: the cause is this host, and a guest can trigger it at will. */
static void complain(int err)
{
	static bool said;

	if (!err || said)
		return;
	said = true;
	log_warning("frames cannot be spread by their guests' hash, so the kernel chooses their "
		    "queues: %s%s",
		    strerror(-err), err == -EPERM ? " (CAP_BPF is missing)" : "");
}

static bool is_wanted(const struct vif_steer *s)
{
	return s->nr_queues > 1 && hash_config_is_on(&s->config);
}

static int put_in_force(struct vif_steer *s)
{
	int err = s->program.open ? 0 : steer_open(&s->program);

	if (!err)
		err = steer_set(&s->program, &s->config, s->nr_queues);
	return err ? err : tap_steer(s->tap, s->program.prog_fd);
}

/* If the daemon may not load programs, the kernel chooses the queues: that works, but is slower. */
static void update(void *user)
{
	struct vif_steer *s = user;
	bool wanted = is_wanted(s);

	s->err = wanted ? put_in_force(s) : 0;
	if (!wanted || s->err)
		tap_steer(s->tap, TAP_STEER_NONE);
	complain(s->err);
	s->on = wanted && !s->err;
	s->nr_updates++;
}

void vif_steer_start(struct vif_steer *s, struct loop *loop, struct tap *tap, uint32_t nr_queues,
		     const struct message_hash *config)
{
	*s = (struct vif_steer){
		.pace = { .loop = loop, .interval_ns = INTERVAL_NS, .fn = update, .user = s },
		.tap = tap,
		.nr_queues = nr_queues,
		.config = *config,
	};
	update(s);
}

void vif_steer_change(struct vif_steer *s, const struct message_hash *config)
{
	s->config = *config;
	pace_ask(&s->pace);
}

void vif_steer_stop(struct vif_steer *s, bool keep)
{
	if (!s->tap)
		return;
	pace_stop(&s->pace);
	if (!keep)
		tap_steer(s->tap, TAP_STEER_NONE);
	steer_close(&s->program); /* while the tap uses the program, it keeps it */
	s->tap = NULL;
}

void vif_steer_dump(const struct vif_steer *s, FILE *out)
{
	fprintf(out, " steer=%s steer_updates=%" PRIu32,
		s->err  ? strerror(-s->err)
		: s->on ? "yes"
			: "no",
		s->nr_updates);
}
