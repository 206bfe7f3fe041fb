/* SPDX-License-Identifier: MIT */
/*
 * The capture that an admin wants of a vif: its keys, and its file, which the process that serves the rings gets.
 * Control thread only.
 */
#ifndef PVB_NETBACK_VIF_PCAP_H
#define PVB_NETBACK_VIF_PCAP_H

#include "control/device.h"
#include "control/opener.h"
#include "core/messages.h"

struct pcap_opening;

/* Opens the files: a medium may hold that up. */
extern const struct opener_kind pcap_open_kind;

/* Zero-initialise, and set `opened`: off. */
struct vif_pcap {
	/* A file was opened, or cannot be: there is something for vif_pcap_send(). */
	void (*opened)(struct device *dev);
	struct pcap_opening *opening; /* owned; NULL: no file is being opened */
	char *keys;                   /* owned; as last read: the same keys again change nothing */
	struct message *now;          /* owned; NULL: off */
	int fd;                       /* owned while there is `now` */
	bool told;                    /* the process that serves the rings knows of it */
	const void *owner; /* of a capture that is not by a key, until its owner ends it; or NULL */
	uint32_t number;   /* of the last capture that began */
	struct message_captured ended; /* the last one that ended by itself: err is not 0 */
};

/*
 * Read `pcap` and `pcap-filter` of the vif's own directory, and begin to open the file in `dir`. `ifname` will be in
 * the file. A wrong value is logged, and there is no capture. True when there is something for vif_pcap_send().
 * opened() may follow.
 */
bool vif_pcap_read(struct vif_pcap *pcap, struct device *dev, const char *ifname, const char *dir);
/*
 * As capture() of struct device_ops. 0: there is something for vif_pcap_send(); or -errno. When this capture ends, the
 * keys hold again.
 */
int vif_pcap_direct(struct vif_pcap *pcap, const struct device_capture *what, const char *ifname,
		    const char **ret_why);
/* As captures() of struct device_ops. */
bool vif_pcap_captures(const struct vif_pcap *pcap, const void *owner,
		       struct message_captured *ret);
/* The process that serves the rings reports that a capture has ended by itself. False when that makes no sense. */
bool vif_pcap_ended(struct vif_pcap *pcap, const struct message_captured *how);
/* Whether a file is still being opened. */
bool vif_pcap_opens(const struct vif_pcap *pcap);
/* Whether a change of this key matters here. */
bool vif_pcap_reads(const char *key);
/* Send the capture to the process that serves the rings, unless it knows. */
void vif_pcap_send(struct vif_pcap *pcap, struct device *dev);
/* Idempotent. */
void vif_pcap_done(struct vif_pcap *pcap);

/* Parse "on", or a list of snaplen=BYTES and size=MIB. False for off, 0 or nothing. 0 or -EINVAL. */
int vif_pcap_parse(const char *text, struct message_capture *ret);
/*
 * Create the file, empty. The one before it is kept as `path`.old. May block. Returns a descriptor that the caller
 * owns, or -errno.
 */
int vif_pcap_open(const char *path);

#endif
