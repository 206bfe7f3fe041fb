/* SPDX-License-Identifier: MIT */
/* The tap behind a vif, on the real kernel, in a network namespace of its own. Needs root. */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "netback/tap.h"
#include "netback/tap_batch.h"
#include "control/rtnl.h"

static struct tap tap;
static struct rtnl *rtnl;

/* One line of /sys/class/net/NAME/KEY, or "" */
static const char *attribute(const char *name, const char *key)
{
	static char text[128];
	char path[128];
	FILE *f;

	text[0] = '\0';
	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", name, key);
	f = fopen(path, "re");
	if (f) {
		if (fgets(text, sizeof(text), f))
			text[strcspn(text, "\n")] = '\0';
		fclose(f);
	}
	return text;
}

static bool exists(const char *name)
{
	int ifindex;

	return rtnl_get_ifindex(rtnl, name, &ifindex) == 0;
}

static int teardown(void **state)
{
	(void)state;
	tap_close(&tap, true);
	assert_false(exists("vif7.0"));
	return 0;
}

static void new_tap_is_as_scripts_and_bridges_expect(void **state)
{
	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
	assert_false(tap.adopted);
	assert_string_equal(attribute("vif7.0", "address"), "fe:ff:ff:ff:ff:ff");
	assert_string_equal(attribute("vif7.0", "tx_queue_len"), "256");
	assert_int_equal(rtnl_set_up(rtnl, tap.ifindex), 0);
	assert_string_equal(attribute("vif7.0", "carrier"), "0");
	assert_int_equal(tap_set_carrier(&tap, true), 0);
	assert_string_equal(attribute("vif7.0", "carrier"), "1");
}

/* The kernel says "noqueue" for no qdisc in the answer to a plain link query. */
static void no_qdisc_holds_memory(void **state)
{
	char line[256] = "";
	FILE *f;

	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", TAP_MAX_QUEUES), 0);
	assert_int_equal(rtnl_set_up(rtnl, tap.ifindex), 0);

	f = popen("ip -o link show vif7.0", "re");
	assert_non_null(f);
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0'; /* there is no iproute2 here */
	pclose(f);
	if (!*line)
		skip();
	assert_non_null(strstr(line, "qdisc noqueue"));
}

static void no_address_appears_on_it_by_itself(void **state)
{
	char line[256];
	FILE *f;

	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
	assert_int_equal(tap_set_carrier(&tap, true), 0);
	assert_int_equal(rtnl_set_up(rtnl, tap.ifindex), 0);
	f = fopen("/proc/net/if_inet6", "re");
	while (f && fgets(line, sizeof(line), f))
		assert_null(strstr(line, "vif7.0"));
	if (f)
		fclose(f);
}

static void it_outlives_us_and_is_taken_over(void **state)
{
	int ifindex;

	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", TAP_MAX_QUEUES), 0);
	ifindex = tap.ifindex;
	assert_int_equal(tap_set_mtu(&tap, 9000), 0);
	tap_close(&tap, false);
	assert_true(exists("vif7.0"));
	/* Also by a daemon with another number of workers. */
	for (unsigned int max_queues = 1; max_queues < 4; max_queues++) {
		assert_int_equal(tap_open(&tap, "vif7.0", max_queues), 0);
		assert_true(tap.adopted);
		assert_int_equal(tap.nr_fds, max_queues);
		assert_int_equal(tap.ifindex, ifindex);
		assert_string_equal(attribute("vif7.0", "mtu"), "9000");
		tap_close(&tap, false);
	}
	assert_int_equal(tap_open(&tap, "vif7.0", TAP_MAX_QUEUES), 0);
}

static void removal_takes_the_interface_along(void **state)
{
	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
	tap_close(&tap, true);
	assert_false(exists("vif7.0"));
	tap_close(&tap, true); /* twice is fine */
	assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
}

static void a_script_may_rename_it(void **state)
{
	char name[IFNAMSIZ];

	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", TAP_MAX_QUEUES), 0);
	assert_int_equal(rtnl_rename(rtnl, tap.ifindex, "mail0"), 0);
	assert_int_equal(tap_name(&tap, name), 0);
	assert_string_equal(name, "mail0");
	assert_int_equal(tap_set_queues(&tap, 3), 0);
	assert_int_equal(tap_set_mtu(&tap, 4000), 0);
	assert_string_equal(attribute("mail0", "mtu"), "4000");
	tap_close(&tap, true);
	assert_false(exists("mail0"));
}

/* As in the kernel: the first ones, and no others. */
static unsigned int attached_queues(void)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < tap.nr_fds; i++) {
		struct ifreq ifr = { 0 };

		assert_int_equal(ioctl(tap.fds[i], TUNGETIFF, &ifr), 0);
		if (ifr.ifr_flags & IFF_DETACH_QUEUE)
			continue;
		assert_int_equal(i, nr);
		nr++;
	}
	return nr;
}

static void queues_come_and_go(void **state)
{
	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", TAP_MAX_QUEUES), 0);
	assert_int_equal(tap_set_queues(&tap, TAP_MAX_QUEUES), 0);
	assert_int_equal(attached_queues(), TAP_MAX_QUEUES);
	assert_int_equal(tap_set_queues(&tap, 2), 0);
	assert_int_equal(attached_queues(), 2);
	assert_int_equal(tap_set_queues(&tap, 1), 0);
	assert_int_equal(attached_queues(), 1);
	assert_int_equal(tap_set_queues(&tap, 3), 0);
	assert_int_equal(attached_queues(), 3);
}

static void one_queue_stays_one_queue(void **state)
{
	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
	assert_int_equal(tap_set_queues(&tap, 1), 0);
	assert_int_equal(tap_set_queues(&tap, 2), -EOPNOTSUPP);
	assert_true(tap.fds[0] >= 0);
}

static void somebody_elses_interface_is_not_taken(void **state)
{
	(void)state;
	assert_int_not_equal(tap_open(&tap, "lo", 1), 0);
	assert_false(tap.open);
	assert_true(exists("lo"));
}

static void offloads_follow_the_frontend(void **state)
{
	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
	assert_int_equal(tap_set_offload(&tap, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), 0);
	assert_int_equal(tap_set_offload(&tap, TUN_F_CSUM), 0);
	assert_int_equal(tap_set_offload(&tap, 0), 0);
	assert_int_equal(tap_set_offload(&tap, TUN_F_TSO4), -EINVAL);
}

/* As ethtool -K does it; `command`: ETHTOOL_G… or ETHTOOL_S… */
static uint32_t ethtool(uint32_t command, uint32_t value)
{
	struct ethtool_value request = { .cmd = command, .data = value };
	struct ifreq ifr = { .ifr_name = "vif7.0", .ifr_data = (void *)&request };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);
	return request.data;
}

/* This holds before the first guest, without a guest, with a guest, over a restart, and for each guest. */
static void what_an_admin_turned_off_stays_off(void **state)
{
	const unsigned int all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
	assert_int_equal(ethtool(ETHTOOL_GTXCSUM, 0), 0); /* no guest has accepted this yet */
	ethtool(ETHTOOL_STSO, 0);
	assert_int_equal(tap_set_offload(&tap, all), 0);
	assert_int_equal(ethtool(ETHTOOL_GTSO, 0), 0);
	assert_int_equal(ethtool(ETHTOOL_GTXCSUM, 0), 1);
	ethtool(ETHTOOL_STXCSUM, 0);
	for (int restart = 0; restart < 2; restart++) {
		assert_int_equal(tap_set_offload(&tap, 0), 0);
		assert_int_equal(tap_set_offload(&tap, all), 0);
		assert_int_equal(ethtool(ETHTOOL_GTSO, 0), 0);
		assert_int_equal(ethtool(ETHTOOL_GTXCSUM, 0), 0);
		tap_close(&tap, false);
		assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
	}
	/* What the admin turns on is on for a guest that accepts it. */
	ethtool(ETHTOOL_STXCSUM, 1);
	ethtool(ETHTOOL_STSO, 1);
	assert_int_equal(tap_set_offload(&tap, TUN_F_CSUM), 0);
	assert_int_equal(ethtool(ETHTOOL_GTXCSUM, 0), 1);
	assert_int_equal(ethtool(ETHTOOL_GTSO, 0), 0);
	assert_int_equal(tap_set_offload(&tap, all), 0);
	assert_int_equal(ethtool(ETHTOOL_GTSO, 0), 1);
}

static void it_is_found_by_its_index(void **state)
{
	char name[IFNAMSIZ];
	int ifindex;

	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 2), 0);
	ifindex = tap.ifindex;
	assert_int_equal(rtnl_rename(rtnl, ifindex, "mail0"), 0);
	tap_close(&tap, false);
	assert_int_equal(tap_adopt(&tap, ifindex, 2), 0);
	assert_true(tap.adopted);
	assert_int_equal(tap_name(&tap, name), 0);
	assert_string_equal(name, "mail0");
	tap_close(&tap, true);
	assert_int_equal(tap_adopt(&tap, ifindex, 2), -ENODEV);
	assert_false(tap.open);
	assert_int_equal(rtnl_get_ifindex(rtnl, "lo", &ifindex), 0);
	assert_int_equal(tap_adopt(&tap, ifindex, 2), -ENODEV);
}

static void it_comes_back_without_a_carrier(void **state)
{
	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 2), 0);
	assert_int_equal(rtnl_set_up(rtnl, tap.ifindex), 0);
	assert_int_equal(tap_set_carrier(&tap, true), 0);
	assert_int_equal(tap_set_queues(&tap, 2), 0);
	tap_close(&tap, false);
	assert_int_equal(tap_open(&tap, "vif7.0", 2), 0);
	assert_string_equal(attribute("vif7.0", "carrier"), "0");
}

static void a_length_that_an_admin_has_set_stays(void **state)
{
	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
	assert_int_equal(tap_set_queue_len(&tap, 1000), 0);
	assert_int_equal(rtnl_set_txqueuelen(rtnl, tap.ifindex, 77), 0);
	assert_int_equal(tap_set_queue_len(&tap, 256), 0);
	assert_string_equal(attribute("vif7.0", "tx_queue_len"), "77");
}

static void send_from_host(unsigned int nr)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = tap.ifindex };
	uint8_t frame[1000] = { [12] = 0x88, [13] = 0xb5 }; /* an experimental protocol */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	for (unsigned int i = 0; i < nr; i++)
		assert_int_equal(
			sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)),
			sizeof(frame));
	close(fd);
}

static void queue_is_short_when_frames_are_large(void **state)
{
	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
	assert_string_equal(attribute("vif7.0", "tx_queue_len"), "256");
	assert_int_equal(tap_set_queue_len(&tap, 1000), 0);
	assert_string_equal(attribute("vif7.0", "tx_queue_len"), "1000");
	assert_int_equal(tap_set_queue_len(&tap, 256), 0);
	assert_string_equal(attribute("vif7.0", "tx_queue_len"), "256");
}

static void drain_throws_away_what_waits(void **state)
{
	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
	assert_int_equal(tap_set_carrier(&tap, true), 0);
	assert_int_equal(rtnl_set_up(rtnl, tap.ifindex), 0);
	assert_int_equal(tap_drain(tap.fds[0], 10), 0);
	send_from_host(5);
	assert_int_equal(tap_drain(tap.fds[0], 2), 2);
	assert_int_equal(tap_drain(tap.fds[0], 10), 3);
	assert_int_equal(tap_drain(tap.fds[0], 10), 0);
}

/* The data path recognises it by this word. */
static void writing_while_it_is_down_fails_with_eio(void **state)
{
	uint8_t frame[sizeof(struct virtio_net_hdr) + 60] = { 0 };

	(void)state;
	assert_int_equal(tap_open(&tap, "vif7.0", 1), 0);
	assert_int_equal(write(tap.fds[0], frame, sizeof(frame)), -1);
	assert_int_equal(errno, EIO);
}

static bool may_make_taps(void)
{
	int fd;

	if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return false;
	/* /sys shows the namespace in which it was mounted. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL) < 0)
		return false;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* Not every kernel has bridges. */
static void what_it_is_a_port_of_is_told(void **state)
{
	char dir[] = "/tmp/tap.XXXXXX", vif[64], link[80], master[IFNAMSIZ];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(vif, sizeof(vif), "%s/vif7.0", dir);
	snprintf(link, sizeof(link), "%s/master", vif);
	assert_int_equal(mkdir(vif, 0700), 0);
	tap_master(dir, "vif7.0", master);
	assert_string_equal(master, "");
	assert_int_equal(symlink("../xenbr0", link), 0);
	tap_master(dir, "vif7.0", master);
	assert_string_equal(master, "xenbr0");
	unlink(link);
	rmdir(vif);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(new_tap_is_as_scripts_and_bridges_expect, teardown),
		cmocka_unit_test_teardown(no_qdisc_holds_memory, teardown),
		cmocka_unit_test_teardown(no_address_appears_on_it_by_itself, teardown),
		cmocka_unit_test_teardown(it_outlives_us_and_is_taken_over, teardown),
		cmocka_unit_test_teardown(removal_takes_the_interface_along, teardown),
		cmocka_unit_test_teardown(a_script_may_rename_it, teardown),
		cmocka_unit_test_teardown(queues_come_and_go, teardown),
		cmocka_unit_test_teardown(one_queue_stays_one_queue, teardown),
		cmocka_unit_test_teardown(somebody_elses_interface_is_not_taken, teardown),
		cmocka_unit_test_teardown(offloads_follow_the_frontend, teardown),
		cmocka_unit_test_teardown(queue_is_short_when_frames_are_large, teardown),
		cmocka_unit_test_teardown(what_an_admin_turned_off_stays_off, teardown),
		cmocka_unit_test_teardown(it_is_found_by_its_index, teardown),
		cmocka_unit_test_teardown(it_comes_back_without_a_carrier, teardown),
		cmocka_unit_test_teardown(a_length_that_an_admin_has_set_stays, teardown),
		cmocka_unit_test_teardown(drain_throws_away_what_waits, teardown),
		cmocka_unit_test(what_it_is_a_port_of_is_told),
		cmocka_unit_test_teardown(writing_while_it_is_down_fails_with_eio, teardown),
	};
	int failed;

	if (!may_make_taps() || rtnl_new(&rtnl)) {
		puts("SKIP: needs root, network namespaces and /dev/net/tun");
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rtnl_free(rtnl);
	return failed;
}
