/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "control/json.h"

/* The length in bytes of the UTF-8 character that begins there; 0: none does. */
static size_t utf8_len(const unsigned char *text)
{
	size_t len = text[0] < 0x80                      ? 1
		     : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
		     : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
		     : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
							 : 0;

	for (size_t i = 1; i < len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] >= 0xa0) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] >= 0x90))
		return 0;
	return len;
}

struct json_object *json_of_text(const char *text)
{
	char *copy = strdup(text ? text : "");
	struct json_object *ret;

	for (char *at = copy; at && *at;) {
		size_t len = utf8_len((const unsigned char *)at);

		if (!len)
			*at = '?';
		at += len ? len : 1;
	}
	ret = text && copy ? json_object_new_string(copy) : NULL;
	free(copy);
	return ret;
}

void json_add_text(struct json_object *to, const char *name, const char *text)
{
	json_object_object_add(to, name, json_of_text(text));
}
