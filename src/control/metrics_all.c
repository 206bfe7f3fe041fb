/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/cpu.h"
#include "control/guests.h"
#include "control/metrics_all.h"
#include "control/names.h"

/* --- devices --- */

struct entry {
	struct device *dev; /* borrowed */
	char domain[GUEST_NAME_MAX], device[DEVICE_NAME_MAX];
};

struct entries {
	struct entry *list; /* owned */
	size_t nr, room;
};

/* "web/xvda": the guest's name has no slash. */
static void name_it(struct entry *entry)
{
	const char *slash;

	name_guest(entry->dev->env, entry->dev->domid, entry->domain);
	name_device(entry->dev, entry->device);
	slash = strrchr(entry->device, '/');
	if (slash)
		memmove(entry->device, slash + 1, strlen(slash));
}

static void note(void *user, struct device *dev)
{
	struct entries *entries = user;
	size_t room = entries->room ? 2 * entries->room : 64;

	if (entries->nr == entries->room) {
		struct entry *more = realloc(entries->list, room * sizeof(*more));

		if (!more)
			return;
		entries->list = more;
		entries->room = room;
	}
	entries->list[entries->nr].dev = dev;
	name_it(&entries->list[entries->nr++]);
}

static void write_attached(const struct metrics *metrics, const struct entries *entries)
{
	static const char name[] = "pvbackd_device_attached";

	metrics_family(metrics, name, METRICS_GAUGE, "Whether its rings are served: 1 or 0.");
	for (size_t i = 0; i < entries->nr; i++) {
		const struct entry *entry = &entries->list[i];
		const struct metrics_label labels[] = { { "domain", entry->domain },
							{ "device", entry->device },
							{ "kind", entry->dev->ops->kind },
							{ NULL, NULL } };

		metrics_sample(metrics, name, METRICS_GAUGE, labels,
			       entry->dev->activity == DEVICE_ATTACHED);
	}
}

static void write_figures(const struct metrics *metrics, const struct entries *entries)
{
	struct metrics_device *devices = calloc(entries->nr + 1, sizeof(*devices));
	size_t nr = 0;

	for (size_t i = 0; devices && i < entries->nr; i++) {
		const struct entry *entry = &entries->list[i];

		if (entry->dev->figures.mem)
			devices[nr++] = (struct metrics_device){ entry->domain, entry->device,
								 entry->dev->ops->kind,
								 &entry->dev->figures };
	}
	metrics_devices(metrics, devices, nr, loop_now_ns());
	free(devices);
}

/* --- processes --- */

struct serving {
	const struct metrics *metrics;
	const struct device_env *env;
};

static const char restarts[] = "pvbackd_process_restarts";
static const char guests_cpu[] = "pvbackd_process_cpu_seconds";
static const char own_cpu[] = "process_cpu_seconds"; /* the name that all programs use for this */

static void write_restarts(void *user, const struct guests_process *process)
{
	const struct serving *serving = user;
	char name[GUEST_NAME_MAX];
	const struct metrics_label labels[] = { { "domain", name }, { NULL, NULL } };

	name_guest(serving->env, process->domid, name);
	metrics_sample(serving->metrics, restarts, METRICS_COUNTER, labels, process->restarts);
}

static void write_cpu(void *user, const struct guests_process *process)
{
	const struct serving *serving = user;
	char name[GUEST_NAME_MAX];
	const struct metrics_label labels[] = { { "domain", name }, { NULL, NULL } };

	name_guest(serving->env, process->domid, name);
	metrics_seconds(serving->metrics, guests_cpu, METRICS_COUNTER, labels,
			cpu_ns(process->pid));
}

static void write_processes(const struct metrics *metrics, const struct device_env *env)
{
	static const struct metrics_label none[] = { { NULL, NULL } };
	struct serving serving = { metrics, env };

	metrics_family(metrics, restarts, METRICS_COUNTER,
		       "How often the process of a guest died and was replaced.");
	guests_each(env->guests, write_restarts, &serving);
	metrics_family(metrics, guests_cpu, METRICS_COUNTER,
		       "Processor time of the process of a guest.");
	guests_each(env->guests, write_cpu, &serving);
	metrics_family(metrics, own_cpu, METRICS_COUNTER, "Processor time of the daemon itself.");
	metrics_seconds(metrics, own_cpu, METRICS_COUNTER, none, cpu_ns(getpid()));
}

/* --- the daemon itself --- */

static void write_build(const struct metrics *metrics)
{
	static const struct metrics_label version[] = { { "version", PACKAGE_VERSION },
							{ NULL, NULL } };

	metrics_family(metrics, "pvbackd_build", METRICS_INFO, "The daemon's version.");
	metrics_sample(metrics, "pvbackd_build", METRICS_INFO, version, 1);
}

void metrics_write_all(void *user, const struct metrics *metrics)
{
	const struct metrics_daemon *daemon = user;
	struct entries entries = { 0 };

	registry_each(daemon->registry, note, &entries);
	write_build(metrics);
	write_processes(metrics, daemon->env);
	write_attached(metrics, &entries);
	write_figures(metrics, &entries);
	metrics_end(metrics);
	free(entries.list);
}
