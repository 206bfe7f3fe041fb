/* SPDX-License-Identifier: MIT */
/* Why is it slow? Takes two looks at a device and compares them. */
#include <err.h>
#include <stdlib.h>

#include "ctl/cli.h"
#include "ctl/diagnosis.h"
#include "ctl/look.h"
#include "ctl/text.h"

static void add_times(struct json_object *object, const char *name, const struct load_times *times)
{
	struct json_object *member = json_object_new_object();

	json_object_object_add(member, "count", json_object_new_uint64(times->count));
	json_object_object_add(member, "sum_ns", json_object_new_uint64(times->sum_ns));
	json_object_object_add(member, "p50_ns", json_object_new_uint64(times->p50_ns));
	json_object_object_add(member, "p99_ns", json_object_new_uint64(times->p99_ns));
	json_object_object_add(object, name, member);
}

/* This object is made here, not by the daemon. */
static struct json_object *as_json(const struct load *load, const char *text)
{
	static const char *const stages[NR_STAGES] = { "order",  "limit", "buffer", "copy",
						       "medium", "held",  "answer" };
	struct json_object *ret = json_object_new_object(), *times = json_object_new_object();
	struct diagnosis is = diagnose(load);

	json_object_object_add(ret, "schema", json_object_new_int(1));
	json_object_object_add(ret, "device", json_object_new_string(load->name));
	json_object_object_add(ret, "verdict", json_object_new_string(diagnosis_word(&is)));
	json_object_object_add(ret, "percent", json_object_new_int((int)is.percent));
	if (is.limit)
		json_object_object_add(ret, "limit", json_object_new_string(is.limit));
	json_object_object_add(ret, "interval_ns", json_object_new_uint64(load->interval_ns));
	if (load->is_disk) {
		add_times(times, "total", &load->disk.total);
		for (unsigned int i = 0; i < NR_STAGES; i++)
			add_times(times, stages[i], &load->disk.stages[i]);
	} else {
		add_times(times, "tx", &load->nic.tx);
		add_times(times, "rx", &load->nic.rx);
	}
	json_object_object_add(ret, "times", times);
	json_object_object_add(ret, "text", json_object_new_string(text));
	return ret;
}

static void say(const struct cli *cli, const struct load *load, const struct load *ever)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		err(CLI_FAILED, "no memory");
	diagnosis_explain(load, ever, out);
	fclose(out);
	text_clean(text);
	if (cli->given & CLI_JSON) {
		struct json_object *object = as_json(load, text);

		cli_print_json(cli, object);
		json_object_put(object);
	} else {
		text_wrap(text, cli->width, cli->out);
	}
	free(text);
}

int cli_why(struct cli *cli)
{
	struct look first = { 0 }, second = { 0 };
	struct load load, ever;
	int status = look_take(cli, &first);

	if (!status) {
		look_wait(cli->interval);
		status = look_take(cli, &second);
	}
	for (size_t i = 0; !status && i < second.nr; i++) {
		look_compare(&first, &second, i, &load);
		look_ever(&second, i, &ever);
		if (i && !(cli->given & CLI_JSON))
			fputc('\n', cli->out);
		say(cli, &load, &ever);
	}
	look_forget(&first);
	look_forget(&second);
	return status;
}
