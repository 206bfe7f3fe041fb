/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "core/log.h"
#include "netback/vif_steer.h"

#define INTERVAL_NS (1000000000u / VIF_STEER_PER_SECOND)

/* Said once: it is about this host, and a guest can bring it about at will. */
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

/* Where the daemon may not load programs the kernel goes on choosing: that is allowed, and slower. */
static void update(struct vif_steer *s)
{
	bool wanted;
	int err;

	vif_shared_get_hash(s->shared, &s->generation, &s->config);
	wanted = is_wanted(s);
	err = wanted ? put_in_force(s) : 0;
	if (!wanted || err)
		tap_steer(s->tap, TAP_STEER_NONE);
	complain(err);
	atomic_store(&s->err, err);
	atomic_store(&s->on, wanted && !err);
	atomic_fetch_add(&s->nr_updates, 1);
}

static void update_and_rest(struct vif_steer *s);

static void rested(void *user)
{
	struct vif_steer *s = user;

	if (s->waiting)
		update_and_rest(s);
}

static void update_and_rest(struct vif_steer *s)
{
	s->waiting = false;
	update(s);
	loop_timer_set(s->loop, &s->timer, INTERVAL_NS, rested, s);
}

void vif_steer_start(struct vif_steer *s, struct loop *loop, struct vif_shared *shared,
		     struct tap *tap, uint32_t nr_queues)
{
	*s = (struct vif_steer){
		.loop = loop, .shared = shared, .tap = tap, .nr_queues = nr_queues
	};
	update(s);
}

void vif_steer_changed(struct vif_steer *s)
{
	if (!s->loop)
		return;
	if (s->timer.armed)
		s->waiting = true;
	else
		update_and_rest(s);
}

void vif_steer_stop(struct vif_steer *s, bool keep)
{
	if (!s->loop)
		return;
	loop_timer_cancel(&s->timer);
	if (!keep)
		tap_steer(s->tap, TAP_STEER_NONE);
	steer_close(&s->program); /* the tap holds it for as long as it uses it */
	s->loop = NULL;
}
