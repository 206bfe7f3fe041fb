/* SPDX-License-Identifier: MIT */
/*
 * The program behind /etc/xen/scripts/block-pvbackd and /etc/xen/scripts/vif-pvbackd. libxl runs it under one of these
 * names when a disk or a network card comes or goes. It uses no shell. Its children are qemu-nbd, and processes that
 * ask storage what it is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hotplug/aside.h"
#include "hotplug/backend.h"
#include "hotplug/scripts.h"

#define EXIT_USAGE 2

static void print_usage(FILE *out)
{
	fputs("usage: block-pvbackd add|remove\n"
	      "       vif-pvbackd online|offline type_if=vif\n"
	      "       vif-pvbackd add|remove type_if=tap\n"
	      "\n"
	      "Hotplug scripts of pvbackd. libxl starts them, with the device in the environment\n"
	      "(XENBUS_PATH, vif, INTERFACE); a guest's config chooses them with\n"
	      "script=block-pvbackd in a disk and script=vif-pvbackd in a vif line.\n"
	      "See block-pvbackd(8).\n",
	      out);
}

static bool is_removal(const struct hotplug_request *req)
{
	return req->command == HOTPLUG_COMMAND_REMOVE || req->command == HOTPLUG_COMMAND_OFFLINE;
}

/* The emulated card's interface has no status of its own: it would overwrite the vif's. */
static bool has_status(const struct hotplug_request *req)
{
	return req->script == HOTPLUG_SCRIPT_BLOCK || req->iftype == HOTPLUG_IFTYPE_VIF;
}

static int run_connected(struct store *store, const struct hotplug_request *req,
			 struct hotplug_failure *failure)
{
	int err = is_removal(req) ? 0 : hotplug_backend_check_frontend(store, req, failure);

	if (err)
		return err;
	return req->script == HOTPLUG_SCRIPT_BLOCK ? block_script_run(store, req, failure)
						   : vif_script_run(store, req, failure);
}

static int run_script(const struct hotplug_request *req, struct hotplug_failure *failure)
{
	struct store store = { 0 };
	int err;

	if (req->script == HOTPLUG_SCRIPT_BLOCK && is_removal(req))
		return block_script_run(&store, req, failure);

	err = store_open(&store);
	if (err)
		return hotplug_fail(failure, err,
				    "xenstore cannot be reached: %s; is xenstored running?",
				    strerror(-err));
	err = run_connected(&store, req, failure);
	if (err && !is_removal(req))
		hotplug_backend_failed(&store, req, failure, has_status(req));
	store_close(&store);
	return err;
}

int main(int argc, char *argv[])
{
	const struct hotplug_env env = {
		.xenbus_path = getenv("XENBUS_PATH"),
		.vif = getenv("vif"),
		.interface = getenv("INTERFACE"),
		.runtime_dir = getenv("PVBACKD_RUNTIME_DIR"),
	};
	struct hotplug_failure failure = { 0 };
	enum hotplug_script script;
	struct hotplug_request req;
	const char *name;

	hotplug_seconds_left(HOTPLUG_LIMIT_S);
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_usage(stdout);
		return EXIT_SUCCESS;
	}
	if (argc < 2 || hotplug_script_from_name(argv[0], &script) < 0) {
		print_usage(stderr);
		return EXIT_USAGE;
	}

	name = script == HOTPLUG_SCRIPT_BLOCK ? "block-pvbackd" : "vif-pvbackd";
	if (hotplug_request_parse(script, argv, &env, &req, &failure) < 0) {
		fprintf(stderr, "%s: %s\n", name, failure.text);
		return EXIT_USAGE;
	}
	if (run_script(&req, &failure) < 0) {
		fprintf(stderr, "%s: %s: %s\n", name, req.path, failure.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
