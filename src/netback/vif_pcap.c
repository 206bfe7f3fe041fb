/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/guests.h"
#include "core/container_of.h"
#include "core/parse.h"
#include "core/slow.h"
#include "netback/capture.h"
#include "netback/pcap_filter.h"
#include "netback/vif_pcap.h"

#define PATH_SIZE        (PATH_MAX + 64u) /* a directory, and the file's name in it */
#define DEFAULT_SIZE_MIB 16u
#define MAX_SIZE_MIB     (1024u * 1024u)

/* --- the keys --- */

static int parse_word(const char *word, uint32_t *snaplen, uint32_t *mib)
{
	if (!strncmp(word, "snaplen=", 8))
		return parse_u32(word + 8, 1, CAPTURE_MAX_SNAPLEN, snaplen);
	if (!strncmp(word, "size=", 5))
		return parse_u32(word + 5, 1, MAX_SIZE_MIB, mib);
	return strcmp(word, "on") && strcmp(word, "1") ? -EINVAL : 0;
}

int vif_pcap_parse(const char *text, struct message_capture *ret)
{
	uint32_t snaplen = CAPTURE_MAX_SNAPLEN, mib = DEFAULT_SIZE_MIB;
	char copy[128], *rest = copy, *word;
	bool on = *text && strcmp(text, "off") && strcmp(text, "0");

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	while (on && (word = strsep(&rest, ", ")))
		if (*word && parse_word(word, &snaplen, &mib))
			return -EINVAL;
	ret->on = on;
	ret->snaplen = snaplen;
	ret->max_bytes = (uint64_t)mib << 20;
	return 0;
}

/* "" when there is no such key. */
static int read_key(struct device *dev, const char *key, char *buf, size_t size)
{
	int err = store_read(dev->env->store, XBT_NULL, dev->be_path, key, buf, size);

	if (err == -ENOENT)
		buf[0] = '\0';
	return err == -ENOENT ? 0 : err;
}

/* --- the file --- */

struct pcap_file {
	char path[PATH_SIZE];
	int err; /* the answer */
};

struct pcap_opening {
	struct opener_request req;
	struct pcap_file file;
	struct device *dev; /* borrowed */
	struct vif_pcap *pcap;
	struct message *wanted; /* owned: what to capture into the file */
};

/* Keep one earlier capture, so that a restart of the daemon does not lose it. */
static void keep_old(const char *path)
{
	char old[PATH_SIZE + 4];

	snprintf(old, sizeof(old), "%s.old", path);
	rename(path, old);
}

int vif_pcap_open(const char *path)
{
	int fd;

	keep_old(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

static int open_file(void *question)
{
	struct pcap_file *file = question;
	int fd = vif_pcap_open(file->path);

	file->err = fd < 0 ? fd : 0;
	return fd < 0 ? -1 : fd;
}

const struct opener_kind pcap_open_kind = { sizeof(struct pcap_file), open_file };

static void forget_opening(struct vif_pcap *pcap)
{
	if (pcap->opening)
		free(pcap->opening->wanted);
	free(pcap->opening);
	pcap->opening = NULL;
}

static void give_up_opening(struct vif_pcap *pcap)
{
	if (!pcap->opening)
		return;
	opener_give_up(pcap->opening->dev->env->opener, &pcap->opening->req);
	forget_opening(pcap);
}

bool vif_pcap_opens(const struct vif_pcap *pcap)
{
	return pcap->opening != NULL;
}

/* --- the capture --- */

/* The watches of a new vif's keys fire one by one: the capture must begin only once. */
static bool are_news(struct vif_pcap *pcap, const char *text, const char *filter)
{
	char keys[128 + STORE_VALUE_MAX];

	snprintf(keys, sizeof(keys), "%s\n%s", text, filter);
	if (pcap->keys && !strcmp(pcap->keys, keys))
		return false;
	free(pcap->keys);
	pcap->keys = strdup(keys);
	return true;
}

static void stop(struct vif_pcap *pcap)
{
	give_up_opening(pcap);
	if (!pcap->now)
		return;
	slow_close(&pcap->fd);
	free(pcap->now);
	pcap->now = NULL;
}

static void begin(struct vif_pcap *pcap, struct message *what, int fd)
{
	what->capture.number = ++pcap->number;
	pcap->now = what;
	pcap->fd = fd;
	pcap->ended = (struct message_captured){ 0 };
}

static void complain(struct device *dev, int err, const char *path)
{
	const char *problem = pcap_filter_problem(err);

	if (problem)
		device_log(dev, LOG_LEVEL_WARNING, "no capture: `pcap-filter` %s", problem);
	else
		device_log(dev, LOG_LEVEL_WARNING, "no capture in %s: %s", path, strerror(-err));
}

static void file_opened(struct opener_request *req, int err, int fd)
{
	struct pcap_opening *opening = container_of(req, struct pcap_opening, req);
	struct vif_pcap *pcap = opening->pcap;
	struct device *dev = opening->dev;

	if (!err)
		err = opening->file.err;
	if (err) {
		complain(dev, err, opening->file.path);
	} else {
		begin(pcap, opening->wanted, fd);
		opening->wanted = NULL;
		device_log(dev, LOG_LEVEL_INFO, "captures into %s", opening->file.path);
	}
	forget_opening(pcap);
	pcap->told = false;
	pcap->opened(dev);
}

/* `wanted` is complete except for the filter and the file's name. */
static int start(struct vif_pcap *pcap, struct device *dev, const struct message *wanted,
		 const char *filter, const char *path)
{
	struct pcap_opening *opening = calloc(1, sizeof(*opening));
	int err = opening ? 0 : -ENOMEM;

	pcap->opening = opening;
	if (err)
		return err;
	*opening = (struct pcap_opening){
		.req = { .kind = &pcap_open_kind, .question = &opening->file, .done = file_opened },
		.dev = dev,
		.pcap = pcap,
		.wanted = malloc(sizeof(*wanted))
	};
	snprintf(opening->file.path, sizeof(opening->file.path), "%s", path);
	err = opening->wanted ? 0 : -ENOMEM;
	if (!err) {
		*opening->wanted = *wanted;
		snprintf(opening->wanted->capture.name, MESSAGE_NAME_MAX, "%.*s",
			 (int)MESSAGE_NAME_MAX - 1, path);
		err = pcap_filter_compile(filter, &opening->wanted->capture);
	}
	if (!err)
		err = opener_ask(dev->env->opener, &opening->req);
	if (err)
		forget_opening(pcap);
	return err;
}

static void start_or_complain(struct vif_pcap *pcap, struct device *dev,
			      const struct message *wanted, const char *filter, const char *dir)
{
	char path[PATH_SIZE];
	int err;

	snprintf(path, sizeof(path), "%s/vif-%u-%u.pcapng", dir, dev->domid, dev->devid);
	err = start(pcap, dev, wanted, filter, path);
	if (err)
		complain(dev, err, path);
}

bool vif_pcap_read(struct vif_pcap *pcap, struct device *dev, const char *ifname, const char *dir)
{
	struct message wanted = { .type = MESSAGE_CAPTURE };
	char text[128] = "", filter[STORE_VALUE_MAX] = "";
	int err = read_key(dev, "pcap", text, sizeof(text));

	if (!err)
		err = read_key(dev, "pcap-filter", filter, sizeof(filter));
	if (!are_news(pcap, text, filter))
		return false;
	stop(pcap);
	pcap->owner = NULL;
	pcap->told = false;
	snprintf(wanted.capture.ifname, sizeof(wanted.capture.ifname), "%s", ifname);
	if (!err)
		err = vif_pcap_parse(text, &wanted.capture);
	if (err)
		device_log(
			dev, LOG_LEVEL_WARNING,
			"`pcap` is not on, off or a list of snaplen=BYTES, size=MIB: no capture");
	else if (wanted.capture.on)
		start_or_complain(pcap, dev, &wanted, filter, dir);
	return true;
}

/* Then the keys count as new again. */
static int end_direct(struct vif_pcap *pcap, const void *owner)
{
	if (!pcap->owner || pcap->owner != owner)
		return -ENOENT;
	stop(pcap);
	pcap->owner = NULL;
	free(pcap->keys);
	pcap->keys = NULL;
	pcap->told = false;
	return 0;
}

int vif_pcap_direct(struct vif_pcap *pcap, const struct device_capture *what, const char *ifname,
		    const char **ret_why)
{
	struct message *wanted;
	int err;

	if (what->fd < 0)
		return end_direct(pcap, what->owner);
	wanted = calloc(1, sizeof(*wanted));
	if (!wanted)
		return -ENOMEM;
	wanted->type = MESSAGE_CAPTURE;
	wanted->capture.on = true;
	wanted->capture.snaplen = what->snaplen;
	wanted->capture.max_bytes = what->max_bytes;
	snprintf(wanted->capture.ifname, sizeof(wanted->capture.ifname), "%s", ifname);
	snprintf(wanted->capture.name, sizeof(wanted->capture.name), "an admin's file or pipe");
	err = pcap_filter_compile(what->filter, &wanted->capture);
	if (err) {
		*ret_why = pcap_filter_problem(err);
		free(wanted);
		return err;
	}
	stop(pcap);
	begin(pcap, wanted, what->fd);
	pcap->owner = what->owner;
	pcap->told = false;
	return 0;
}

bool vif_pcap_captures(const struct vif_pcap *pcap, const void *owner, struct message_captured *ret)
{
	*ret = pcap->ended;
	return pcap->owner == owner;
}

bool vif_pcap_ended(struct vif_pcap *pcap, const struct message_captured *how)
{
	if (message_err(how->err) == 0)
		return false;
	if (!pcap->now || pcap->now->capture.number != how->number)
		return true; /* another capture has taken its place */
	pcap->ended = *how;
	pcap->ended.err = message_err(how->err);
	stop(pcap);
	return true;
}

bool vif_pcap_reads(const char *key)
{
	return !strcmp(key, "pcap") || !strcmp(key, "pcap-filter");
}

void vif_pcap_send(struct vif_pcap *pcap, struct device *dev)
{
	struct message off = { .type = MESSAGE_CAPTURE };

	if (pcap->told)
		return;
	pcap->told = true;
	if (pcap->now)
		guests_send(dev, pcap->now, &pcap->fd, 1);
	else
		guests_send(dev, &off, NULL, 0);
}

void vif_pcap_done(struct vif_pcap *pcap)
{
	stop(pcap);
	free(pcap->keys);
	pcap->keys = NULL;
}
