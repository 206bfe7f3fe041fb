/* SPDX-License-Identifier: MIT */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/json.h"
#include "ctl/look.h"

#define NS 1000000000ull

int look_take(struct cli *cli, struct look *ret)
{
	struct json_object *request = cli_request(cli);
	struct look look = { 0 };
	int status;

	json_object_object_add(request, "command", json_object_new_string("stats"));
	status = cli_ask(cli, request, &look.answer);
	if (status)
		return status;
	look.now_ns = json_u64(look.answer, "now_ns");
	look.nr = json_length(look.answer, "devices");
	*ret = look;
	return CLI_OK;
}

void look_forget(struct look *look)
{
	json_object_put(look->answer);
	*look = (struct look){ 0 };
}

/* The devices have the same order in each answer, except for those that came or went. */
static size_t find(const struct look *look, const char *name, size_t from)
{
	for (size_t i = 0; i < look->nr; i++) {
		size_t index = (from + i) % look->nr;

		if (!strcmp(json_text(json_item(look->answer, "devices", index), "name"), name))
			return index;
	}
	return look->nr;
}

/* How much CPU time its process used: 1 is a whole processor; negative: not known. */
static double cpu_between(struct json_object *was, struct json_object *device, uint64_t ns)
{
	uint64_t before = json_u64(was, "cpu_ns"), now = json_u64(device, "cpu_ns");

	if (!before || now < before || json_u64(was, "pid") != json_u64(device, "pid"))
		return -1;
	return (double)(now - before) / (double)ns;
}

void look_compare(const struct look *before, const struct look *now, size_t index, struct load *ret)
{
	struct json_object *device = json_item(now->answer, "devices", index);
	size_t at = find(before, json_text(device, "name"), index);
	struct json_object *was = json_item(before->answer, "devices", at);
	uint64_t ns = now->now_ns > before->now_ns ? now->now_ns - before->now_ns : 1;

	load_read(was, device, ns, ret);
	ret->cpu = cpu_between(was, device, ns);
}

void look_ever(const struct look *now, size_t index, struct load *ret)
{
	struct json_object *device = json_item(now->answer, "devices", index);

	load_read(NULL, device, json_u64(device, "attached_s") * NS, ret);
}

void look_wait(double seconds)
{
	struct timespec left = { .tv_sec = (time_t)seconds };

	left.tv_nsec = (long)((seconds - (double)left.tv_sec) * (double)NS);
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}
