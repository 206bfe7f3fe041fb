/* SPDX-License-Identifier: MIT */
/*
 * xsd.h - a xenstore server: the real wire protocol on Unix sockets.
 *
 * A connection made to the main socket speaks for Dom0. For each introduced
 * domain there is a second socket, "<socket>.<domid>", whose connections speak
 * for that domain: its permissions, its quotas, its relative paths. The rules
 * are those of the C xenstored of Xen 4.17, docs/misc/xenstore.txt.
 */
#ifndef SIM_XSD_H
#define SIM_XSD_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct xsd;

/*
 * Serve a fresh store on @socket_path (copied), driven by @loop (borrowed).
 * Returns NULL with errno set when the socket cannot be made.
 */
struct xsd *xsd_new(struct sim_loop *loop, const char *socket_path);
/* Close every connection and remove the sockets. */
void xsd_free(struct xsd *xs);

/*
 * The hypervisor says that domain @domid shut down or crashed: the first time
 * for each domain @releaseDomain fires, as it does on VIRQ_DOM_EXC.
 */
void xsd_domain_shutdown(struct xsd *xs, uint32_t domid);
/*
 * The hypervisor says that @domid is dying: its connections are cut, the nodes
 * it owns vanish without a watch event, and @releaseDomain fires.
 */
void xsd_domain_gone(struct xsd *xs, uint32_t domid);

/* Watches that Dom0's connections have set now. */
unsigned int xsd_nr_watches(const struct xsd *xs);

#endif
