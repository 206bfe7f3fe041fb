/* SPDX-License-Identifier: MIT */
/* cmocka wants these before it, in this order. */
#ifndef PVB_UNIT_H
#define PVB_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CHECK(condition) assert_true(condition)

#endif
