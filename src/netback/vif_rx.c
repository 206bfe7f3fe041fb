/* SPDX-License-Identifier: MIT */
/* To the guest: tap -> finished frames -> grant copy -> receive ring. */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "netback/tap_batch.h"
#include "netback/vif_emit.h"
#include "netback/vif_queue.h"

#define MSEC_NS (1000u * 1000u)
#define SEC_NS  (UINT64_C(1000) * MSEC_NS)

/* A frontend that does not notify when it posts slots is polled this often (as netback does). */
#define POLL_NS (30u * MSEC_NS)
/* A queue that is drained is looked at this often. */
#define AGE_NS (1u * SEC_NS)
/* The most frames that one look at it drops. */
#define DRAIN_MAX 1024u

#define HOLD_BYTES ((size_t)POOL_FRAME_PAGES * NETIF_PAGE_SIZE)

int vif_rx_open(struct vif_queue *q)
{
	uint8_t *frame =
		mmap(NULL, HOLD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (frame == MAP_FAILED) {
		q->part.why = "no memory for a frame";
		return -ENOMEM;
	}
	q->rx.hold.frame = frame;
	q->rx.state = VIF_RX_EMPTY;
	q->rx.unwatched = false;
	return 0;
}

void vif_rx_close(struct vif_queue *q)
{
	loop_timer_cancel(&q->rx.timer);
	if (q->rx.hold.frame)
		munmap(q->rx.hold.frame, HOLD_BYTES);
	q->rx.hold = (struct vif_rx_hold){ 0 };
}

/* --- when to read the tap; its watch is edge-triggered, so a frame that waits wakes nobody --- */

static bool must_wait(const struct vif_queue *q)
{
	return q->part.queue.halted || q->rx.state == VIF_RX_THROTTLED || vif_rx_is_starved(q);
}

void vif_rx_tap_event(void *user, uint32_t events)
{
	struct vif_queue *q = user;

	if (events & (EPOLLERR | EPOLLHUP)) {
		vif_queue_break(q, -ENODEV, "its network interface was removed");
		return;
	}
	if (!must_wait(q)) {
		q->rx.state = VIF_RX_READING;
		queue_mark(&q->part.queue);
		return;
	}
	q->rx.unwatched = true; /* long wait: do not wake for each frame */
	loop_modify(q->part.worker->loop, q->watch, 0);
}

/* From any state: there may be frames, and they need not wait any more. */
static void read_on(struct vif_queue *q)
{
	loop_timer_cancel(&q->rx.timer);
	if (q->rx.unwatched)
		loop_modify(q->part.worker->loop, q->watch, EPOLLIN | EPOLLET);
	q->rx.unwatched = false;
	q->rx.state = VIF_RX_READING;
}

static void drop(struct vif_queue *q, uint64_t *counter, uint8_t *frame, uint32_t len,
		 const char *why)
{
	stat_add(counter, 1);
	vif_emit_capture(q, frame, len, why);
	trace(q->trace, TRACE_NET, &q->id, "rx-drop len=%" PRIu32 " why=%s", len, why);
}

/* --- too few slots --- */

/* How many slots the next frame needs, as far as is known. */
static uint32_t slots_wanted(const struct vif_queue *q)
{
	const struct vif_rx_hold *hold = &q->rx.hold;

	if (!hold->len)
		return 1;
	if (hold->plan.action == OFFLOAD_SEGMENT)
		return vif_emit_count(q, segment_len(&hold->plan.segments, hold->next_segment),
				      &hold->plan, NETIF_GSO_NONE);
	return vif_emit_count(q, hold->len, &hold->plan, hold->plan.gso_type);
}

static void look_at_age(void *user)
{
	struct vif_queue *q = user;

	queue_mark(&q->part.queue);
}

static void set_age_timer(struct vif_queue *q, uint64_t delay_ns)
{
	if (!q->rx_notify)
		delay_ns = POLL_NS;
	loop_timer_set(q->part.worker->loop, &q->rx.timer, delay_ns, look_at_age, q);
}

/* The time that the guest lets frames wait counts from now on. */
static void count_wait(struct vif_queue *q)
{
	q->rx.starved_since_ns = loop_lately_ns();
	q->rx.no_slots_ns = worker_now(q->part.worker);
	stat_set(&q->stats->rx_no_slots, q->rx.no_slots_ns);
	set_age_timer(q, q->stall_ns && q->stall_ns < q->drain_ns ? q->stall_ns : q->drain_ns);
}

/* Until the guest posts slots, frames stay in the tap's bounded queue. */
static void starve(struct vif_queue *q)
{
	if (vif_rx_is_starved(q))
		return;
	q->rx.state = VIF_RX_STARVED;
	stat_add(&q->stats->rx_starved, 1);
	count_wait(q);
	trace(q->trace, TRACE_NET, &q->id, "rx-starved available=%" PRIu32 " wanted=%" PRIu32,
	      q->rx.available, slots_wanted(q));
}

/* While the guest did not run it could not post slots, so its wait starts anew. */
void vif_rx_go_on(struct vif_queue *q)
{
	if (vif_rx_is_starved(q))
		count_wait(q);
	else
		read_on(q);
}

static void recover(struct vif_queue *q)
{
	if (q->rx.state == VIF_RX_STALLED)
		vif_queue_stall(q, false);
	stat_set(&q->stats->rx_no_slots, 0);
	read_on(q);
	trace(q->trace, TRACE_NET, &q->id, "rx-recovered available=%" PRIu32, q->rx.available);
}

/* The held frame is one, or the rest of one that is being cut into segments. */
static uint32_t drop_hold(struct vif_queue *q)
{
	struct vif_rx_hold *h = &q->rx.hold;
	uint32_t nr = h->len ? 1 : 0;

	if (h->len && h->plan.action == OFFLOAD_SEGMENT) {
		nr = h->plan.segments.nr_segments - h->next_segment;
		stat_add(&q->stats->rx_segmented, 1);
		stat_add(&q->stats->rx_segments, nr);
	}
	h->len = 0;
	return nr;
}

static void drain(struct vif_queue *q)
{
	unsigned int nr = tap_drain(q->fd, DRAIN_MAX);

	stat_add(&q->stats->rx_read, nr);
	q->rx.more = q->rx.hold.len; /* the next frame may need fewer slots */
	nr += drop_hold(q);
	stat_add(&q->stats->rx_drop_stalled, nr);
	if (nr) { /* the frames that waited are gone */
		vif_queue_waited(q, &q->rx.no_slots_ns, &q->stats->time_rx_slots);
		q->rx.no_slots_ns = worker_now(q->part.worker);
	}
	trace(q->trace, TRACE_NET, &q->id, "rx-aged frames=%u", nr);
}

/* Old frames are useless to the guest and hold memory of the host (XSA-392). */
static void give_up_old(struct vif_queue *q)
{
	uint64_t waited_ns = loop_now_ns() - q->rx.starved_since_ns;

	if (waited_ns >= q->drain_ns)
		drain(q);
	if (q->stall_ns && waited_ns >= q->stall_ns && q->rx_notify &&
	    q->rx.state == VIF_RX_STARVED) {
		q->rx.state = VIF_RX_STALLED;
		stat_add(&q->stats->rx_stalled, 1);
		vif_queue_stall(q, true);
	}
	set_age_timer(q, q->drain_ns < AGE_NS ? q->drain_ns : AGE_NS);
}

/* --- the frame that is held --- */

static void hold(struct vif_queue *q, const uint8_t *frame, uint32_t len,
		 const struct offload_plan *plan)
{
	memcpy(q->rx.hold.frame, frame, len);
	q->rx.hold.len = len;
	q->rx.hold.since_ns = q->rx.read_ns;
	q->rx.hold.next_segment = 0;
	q->rx.hold.plan = *plan;
}

/* Room in the pool for a frame, after its headroom. NULL when it has to wait for another pass. */
static uint8_t *peek_room(struct vif_queue *q)
{
	uint8_t *room = NULL;

	if (q->rx.pages_left) {
		room = vif_pool_peek_rx(q->pool, 1);
		q->part.queue.hungry |= !room;
	}
	q->rx.more |= !room;
	return room ? room + q->rx.headroom : NULL;
}

/* Room in the guest and in the pool for the next piece of the held frame, or NULL. */
static uint8_t *find_room(struct vif_queue *q)
{
	if (slots_wanted(q) > q->rx.available) {
		starve(q);
		return NULL;
	}
	return peek_room(q);
}

/* If the frame was read in this pass, it is counted with the others of this pass. */
static void count_held(struct vif_queue *q)
{
	vif_queue_waited(q, &q->rx.no_slots_ns, &q->stats->time_rx_slots);
	if (q->rx.hold.since_ns == q->rx.read_ns)
		return;
	stat_took(&q->stats->time_rx, q->rx.hold.since_ns, worker_now(q->part.worker), 1);
	q->rx.nr_frames--;
}

static void flush_segments(struct vif_queue *q)
{
	struct vif_rx_hold *h = &q->rx.hold;
	const struct segment_plan *segments = &h->plan.segments;
	uint8_t *room;

	while (h->next_segment < segments->nr_segments) {
		room = find_room(q);
		if (!room)
			return;
		segment_build(segments, h->frame, h->next_segment, room);
		vif_emit(q, room, segment_len(segments, h->next_segment), &h->plan, NETIF_GSO_NONE);
		count_held(q);
		h->next_segment++;
		stat_add(&q->stats->rx_segments, 1);
	}
	stat_add(&q->stats->rx_segmented, 1);
	h->len = 0;
}

static void flush_frame(struct vif_queue *q)
{
	struct vif_rx_hold *h = &q->rx.hold;
	uint8_t *room = find_room(q);

	if (!room)
		return;
	memcpy(room, h->frame, h->len);
	vif_emit(q, room, h->len, &h->plan, h->plan.gso_type);
	count_held(q);
	h->len = 0;
}

/* Send the held frame to the guest. True when no frame is held any more. */
static bool flush_hold(struct vif_queue *q)
{
	if (!q->rx.hold.len)
		return true;
	if (q->rx.hold.plan.action == OFFLOAD_SEGMENT)
		flush_segments(q);
	else
		flush_frame(q);
	return !q->rx.hold.len;
}

/* --- a large frame that grows by merging those behind it in the tap --- */

static void flush_merge(struct vif_queue *q)
{
	if (q->rx.merge.len)
		vif_emit(q, q->rx.merge.at, q->rx.merge.len, &q->rx.merge_plan,
			 q->rx.merge_plan.gso_type);
	q->rx.merge.len = 0;
}

static void emit_or_wait(struct vif_queue *q, const struct virtio_net_hdr *hdr, uint8_t *frame,
			 uint32_t len, const struct offload_plan *plan)
{
	if (plan->gso_type != NETIF_GSO_NONE && merge_begin(&q->rx.merge, hdr, frame, len))
		q->rx.merge_plan = *plan;
	else
		vif_emit(q, frame, len, plan, plan->gso_type);
}

/* How long the merged frame may become, with a slot left over. 0 when the next frame must be read separately. */
static uint32_t merge_max(const struct vif_queue *q)
{
	const struct merge *merge = &q->rx.merge;
	uint32_t used = vif_emit_count(q, merge->len, &q->rx.merge_plan, q->rx.merge_plan.gso_type);
	uint32_t max;

	if (used >= q->rx.available || !vif_pool_peek_rx(q->pool, 2))
		return 0;
	max = merge->len + (q->rx.available - used - 1) * NETIF_PAGE_SIZE;
	return merge_is_open(merge, max) ? max : 0;
}

/* --- frames from the tap --- */

static bool is_unwanted_group(const struct vif_queue *q, const uint8_t *frame)
{
	return mcast_is_group(frame) && atomic_load(&q->shared->filters_groups) &&
	       !mcast_has(&q->shared->kept->mcast, frame);
}

static bool is_too_big(const struct vif_queue *q, uint32_t len, const struct offload_plan *plan)
{
	if (plan->action == OFFLOAD_SEGMENT)
		len = segment_len(&plan->segments, 0);
	return q->rx.headroom + len > NETIF_PAGE_SIZE && !q->accept.sg;
}

/* Returns whether no frame is held afterwards. */
static bool deliver(struct vif_queue *q, const struct virtio_net_hdr *hdr, uint8_t *frame,
		    uint32_t len)
{
	struct offload_plan plan;

	if (len >= NETIF_MIN_FRAME && is_unwanted_group(q, frame)) {
		drop(q, &q->stats->rx_drop_mcast, frame, len, "multicast");
		return true;
	}
	offload_to_guest(hdr, &q->accept, frame, len, &plan);
	if (plan.finished)
		stat_add(&q->stats->rx_csum_finished, 1);
	if (plan.action == OFFLOAD_DROP) {
		drop(q, &q->stats->rx_drop_header, frame, len, "header");
		return true;
	}
	if (is_too_big(q, len, &plan)) {
		drop(q, &q->stats->rx_drop_big, frame, len, "big");
		return true;
	}
	hash_frame(&q->rx.hash, frame, len, hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE, &plan.hash);
	if (plan.action == OFFLOAD_PASS &&
	    vif_emit_count(q, len, &plan, plan.gso_type) <= q->rx.available) {
		emit_or_wait(q, hdr, frame, len, &plan);
		return true;
	}
	hold(q, frame, len, &plan);
	if (plan.action == OFFLOAD_PASS)
		stat_add(&q->stats->rx_held, 1);
	return flush_hold(q);
}

/* Returns the frame's length, 0 when the tap is empty. The first of `iov` is for the virtio_net_hdr. */
static uint32_t read_frame(struct vif_queue *q, const struct iovec *iov, int nr_iov)
{
	ssize_t n = readv(q->fd, iov, nr_iov);

	if (n > (ssize_t)iov->iov_len) {
		stat_add(&q->stats->rx_read, 1);
		vif_queue_waited(q, &q->rx.no_slots_ns, &q->stats->time_rx_slots);
		vif_queue_waited(q, &q->rx.throttled_ns, &q->stats->time_rx_limit);
		return (uint32_t)((size_t)n - iov->iov_len);
	}
	q->rx.no_slots_ns = q->rx.throttled_ns = 0; /* no frame has waited */
	if (n < 0)
		q->rx.state = VIF_RX_EMPTY;
	else
		q->rx.more = true; /* it was not a frame, but others may be behind it */
	if (n >= 0 || errno != EAGAIN)
		stat_add(&q->stats->rx_read_errors, 1);
	return 0;
}

/*
 * Read a frame so that its payload lies behind the merged frame, where it probably belongs. *room is where the frame
 * is, or NULL when it is now part of the merged one.
 */
static uint32_t read_behind(struct vif_queue *q, uint32_t max, struct virtio_net_hdr *hdr,
			    uint8_t **room)
{
	uint32_t head_len = merge_head_len(&q->rx.merge);
	uint8_t head[FRAME_HEAD_MAX], *behind = q->rx.merge.at + q->rx.merge.len;
	const struct iovec iov[3] = { { hdr, sizeof(*hdr) },
				      { head, head_len },
				      { behind, FRAME_MAX - head_len } };
	uint32_t len = read_frame(q, iov, 3);

	if (!len)
		return 0;
	*room = NULL;
	if (merge_add(&q->rx.merge, hdr, head, len, max)) {
		stat_add(&q->stats->rx_merged, 1);
		trace(q->trace, TRACE_NET, &q->id, "rx-merge len=%" PRIu32 " to=%" PRIu32, len,
		      q->rx.merge.len);
		return len;
	}
	flush_merge(q);
	*room = vif_pool_peek_rx(q->pool, 1) +
		q->rx.headroom; /* merge_max() has checked that there is room */
	if (len > head_len)
		memmove(*room + head_len, behind, len - head_len);
	memcpy(*room, head, len < head_len ? len : head_len);
	return len;
}

static uint32_t read_plain(struct vif_queue *q, struct virtio_net_hdr *hdr, uint8_t *room)
{
	const struct iovec iov[2] = { { hdr, sizeof(*hdr) }, { room, FRAME_MAX } };

	return read_frame(q, iov, 2);
}

static void throttle_over(void *user)
{
	struct vif_queue *q = user;

	read_on(q);
	queue_mark(&q->part.queue);
}

/* Over the limit, frames stay in the tap's bounded queue. */
static bool throttled(struct vif_queue *q)
{
	uint64_t wait_ns;

	if (!rate_pair_is_set(&q->shared->limits.rx))
		return false;
	wait_ns = rate_pair_wait(&q->shared->limits.rx, loop_now_ns());
	if (!wait_ns)
		return false;
	if (wait_ns > VIF_MAX_WAIT_NS)
		wait_ns = VIF_MAX_WAIT_NS;
	stat_add(&q->stats->rx_throttled, 1);
	if (!q->rx.throttled_ns)
		q->rx.throttled_ns = worker_now(q->part.worker);
	q->rx.state = VIF_RX_THROTTLED;
	loop_timer_set(q->part.worker->loop, &q->rx.timer, wait_ns, throttle_over, q);
	return true;
}

static void charge(struct vif_queue *q, const struct virtio_net_hdr *hdr, uint32_t len)
{
	struct offload_wire wire;

	if (!rate_pair_is_set(&q->shared->limits.rx))
		return;
	wire = offload_on_wire(offload_gso_type(hdr), le16toh(hdr->gso_size), len);
	rate_pair_charge(&q->shared->limits.rx, wire.packets, wire.bytes, loop_now_ns());
}

static void read_frames(struct vif_queue *q)
{
	struct virtio_net_hdr hdr;
	uint32_t len, max;
	uint8_t *room;

	for (uint32_t nr = 0; q->rx.state == VIF_RX_READING; nr++) {
		max = q->rx.merge.len ? merge_max(q) : 0;
		if (!max)
			flush_merge(q);
		if (q->rx.available == 0) {
			starve(q);
			return;
		}
		room = nr < VIF_BATCH ? peek_room(q) : NULL;
		if (!room) {
			q->rx.more = true;
			return;
		}
		if (throttled(q))
			return;
		len = max ? read_behind(q, max, &hdr, &room) : read_plain(q, &hdr, room);
		if (len)
			charge(q, &hdr, len);
		if (!len || (room && !deliver(q, &hdr, room, len)))
			return;
	}
}

/* --- the parts of a pass --- */

void vif_rx_give(struct vif_queue *q)
{
	q->rx.more = false;
	q->rx.nr_frames = 0;
	q->rx.read_ns = worker_now(q->part.worker);
	q->rx.pages_left = vif_pool_share(q->part.worker->nr_dirty[PLANE_NET]);
	q->rx.headroom = atomic_load(&q->shared->headroom);
	vif_shared_get_hash(q->shared, &q->rx.hash_generation, &q->rx.hash);
	if (ring_peek(&q->rx.ring, &q->rx.available)) {
		vif_queue_break(q, -EPROTO, "impossible request index in the receive ring");
		return;
	}
	if (vif_rx_is_starved(q) && slots_wanted(q) > q->rx.available) {
		if (!q->rx.timer.armed)
			give_up_old(q);
		return;
	}
	if (vif_rx_is_starved(q))
		recover(q);
	if (flush_hold(q))
		read_frames(q);
	flush_merge(q);
}

/* True when there is more to do at once. */
bool vif_rx_answer(struct vif_queue *q)
{
	vif_emit_answer(q);
	if (q->rx.nr_frames)
		stat_took(&q->stats->time_rx, q->rx.read_ns, worker_now(q->part.worker),
			  q->rx.nr_frames);
	vif_queue_publish(q, &q->rx.ring, q->front.rx_port ? &q->rx_port : &q->tx_port, "rx");
	if (q->rx.more)
		return true;
	return vif_rx_is_starved(q) && ring_rearm_beyond(&q->rx.ring, q->rx.available);
}
