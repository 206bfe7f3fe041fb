/* SPDX-License-Identifier: MIT */
/*
 * hv.h - the simulated hypervisor: the process that outlives all others.
 *
 * It creates the shared memory, creates and destroys domains, cleans up after
 * processes that died, and gives events that waited to ports that were
 * unmasked. It is not on the way of a grant copy or of a notification.
 */
#ifndef SIM_HV_H
#define SIM_HV_H

#include "util.h"
#include "xsd.h"

struct hv;

/*
 * Start in directory @dir (socket "hv"), driven by @loop. @xs (borrowed, may
 * be NULL) hears of domains that die. NULL with errno set on failure.
 */
struct hv *hv_new(struct sim_loop *loop, const char *dir, struct xsd *xs);
void hv_free(struct hv *hv);
/* Kill every process of the machine, also those of Dom0, as a power cut does. */
void hv_power_off(struct hv *hv);
/* Call before each turn of the loop; returns the turn's time limit in ms or -1. */
int hv_pending(struct hv *hv);

/*
 * A whole machine in a thread of this process, for in-process tests: makes a
 * new run directory, sets XENSIM_DIR and XENSTORED_PATH for this process, and
 * serves until xensim_stop(), which removes the directory. NULL on failure.
 */
struct xensim;
struct xensim *xensim_start(void);
void xensim_stop(struct xensim *sim);

#endif
