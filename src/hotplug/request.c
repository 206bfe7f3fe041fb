/* SPDX-License-Identifier: MIT */
/* What libxl asks of a hotplug script; see request.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "hotplug/request.h"
#include "core/parse.h"
#include "control/rtnl.h"

/* Xen's domain ids end below DOMID_FIRST_RESERVED (xen.h). */
#define DOMID_MAX 0x7fefu

int hotplug_script_from_name(const char *argv0, enum hotplug_script *ret_script)
{
	const char *slash = strrchr(argv0, '/');
	const char *name = slash ? slash + 1 : argv0;

	if (strcmp(name, "block-pvbackd") == 0)
		*ret_script = HOTPLUG_SCRIPT_BLOCK;
	else if (strcmp(name, "vif-pvbackd") == 0)
		*ret_script = HOTPLUG_SCRIPT_VIF;
	else
		return -EINVAL;
	return 0;
}

static int parse_command(struct hotplug_request *req, const char *word,
			 struct hotplug_failure *failure)
{
	static const struct {
		const char *word;
		enum hotplug_command command;
		bool vif_only;
	} commands[] = {
		{ "add", HOTPLUG_COMMAND_ADD, false },
		{ "remove", HOTPLUG_COMMAND_REMOVE, false },
		{ "online", HOTPLUG_COMMAND_ONLINE, true },
		{ "offline", HOTPLUG_COMMAND_OFFLINE, true },
	};
	const bool is_vif = req->script == HOTPLUG_SCRIPT_VIF;

	for (size_t i = 0; word && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(word, commands[i].word) == 0 && (is_vif || !commands[i].vif_only)) {
			req->command = commands[i].command;
			return 0;
		}
	}
	return hotplug_fail(
		failure, -EINVAL, "command '%s' is not known; this script is started by xl with %s",
		word ? word : "", is_vif ? "online, offline, add or remove" : "add or remove");
}

/* Parse what follows the command: only type_if= of a vif is known. */
static int parse_arguments(struct hotplug_request *req, char *const argv[],
			   struct hotplug_failure *failure)
{
	req->iftype = HOTPLUG_IFTYPE_VIF;
	for (; *argv; argv++) {
		if (req->script == HOTPLUG_SCRIPT_VIF && strcmp(*argv, "type_if=vif") == 0)
			req->iftype = HOTPLUG_IFTYPE_VIF;
		else if (req->script == HOTPLUG_SCRIPT_VIF && strcmp(*argv, "type_if=tap") == 0)
			req->iftype = HOTPLUG_IFTYPE_TAP;
		else
			return hotplug_fail(failure, -EINVAL, "argument '%s' is not known", *argv);
	}
	return 0;
}

/* Parse a domain or device number as libxl writes it: without leading zeros. */
static bool parse_id(const char **text, uint32_t max, uint32_t *ret)
{
	const char *start = *text;

	return parse_digits_u32(text, max, ret) && (*start != '0' || *text == start + 1);
}

static bool skip_word(const char **text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*text, word, len) != 0)
		return false;
	*text += len;
	return true;
}

static bool parse_kind(struct hotplug_request *req, const char **text)
{
	static const char *const block_kinds[] = { "vbd/", "vbd3/", NULL };
	static const char *const vif_kinds[] = { "vif/", NULL };
	const char *const *kind;

	for (kind = req->script == HOTPLUG_SCRIPT_VIF ? vif_kinds : block_kinds; *kind; kind++) {
		if (skip_word(text, *kind)) {
			snprintf(req->kind, sizeof(req->kind), "%.*s", (int)strlen(*kind) - 1,
				 *kind);
			return true;
		}
	}
	return false;
}

/* [/local/domain/N/]backend/KIND/DOMID/DEVID */
static bool parse_path(struct hotplug_request *req, const char *path)
{
	const char *p = path;
	uint32_t own_domid;

	if (skip_word(&p, "/local/domain/") &&
	    (!parse_id(&p, DOMID_MAX, &own_domid) || !skip_word(&p, "/")))
		return false;
	if (!skip_word(&p, "backend"))
		return false;
	snprintf(req->base, sizeof(req->base), "%.*s", (int)(p - path), path);

	if (!skip_word(&p, "/") || !parse_kind(req, &p) || !parse_id(&p, DOMID_MAX, &req->domid) ||
	    !skip_word(&p, "/") || !parse_id(&p, UINT32_MAX, &req->devid) || *p != '\0')
		return false;
	return (size_t)snprintf(req->path, sizeof(req->path), "%s", path) < sizeof(req->path);
}

/* The name of the interface before it is renamed. */
static int parse_ifname(struct hotplug_request *req, const struct hotplug_env *env,
			struct hotplug_failure *failure)
{
	const bool is_tap = req->iftype == HOTPLUG_IFTYPE_TAP;
	const char *variable = is_tap ? "INTERFACE" : "vif";

	req->ifname = is_tap ? env->interface : env->vif;
	if (!req->ifname)
		return hotplug_fail(failure, -EINVAL,
				    "%s is not set; this script is started by xl, not by hand",
				    variable);
	if (!rtnl_name_is_valid(req->ifname))
		return hotplug_fail(failure, -EINVAL,
				    "%s='%s' cannot be the name of a network interface", variable,
				    req->ifname);
	return 0;
}

int hotplug_request_parse(enum hotplug_script script, char *const argv[],
			  const struct hotplug_env *env, struct hotplug_request *ret_request,
			  struct hotplug_failure *failure)
{
	struct hotplug_request req = { .script = script };
	int err;

	err = parse_command(&req, argv[1], failure);
	if (err)
		return err;
	err = parse_arguments(&req, argv + 2, failure);
	if (err)
		return err;

	if (!env->xenbus_path)
		return hotplug_fail(failure, -EINVAL,
				    "XENBUS_PATH is not set; this script is started by xl, not by "
				    "hand");
	if (!parse_path(&req, env->xenbus_path))
		return hotplug_fail(failure, -EINVAL, "XENBUS_PATH='%s' is not a %s backend's path",
				    env->xenbus_path,
				    script == HOTPLUG_SCRIPT_VIF ? "vif" : "block");

	if (script == HOTPLUG_SCRIPT_VIF) {
		err = parse_ifname(&req, env, failure);
		if (err)
			return err;
	}

	req.runtime_dir =
		env->runtime_dir && env->runtime_dir[0] ? env->runtime_dir : HOTPLUG_RUNTIME_DIR;
	*ret_request = req;
	return 0;
}
