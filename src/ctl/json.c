/* SPDX-License-Identifier: MIT */
#include "ctl/json.h"

struct json_object *json_member(struct json_object *object, const char *name)
{
	struct json_object *member = NULL;

	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, name, &member);
	return member;
}

const char *json_text(struct json_object *object, const char *name)
{
	struct json_object *member = json_member(object, name);

	return json_object_is_type(member, json_type_string) ? json_object_get_string(member) : "";
}

uint64_t json_u64(struct json_object *object, const char *name)
{
	struct json_object *member = json_member(object, name);

	return json_object_is_type(member, json_type_int) ? json_object_get_uint64(member) : 0;
}

bool json_flag(struct json_object *object, const char *name)
{
	struct json_object *member = json_member(object, name);

	return json_object_is_type(member, json_type_boolean) && json_object_get_boolean(member);
}

size_t json_length(struct json_object *object, const char *name)
{
	struct json_object *member = json_member(object, name);

	return json_object_is_type(member, json_type_array) ? json_object_array_length(member) : 0;
}

struct json_object *json_item(struct json_object *object, const char *name, size_t index)
{
	return index < json_length(object, name)
		       ? json_object_array_get_idx(json_member(object, name), index)
		       : NULL;
}
