/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "netback/offload.h"
#include "netback/vif_shared.h"

struct vif_rules {
	struct message_filter filter;
	struct vif_rules *older;
};

static const struct message_filter deny = { .want = FILTER_WANT_SILENCE };

int vif_shared_init(struct vif_shared *shared, int kept_fd)
{
	const struct rate_pair none = { .bytes.min_burst = RATE_MIN_BURST_BYTES,
					.bytes.max_debt = RATE_MIN_BURST_BYTES,
					.packets.max_debt = OFFLOAD_MAX_SEGMENTS };

	*shared = (struct vif_shared){ .limits = { .tx = none, .rx = none }, .hash_generation = 1 };
	pthread_mutex_init(&shared->hash_lock, NULL);
	return vif_kept_map(kept_fd, &shared->kept);
}

void vif_shared_done(struct vif_shared *shared, bool wait_for_capture)
{
	struct vif_rules *rules;

	vif_capture_done(&shared->capture, wait_for_capture);
	while ((rules = shared->rules)) {
		shared->rules = rules->older;
		free(rules);
	}
	vif_kept_unmap(shared->kept);
	shared->kept = NULL;
	pthread_mutex_destroy(&shared->hash_lock);
}

static void publish(struct vif_shared *shared, const struct message_filter *filter)
{
	atomic_store_explicit(&shared->filter, filter, memory_order_release);
}

static void set_filter(struct vif_shared *shared, const struct message_filter *filter)
{
	const struct message_filter *now = atomic_load(&shared->filter);
	struct vif_rules *rules;

	if (!filter->want || (now && !memcmp(now, filter, sizeof(*filter)))) {
		publish(shared, filter->want ? now : NULL);
		return;
	}
	rules = malloc(sizeof(*rules));
	if (!rules) {
		publish(shared, &deny);
		return;
	}
	memcpy(&rules->filter, filter, sizeof(*filter));
	rules->older = shared->rules;
	shared->rules = rules;
	publish(shared, &rules->filter);
}

static void set_rate(struct rate *rate, const struct message_rate *wanted)
{
	rate_set(rate, wanted->amount, wanted->usecs);
}

void vif_shared_tune(struct vif_shared *shared, const struct message_nic_tuning *tuning)
{
	atomic_store(&shared->headroom, tuning->headroom);
	atomic_store(&shared->filters_groups, tuning->filters_groups);
	set_rate(&shared->limits.tx.bytes, &tuning->tx_bytes);
	set_rate(&shared->limits.tx.packets, &tuning->tx_packets);
	set_rate(&shared->limits.rx.bytes, &tuning->rx_bytes);
	set_rate(&shared->limits.rx.packets, &tuning->rx_packets);
	set_filter(shared, &tuning->filter);
}

void vif_shared_lock_hash(struct vif_shared *shared)
{
	pthread_mutex_lock(&shared->hash_lock);
}

void vif_shared_unlock_hash(struct vif_shared *shared, bool changed)
{
	if (changed)
		atomic_fetch_add(&shared->hash_generation, 1);
	pthread_mutex_unlock(&shared->hash_lock);
}

void vif_shared_get_hash(struct vif_shared *shared, uint32_t *generation, struct message_hash *copy)
{
	if (atomic_load(&shared->hash_generation) == *generation)
		return;
	pthread_mutex_lock(&shared->hash_lock);
	*generation = atomic_load(&shared->hash_generation);
	*copy = shared->kept->hash;
	pthread_mutex_unlock(&shared->hash_lock);
}
