/* SPDX-License-Identifier: MIT */
/*
 * Numbers in text that somebody else wrote: xenstore values, options, keys of the configuration.
 * Plain decimal digits only: no sign, no space, no 0x. Pure: nothing here logs or keeps a state.
 */
#ifndef PVB_PARSE_H
#define PVB_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The digits at *at. True with their value in *ret and *at behind them; false, with both
 * untouched, when there is no digit or the value is above `max`.
 */
bool parse_digits(const char **at, uint64_t max, uint64_t *ret);
/* The same for what is kept in 32 bits. */
bool parse_digits_u32(const char **at, uint32_t max, uint32_t *ret);

/*
 * The whole text as a number from `min` to `max`. 0; -EINVAL when it is no number; -ERANGE when
 * it is one, but out of range. *ret is written on success only.
 */
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
int parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret);

/*
 * The same for an amount, which may end in a unit: k, M, G, T (powers of 1000) or Ki, Mi, Gi, Ti
 * (powers of 1024). "20M" is 20,000,000.
 */
int parse_amount(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

#endif
