/* SPDX-License-Identifier: MIT */
/*
 * client.h - a process's connection to the simulated hypervisor.
 *
 * $XENSIM_DIR names the run directory (socket "hv" in it); $XENSIM_DOMID, when
 * set, is the domain that this process belongs to, else Dom0.
 */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "fail.h"
#include "shm.h"

/* Client ids are never reused soon: the low bits are a table index. */
#define SIM_CLIENT_INDEX(id) ((id) % SIM_MAX_CLIENTS)

enum sim_op {
	SIM_OP_HELLO,        /* domid, is_vcpu -> client id; memory fd */
	SIM_OP_EVENTS,       /* -> the event channel fd of this client */
	SIM_OP_PEER,         /* client id -> fd that delivers ports to it */
	SIM_OP_RETRY,        /* client id: deliver what is pending for it */
	SIM_OP_UNMASKS,      /* client id: watch for its unmasks, an event waits for one */
	SIM_OP_DOM_CREATE,   /* nr_pages, is_hvm -> domid */
	SIM_OP_DOM_DESTROY,  /* domid */
	SIM_OP_DOM_SHUTDOWN, /* domid, reason */
	SIM_OP_DOM_RESUME,   /* domid: it runs on after a shutdown */
	SIM_OP_DOM_PAUSE,    /* domid, 1 pause or 0 unpause */
	SIM_OP_REAP,         /* look for dying domains whose last map is gone */
};

struct sim_msg {
	uint32_t op;
	uint32_t arg[3];
};

struct sim_reply {
	int32_t err; /* 0 or -errno */
	uint32_t val;
};

struct sim_client_conn {
	int fd;
	int mem_fd;
	uint32_t id;
	uint32_t domid;
	struct sim_shm *shm;
	pthread_mutex_t lock; /* one request at a time on fd */
};

/*
 * Connect. @is_vcpu: the process is the domain: stopped and continued with
 * pause and unpause, killed with the domain. 0 or -errno (-ENOENT: no such
 * machine or domain).
 */
int sim_client_open(struct sim_client_conn *c, bool is_vcpu);
/* Give everything back; harmless on a connection that never opened. */
void sim_client_close(struct sim_client_conn *c);
/* One request. @ret_val and @ret_fd may be NULL. 0 or -errno. */
int sim_client_call(struct sim_client_conn *c, const struct sim_msg *msg, uint32_t *ret_val,
		    int *ret_fd);

/* Send messages with at most one descriptor (-1 = none), whole or not at all. */
int sim_sock_send(int sock, const void *data, size_t len, int fd);
int sim_sock_recv(int sock, void *data, size_t len, int *ret_fd);

#endif
