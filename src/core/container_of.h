/* SPDX-License-Identifier: MIT */
/* From a member back to the struct that it is part of. */
#ifndef PVB_CONTAINER_OF_H
#define PVB_CONTAINER_OF_H

#include <stddef.h>

/* `ptr` points to the `member` of a `type`: the address of that. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
