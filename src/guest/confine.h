/* SPDX-License-Identifier: MIT */
/*
 * The rights that a guest's process gives up before it reads the first byte of a ring. A guest that takes the process over
 * through its ring has what is left: the process's memory and descriptors (its images, taps and journals, and the grants of
 * this domain), and the grants that other domains have given to our domain, because gntdev cannot be restricted to one
 * domain. SECURITY.md has the list.
 */
#ifndef PVB_CONFINE_H
#define PVB_CONFINE_H

#include <stdint.h>

/*
 * Give the rights up, for this thread and those that it starts later; there must be no other thread yet. `uid`: the user and
 * group to become; 0: do not change. Returns 0; or -errno when a required layer is not available: then the process must
 * not serve. The log says which layer that is, and which optional ones this host does not have.
 */
int confine(uint32_t uid);

#endif
