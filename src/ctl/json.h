/* SPDX-License-Identifier: MIT */
/*
 * Members of the daemon's answers. A missing member, or one of another type, counts as empty: a daemon of another
 * version may have fewer.
 */
#ifndef PVB_CTL_JSON_H
#define PVB_CTL_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

/* "", 0, false or NULL for a missing member. `object` owns what is returned. */
const char *json_text(struct json_object *object, const char *name);
uint64_t json_u64(struct json_object *object, const char *name);
bool json_flag(struct json_object *object, const char *name);
struct json_object *json_member(struct json_object *object, const char *name);
/* Of a list: 0 and NULL when the member is not a list. */
size_t json_length(struct json_object *object, const char *name);
struct json_object *json_item(struct json_object *object, const char *name, size_t index);

#endif
