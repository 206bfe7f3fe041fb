/* SPDX-License-Identifier: MIT */
/* Members of messages at the admin's socket. */
#ifndef PVB_JSON_H
#define PVB_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* NULL becomes null. Bytes that are not UTF-8 become question marks: a guest may have influenced the text. */
void json_add_text(struct json_object *to, const char *name, const char *text);
struct json_object *json_of_text(const char *text);

static inline void json_add_u64(struct json_object *to, const char *name, uint64_t value)
{
	json_object_object_add(to, name, json_object_new_uint64(value));
}

static inline void json_add_flag(struct json_object *to, const char *name, bool value)
{
	json_object_object_add(to, name, json_object_new_boolean(value));
}

/* An empty list in `to`, which owns it. */
static inline struct json_object *json_add_list(struct json_object *to, const char *name)
{
	struct json_object *list = json_object_new_array();

	json_object_object_add(to, name, list);
	return list;
}

#endif
