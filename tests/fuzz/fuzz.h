/* SPDX-License-Identifier: MIT */
/*
 * For all fuzz targets. A target is one function whose invariants must hold for any input. Linked with
 * libFuzzer it tries new inputs, linked with replay.c it runs a corpus.
 */
#ifndef PVB_FUZZ_H
#define PVB_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An invariant; also in a build without assertions. */
#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* Hands out the input piece by piece; zeros when it is used up. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

static inline void fuzz_bytes(struct fuzz_input *in, void *ret, size_t size)
{
	size_t take = size < in->left ? size : in->left;

	memset(ret, 0, size);
	memcpy(ret, in->at, take);
	in->at += take;
	in->left -= take;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	uint8_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
	uint32_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

#endif
