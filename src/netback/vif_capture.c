/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netback/vif_capture.h"
#include "core/parse.h"

#define PATH_SIZE        (PATH_MAX + 64u) /* of a directory, and the name in it */
#define DEFAULT_SNAPLEN  CAPTURE_MAX_SNAPLEN
#define DEFAULT_SIZE_MIB 16u
#define MAX_SIZE_MIB     (1024u * 1024u)

struct vif_capture_entry {
	struct capture *capture; /* owned */
	struct vif_capture_entry *older;
};

static int parse_word(const char *word, uint32_t *snaplen, uint32_t *mib)
{
	if (!strncmp(word, "snaplen=", 8))
		return parse_u32(word + 8, 1, CAPTURE_MAX_SNAPLEN, snaplen);
	if (!strncmp(word, "size=", 5))
		return parse_u32(word + 5, 1, MAX_SIZE_MIB, mib);
	return strcmp(word, "on") && strcmp(word, "1") ? -EINVAL : 0;
}

int vif_capture_parse(const char *text, bool *ret_on, uint32_t *ret_snaplen,
		      uint64_t *ret_max_bytes)
{
	uint32_t snaplen = DEFAULT_SNAPLEN, mib = DEFAULT_SIZE_MIB;
	char copy[128], *rest = copy, *word;
	bool on = *text && strcmp(text, "off") && strcmp(text, "0");

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	while (on && (word = strsep(&rest, ", ")))
		if (*word && parse_word(word, &snaplen, &mib))
			return -EINVAL;
	*ret_on = on;
	*ret_snaplen = snaplen;
	*ret_max_bytes = (uint64_t)mib << 20;
	return 0;
}

/* "" when there is none. */
static int read_key(struct device *dev, const char *key, char *buf, size_t size)
{
	int err = store_read(dev->env->store, XBT_NULL, dev->be_path, key, buf, size);

	if (err == -ENOENT)
		buf[0] = '\0';
	return err == -ENOENT ? 0 : err;
}

static void stop(struct vif_capture *capture)
{
	struct capture *now = vif_capture_get(capture);

	atomic_store(&capture->now, NULL);
	if (now)
		capture_stop(now);
}

static void complain(struct device *dev, int err, const char *path)
{
	if (err == -EINVAL)
		device_log(dev, LOG_LEVEL_WARNING,
			   "`pcap-filter` is not understood (pcap-filter(7)): no capture");
	else if (err == -EOPNOTSUPP)
		device_log(
			dev, LOG_LEVEL_WARNING,
			"this pvbackd was built without libpcap, so there are no filters: remove "
			"`pcap-filter`");
	else
		device_log(dev, LOG_LEVEL_WARNING, "no capture in %s: %s", path, strerror(-err));
}

static int start(struct vif_capture *capture, struct device *dev,
		 const struct capture_options *options)
{
	struct vif_capture_entry *entry = calloc(1, sizeof(*entry));
	int err = entry ? capture_start(options, &entry->capture) : -ENOMEM;

	if (err) {
		complain(dev, err, options->path);
		free(entry);
		return err;
	}
	entry->older = capture->all;
	capture->all = entry;
	atomic_store_explicit(&capture->now, entry->capture, memory_order_release);
	return 0;
}

/* One earlier capture stays, so that a restart of the daemon does not lose it. */
static void keep_old(const char *path)
{
	char old[PATH_SIZE + 4];

	snprintf(old, sizeof(old), "%s.old", path);
	rename(path, old);
}

/* A new vif's keys are told one by one: begin only once. */
static bool are_news(struct vif_capture *capture, const char *text, const char *filter)
{
	char keys[128 + STORE_VALUE_MAX];

	snprintf(keys, sizeof(keys), "%s\n%s", text, filter);
	if (capture->keys && !strcmp(capture->keys, keys))
		return false;
	free(capture->keys);
	capture->keys = strdup(keys);
	return true;
}

void vif_capture_read(struct vif_capture *capture, struct device *dev, const char *ifname,
		      const char *dir)
{
	struct capture_options options = { .name = dev->name, .ifname = ifname };
	char text[128] = "", filter[STORE_VALUE_MAX] = "", path[PATH_SIZE];
	bool on;
	int err = read_key(dev, "pcap", text, sizeof(text));

	if (!err)
		err = read_key(dev, "pcap-filter", filter, sizeof(filter));
	if (!are_news(capture, text, filter))
		return;
	stop(capture);
	if (!err)
		err = vif_capture_parse(text, &on, &options.snaplen, &options.max_bytes);
	if (err)
		device_log(
			dev, LOG_LEVEL_WARNING,
			"`pcap` is not on, off or a list of snaplen=BYTES, size=MIB: no capture");
	if (err || !on)
		return;
	snprintf(path, sizeof(path), "%s/vif-%u-%u.pcapng", dir, dev->domid, dev->devid);
	options.path = path;
	options.filter = filter;
	keep_old(path);
	if (!start(capture, dev, &options))
		device_log(dev, LOG_LEVEL_INFO, "captures into %s", path);
}

bool vif_capture_reads(const char *key)
{
	return !strcmp(key, "pcap") || !strcmp(key, "pcap-filter");
}

void vif_capture_done(struct vif_capture *capture, bool wait)
{
	struct vif_capture_entry *entry;

	atomic_store(&capture->now, NULL);
	while ((entry = capture->all)) {
		capture->all = entry->older;
		capture_put(entry->capture, wait ? 1000 : 0);
		free(entry);
	}
	free(capture->keys);
	capture->keys = NULL;
}
