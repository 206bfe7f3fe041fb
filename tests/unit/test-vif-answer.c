/* SPDX-License-Identifier: MIT */
/*
 * How a vif handles the messages of the process that serves its rings: the expected ones, and those that a process may send when
 * a guest has taken it over. Everything around the vif is replaced by a few variables.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/guests.h"
#include "netback/tap_keeper.h"
#include "netback/tap_mark.h"
#include "netback/tap_share.h"
#include "netback/vif.h"
#include "netback/vif_file.h"
#include "netback/vif_front.h"
#include "netback/vif_options.h"
#include "netback/vif_pcap.h"
#include "netback/vif_quirks.h"
#include "netback/vif_state.h"
#include "netback/vif_steer.h"
#include "netback/vif_tune.h"

#define NR_QUEUES 2u

static struct device *vif;
static unsigned int nr_sent[MESSAGE_NR_TYPES], nr_forgotten, nr_reasons, nr_ready, nr_steered;
static unsigned int nr_removed; /* times that its files were */
static struct message last;     /* that was sent */
static bool carrier, is_left;
static struct message left_start;
static struct message_served left_served;
static struct vif_front front;
static uint16_t headroom;
static int reason;

/* --- control --- */

void device_notice(struct device *dev, enum log_level level, const char *notice, const char *fmt,
		   ...)
{
	(void)dev, (void)level, (void)notice, (void)fmt;
}

void device_log(struct device *dev, enum log_level level, const char *fmt, ...)
{
	(void)dev;
	(void)level;
	(void)fmt;
}

void device_reason(struct device *dev, int err, const char *fmt, ...)
{
	(void)dev;
	(void)fmt;
	assert_in_range(-err, 1, 4095);
	reason = err;
	nr_reasons++;
}

void device_attached(struct device *dev, int err)
{
	assert_int_equal(dev->activity, DEVICE_ATTACHING);
	dev->activity = err ? DEVICE_IDLE : DEVICE_ATTACHED;
}

void device_not_yet(struct device *dev)
{
	assert_int_equal(dev->activity, DEVICE_ATTACHING);
	dev->activity = DEVICE_IDLE;
}

bool device_may_go_on(struct device *dev)
{
	(void)dev;
	return true;
}

void device_detached(struct device *dev)
{
	assert_int_equal(dev->activity, DEVICE_DETACHING);
	dev->activity = DEVICE_IDLE;
}

void device_broken(struct device *dev, int err, const char *why)
{
	assert_int_equal(dev->activity, DEVICE_ATTACHED);
	assert_in_range(-err, 1, 4095);
	assert_true(*why);
	dev->broken = true;
}

int device_settings(struct device *dev, const struct key *keys, void *values)
{
	(void)dev;
	(void)keys;
	(void)values;
	return 0;
}

void device_watch_front(struct device *dev, const char *key, bool on)
{
	(void)dev;
	(void)key;
	(void)on;
}

unsigned int device_offer_queues(const struct device *dev, unsigned int most)
{
	(void)dev;
	(void)most;
	return NR_QUEUES;
}

void device_say_slip(struct device *dev, const struct key *keys, const char *name)
{
	(void)dev;
	(void)keys;
	(void)name;
}

void device_say_slips(struct device *dev, const struct key *keys)
{
	(void)dev;
	(void)keys;
}

static void ready(struct device *dev)
{
	(void)dev;
	nr_ready++;
}

bool guests_left(const struct device *dev)
{
	(void)dev;
	return is_left;
}

void guests_adopt(struct device *dev, struct message *ret_start, struct message_served *ret_served)
{
	(void)dev;
	*ret_start = left_start;
	*ret_served = left_served;
	is_left = false;
}

void guests_forget(struct device *dev)
{
	(void)dev;
	nr_forgotten++;
}

void guests_send(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds)
{
	(void)dev;
	(void)fds;
	(void)nr_fds;
	nr_sent[message->type]++;
	last = *message;
}

int guests_start(struct device *dev, struct message *message, const int *fds, unsigned int nr_fds)
{
	assert_int_equal(nr_fds, NR_QUEUES + 3); /* the taps; two undos, and what is kept */
	guests_send(dev, message, fds, nr_fds);
	return 0;
}

/* --- xenstore: nothing is in it --- */

void store_hold_names(struct store *store, const char *dir)
{
	(void)store;
	(void)dir;
}

void store_drop_names(struct store *store)
{
	(void)store;
}

int store_read(struct store *store, xs_transaction_t t, const char *dir, const char *key, char *buf,
	       size_t size)
{
	(void)store;
	(void)t;
	(void)dir;
	(void)key;
	(void)buf;
	(void)size;
	return -ENOENT;
}

int store_read_u32(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		   uint32_t min, uint32_t max, uint32_t *ret)
{
	(void)store;
	(void)t;
	(void)dir;
	(void)key;
	(void)min;
	(void)max;
	(void)ret;
	return -ENOENT;
}

int store_read_flag(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		    bool otherwise, bool *ret)
{
	(void)store;
	(void)t;
	(void)dir;
	(void)key;
	*ret = otherwise;
	return 0;
}

int store_write(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		const char *value)
{
	(void)store;
	(void)t;
	(void)dir;
	(void)key;
	(void)value;
	return 0;
}

int store_writef(struct store *store, xs_transaction_t t, const char *dir, const char *key,
		 const char *fmt, ...)
{
	(void)store;
	(void)t;
	(void)dir;
	(void)key;
	(void)fmt;
	return 0;
}

int store_transact(struct store *store, const char *who, store_fn fn, void *user)
{
	(void)store;
	(void)who;
	(void)fn;
	(void)user;
	return 0;
}

/* --- the tap --- */

int tap_open(struct tap *tap, const char *name, unsigned int max_queues)
{
	(void)name;
	*tap = (struct tap){ .open = true, .nr_fds = max_queues, .adopted = true };
	return 0;
}

void tap_close(struct tap *tap, bool remove)
{
	(void)remove;
	*tap = (struct tap){ 0 };
}

int tap_set_carrier(struct tap *tap, bool on)
{
	assert_true(tap->open);
	carrier = on;
	return 0;
}

int tap_set_queues(struct tap *tap, unsigned int nr)
{
	assert_in_range(nr, 1, tap->nr_fds);
	return 0;
}

int tap_set_offload(struct tap *tap, unsigned int flags)
{
	(void)tap;
	(void)flags;
	return 0;
}

int tap_set_mtu(struct tap *tap, unsigned int mtu)
{
	(void)tap;
	(void)mtu;
	return 0;
}

int tap_get_mtu(const struct tap *tap, unsigned int *ret_mtu)
{
	(void)tap;
	*ret_mtu = 1500;
	return 0;
}

void tap_master(const char *class_net, const char *name, char ret_name[IFNAMSIZ])
{
	(void)class_net, (void)name;
	ret_name[0] = '\0';
}

int tap_name(const struct tap *tap, char ret_name[IFNAMSIZ])
{
	(void)tap;
	(void)ret_name;
	return 0;
}

bool tap_is_here(const struct tap *tap)
{
	(void)tap;
	return true;
}

int tap_share_take(struct tap_share *share, struct tap *tap, uint32_t frame_bytes,
		   uint32_t nr_queues)
{
	(void)share;
	(void)tap;
	(void)frame_bytes;
	assert_in_range(nr_queues, 1, NR_QUEUES);
	return 0;
}

void tap_share_drop(struct tap_share *share)
{
	(void)share;
}

void tap_keeper_keep(const struct vif_id *id, const struct tap *tap)
{
	(void)id;
	(void)tap;
}

void tap_keeper_drop(const struct vif_id *id)
{
	(void)id;
}

int tap_mark_open(const struct vif_id *id, struct tap_mark **ret)
{
	(void)id;
	*ret = NULL;
	return -ENOENT;
}

struct tap_mark *tap_mark_close(struct tap_mark *mark)
{
	return mark;
}

bool tap_mark_exists(const struct vif_id *id)
{
	(void)id;
	return false;
}

int tap_mark_adopt(const struct tap_mark *mark, const struct vif_id *id, struct tap *tap,
		   unsigned int max_queues)
{
	(void)mark;
	(void)id;
	(void)tap;
	(void)max_queues;
	return -ENODEV;
}

void tap_mark_note(struct tap_mark *mark, struct tap *tap)
{
	(void)mark;
	(void)tap;
}

void vif_file_forget_mark(const struct vif_id *id)
{
	(void)id;
}

/* --- the other parts of a vif --- */

int vif_front_read(struct device *dev, unsigned int max_queues, struct vif_front *ret)
{
	(void)dev;
	(void)max_queues;
	*ret = front;
	return 0;
}

void vif_front_apply_quirks(struct vif_front *of, unsigned int quirks)
{
	(void)of;
	(void)quirks;
}

int vif_front_read_headroom(struct device *dev, uint16_t *ret)
{
	(void)dev;
	*ret = headroom;
	return 0;
}

unsigned int vif_quirks_find(struct device *dev, const struct vif_front *of,
			     const struct vif_quirks_choice *otherwise)
{
	(void)dev;
	(void)of;
	(void)otherwise;
	return 0;
}

void vif_tune_read(struct message_nic_tuning *tuning, bool *any_ip, struct device *dev,
		   const struct vif_options *options)
{
	(void)any_ip;
	(void)dev;
	(void)options;
	tuning->tx_bytes.amount++; /* another one each time */
}

bool vif_tune_reads(const char *key)
{
	return !strcmp(key, "rate");
}

bool vif_pcap_read(struct vif_pcap *pcap, struct device *dev, const char *ifname, const char *dir)
{
	(void)pcap;
	(void)dev;
	(void)ifname;
	(void)dir;
	return false;
}

bool vif_pcap_opens(const struct vif_pcap *pcap)
{
	(void)pcap;
	return false;
}

bool vif_pcap_reads(const char *key)
{
	(void)key;
	return false;
}

void vif_pcap_send(struct vif_pcap *pcap, struct device *dev)
{
	(void)pcap;
	(void)dev;
}

bool vif_pcap_captures(const struct vif_pcap *pcap, const void *owner, struct message_captured *ret)
{
	(void)pcap, (void)owner, (void)ret;
	return false;
}

bool vif_pcap_ended(struct vif_pcap *pcap, const struct message_captured *how)
{
	(void)pcap;
	return how->err < 0;
}

int vif_pcap_direct(struct vif_pcap *pcap, const struct device_capture *what, const char *ifname,
		    const char **ret_why)
{
	(void)pcap, (void)what, (void)ifname, (void)ret_why;
	return 0;
}

int vif_pcap_parse(const char *text, struct message_capture *ret)
{
	(void)text, (void)ret;
	return 0;
}

void vif_pcap_done(struct vif_pcap *pcap)
{
	(void)pcap;
}

int vif_state_open(struct vif_state *state, struct device *dev,
		   const struct message_start_nic *start)
{
	(void)dev;
	*state = (struct vif_state){ .nr_fds = start->nr_queues + start->ctrl + 1 };
	return 0;
}

void vif_state_close(struct vif_state *state)
{
	(void)state;
}

void vif_state_read_hash(const struct device *dev, uint32_t nr_queues, struct message_hash *ret)
{
	(void)dev;
	(void)nr_queues;
	*ret = (struct message_hash){ 0 };
}

void vif_state_remove(const struct device *dev)
{
	(void)dev;
	nr_removed++;
}

void vif_steer_start(struct vif_steer *steer, struct loop *loop, struct tap *tap,
		     uint32_t nr_queues, const struct message_hash *config)
{
	(void)steer;
	(void)loop;
	(void)tap;
	assert_true(hash_config_is_valid(config, nr_queues));
}

void vif_steer_change(struct vif_steer *steer, const struct message_hash *config)
{
	(void)steer;
	assert_true(hash_config_is_valid(config, NR_QUEUES));
	nr_steered++;
}

void vif_steer_stop(struct vif_steer *steer, bool keep)
{
	(void)steer;
	(void)keep;
}

void vif_steer_dump(const struct vif_steer *steer, FILE *out)
{
	(void)steer;
	(void)out;
}

/* --- the rig --- */

static struct vif_options options;
static struct device_env env = { .ready = ready, .vif = &options, .runtime_dir = "/nowhere" };

static int setup(void **state)
{
	(void)state;
	memset(nr_sent, 0, sizeof(nr_sent));
	nr_forgotten = nr_reasons = nr_ready = nr_steered = nr_removed = 0;
	reason = 0;
	is_left = false;
	headroom = 0;
	front = (struct vif_front){ .nr_queues = NR_QUEUES };
	left_served = (struct message_served){ 0 };
	left_start = (struct message){ .type = MESSAGE_START_NIC };
	left_start.nic.nr_queues = NR_QUEUES;
	env.loop = loop_new();
	vif = calloc(1, vif_device_ops.size);
	vif->ops = &vif_device_ops;
	vif->env = &env;
	vif->domid = 7;
	assert_int_equal(vif_device_ops.probe(vif), 0);
	assert_false(carrier);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vif->activity = DEVICE_IDLE;
	if (vif_device_ops.lost)
		vif_device_ops.lost(vif);
	vif_device_ops.done(vif, false);
	free(vif);
	loop_free(env.loop);
	return 0;
}

static int begin(bool resume)
{
	vif->activity = DEVICE_ATTACHING;
	return vif_device_ops.attach(vif, resume);
}

static void say(const struct message *message)
{
	int none[1] = { -1 };

	vif_device_ops.answer(vif, message, none, 0);
}

static void say_plain(uint32_t type)
{
	say(&(struct message){ .type = type });
}

static void say_carrier(uint32_t queue, uint32_t stalled)
{
	struct message message = { .type = MESSAGE_CARRIER };

	message.carrier = (struct message_carrier){ queue, stalled };
	say(&message);
}

static void say_hash(uint32_t mapping_size, uint32_t queue)
{
	struct message message = { .type = MESSAGE_HASH };

	message.hash.mapping_size = mapping_size;
	message.hash.mapping[0] = queue;
	say(&message);
}

static void attach(void)
{
	assert_int_equal(begin(false), 0);
	assert_int_equal(nr_sent[MESSAGE_START_NIC], 1);
	assert_false(carrier);
	say_plain(MESSAGE_STARTED);
	assert_int_equal(vif->activity, DEVICE_ATTACHED);
	assert_true(carrier);
}

/* As the device does when it has failed, or when its guest closes it. */
static void detach(void)
{
	vif->activity = DEVICE_DETACHING;
	vif_device_ops.detach(vif);
	assert_int_equal(last.type, MESSAGE_STOP);
	say_plain(MESSAGE_STOPPED);
	assert_int_equal(vif->activity, DEVICE_IDLE);
	assert_false(carrier);
}

/* --- the tests --- */

static void what_is_to_come_is_heard(void **state)
{
	(void)state;
	front.nr_queues = NR_QUEUES;
	attach();
	say_carrier(1, 7);
	assert_false(carrier);
	say_carrier(1, 7); /* nothing new */
	detach();
	assert_int_equal(nr_removed, 1);
	assert_false(vif->broken);
}

static void a_change_is_in_force_when_it_is_answered(void **state)
{
	(void)state;
	attach();
	vif_device_ops.changed(vif, "rate");
	vif_device_ops.changed(vif, "other");
	assert_int_equal(nr_sent[MESSAGE_TUNE_NIC], 1);
	headroom = 256;
	assert_false(vif_device_ops.reconfigure(vif)); /* the limit is on its way */
	say_plain(MESSAGE_TUNED);
	assert_int_equal(nr_ready, 1);
	assert_false(vif_device_ops.reconfigure(vif));
	assert_int_equal(nr_sent[MESSAGE_TUNE_NIC], 2);
	assert_int_equal(last.tune_nic.headroom, 256);
	say_plain(MESSAGE_TUNED);
	assert_int_equal(nr_ready, 2);
	assert_true(vif_device_ops.reconfigure(vif));
	assert_int_equal(nr_sent[MESSAGE_TUNE_NIC], 2);
}

/* Errors of queues that cannot be started, and values that are no errors. */
static void who_cannot_start_says_why(void **state)
{
	static const struct {
		int32_t said, taken_for;
	} rows[] = { { -EACCES, -EACCES },
		     { 1, -EPROTO },
		     { INT32_MIN, -EPROTO },
		     { INT32_MAX, -EPROTO },
		     { -4096, -EPROTO } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct message message = { .type = MESSAGE_STARTED };

		assert_int_equal(begin(false), 0);
		message.started.err = rows[i].said;
		say(&message);
		assert_int_equal(vif->activity, DEVICE_IDLE);
		assert_int_equal(reason, rows[i].taken_for);
		assert_int_equal(nr_removed, i + 1);
		assert_false(carrier);
	}
}

static void what_cannot_be_ends_the_device(void **state)
{
	static const uint32_t types[] = { MESSAGE_STARTED, MESSAGE_STOPPED,   MESSAGE_TUNED,
					  MESSAGE_FLOWED,  MESSAGE_STALLED,   MESSAGE_FLUSH_FAILED,
					  MESSAGE_SIZE,    MESSAGE_LATE,      MESSAGE_NBD_CONNECT,
					  MESSAGE_DEVICE,  MESSAGE_START_NIC, MESSAGE_CAPTURED,
					  UINT32_MAX };

	(void)state;
	attach();
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		vif->broken = false;
		say_plain(types[i]);
		assert_true(vif->broken);
		assert_int_equal(vif->activity, DEVICE_ATTACHED);
	}
	for (uint64_t queue = NR_QUEUES; queue <= UINT32_MAX; queue = queue * 2 + 1) {
		vif->broken = false;
		say_carrier((uint32_t)queue, 1);
		assert_true(vif->broken);
	}
	vif->broken = false;
	say_hash(0, 0); /* there is no control ring */
	assert_true(vif->broken);
	assert_true(carrier);
	assert_int_equal(nr_steered, 0);
	detach();
}

static void a_hash_is_checked(void **state)
{
	(void)state;
	left_start.nic.ctrl = true;
	is_left = true;
	assert_int_equal(begin(true), 0);
	say_hash(1, NR_QUEUES - 1);
	assert_int_equal(nr_steered, 1);
	assert_false(vif->broken);
	say_hash(1, NR_QUEUES);
	assert_true(vif->broken);
	vif->broken = false;
	say_hash(UINT32_MAX, 0);
	assert_true(vif->broken);
	assert_int_equal(nr_steered, 1);
}

static void a_ring_that_broke_is_told_with_any_error(void **state)
{
	static const int32_t errors[] = { -EPROTO, 0, 1, INT32_MIN };

	(void)state;
	attach();
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct message message = { .type = MESSAGE_BROKE };

		vif->broken = false;
		message.error = (struct message_error){ .err = errors[i], .why = "so" };
		say(&message);
		assert_true(vif->broken);
	}
}

/* A message that is not the expected answer was sent earlier, or is nonsense; the vif treats both in the same way. */
static void out_of_order_changes_nothing(void **state)
{
	static const enum device_activity when[] = { DEVICE_IDLE, DEVICE_ATTACHING,
						     DEVICE_DETACHING };

	(void)state;
	attach();
	for (size_t i = 0; i < sizeof(when) / sizeof(when[0]); i++)
		for (uint32_t type = 0; type < MESSAGE_NR_TYPES; type++) {
			if ((when[i] == DEVICE_ATTACHING && type == MESSAGE_STARTED) ||
			    (when[i] == DEVICE_DETACHING && type == MESSAGE_STOPPED))
				continue;
			vif->activity = when[i];
			say_plain(type);
			assert_int_equal(vif->activity, when[i]);
			assert_false(vif->broken);
		}
	assert_int_equal(nr_reasons, 0);
	assert_int_equal(nr_removed, 0);
	assert_int_equal(nr_steered, 0);
	assert_true(carrier);
}

/* The files stay for the process that takes the rings up. */
static void who_dies_is_forgotten(void **state)
{
	(void)state;
	attach();
	vif_device_ops.changed(vif, "rate");
	vif->activity = DEVICE_IDLE;
	vif_device_ops.lost(vif);
	assert_int_equal(nr_removed, 0);
	assert_true(nr_forgotten > 0);
	assert_int_equal(begin(true), 0);
	assert_true(last.nic.resume);
	say_plain(MESSAGE_STARTED);
	assert_int_equal(vif->activity, DEVICE_ATTACHED);
	say_plain(MESSAGE_TUNED); /* an answer to the one before, which does not count */
	assert_true(vif->broken);
}

static void what_is_served_already_is_taken_up(void **state)
{
	(void)state;
	is_left = true;
	left_served.carrier_off = 2;
	headroom = 128;
	assert_int_equal(begin(true), 0);
	assert_int_equal(vif->activity, DEVICE_ATTACHED);
	assert_int_equal(nr_sent[MESSAGE_START_NIC], 0);
	assert_int_equal(nr_sent[MESSAGE_TUNE_NIC], 1); /* whatever held before */
	assert_int_equal(last.tune_nic.headroom, 128);
	assert_false(carrier);
	say_carrier(1, 0);
	assert_true(carrier);
	assert_false(vif->broken);
	detach();
}

static void what_serves_is_checked_before_it_is_taken_up(void **state)
{
	static const uint32_t wrong[] = { 0, NR_QUEUES + 1, MESSAGE_NIC_QUEUES + 1, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		is_left = true;
		left_start.nic.nr_queues = wrong[i];
		assert_int_equal(begin(true), -EPROTO);
		assert_int_equal(reason, -EPROTO);
		assert_int_equal(nr_sent[MESSAGE_STOP], i + 1);
	}
	is_left = true;
	left_start.nic.nr_queues = NR_QUEUES;
	left_served.carrier_off = ~1u;
	left_served.broke.err = INT32_MIN;
	strcpy(left_served.broke.why, "so");
	assert_int_equal(begin(true), 0);
	assert_true(vif->broken);
	assert_false(carrier);
	say_carrier(1, 0);
	assert_true(carrier); /* no more answers come */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_to_come_is_heard, setup, teardown),
		cmocka_unit_test_setup_teardown(a_change_is_in_force_when_it_is_answered, setup,
						teardown),
		cmocka_unit_test_setup_teardown(who_cannot_start_says_why, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_ends_the_device, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hash_is_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_ring_that_broke_is_told_with_any_error, setup,
						teardown),
		cmocka_unit_test_setup_teardown(out_of_order_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(who_dies_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_served_already_is_taken_up, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_serves_is_checked_before_it_is_taken_up, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
