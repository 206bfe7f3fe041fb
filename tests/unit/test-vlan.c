/* SPDX-License-Identifier: MIT */
/* `vlan=` and the options of a bridge's port, as an admin writes them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/if_bridge.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include "hotplug/vifconf.h"
#include "hotplug/vlan.h"

/* --- what goes to the kernel, which need not be one that knows VLANs --- */

#define MAX_SENT 16u

static struct bridge_vlan_info sent[2][MAX_SENT];
static unsigned int nr_sent[2], nr_requests;
static int types[2];

int __wrap_rtnl_request(struct rtnl *rtnl, struct nl_msg *msg);
int __wrap_rtnl_request(struct rtnl *rtnl, struct nl_msg *msg)
{
	struct nlmsghdr *header = nlmsg_hdr(msg);
	struct ifinfomsg *info = nlmsg_data(header);
	struct nlattr *spec = nlmsg_find_attr(header, sizeof(*info), IFLA_AF_SPEC), *attr;
	int left;

	assert_null(rtnl);
	assert_int_equal(info->ifi_family, AF_BRIDGE);
	assert_int_equal(info->ifi_index, 77);
	assert_non_null(spec);
	types[nr_requests] = header->nlmsg_type;
	nla_for_each_nested(attr, spec, left)
	{
		assert_int_equal(nla_type(attr), IFLA_BRIDGE_VLAN_INFO);
		assert_true(nr_sent[nr_requests] < MAX_SENT);
		memcpy(&sent[nr_requests][nr_sent[nr_requests]++], nla_data(attr),
		       sizeof(sent[0][0]));
	}
	nr_requests++;
	nlmsg_free(msg);
	return 0;
}

static struct rtnl_vlans vlans;
static struct hotplug_failure failure;

static void expect(const char *text, int err)
{
	assert_int_equal(vlan_parse(text, &vlans, &failure), err);
}

static unsigned int count(enum rtnl_vlan kind)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i <= RTNL_VLAN_MAX; i++)
		nr += vlans.kind[i] == kind;
	return nr;
}

static void a_single_vlan_is_the_untagged_one(void **state)
{
	static const char *const texts[] = { "10", "10p", "10u", "10-10", "10+5x1" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		expect(texts[i], 0);
		assert_int_equal(vlans.kind[10], RTNL_VLAN_PVID);
		assert_int_equal(count(RTNL_VLAN_NONE), RTNL_VLAN_MAX);
	}
}

static void terms_add_up(void **state)
{
	(void)state;
	expect("1p/10-15/20-25u/4000u/4094", 0);
	assert_int_equal(count(RTNL_VLAN_PVID), 1);
	assert_int_equal(count(RTNL_VLAN_TAGGED), 7);
	assert_int_equal(count(RTNL_VLAN_UNTAGGED), 7);
	assert_int_equal(vlans.kind[1], RTNL_VLAN_PVID);
	assert_int_equal(vlans.kind[15], RTNL_VLAN_TAGGED);
	assert_int_equal(vlans.kind[16], RTNL_VLAN_NONE);
	assert_int_equal(vlans.kind[20], RTNL_VLAN_UNTAGGED);
	expect("100+10x9/7p", 0);
	assert_int_equal(count(RTNL_VLAN_TAGGED), 9);
	assert_int_equal(vlans.kind[180], RTNL_VLAN_TAGGED);
	assert_int_equal(vlans.kind[190], RTNL_VLAN_NONE);
	expect("1p/2-4094", 0);
	assert_int_equal(count(RTNL_VLAN_TAGGED), 4093);
}

static void several_need_one_for_untagged_frames(void **state)
{
	(void)state;
	expect("10/20", -EINVAL);
	assert_non_null(strstr(failure.text, "put a p behind it"));
	expect("10-20", -EINVAL);
	expect("10p/20p", -EINVAL);
}

static void nonsense_is_refused(void **state)
{
	static const char *const texts[] = {
		"",          "/",           "10/",          "/10",         "x",
		"10x",       "0",           "4095",         "0-10p",       "10-5",
		"10-",       "10-p",        "-10",          "10-15p",      "10+5",
		"10+0x5/1p", "10+5x0/1p",   "10+5x",        "10pu",        "10 p",
		"10/10p",    "10p/5-15",    "1p/4000+50x3", "99999999999", "10,20",
		"1p/2-4095", "10p/20-30u5",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect(texts[i], -EINVAL);
	assert_non_null(strstr(failure.text, "is not understood"));
}

static void options_are_read_by_name(void **state)
{
	struct rtnl_port port = RTNL_PORT_AS_IT_IS;

	(void)state;
	assert_int_equal(vifconf_port(" isolated=on  learning=0 mcast_flood=off", &port, &failure),
			 0);
	assert_int_equal(port.isolated, 1);
	assert_int_equal(port.learning, 0);
	assert_int_equal(port.mcast_flood, 0);
	assert_int_equal(port.flood, -1);
	assert_int_equal(vifconf_port("isolated=off hairpin=1", &port, &failure), 0);
	assert_int_equal(port.isolated, 0);
	assert_int_equal(port.hairpin, 1);
	assert_int_equal(port.learning, 0);
	assert_int_equal(vifconf_port("", &port, &failure), 0);
}

static void other_options_are_refused_by_name(void **state)
{
	static const char *const texts[] = { "isolate=on",           "isolated",     "isolated=",
					     "isolated=yes",         "isolatedx=on", "=on",
					     "flood=on,learning=off" };
	struct rtnl_port port = RTNL_PORT_AS_IT_IS;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(vifconf_port(texts[i], &port, &failure), -EINVAL);
		assert_non_null(strstr(failure.text, texts[i]));
	}
}

static void expect_sent(unsigned int request, unsigned int nth, unsigned int id, unsigned int flags)
{
	assert_int_equal(sent[request][nth].vid, id);
	assert_int_equal(sent[request][nth].flags, flags);
}

static void a_port_leaves_all_vlans_and_joins_its_own(void **state)
{
	(void)state;
	expect("10p/20-22/23u/30u/4094", 0);
	assert_int_equal(rtnl_set_vlans(NULL, 77, &vlans), 0);
	assert_int_equal(nr_requests, 2);
	assert_int_equal(types[0], RTM_DELLINK);
	assert_int_equal(nr_sent[0], 2);
	expect_sent(0, 0, 1, BRIDGE_VLAN_INFO_RANGE_BEGIN);
	expect_sent(0, 1, 4094, BRIDGE_VLAN_INFO_RANGE_END);
	assert_int_equal(types[1], RTM_SETLINK);
	assert_int_equal(nr_sent[1], 6);
	expect_sent(1, 0, 10, BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED);
	expect_sent(1, 1, 20, BRIDGE_VLAN_INFO_RANGE_BEGIN);
	expect_sent(1, 2, 22, BRIDGE_VLAN_INFO_RANGE_END);
	expect_sent(1, 3, 23, BRIDGE_VLAN_INFO_UNTAGGED);
	expect_sent(1, 4, 30, BRIDGE_VLAN_INFO_UNTAGGED);
	expect_sent(1, 5, 4094, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_vlan_is_the_untagged_one),
		cmocka_unit_test(terms_add_up),
		cmocka_unit_test(several_need_one_for_untagged_frames),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_port_leaves_all_vlans_and_joins_its_own),
		cmocka_unit_test(options_are_read_by_name),
		cmocka_unit_test(other_options_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
