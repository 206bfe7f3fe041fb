/* SPDX-License-Identifier: MIT */
/*
 * simnet.h - a network frontend of a simulated guest, written from netif.h
 * with layouts of its own.
 */
#ifndef SIM_SIMNET_H
#define SIM_SIMNET_H

#include <stdbool.h>
#include <stdint.h>
#include <xenevtchn.h>

#include "bus.h"
#include "guest.h"
#include "netframe.h"

#define NET_RING_SIZE  256u /* entries of a one-page ring, both directions */
#define NET_MAX_QUEUES 8u
#define NET_CTRL_SIZE  128u
#define NET_MAX_SLOTS  18u

/* Flags and statuses, from netif.h; two flags have other bits per direction. */
enum { TX_CSUM_BLANK = 1, TX_DATA_VALIDATED = 2, TX_MORE_DATA = 4, TX_EXTRA_INFO = 8 };
enum { RX_DATA_VALIDATED = 1, RX_CSUM_BLANK = 2, RX_MORE_DATA = 4, RX_EXTRA_INFO = 8 };
enum { NET_OKAY = 0, NET_ERROR = -1, NET_DROPPED = -2, NET_NULL = 1 };
enum {
	EXTRA_GSO = 1,
	EXTRA_MCAST_ADD = 2,
	EXTRA_MCAST_DEL = 3,
	EXTRA_HASH = 4,
	EXTRA_XDP = 5,
	EXTRA_FLAG_MORE = 1
};
enum { GSO_TCPV4 = 1, GSO_TCPV6 = 2 };

/* How a round ends, and so how the next one begins. */
enum net_leave {
	NET_CLOSE,    /* 5, 6, and 1 again */
	NET_KEXEC,    /* it stops; the next one goes through 5, 6 and 1 */
	NET_STRAIGHT, /* it stops; the next one writes 1 at once */
};

struct net_options {
	enum net_leave leave;
	uint32_t domid, devid, queues;
	bool split, sg, gso4, gso6, csum6, no_csum4, windows;
	uint64_t frames;
	uint32_t rounds, window;
	size_t min_len, max_len;
	bool kind[NET_NR_KINDS];
	uint32_t max_slots;
	uint32_t plain; /* bytes of each frame of a plain load, 0 = none */
	bool receive;   /* plain: from the backend */
	bool group;     /* plain: to many */
	int idle_ms;    /* no frame for so long: what is out is lost */
	bool hold, lossy;
	const char *until; /* stop sending when this file exists */
	bool groups;       /* request-multicast-control */
	uint32_t headroom; /* xdp-headroom */
	bool no_rx_notify, freebsd, old, same_queue;
	uint32_t lose;      /* each N-th receive buffer is invalid; 0: none is */
	const char *expect; /* what the backend must not send, whatever the keys say */
	bool ctrl;          /* offer a control ring */
	bool blind;         /* nothing is expected back */
	const char *attack; /* do this instead of a load */
	const char *check;  /* or this */
	uint32_t seed;
};

/* A slot in flight towards the backend; page and grant of it. */
struct net_tx_slot {
	bool busy, is_extra;
	uint32_t gfn, ref;
};

struct net_rx_slot {
	uint32_t gfn, ref;
	uint16_t id;
};

struct net_queue {
	uint32_t tx_gfn, tx_ref, rx_gfn, rx_ref;
	int tx_port, rx_port; /* the same with one channel */
	uint32_t tx_prod, tx_cons, tx_published;
	uint32_t rx_prod, rx_cons, rx_published;
	struct net_tx_slot tx[NET_RING_SIZE]; /* by request id */
	struct net_rx_slot rx[NET_RING_SIZE]; /* by ring index */
};

/* The control ring, and a page for what requests point at. */
struct net_ctrl {
	bool open;
	uint32_t gfn, ref, data_gfn, data_ref;
	int port;
	uint32_t prod, published;
};

struct net_stats {
	uint64_t sent, received, bytes, lost, doubled, bad, tx_errors, protocol_errors, segments;
	uint64_t disordered; /* frames of a flow that came twice or too late */
	uint64_t other;      /* frames that are no test frames */
	uint64_t failed;     /* frames that fell into bad buffers */
};

/* A frame received, put together. */
struct net_packet {
	size_t len;
	bool blank, validated, failed;
	uint32_t gso_type, gso_size;
	bool hashed;
	uint32_t hash_type, hash;
	uint32_t headroom, offset;
	uint32_t queue; /* that it came on */
	uint8_t data[NET_FRAME_MAX];
};

struct net_front {
	struct net_options opt;
	struct sim_guest guest;
	struct bus bus;
	xenevtchn_handle *xce;
	uint32_t nr_queues;
	bool split, sg, gso4, gso6, csum6; /* agreed on, guest to backend */
	struct net_queue queue[NET_MAX_QUEUES];
	struct net_ctrl ctrl;
	uint32_t nr_buffers; /* posted so far */
	uint8_t mac[6];
	uint64_t random;
	struct net_stats stats;
	struct net_packet packet;
};

/* net_ring.c */

/* A word of a ring's shared header, and the entry that an index falls on. */
enum { REQ_PROD, REQ_EVENT, RSP_PROD, RSP_EVENT };
#define TX_ENTRY 12u
#define RX_ENTRY 8u
uint32_t *net_ring_word(struct net_front *f, uint32_t gfn, unsigned int which);
uint8_t *net_ring_entry(struct net_front *f, uint32_t gfn, uint32_t size, uint32_t index);
void net_queues_open(struct net_front *f);
void net_queues_close(struct net_front *f);
/* Slots that a frame may use right now. */
uint32_t net_tx_room(const struct net_queue *q);
/* Put a frame on the ring in @nr_slots pieces; @gso_size 0: no GSO. */
void net_tx_put(struct net_front *f, struct net_queue *q, const uint8_t *data,
		const struct net_frame *frame, uint32_t nr_slots, bool blank, uint32_t gso_size);
void net_tx_push(struct net_front *f, struct net_queue *q);
/* Take the answers that are there. */
void net_tx_reap(struct net_front *f, struct net_queue *q);
/* The next whole frame into f->packet. False when there is none. */
bool net_rx_take(struct net_front *f, struct net_queue *q);
/* Give all consumed buffers back to the backend. */
void net_rx_refill(struct net_front *f, struct net_queue *q);
/* Publish the buffers that were put on the ring. */
void net_rx_push(struct net_front *f, struct net_queue *q);
/* Ask for events; true when something is there already. */
bool net_wait_wanted(struct net_front *f, struct net_queue *q);
void net_protocol_error(struct net_front *f, const char *what, uint64_t value);

/* net_ctrl.c */
void net_ctrl_open(struct net_front *f);
void net_ctrl_close(struct net_front *f);
uint8_t *net_ctrl_entry(struct net_front *f, uint32_t index);
void net_ctrl_put(struct net_front *f, uint16_t id, uint16_t type, const uint32_t data[3]);
void net_ctrl_push(struct net_front *f);
/* Until responses up to @prod are there. 0; -ECANCELED: the backend left; -ETIMEDOUT. */
int net_ctrl_wait(struct net_front *f, uint32_t prod);
/* One request and its response: the status, or -errno. */
int net_ctrl_ask(struct net_front *f, uint16_t type, uint32_t data0, uint32_t data1, uint32_t data2,
		 uint32_t *ret_data);
uint32_t net_toeplitz(const uint8_t key[40], const uint8_t *buffer, uint32_t len);

/* net_plain.c: opt.frames of opt.plain bytes in one direction, timed; in place of the load. 0 or -errno. */
int net_plain(struct net_front *f);

/* net_attack.c: attacks; like blk_attack(). */
int net_attack(struct net_front *f);
void net_attack_list(void);

/* net_check.c: checks of features that a load does not use; like net_attack(). */
int net_check(struct net_front *f);
void net_check_list(void);

/* net_bus.c */
int net_connect(struct net_front *f);
int net_disconnect(struct net_front *f);

#endif
