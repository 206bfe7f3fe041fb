/* SPDX-License-Identifier: MIT */
/* Amounts, times, columns and paragraphs for an admin to read. */
#ifndef PVB_CTL_TEXT_H
#define PVB_CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct text {
	char text[24];
};

/* Two or three digits and a unit: "870 ns", "41 ms", "1.2 s", "3 h". */
struct text text_ns(uint64_t ns);
struct text text_seconds(uint64_t seconds);
/* "812", "1.2k", "35M". */
struct text text_amount(double amount);
/* "12.3 MB". */
struct text text_bytes(double bytes);

/* Replace bytes that would control a terminal by question marks: some of the text may come from a guest. */
void text_clean(char *text);

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_RED, COLOUR_YELLOW, NR_COLOURS };

#define TABLE_COLUMNS 12u

/* Rows of cells, each column as wide as its widest cell. */
struct table {
	unsigned int nr_columns, nr_rows;
	const char *titles[TABLE_COLUMNS]; /* borrowed; '>' at its start aligns it to the right */
	struct table_row {
		char *cells[TABLE_COLUMNS]; /* owned */
		enum colour colour;
	} * rows; /* owned */
};

/* Start a row, and add its cells one by one, as by printf(). A call that finds no memory ends the program. */
void table_row(struct table *table, enum colour colour);
void table_cell(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* No spaces at the end of a line. No colours when `colours` is false. */
void table_print(const struct table *table, bool colours, FILE *out);
/* Without the line of titles. */
void table_print_rows(const struct table *table, bool colours, FILE *out);
/* Idempotent. */
void table_free(struct table *table);

/* A text as lines of at most `width` characters, where words allow it. */
void text_wrap(const char *text, unsigned int width, FILE *out);

#endif
