/* SPDX-License-Identifier: MIT */
/*
 * Options as data. A table names each option once, with the values that it takes and where its value is stored. The
 * command line, the configuration file, the keys of a device's backend directory, --help and the messages about wrong
 * values all read the table.
 */
#ifndef PVB_KEYS_H
#define PVB_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* When a change in the configuration, after SIGHUP, takes effect for existing devices. */
enum key_when {
	KEY_AT_RESTART, /* of the daemon */
	KEY_AT_CONNECT, /* of a device: when its frontend connects the next time */
	KEY_AT_ONCE,
};

struct key {
	const char *name; /* NULL ends a table */
	/* 0, or -errno with *ret untouched. */
	int (*parse)(const struct key *key, const char *text, void *ret);
	/* Print a value as parse() takes it. NULL: the parser implies it, see key_print(). */
	void (*print)(const void *value, char *buf, size_t size);
	size_t at, size;          /* where its value is in the struct that the table is for */
	uint64_t min, max;        /* of a number; for a text `max` is the size of its buffer */
	const char *const *words; /* of a choice; NULL-terminated, the value is the index */
	const char
		*allowed; /* in words; NULL: the range or the choice says it, see key_allowed() */
	enum key_when when;
	/* For a wrong value in the file. The value to use instead, if the default would not be safe: */
	const char *if_wrong; /* NULL: the default */
	const char *zero;     /* what a value of zeros means, for people; NULL: just that */
	bool is_limit;        /* how much a device may do */
	bool vital;           /* no value is safe in its place: the daemon does not start */
	/* For the command line; `value` is NULL for an option that is only in the file. */
	const char *value; /* its value's name in --help */
	const char *help;  /* lines that end in a newline, except for the last */
	bool may_be_bare;  /* the value may be left out: then it is "" */
};

/* The functions for `parse`. The value is a bool, a uint32_t, a uint64_t (parse_amount()), an enum, a char[max]. */
int key_flag(const struct key *key, const char *text, void *ret);
int key_u32(const struct key *key, const char *text, void *ret);
int key_amount(const struct key *key, const char *text, void *ret);
int key_choice(const struct key *key, const char *text, void *ret);
int key_text(const struct key *key, const char *text, void *ret);

/* NULL when the table has no such option. */
const struct key *keys_find(const struct key *keys, const char *name);

/* Set one option in `values`. 0; -ENOENT when there is no such option; else -errno with nothing changed. */
int keys_set(const struct key *keys, void *values, const char *name, const char *text);

/* Copy an option's value from another such struct; whether both structs have the same value. For a table with sizes. */
void key_copy(const struct key *key, const void *from, void *to);
bool key_is_same(const struct key *key, const void *a, const void *b);

/*
 * The option that somebody who wrote `name` may have meant: one typing mistake away (two in a long name), or one that
 * begins like that. NULL when there is none, or `name` is one itself.
 */
const struct key *keys_meant(const struct key *keys, const char *name);

/* Which values it takes, for a message about a wrong one: "a number from 1 to 64". */
void key_allowed(const struct key *key, char *buf, size_t size);

/* Print its value in `values` as parse() takes it. For any key that a device may have. */
void key_print(const struct key *key, const void *values, char *buf, size_t size);

/* What its value in `values` means if it is a special one: "no limit". NULL: it is a plain value. */
const char *key_meaning(const struct key *key, const void *values);

/* The lines of --help. */
void keys_help(const struct key *keys, FILE *out);

#endif
