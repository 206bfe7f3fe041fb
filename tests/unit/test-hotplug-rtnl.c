/* SPDX-License-Identifier: MIT */
/* src/control/rtnl.c against the real kernel, in a network namespace of its own. Needs root. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <sys/socket.h>

#include "control/rtnl.h"

#define EXIT_SKIP 77

static int tap_fd = -1;

/* The tap and the bridge that every test starts from. */
static int open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int add_bridge(const char *name)
{
	struct nl_sock *sock = nl_socket_alloc();
	int err = sock ? nl_connect(sock, NETLINK_ROUTE) : -1;

	if (!err)
		err = rtnl_link_bridge_add(sock, name);
	nl_socket_free(sock);
	return err;
}

static int set_up(void **state)
{
	struct rtnl *rtnl;

	tap_fd = open_tap("vif7.0");
	if (tap_fd < 0 || rtnl_new(&rtnl) < 0)
		return -1;
	*state = rtnl;
	return 0;
}

static int tear_down(void **state)
{
	rtnl_free(*state);
	close(tap_fd); /* the tap is not persistent: it ends with its descriptor */
	return 0;
}

static struct rtnl_info look(struct rtnl *rtnl, const char *name)
{
	struct rtnl_info info = { 0 };

	assert_int_equal(rtnl_get_by_name(rtnl, name, &info), 0);
	return info;
}

static short flags_of(const char *name)
{
	struct ifreq ifr = { 0 };
	int sock = socket(AF_UNIX, SOCK_DGRAM, 0);

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	assert_int_equal(ioctl(sock, SIOCGIFFLAGS, &ifr), 0);
	close(sock);
	return ifr.ifr_flags;
}

static void a_tap_is_seen_as_it_is(void **state)
{
	struct rtnl_info info = look(*state, "vif7.0");

	assert_true(info.ifindex > 0);
	assert_int_equal(info.ifindex, (int)if_nametoindex("vif7.0"));
	assert_int_equal(info.master, 0);
	assert_int_equal(info.mtu, 1500);
	assert_false(info.up);
	assert_string_equal(info.kind, "tun");
	assert_string_equal(look(*state, "xenbr0").kind, "bridge");
}

static void a_missing_interface_is_enodev(void **state)
{
	struct rtnl_info info;

	assert_int_equal(rtnl_get_by_name(*state, "nosuch0", &info), -ENODEV);
	assert_int_equal(rtnl_get(*state, 99999, &info), -ENODEV);
	assert_int_equal(rtnl_set_up(*state, 99999), -ENODEV);
	assert_int_equal(rtnl_get_by_name(*state, "a-name-of-16-chr", &info), -EINVAL);
	assert_int_equal(rtnl_get(*state, 0, &info), -EINVAL);
}

static void up_and_down_leave_other_flags_alone(void **state)
{
	int ifindex = look(*state, "vif7.0").ifindex;
	short before = flags_of("vif7.0");

	assert_int_equal(rtnl_set_up(*state, ifindex), 0);
	assert_true(look(*state, "vif7.0").up);
	assert_int_equal(flags_of("vif7.0") & (IFF_BROADCAST | IFF_MULTICAST),
			 before & (IFF_BROADCAST | IFF_MULTICAST));
	assert_int_equal(rtnl_set_up(*state, ifindex), 0);
	assert_int_equal(rtnl_set_down(*state, ifindex), 0);
	assert_int_equal(flags_of("vif7.0"), before);
	assert_int_equal(rtnl_set_down(*state, ifindex), 0);
}

static void mtu_is_set_within_its_range_only(void **state)
{
	int ifindex = look(*state, "vif7.0").ifindex;
	unsigned int mtu = 0;

	assert_int_equal(rtnl_set_mtu(*state, ifindex, 9000), 0);
	assert_int_equal(rtnl_get_mtu(*state, ifindex, &mtu), 0);
	assert_int_equal(mtu, 9000);
	assert_int_equal(rtnl_set_mtu(*state, ifindex, RTNL_MTU_MAX), 0);
	assert_int_equal(rtnl_set_mtu(*state, ifindex, RTNL_MTU_MIN), 0);
	assert_int_equal(rtnl_set_mtu(*state, ifindex, RTNL_MTU_MAX + 1), -EINVAL);
	assert_int_equal(rtnl_set_mtu(*state, ifindex, RTNL_MTU_MIN - 1), -EINVAL);
}

static void the_mac_is_set(void **state)
{
	static const uint8_t mac[6] = { 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct ifreq ifr = { .ifr_name = "vif7.0" };

	assert_int_equal(rtnl_set_mac(*state, look(*state, "vif7.0").ifindex, mac), 0);
	assert_int_equal(ioctl(tap_fd, SIOCGIFHWADDR, &ifr), 0);
	assert_memory_equal(ifr.ifr_hwaddr.sa_data, mac, 6);
}

static void a_port_joins_and_leaves_its_bridge(void **state)
{
	int bridge = look(*state, "xenbr0").ifindex;
	int ifindex = look(*state, "vif7.0").ifindex;
	int master = -1;

	assert_int_equal(rtnl_set_master(*state, ifindex, bridge), 0);
	assert_int_equal(rtnl_get_master(*state, ifindex, &master), 0);
	assert_int_equal(master, bridge);
	assert_int_equal(rtnl_set_master(*state, ifindex, bridge), 0);
	assert_int_equal(rtnl_set_nomaster(*state, ifindex), 0);
	assert_int_equal(look(*state, "vif7.0").master, 0);
	assert_int_equal(rtnl_set_nomaster(*state, ifindex), 0);
	assert_int_equal(rtnl_set_master(*state, ifindex, 0), -EINVAL);
}

static void a_rename_keeps_the_index_and_refuses_a_taken_name(void **state)
{
	int ifindex = look(*state, "vif7.0").ifindex;

	assert_int_equal(rtnl_rename(*state, ifindex, "web"), 0);
	assert_int_equal(look(*state, "web").ifindex, ifindex);
	assert_int_equal(rtnl_rename(*state, ifindex, "xenbr0"), -EEXIST);
	assert_int_equal(rtnl_rename(*state, ifindex, "a/b"), -EINVAL);
	assert_int_equal(rtnl_rename(*state, ifindex, "vif7.0"), 0);
}

static void the_transmit_queue_gets_its_length(void **state)
{
	struct ifreq ifr = { .ifr_name = "vif7.0" };
	int sock = socket(AF_UNIX, SOCK_DGRAM, 0);

	assert_int_equal(rtnl_set_txqueuelen(*state, look(*state, "vif7.0").ifindex, 128), 0);
	assert_int_equal(ioctl(sock, SIOCGIFTXQLEN, &ifr), 0);
	assert_int_equal(ifr.ifr_qlen, 128);
	close(sock);
}

/* A link without automatic addresses has no line in /proc/net/if_inet6 when it comes up. */
static void no_ipv6_address_appears_on_a_quiet_link(void **state)
{
	int ifindex = look(*state, "vif7.0").ifindex;
	char line[128];
	FILE *f;

	assert_int_equal(rtnl_set_addr_gen_mode_none(*state, ifindex), 0);
	assert_int_equal(rtnl_set_up(*state, ifindex), 0);
	f = fopen("/proc/thread-self/net/if_inet6", "re");
	if (!f)
		skip(); /* no IPv6 in this kernel */
	while (fgets(line, sizeof(line), f))
		assert_null(strstr(line, "vif7.0"));
	fclose(f);
}

static void names_are_judged_as_the_kernel_does(void **state)
{
	(void)state;
	assert_true(rtnl_name_is_valid("vif1.0"));
	assert_true(rtnl_name_is_valid("fifteen-letters"));
	assert_false(rtnl_name_is_valid("sixteen-letters-"));
	assert_false(rtnl_name_is_valid(""));
	assert_false(rtnl_name_is_valid("a/b"));
	assert_false(rtnl_name_is_valid("a:b"));
	assert_false(rtnl_name_is_valid("a b"));
	assert_false(rtnl_name_is_valid("."));
	assert_false(rtnl_name_is_valid(".."));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_judged_as_the_kernel_does),
		TEST(a_tap_is_seen_as_it_is),
		TEST(a_missing_interface_is_enodev),
		TEST(up_and_down_leave_other_flags_alone),
		TEST(mtu_is_set_within_its_range_only),
		TEST(the_mac_is_set),
		TEST(a_port_joins_and_leaves_its_bridge),
		TEST(a_rename_keeps_the_index_and_refuses_a_taken_name),
		TEST(the_transmit_queue_gets_its_length),
		TEST(no_ipv6_address_appears_on_a_quiet_link),
	};

	if (unshare(CLONE_NEWNET) < 0 || add_bridge("xenbr0") != 0) {
		printf("SKIP: needs root, for a network namespace with a bridge of its own\n");
		return EXIT_SKIP;
	}
	tap_fd = open_tap("vif7.0");
	if (tap_fd < 0) {
		printf("SKIP: /dev/net/tun cannot be used: %s\n", strerror(-tap_fd));
		return EXIT_SKIP;
	}
	close(tap_fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
