/* SPDX-License-Identifier: MIT */
/*
 * What a guest's process gives up before it reads the first byte of a ring: whoever takes it over by way of a ring has
 * what is left. That is: the memory and the descriptors that it holds (its images, its tap, its journals, the grants of
 * this domain) and the grants that other domains gave to ours, for gntdev cannot be held to one domain. SECURITY.md has
 * the list.
 */
#ifndef PVB_CONFINE_H
#define PVB_CONFINE_H

#include <stdint.h>

/*
 * From now on, for this thread and those that it starts; no other may be there yet. `uid`: the user and group to become;
 * 0: stay who we are. 0; or -errno when a layer cannot be had that must not be missing: then the process must not serve.
 * The log says which layer that was, and which others are missing on this host.
 */
int confine(uint32_t uid);

#endif
