/* SPDX-License-Identifier: MIT */
#include <err.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/text.h"

/* Amounts below ten have one decimal, unless it is zero. */
static struct text with_unit(double amount, const char *unit)
{
	struct text ret;
	bool whole = amount >= 9.95 || (unsigned int)(amount * 10 + 0.5) % 10 == 0;

	snprintf(ret.text, sizeof(ret.text), "%.*f%s", whole ? 0 : 1, amount, unit);
	return ret;
}

struct text text_ns(uint64_t ns)
{
	static const struct {
		double ns;
		const char *unit;
	} units[] = { { 1, " ns" },     { 1e3, " us" },   { 1e6, " ms" },      { 1e9, " s" },
		      { 60e9, " min" }, { 3600e9, " h" }, { 86400e9, " days" } };
	unsigned int i = 0;

	while (i + 1 < sizeof(units) / sizeof(units[0]) &&
	       (double)ns >= units[i + 1].ns * (i + 1 >= 4 ? 2 : 1) * 0.9995)
		i++;
	return with_unit((double)ns / units[i].ns, units[i].unit);
}

struct text text_seconds(uint64_t seconds)
{
	return seconds ? text_ns(seconds * 1000000000ull) : (struct text){ "0 s" };
}

static unsigned int scale(double *amount)
{
	unsigned int i = 0;

	while (*amount >= 999.5 && i < 5) {
		*amount /= 1000;
		i++;
	}
	return i;
}

struct text text_amount(double amount)
{
	static const char *const units[] = { "", "k", "M", "G", "T", "P" };
	unsigned int i = scale(&amount);

	return with_unit(amount, units[i]);
}

struct text text_bytes(double bytes)
{
	static const char *const units[] = { " B", " kB", " MB", " GB", " TB", " PB" };
	unsigned int i = scale(&bytes);

	return with_unit(bytes, units[i]);
}

void text_clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

/* --- columns --- */

void table_row(struct table *table, enum colour colour)
{
	table->rows = reallocarray(table->rows, table->nr_rows + 1, sizeof(table->rows[0]));
	if (!table->rows)
		err(1, "no memory");
	table->rows[table->nr_rows++] = (struct table_row){ .colour = colour };
}

void table_cell(struct table *table, const char *fmt, ...)
{
	struct table_row *row = &table->rows[table->nr_rows - 1];
	unsigned int i = 0;
	va_list ap;

	while (row->cells[i])
		i++;
	va_start(ap, fmt);
	if (vasprintf(&row->cells[i], fmt, ap) < 0)
		err(1, "no memory");
	va_end(ap);
	text_clean(row->cells[i]);
}

static const char *cell_of(const struct table_row *row, unsigned int column)
{
	return row->cells[column] ? row->cells[column] : "";
}

static bool stands_right(const struct table *table, unsigned int column)
{
	return table->titles[column][0] == '>';
}

static const char *title_of(const struct table *table, unsigned int column)
{
	return table->titles[column] + stands_right(table, column);
}

static int width_of(const struct table *table, unsigned int column)
{
	size_t width = strlen(title_of(table, column));

	for (unsigned int i = 0; i < table->nr_rows; i++) {
		size_t len = strlen(cell_of(&table->rows[i], column));

		width = len > width ? len : width;
	}
	return (int)width;
}

static void print_row(const struct table *table, const struct table_row *row, const int *widths,
		      bool colours, FILE *out)
{
	static const char *const codes[NR_COLOURS] = { "", "\033[1m", "\033[31m", "\033[33m" };
	bool coloured = colours && row->colour != COLOUR_NONE;
	int gap = 0;

	fputs(coloured ? codes[row->colour] : "", out);
	for (unsigned int i = 0; i < table->nr_columns; i++) {
		const char *cell = cell_of(row, i);
		int len = (int)strlen(cell);
		int before = stands_right(table, i) ? widths[i] - len : 0;

		if (len > 0)
			fprintf(out, "%*s%s", gap + before, "", cell);
		gap = len > 0 ? widths[i] - len - before + 2 : gap + widths[i] + 2;
	}
	fprintf(out, "%s\n", coloured ? "\033[0m" : "");
}

static void print(const struct table *table, bool with_titles, bool colours, FILE *out)
{
	struct table_row head = { .colour = COLOUR_BOLD };
	int widths[TABLE_COLUMNS];

	for (unsigned int i = 0; i < table->nr_columns; i++) {
		head.cells[i] = (char *)(uintptr_t)title_of(table, i);
		widths[i] = width_of(table, i);
	}
	if (with_titles)
		print_row(table, &head, widths, colours, out);
	for (unsigned int i = 0; i < table->nr_rows; i++)
		print_row(table, &table->rows[i], widths, colours, out);
}

void table_print(const struct table *table, bool colours, FILE *out)
{
	print(table, true, colours, out);
}

void table_print_rows(const struct table *table, bool colours, FILE *out)
{
	print(table, false, colours, out);
}

void table_free(struct table *table)
{
	for (unsigned int i = 0; i < table->nr_rows; i++)
		for (unsigned int k = 0; k < TABLE_COLUMNS; k++)
			free(table->rows[i].cells[k]);
	free(table->rows);
	table->rows = NULL;
	table->nr_rows = 0;
}

/* --- paragraphs --- */

void text_wrap(const char *text, unsigned int width, FILE *out)
{
	unsigned int used = 0;

	while (*(text += strspn(text, " "))) {
		size_t len = strcspn(text, " ");

		if (used && used + 1 + len > width) {
			fputc('\n', out);
			used = 0;
		}
		used += (unsigned int)fprintf(out, "%s%.*s", used ? " " : "", (int)len, text);
		text += len;
	}
	fputc('\n', out);
}
