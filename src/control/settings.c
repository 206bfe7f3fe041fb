/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/settings.h"

struct setting {
	struct setting *next;    /* owned */
	char *guest, *device;    /* owned; `device` may be NULL */
	const struct key *table; /* borrowed */
	const struct key *key;   /* one of the table */
	char *value;             /* owned */
};

static void free_setting(struct setting *setting)
{
	free(setting->guest);
	free(setting->device);
	free(setting->value);
	free(setting);
}

int settings_add(struct settings *settings, const char *guest, const char *device,
		 const struct key *table, const struct key *key, const char *value)
{
	struct setting *setting = calloc(1, sizeof(*setting));

	if (!setting)
		return -ENOMEM;
	setting->table = table;
	setting->key = key;
	setting->guest = strdup(guest);
	setting->device = device ? strdup(device) : NULL;
	setting->value = strdup(value);
	if (!setting->guest || !setting->value || (device && !setting->device)) {
		free_setting(setting);
		return -ENOMEM;
	}
	if (settings->last)
		settings->last->next = setting;
	else
		settings->first = setting;
	settings->last = setting;
	return 0;
}

static bool is_of(const struct setting *setting, const struct settings_of *of)
{
	if (strcmp(setting->guest, of->guest) != 0)
		return false;
	return !setting->device || !strcasecmp(setting->device, of->device[0]) ||
	       !strcasecmp(setting->device, of->device[1]);
}

static void apply(const struct settings *settings, const struct settings_of *of,
		  const struct key *table, void *values, bool of_device)
{
	for (const struct setting *s = settings->first; s; s = s->next)
		if (s->table == table && (s->device != NULL) == of_device && is_of(s, of))
			s->key->parse(s->key, s->value, (char *)values + s->key->at);
}

void settings_apply(const struct settings *settings, const struct settings_of *of,
		    const struct key *table, void *values)
{
	apply(settings, of, table, values, false);
	apply(settings, of, table, values, true);
}

void settings_free(struct settings *settings)
{
	struct setting *setting;

	while ((setting = settings->first)) {
		settings->first = setting->next;
		free_setting(setting);
	}
	settings->last = NULL;
}
