/* SPDX-License-Identifier: MIT */
/*
 * Options as data: a table names each option once, with the values that it takes and where its value
 * is kept. The command line, the configuration file, the keys of a device's backend directory, --help
 * and the words about a wrong value all read the table.
 */
#ifndef PVB_KEYS_H
#define PVB_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* When a change of it in the configuration, told by SIGHUP, holds for what is there already. */
enum key_when {
	KEY_AT_RESTART, /* of the daemon */
	KEY_AT_CONNECT, /* of a device: when its frontend connects the next time */
	KEY_AT_ONCE,
};

struct key {
	const char *name; /* NULL ends a table */
	/* 0, or -errno with *ret untouched. */
	int (*parse)(const struct key *key, const char *text, void *ret);
	/* A value as parse() takes it; NULL: as the parser says, see key_print(). */
	void (*print)(const void *value, char *buf, size_t size);
	size_t at, size;          /* where its value is in the struct that the table is for */
	uint64_t min, max;        /* of a number; of a text `max` is the size of its buffer */
	const char *const *words; /* of a choice; NULL-terminated, the value is the index */
	const char
		*allowed; /* in words; NULL: the range or the choice says it, see key_allowed() */
	enum key_when when;
	/* Of a value in the file that is wrong. What holds in its place, for its default would not be safe: */
	const char *if_wrong; /* NULL: the default */
	const char *zero;     /* what a value of zeros means, for people; NULL: what it says */
	bool is_limit;        /* how much a device may do */
	bool vital;           /* nothing is safe in its place: the daemon does not start */
	/* Of the command line; `value` is NULL for an option that only the file has. */
	const char *value; /* what stands for its value in --help */
	const char *help;  /* lines that end in a newline, but for the last */
	bool may_be_bare;  /* the value may be left out: "" then */
};

/* What `parse` may be. The value is a bool, a uint32_t, a uint64_t (parse_amount()), an enum, a char[max]. */
int key_flag(const struct key *key, const char *text, void *ret);
int key_u32(const struct key *key, const char *text, void *ret);
int key_amount(const struct key *key, const char *text, void *ret);
int key_choice(const struct key *key, const char *text, void *ret);
int key_text(const struct key *key, const char *text, void *ret);

/* NULL when the table has no such option. */
const struct key *keys_find(const struct key *keys, const char *name);

/* Set one in `values`. 0; -ENOENT when there is no such option; else -errno with nothing changed. */
int keys_set(const struct key *keys, void *values, const char *name, const char *text);

/* Give it the value that it has in another such struct; whether it has the same in both. For a table that says the sizes. */
void key_copy(const struct key *key, const void *from, void *to);
bool key_is_same(const struct key *key, const void *a, const void *b);

/*
 * The option that somebody who wrote `name` may have meant: a slip of the finger away (two in a long
 * name), or one that begins like that. NULL when there is none, or `name` is one itself.
 */
const struct key *keys_meant(const struct key *keys, const char *name);

/* What values it takes, for somebody who wrote another: "a number from 1 to 64". */
void key_allowed(const struct key *key, char *buf, size_t size);

/* The value that it has in `values`, as parse() takes it: that of any key which a device may have. */
void key_print(const struct key *key, const void *values, char *buf, size_t size);

/* What its value in `values` means where that is no number to take at its word: "no limit". NULL: it is one. */
const char *key_meaning(const struct key *key, const void *values);

/* The lines of --help. */
void keys_help(const struct key *keys, FILE *out);

#endif
