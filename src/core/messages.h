/* SPDX-License-Identifier: MIT */
/*
 * The protocol between control and the side that serves the rings (guest/guest.h): a process for each guest, or a thread for
 * all. Each message is one datagram, whose size depends on its type only, with descriptors where the table says so. Both
 * ends run on one machine, so numbers have the byte order of memory. No struct has a pointer.
 *
 * Control does not trust the other end: message_check() checks the outer form, and the code that takes a message checks its
 * values.
 *
 * A device is named by kind, domid, devid, and its `life`: a number that control gives to each start. An answer with an
 * earlier life is ignored.
 */
#ifndef PVB_MESSAGES_H
#define PVB_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

/* An end with another number gets END and nothing else. So HELLO and END are the same in all protocols. */
#define MESSAGE_PROTOCOL 3u

#define MESSAGE_WHY_MAX    160u
#define MESSAGE_MAX_FDS    24u
#define MESSAGE_NAME_MAX   512u
#define MESSAGE_DISK_RINGS 4u
#define MESSAGE_RING_PAGES 16u
#define MESSAGE_NIC_QUEUES 8u
#define MESSAGE_ADDRS      32u
#define MESSAGE_HASH_KEY   40u
#define MESSAGE_HASH_TABLE 128u
#define MESSAGE_INSNS      512u

enum message_type {
	/* both ways, first of all */
	MESSAGE_HELLO = 1,
	/* from control */
	MESSAGE_END, /* stop all devices and exit */
	MESSAGE_START_DISK,
	MESSAGE_START_NIC,
	MESSAGE_STOP,          /* STOPPED follows */
	MESSAGE_HALT,          /* its domain has shut down, or runs again */
	MESSAGE_FLOW,          /* FLOWED follows when the medium has completed what it has now */
	MESSAGE_TUNE_DISK,     /* what may change while the rings are attached */
	MESSAGE_TUNE_NIC,      /* likewise; TUNED follows when every queue has seen it */
	MESSAGE_CAPTURE,       /* CAPTURED follows when it ends by itself */
	MESSAGE_NBD_CONNECTED, /* the answer to NBD_CONNECT */
	MESSAGE_DUMP,          /* figures of all queues into the log */
	MESSAGE_LOG_LEVEL,     /* from now on */
	MESSAGE_TRACE,         /* likewise, where traces go */
	MESSAGE_PING,          /* PONG follows when all loops have turned */
	/* to control */
	MESSAGE_DEVICE,  /* to a new control: a device that is served; its START follows */
	MESSAGE_STARTED, /* or not: the error says */
	MESSAGE_STOPPED,
	MESSAGE_BROKE, /* an impossible ring */
	MESSAGE_FLOWED,
	MESSAGE_TUNED,
	MESSAGE_STALLED,      /* a disk's requests are held */
	MESSAGE_FLUSH_FAILED, /* all but reads fail */
	MESSAGE_SIZE,         /* the medium has another size now, and the rings use it */
	MESSAGE_LATE,         /* the medium has not answered for long, or answers again */
	MESSAGE_CARRIER,      /* a NIC's guest takes no frames, or takes them again */
	MESSAGE_HASH,         /* a NIC's guest has changed its hash */
	MESSAGE_CAPTURED,     /* a capture has ended by itself */
	MESSAGE_NBD_CONNECT,  /* please connect */
	MESSAGE_PONG,
	MESSAGE_NR_TYPES
};

/* Whatever byte comes, it is one of two things; a bool that is neither 0 nor 1 would be undefined. */
typedef uint8_t message_bool;

enum message_kind { MESSAGE_NO_KIND, MESSAGE_VBD, MESSAGE_VBD3, MESSAGE_VIF, MESSAGE_NR_KINDS };

struct message_hello {
	uint32_t protocol;
	uint32_t nr_devices; /* that DEVICE messages tell of, from the other end; those follow */
	uint32_t pid;
	char version[32];    /* of the program */
	message_bool ending; /* the other end: nothing can be started there any more */
};

/* --- disks --- */

struct message_image {
	uint64_t bytes;
	uint32_t block;
	uint32_t physical_block;
	uint32_t discard_granularity;
	message_bool direct, block_device, read_only, discard, secure_discard, fenced, size_at_hand;
	uint64_t dev, inode; /* which medium: disks that share one have the same */
};

struct message_disk_tuning {
	message_bool stall;        /* hold what the medium fails; else report it */
	message_bool leaving;      /* the disk is to go, if the guest closes it */
	message_bool retry;        /* an admin says go */
	message_bool flush_failed; /* all but reads fail */
	message_bool again;        /* control is a new one: tell it again what it may have missed */
	uint32_t trace;            /* trace_mask() */
	uint64_t poll_ns;
	/* as rate_set() takes them */
	uint32_t requests, requests_usecs;
	uint32_t bytes, bytes_usecs;
};

struct message_disk_ring {
	uint32_t nr_pages;
	uint32_t refs[MESSAGE_RING_PAGES];
	uint32_t port;
};

/*
 * Descriptors: a journal for each ring, then the image (none for an NBD export), then the medium's lock file (where
 * `lock` says so), then the file of unflushed writes (an NBD export that may be written), then the counters for xentop (where `xentop` says so).
 */
struct message_start_disk {
	uint32_t abi; /* enum blkif_abi */
	uint32_t nr_rings;
	struct message_disk_ring rings[MESSAGE_DISK_RINGS];
	uint32_t
		max_kept; /* pages of the frontend to keep mapped, for each ring; 0: it agreed to none */
	message_bool copy_kept; /* data of kept pages is copied, and the medium does not use them */
	message_bool resume;    /* the rings are live, from an earlier life */
	message_bool halted;
	message_bool discard; /* offered to this frontend, if the image can */
	message_bool nbd, xentop, keep;
	message_bool lock;      /* other processes may write to the medium: see medium_lock.h */
	message_bool keep_lost; /* the unflushed writes of an earlier life cannot be read */
	uint32_t nbd_timeout_s;
	struct message_image image;  /* of an NBD export only read_only */
	char name[MESSAGE_NAME_MAX]; /* of the image, for the log */
	struct message_disk_tuning tuning;
};

/* --- NICs --- */

struct message_addr {
	uint8_t addr[16]; /* IPv4: the first four */
	uint8_t bits;     /* of the prefix */
	message_bool v6;
};

/* What a guest may send: filter.h of netback. */
struct message_filter {
	uint32_t want; /* enum filter_want; 0: everything passes */
	uint8_t mac[6];
	uint32_t nr_addrs;
	struct message_addr addrs[MESSAGE_ADDRS];
};

/* An amount in a time, as rate_set() takes them; a 0 in either: no limit. */
struct message_rate {
	uint32_t amount, usecs;
};

struct message_nic_tuning {
	uint32_t trace; /* trace_mask() */
	uint16_t headroom;
	message_bool filters_groups; /* the guest says which multicast it wants */
	struct message_rate tx_bytes, tx_packets, rx_bytes, rx_packets;
	struct message_filter filter;
};

struct message_nic_queue {
	uint32_t tx_ref, rx_ref;
	uint32_t tx_port, rx_port; /* the latter 0: one port for both */
};

/*
 * Descriptors: the tap's queues; then for each queue what its rings may have to undo (vif_undo.h), and for the control
 * ring; then the guest's multicast list and hash (vif_kept.h).
 */
struct message_start_nic {
	uint32_t nr_queues;
	struct message_nic_queue queues[MESSAGE_NIC_QUEUES];
	message_bool ctrl; /* it has a control ring */
	uint32_t ctrl_ref, ctrl_port;
	message_bool resume, halted;
	message_bool rx_notify, finish_csum;
	message_bool sg, csum_v4, csum_v6, gso_v4, gso_v6; /* that the frontend takes */
	uint64_t drain_ns, stall_ns;
	struct message_nic_tuning tuning;
};

/*
 * How a guest wants its frames spread over its queues: hash.h of netback. Zero: no hashing. It is in the vif's kept file
 * as it is here.
 */
struct message_hash {
	uint32_t algorithm; /* enum hash_algorithm */
	uint32_t types;     /* bits of enum hash_type */
	uint8_t key[MESSAGE_HASH_KEY];
	uint32_t mapping_size;                /* 0: queue = hash modulo number of queues */
	uint32_t mapping[MESSAGE_HASH_TABLE]; /* each a queue that exists */
};

/* As struct bpf_insn of libpcap. */
struct message_insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

/* One descriptor, of the file, when `on`. A new section is appended to what the file has. */
struct message_capture {
	message_bool on;
	uint32_t number; /* of this capture: CAPTURED has it */
	uint32_t snaplen;
	uint64_t max_bytes;          /* of the whole file */
	char ifname[16];             /* as it is to appear in the file */
	char name[MESSAGE_NAME_MAX]; /* of the file, for the log */
	uint32_t nr_insns;           /* of the filter; 0: all frames */
	struct message_insn insns[MESSAGE_INSNS];
};

struct message_captured {
	uint32_t number;
	int32_t err; /* -EFBIG: its file is full; -EPIPE: its reader is gone; or another */
	uint64_t nr_frames, nr_missing;
};

/* --- the rest --- */

struct message_stop {
	message_bool keep;    /* journals stay for the next life, and the guest waits */
	message_bool abandon; /* the domain or its frontend is gone: let go of the rings at once */
};

struct message_flag {
	message_bool on;
};

/* One descriptor, of the socket for the traces; without one they go into the log, or nowhere. */
struct message_trace {
	message_bool log;
};

/* Names a question, and its answer: control's time when it asked. */
struct message_flow {
	uint64_t asked_ns;
};

struct message_error {
	int32_t err; /* -errno, or 0 */
	char why[MESSAGE_WHY_MAX];
};

/* One descriptor, of the figures of its queues (stats.h), unless `err`. */
struct message_started {
	int32_t err;
	char why[MESSAGE_WHY_MAX];
	uint32_t nr_replayed;
	struct message_image image; /* of an NBD export */
};

/*
 * A device that is served. Its START, as it came, is the next message. One descriptor, as with STARTED, if there are figures
 * already.
 */
struct message_served {
	message_bool starting; /* STARTED follows when it has */
	message_bool stopping; /* STOPPED follows */
	message_bool halted, flush_failed, stalled;
	uint32_t carrier_off;       /* bits: queues of a NIC whose guest takes no frames */
	struct message_error broke; /* when its ring is impossible: err is not 0 */
	uint64_t bytes;             /* of a disk's medium, as last seen */
};

struct message_size {
	uint64_t bytes;
};

struct message_carrier {
	uint32_t queue;
	uint32_t stalled; /* or takes frames again */
};

/* One descriptor, a connected socket, unless `err`. */
struct message_connected {
	int32_t err;
	message_bool fenced;
	char why[MESSAGE_WHY_MAX];
};

struct message_log_level {
	uint32_t level; /* enum log_level */
};

struct message {
	uint32_t type; /* enum message_type */
	uint32_t
		kind; /* enum message_kind; MESSAGE_NO_KIND: of no device, and the next three are 0 */
	uint32_t domid, devid;
	uint32_t life;
	uint32_t zero;
	union {
		struct message_hello hello;
		struct message_start_disk disk;
		struct message_start_nic nic;
		struct message_disk_tuning tune_disk;
		struct message_nic_tuning tune_nic;
		struct message_capture capture;
		struct message_captured captured;
		struct message_stop stop;
		struct message_flag flag;   /* HALT, LATE */
		struct message_flow flow;   /* FLOW, FLOWED */
		struct message_error error; /* BROKE, STALLED, FLUSH_FAILED */
		struct message_started started;
		struct message_served served;
		struct message_size size;
		struct message_carrier carrier;
		struct message_hash hash;
		struct message_connected connected;
		struct message_log_level log_level;
		struct message_trace trace;
	};
};

/* Who sent it. */
enum message_from { MESSAGE_FROM_CONTROL, MESSAGE_FROM_GUEST };

/* The bytes of a message of that type on the wire; 0 when there is no such type. */
size_t message_bytes(uint32_t type);

/*
 * Check that a datagram of `size` bytes with `nr_fds` descriptors is a message that `from` may send: its type, size, number of
 * descriptors, kind and ids. Also terminates its texts. 0 or -EPROTO.
 */
int message_check(struct message *message, size_t size, unsigned int nr_fds,
		  enum message_from from);

/* The -errno in a message, or 0; -EPROTO when the number is no errno. */
int message_err(int32_t err);

/* "start-disk", ...: for the log and traces. */
const char *message_name(uint32_t type);

/* "vbd", "vbd3", "vif", as the folder below backend/; and back. NULL, MESSAGE_NO_KIND: none such. */
const char *message_kind_name(uint32_t kind);
uint32_t message_kind_of(const char *name);

#endif
