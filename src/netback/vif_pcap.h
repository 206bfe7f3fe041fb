/* SPDX-License-Identifier: MIT */
/*
 * What an admin wants captured of a vif: its keys, and the file, which is handed to whoever serves the rings. Control
 * thread only.
 */
#ifndef PVB_NETBACK_VIF_PCAP_H
#define PVB_NETBACK_VIF_PCAP_H

#include "control/device.h"
#include "control/opener.h"
#include "core/messages.h"

struct pcap_opening;

/* What opens the files: a medium may hold that up. */
extern const struct opener_kind pcap_open_kind;

/* Begins as all zero but for `opened`: off. */
struct vif_pcap {
	/* A file is open, or cannot be: there are news for vif_pcap_send(). */
	void (*opened)(struct device *dev);
	struct pcap_opening *opening; /* owned; NULL: nothing is opened */
	char *keys;                   /* owned; as last read: the same again is no news */
	struct message *now;          /* owned; NULL: off */
	int fd;                       /* owned while there is `now` */
	bool told;                    /* whoever serves the rings knows of it */
	const void *owner; /* of one that is not by a key, until it says so itself; NULL */
	uint32_t number;   /* of the last that began */
	struct message_captured ended; /* the last one, by itself: err is not 0 */
};

/*
 * Read `pcap` and `pcap-filter` of the vif's own directory, and begin to open the file in `dir`; `ifname` is to appear in it.
 * What is wrong is logged, and there is no capture. True when there are news for vif_pcap_send(); opened() may follow.
 */
bool vif_pcap_read(struct vif_pcap *pcap, struct device *dev, const char *ifname, const char *dir);
/* As capture() of struct device_ops: 0 with news for vif_pcap_send(), or -errno. When it ends the keys hold again. */
int vif_pcap_direct(struct vif_pcap *pcap, const struct device_capture *what, const char *ifname,
		    const char **ret_why);
/* As captures() of struct device_ops. */
bool vif_pcap_captures(const struct vif_pcap *pcap, const void *owner,
		       struct message_captured *ret);
/* Whoever serves the rings says that one has ended by itself. False when that makes no sense. */
bool vif_pcap_ended(struct vif_pcap *pcap, const struct message_captured *how);
/* Is a file still to be opened? */
bool vif_pcap_opens(const struct vif_pcap *pcap);
/* Does a change of this key concern us? */
bool vif_pcap_reads(const char *key);
/* To whoever serves the rings, unless that knows. */
void vif_pcap_send(struct vif_pcap *pcap, struct device *dev);
/* Idempotent. */
void vif_pcap_done(struct vif_pcap *pcap);

/* Parse "on", or a list of snaplen=BYTES and size=MIB; false with off, 0 or nothing. 0 or -EINVAL. */
int vif_pcap_parse(const char *text, struct message_capture *ret);
/* The file, empty; the one before it is kept as `path`.old. It may wait. A descriptor for the caller to own, or -errno. */
int vif_pcap_open(const char *path);

#endif
