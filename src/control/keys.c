/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "control/keys.h"
#include "core/parse.h"

#define HELP_COLUMN 25

int key_flag(const struct key *key, const char *text, void *ret)
{
	bool yes = !strcmp(text, "yes") || !strcmp(text, "1");

	(void)key;
	if (!yes && strcmp(text, "no") && strcmp(text, "0"))
		return -EINVAL;
	*(bool *)ret = yes;
	return 0;
}

int key_u32(const struct key *key, const char *text, void *ret)
{
	return parse_u32(text, (uint32_t)key->min, (uint32_t)key->max, ret);
}

int key_amount(const struct key *key, const char *text, void *ret)
{
	return parse_amount(text, key->min, key->max, ret);
}

int key_choice(const struct key *key, const char *text, void *ret)
{
	for (unsigned int i = 0; key->words[i]; i++)
		if (!strcmp(text, key->words[i])) {
			*(unsigned int *)ret = i;
			return 0;
		}
	return -EINVAL;
}

int key_text(const struct key *key, const char *text, void *ret)
{
	if (!*text || strlen(text) >= key->max)
		return -EINVAL;
	memset(ret, 0, key->max); /* so that the same texts are the same bytes */
	memcpy(ret, text, strlen(text));
	return 0;
}

const struct key *keys_find(const struct key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (!strcmp(keys->name, name))
			return keys;
	return NULL;
}

int keys_set(const struct key *keys, void *values, const char *name, const char *text)
{
	const struct key *key = keys_find(keys, name);

	return key ? key->parse(key, text, (char *)values + key->at) : -ENOENT;
}

void key_copy(const struct key *key, const void *from, void *to)
{
	memcpy((char *)to + key->at, (const char *)from + key->at, key->size);
}

bool key_is_same(const struct key *key, const void *a, const void *b)
{
	return !memcmp((const char *)a + key->at, (const char *)b + key->at, key->size);
}

#define NAME_MAX_LEN 32u

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* How many letters one must add, leave out, change, or swap with the next one. */
static unsigned int slips(const char *a, const char *b)
{
	unsigned int rows[3][NAME_MAX_LEN + 1];
	size_t len = strlen(b);

	for (unsigned int k = 0; k <= len; k++)
		rows[0][k] = k;
	for (unsigned int i = 1; a[i - 1]; i++) {
		unsigned int *now = rows[i % 3], *last = rows[(i + 2) % 3];

		now[0] = i;
		for (unsigned int k = 1; k <= len; k++) {
			now[k] = least(last[k - 1] + !same(a[i - 1], b[k - 1]),
				       least(last[k], now[k - 1]) + 1);
			if (i > 1 && k > 1 && same(a[i - 1], b[k - 2]) && same(a[i - 2], b[k - 1]))
				now[k] = least(now[k], rows[(i + 1) % 3][k - 2] + 1);
		}
	}
	return rows[strlen(a) % 3][len];
}

const struct key *keys_meant(const struct key *keys, const char *name)
{
	size_t len = strlen(name);

	if (len < 3 || len > NAME_MAX_LEN || keys_find(keys, name))
		return NULL;
	for (; keys->name; keys++)
		if (slips(name, keys->name) <= (len < 8 ? 1 : 2) || !strncmp(name, keys->name, len))
			return keys;
	return NULL;
}

static void list_words(const struct key *key, char *buf, size_t size)
{
	size_t used = 0;

	for (unsigned int i = 0; key->words[i] && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s",
					 i == 0              ? ""
					 : key->words[i + 1] ? ", "
							     : " or ",
					 key->words[i]);
}

void key_allowed(const struct key *key, char *buf, size_t size)
{
	unsigned long long min = key->min, max = key->max;

	if (key->allowed)
		snprintf(buf, size, "%s", key->allowed);
	else if (key->words)
		list_words(key, buf, size);
	else if (key->parse == key_flag)
		snprintf(buf, size, "yes or no");
	else if (key->parse == key_text)
		snprintf(buf, size, "1 to %llu characters", max - 1);
	else
		snprintf(buf, size, "a number from %llu to %llu%s", min, max,
			 key->parse == key_amount ? ", perhaps with k, M, G or Ki, Mi, Gi" : "");
}

void key_print(const struct key *key, const void *values, char *buf, size_t size)
{
	const void *value = (const char *)values + key->at;

	if (key->print)
		key->print(value, buf, size);
	else if (key->parse == key_flag)
		snprintf(buf, size, "%s", *(const bool *)value ? "yes" : "no");
	else if (key->parse == key_u32)
		snprintf(buf, size, "%" PRIu32, *(const uint32_t *)value);
	else if (key->parse == key_amount)
		snprintf(buf, size, "%" PRIu64, *(const uint64_t *)value);
	else if (key->parse == key_choice)
		snprintf(buf, size, "%s", key->words[*(const unsigned int *)value]);
	else
		snprintf(buf, size, "%s", (const char *)value);
}

const char *key_meaning(const struct key *key, const void *values)
{
	const char *value = (const char *)values + key->at;

	for (size_t i = 0; i < key->size; i++)
		if (value[i])
			return NULL;
	return key->zero;
}

/* How SIGHUP applies a change. print_help() explains the marks. */
static const char *const marks[] = {
	[KEY_AT_RESTART] = "",
	[KEY_AT_CONNECT] = " [c]",
	[KEY_AT_ONCE] = " [l]",
};

static void print_lines(const char *text, const char *mark, FILE *out)
{
	for (; *text; text++) {
		fputc(*text, out);
		if (*text == '\n')
			fprintf(out, "%*s", HELP_COLUMN, "");
	}
	fprintf(out, "%s\n", mark);
}

void keys_help(const struct key *keys, FILE *out)
{
	for (; keys->name; keys++) {
		int used;

		if (!keys->value)
			continue;
		used = fprintf(out, keys->may_be_bare ? "  --%s[=%s]" : "  --%s=%s", keys->name,
			       keys->value);
		fprintf(out, used < HELP_COLUMN ? "%*s" : "\n%*s",
			used < HELP_COLUMN ? HELP_COLUMN - used : HELP_COLUMN, "");
		print_lines(keys->help, marks[keys->when], out);
	}
}
