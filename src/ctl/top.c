/* SPDX-License-Identifier: MIT */
#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/diagnosis.h"
#include "ctl/top.h"

/* What disks and network cards have in common. */
struct row {
	const char *name; /* borrowed from the look */
	bool is_disk, attached;
	double per_s, bytes_per_s; /* requests or frames */
	uint64_t mean_ns, p99_ns;  /* the slower direction of a card; 0: nothing was done */
	double depth;              /* disks */
	double cpu;                /* negative: not known */
	struct diagnosis is;
	size_t index; /* in the list */
};

static void take_times(struct row *row, const struct load_times *times)
{
	if (!times->count || times->p99_ns < row->p99_ns)
		return;
	row->mean_ns = times->sum_ns / times->count;
	row->p99_ns = times->p99_ns;
}

static void take_disk(struct row *row, const struct load *load)
{
	const struct disk_load *disk = &load->disk;

	row->per_s = load_rate(load, disk->total.count);
	row->bytes_per_s = load_rate(load, disk->bytes_read + disk->bytes_written);
	row->depth = disk_depth(load);
	take_times(row, &disk->total);
}

static void take_nic(struct row *row, const struct load *load)
{
	const struct nic_load *nic = &load->nic;

	row->per_s = load_rate(load, nic->tx_frames + nic->rx_frames);
	row->bytes_per_s = load_rate(load, nic->tx_bytes + nic->rx_bytes);
	take_times(row, &nic->tx);
	take_times(row, &nic->rx);
}

static struct row row_of(const struct load *load, size_t index)
{
	struct row row = { .name = load->name,
			   .is_disk = load->is_disk,
			   .attached = load->attached,
			   .cpu = load->cpu,
			   .is = diagnose(load),
			   .index = index };

	if (load->is_disk)
		take_disk(&row, load);
	else
		take_nic(&row, load);
	return row;
}

static enum colour colour_of(const struct diagnosis *is)
{
	switch (is->verdict) {
	case VERDICT_HELD:
	case VERDICT_SILENT:
	case VERDICT_CARRIER:
		return COLOUR_RED;
	case VERDICT_LIMIT:
	case VERDICT_SLOTS:
	case VERDICT_DROPS:
	case VERDICT_BUFFER:
		return COLOUR_YELLOW;
	default:
		return COLOUR_NONE;
	}
}

/* Devices that are stuck come first, then those that move most. */
static int by_weight(const void *a, const void *b)
{
	const struct row *left = a, *right = b;
	bool left_stuck = colour_of(&left->is) == COLOUR_RED;
	bool right_stuck = colour_of(&right->is) == COLOUR_RED;

	if (left_stuck != right_stuck)
		return left_stuck ? -1 : 1;
	if (left->bytes_per_s > right->bytes_per_s || left->bytes_per_s < right->bytes_per_s)
		return left->bytes_per_s > right->bytes_per_s ? -1 : 1;
	return left->index < right->index ? -1 : 1;
}

/* One row for each device of `now`. The caller frees them. */
static struct row *rows_of(const struct look *before, const struct look *now)
{
	struct row *rows = calloc(now->nr + 1, sizeof(rows[0]));

	if (!rows)
		err(CLI_FAILED, "no memory");
	for (size_t i = 0; i < now->nr; i++) {
		struct load load;

		look_compare(before, now, i, &load);
		rows[i] = row_of(&load, i);
	}
	qsort(rows, now->nr, sizeof(rows[0]), by_weight);
	return rows;
}

/* --- as a table --- */

static void cell_if(struct table *table, bool is, struct text text)
{
	table_cell(table, "%s", is ? text.text : "-");
}

static void add_row(struct table *table, const struct row *row)
{
	char brief[64];

	diagnosis_brief(&row->is, brief, sizeof(brief));
	table_row(table, colour_of(&row->is));
	table_cell(table, "%s", row->name);
	cell_if(table, row->attached, text_amount(row->per_s));
	cell_if(table, row->attached, text_bytes(row->bytes_per_s));
	cell_if(table, row->p99_ns, text_ns(row->mean_ns));
	cell_if(table, row->p99_ns, text_ns(row->p99_ns));
	cell_if(table, row->attached && row->is_disk, text_amount(row->depth));
	if (row->cpu >= 0)
		table_cell(table, "%.0f %%", row->cpu * 100);
	else
		table_cell(table, "-");
	table_cell(table, "%s", brief);
}

void top_table(const struct look *before, const struct look *now, struct table *ret)
{
	struct row *rows = rows_of(before, now);

	*ret = (struct table){ .nr_columns = 8,
			       .titles = { "DEVICE", ">PER S", ">BYTES/S", ">MEAN", ">P99",
					   ">QUEUE", ">CPU", "HELD UP BY" } };
	for (size_t i = 0; i < now->nr; i++)
		add_row(ret, &rows[i]);
	free(rows);
}

/* --- as JSON --- */

static struct json_object *row_json(const struct row *row)
{
	struct json_object *ret = json_object_new_object();

	json_object_object_add(ret, "device", json_object_new_string(row->name));
	json_object_object_add(ret, "per_s", json_object_new_double(row->per_s));
	json_object_object_add(ret, "bytes_per_s", json_object_new_double(row->bytes_per_s));
	json_object_object_add(ret, "mean_ns", json_object_new_uint64(row->mean_ns));
	json_object_object_add(ret, "p99_ns", json_object_new_uint64(row->p99_ns));
	json_object_object_add(ret, "depth", json_object_new_double(row->depth));
	json_object_object_add(ret, "cpu", row->cpu < 0 ? NULL : json_object_new_double(row->cpu));
	json_object_object_add(ret, "verdict", json_object_new_string(diagnosis_word(&row->is)));
	json_object_object_add(ret, "percent", json_object_new_int((int)row->is.percent));
	return ret;
}

static void print_json(const struct cli *cli, const struct look *before, const struct look *now)
{
	struct json_object *ret = json_object_new_object(), *devices = json_object_new_array();
	struct row *rows = rows_of(before, now);

	for (size_t i = 0; i < now->nr; i++)
		json_object_array_add(devices, row_json(&rows[i]));
	json_object_object_add(ret, "schema", json_object_new_int(1));
	json_object_object_add(ret, "interval_ns",
			       json_object_new_uint64(now->now_ns - before->now_ns));
	json_object_object_add(ret, "devices", devices);
	cli_print_json(cli, ret);
	json_object_put(ret);
	free(rows);
}

/* --- the command --- */

static int once(struct cli *cli)
{
	struct look before = { 0 }, now = { 0 };
	struct table table;
	int status = look_take(cli, &before);

	if (!status) {
		look_wait(cli->interval);
		status = look_take(cli, &now);
	}
	if (!status && cli->given & CLI_JSON) {
		print_json(cli, &before, &now);
	} else if (!status) {
		top_table(&before, &now, &table);
		table_print(&table, cli->colours, cli->out);
		table_free(&table);
	}
	look_forget(&before);
	look_forget(&now);
	return status;
}

int cli_top(struct cli *cli)
{
	if (cli->given & (CLI_ONCE | CLI_JSON))
		return once(cli);
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return top_screen(cli);
	warnx("top needs a terminal; without one: pvbackctl top --once");
	return CLI_USAGE;
}
