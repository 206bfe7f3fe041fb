/* SPDX-License-Identifier: MIT */
/*
 * xl.h - the toolstack: what libxl of Xen 4.17 writes, in its order, within its
 * transactions, with its permissions, and what it waits for.
 */
#ifndef SIM_XL_H
#define SIM_XL_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

#include "client.h"
#include "util.h"

#define XL_STATE_LIMIT_MS  10000 /* LIBXL_INIT_TIMEOUT, LIBXL_DESTROY_TIMEOUT */
#define XL_SCRIPT_LIMIT_MS 40000 /* LIBXL_HOTPLUG_TIMEOUT */

struct xl {
	struct xs_handle *xs;
	struct sim_client_conn hv;
};

/* A list of key, value pairs, ended by a NULL key. Owns its strings. */
struct xl_keys {
	char *key[32], *value[32];
	unsigned int nr;
};
void xl_keys_add(struct xl_keys *keys, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void xl_keys_free(struct xl_keys *keys);

enum xl_script_mode {
	XL_SCRIPT_RUN,   /* run the device's script, as libxl does */
	XL_SCRIPT_WRITE, /* write what a script that succeeds writes */
	XL_SCRIPT_NONE,  /* do nothing: the test does it */
};

struct xl_device {
	uint32_t domid;
	uint32_t devid;
	uint32_t backend; /* the domain that serves it; Dom0 unless it is a driver domain */
	const char *kind; /* "vbd" or "vif", both ends */
	enum xl_script_mode mode;
	char *be_path, *fe_path, *libxl_path; /* owned */
};
void xl_device_init(struct xl_device *dev, uint32_t domid, const char *kind, uint32_t devid);
/* The same for a device that is there: a disk may be another backend's. */
void xl_device_find(struct xl *xl, struct xl_device *dev, uint32_t domid, const char *kind,
		    uint32_t devid);
void xl_device_done(struct xl_device *dev);
void xl_device_set_backend(struct xl_device *dev, uint32_t backend);
/* For a device that is there: whichever domain serves it. */
void xl_device_find_backend(struct xl *xl, struct xl_device *dev);

/* libxl__device_generic_add(): all in one transaction. 0 or -errno. */
int xl_device_write(struct xl *xl, const struct xl_device *dev, const struct xl_keys *back,
		    const struct xl_keys *front, const struct xl_keys *front_ro);
/*
 * The rest of an attach: wait until the backend is in exactly state 2, then the
 * hotplug script. 0 or -errno with a line on stderr; the device stays.
 */
int xl_device_connect(struct xl *xl, const struct xl_device *dev);
/* Start of a removal: online=0 and state=5; with @force the frontend goes too. */
int xl_device_ask_close(struct xl *xl, const struct xl_device *dev, bool force);
/* Wait for exactly 6, run the script, remove all nodes. @force: go on anyway. */
int xl_device_finish_close(struct xl *xl, const struct xl_device *dev, bool force);

/*
 * Wait until @path holds exactly @value. 0, -ETIMEDOUT, or -ENOENT when the
 * node vanishes (unless @may_be_missing).
 */
int xl_wait_value(struct xl *xl, const char *path, const char *value, int limit_ms,
		  bool may_be_missing);
char *xl_read(struct xl *xl, const char *path);

int xl_domain_create(struct xl *xl, int argc, char **argv);
int xl_domain_destroy(struct xl *xl, uint32_t domid);
int xl_block_attach(struct xl *xl, int argc, char **argv);
int xl_network_attach(struct xl *xl, int argc, char **argv);
int xl_detach(struct xl *xl, const char *kind, int argc, char **argv);

#endif
