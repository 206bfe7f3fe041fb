/* SPDX-License-Identifier: MIT */
/* The decisions of the hotplug scripts, without root, xenstore or netlink. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "hotplug/failure.h"
#include "hotplug/host.h"
#include "hotplug/request.h"
#include "hotplug/sharing.h"
#include "hotplug/target.h"
#include "hotplug/vifconf.h"

static char dir[] = "/tmp/test-hotplug-XXXXXX";

/* A path below `dir`; good for the next four calls. */
static const char *in_dir(const char *name)
{
	static char paths[4][256];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void make_dir(const char *name)
{
	assert_int_equal(mkdir(in_dir(name), 0700), 0);
}

static void make_file(const char *name, const char *content)
{
	FILE *f = fopen(in_dir(name), "we");

	assert_non_null(f);
	fputs(content, f);
	assert_int_equal(fclose(f), 0);
}

/* --- what libxl asks --- */

static int parse(enum hotplug_script script, const char *words, const struct hotplug_env *env,
		 struct hotplug_request *req)
{
	struct hotplug_failure failure = { 0 };
	char *argv[5] = { (char *)(uintptr_t) "script" };
	char copy[128];
	char *save;
	size_t n = 1;
	int err;

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	err = hotplug_request_parse(script, argv, env, req, &failure);
	assert_true(err ? failure.text[0] != '\0' : failure.text[0] == '\0');
	return err;
}

static void the_name_says_which_script(void **state)
{
	enum hotplug_script script;

	(void)state;
	assert_int_equal(hotplug_script_from_name("/etc/xen/scripts/block-pvbackd", &script), 0);
	assert_int_equal(script, HOTPLUG_SCRIPT_BLOCK);
	assert_int_equal(hotplug_script_from_name("vif-pvbackd", &script), 0);
	assert_int_equal(script, HOTPLUG_SCRIPT_VIF);
	assert_int_equal(hotplug_script_from_name("/bin/pvbackd", &script), -EINVAL);
	assert_int_equal(hotplug_script_from_name("", &script), -EINVAL);
}

static void a_disk_request_is_understood(void **state)
{
	const struct hotplug_env env = { .xenbus_path = "backend/vbd/7/51712" };
	struct hotplug_request req;

	(void)state;
	assert_int_equal(parse(HOTPLUG_SCRIPT_BLOCK, "add", &env, &req), 0);
	assert_int_equal(req.command, HOTPLUG_COMMAND_ADD);
	assert_int_equal(req.domid, 7);
	assert_int_equal(req.devid, 51712);
	assert_string_equal(req.kind, "vbd");
	assert_string_equal(req.base, "backend");
	assert_string_equal(req.runtime_dir, HOTPLUG_RUNTIME_DIR);
	assert_int_equal(parse(HOTPLUG_SCRIPT_BLOCK, "remove", &env, &req), 0);
	assert_int_equal(req.command, HOTPLUG_COMMAND_REMOVE);
}

static void an_absolute_path_of_a_driver_domain_is_understood(void **state)
{
	const struct hotplug_env env = { .xenbus_path = "/local/domain/3/backend/vbd3/12/768",
					 .runtime_dir = "/tmp/r" };
	struct hotplug_request req;

	(void)state;
	assert_int_equal(parse(HOTPLUG_SCRIPT_BLOCK, "add", &env, &req), 0);
	assert_string_equal(req.base, "/local/domain/3/backend");
	assert_string_equal(req.kind, "vbd3");
	assert_int_equal(req.domid, 12);
	assert_string_equal(req.runtime_dir, "/tmp/r");
}

static void both_interfaces_of_a_vif_are_understood(void **state)
{
	const struct hotplug_env env = { .xenbus_path = "backend/vif/7/0",
					 .vif = "vif7.0",
					 .interface = "vif7.0-emu" };
	struct hotplug_request req;

	(void)state;
	assert_int_equal(parse(HOTPLUG_SCRIPT_VIF, "online type_if=vif", &env, &req), 0);
	assert_string_equal(req.ifname, "vif7.0");
	assert_int_equal(parse(HOTPLUG_SCRIPT_VIF, "offline", &env, &req), 0);
	assert_int_equal(req.iftype, HOTPLUG_IFTYPE_VIF);
	assert_int_equal(parse(HOTPLUG_SCRIPT_VIF, "add type_if=tap", &env, &req), 0);
	assert_int_equal(req.iftype, HOTPLUG_IFTYPE_TAP);
	assert_string_equal(req.ifname, "vif7.0-emu");
	assert_int_equal(parse(HOTPLUG_SCRIPT_VIF, "remove type_if=tap", &env, &req), 0);
	assert_int_equal(req.command, HOTPLUG_COMMAND_REMOVE);
}

static void a_strange_command_line_is_refused(void **state)
{
	const struct hotplug_env disk = { .xenbus_path = "backend/vbd/7/51712" };
	const struct hotplug_env vif = { .xenbus_path = "backend/vif/7/0", .vif = "vif7.0" };
	const struct hotplug_env no_name = { .xenbus_path = "backend/vif/7/0" };
	const struct hotplug_env bad_name = { .xenbus_path = "backend/vif/7/0", .vif = "a/b" };
	const struct hotplug_env nothing = { 0 };
	struct hotplug_request req;

	(void)state;
	assert_int_equal(parse(HOTPLUG_SCRIPT_BLOCK, "", &disk, &req), -EINVAL);
	assert_int_equal(parse(HOTPLUG_SCRIPT_BLOCK, "online", &disk, &req), -EINVAL);
	assert_int_equal(parse(HOTPLUG_SCRIPT_BLOCK, "add type_if=vif", &disk, &req), -EINVAL);
	assert_int_equal(parse(HOTPLUG_SCRIPT_BLOCK, "add", &nothing, &req), -EINVAL);
	assert_int_equal(parse(HOTPLUG_SCRIPT_BLOCK, "add", &vif, &req), -EINVAL);
	assert_int_equal(parse(HOTPLUG_SCRIPT_VIF, "online", &disk, &req), -EINVAL);
	assert_int_equal(parse(HOTPLUG_SCRIPT_VIF, "online type_if=x", &vif, &req), -EINVAL);
	assert_int_equal(parse(HOTPLUG_SCRIPT_VIF, "online", &no_name, &req), -EINVAL);
	assert_int_equal(parse(HOTPLUG_SCRIPT_VIF, "online", &bad_name, &req), -EINVAL);
	assert_int_equal(parse(HOTPLUG_SCRIPT_VIF, "add type_if=tap", &vif, &req), -EINVAL);
}

static void a_malformed_xenbus_path_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"backend",
		"backend/vbd",
		"backend/vbd/7",
		"backend/vbd/7/",
		"backend/vbd//51712",
		"backend/vbd/7/51712/x",
		"backend/vbd/07/51712",
		"backend/vbd/-1/51712",
		"backend/vbd/32752/51712",
		"backend/vbd/7/4294967296",
		"backend/vbd4/7/51712",
		"frontend/vbd/7/51712",
		"/backend/vbd/7/51712",
		"/local/domain/backend/vbd/7/51712",
		"/local/domain/99999999999999999999/backend/vbd/7/51712",
	};
	struct hotplug_request req;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct hotplug_env env = { .xenbus_path = bad[i] };

		if (parse(HOTPLUG_SCRIPT_BLOCK, "add", &env, &req) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	}
}

/* --- sharing --- */

static const struct hotplug_identity image = { .dev = 0x803, .ino = 42 };

static struct hotplug_claim claim_of_image(enum hotplug_mode mode)
{
	return (struct hotplug_claim){
		.mode = mode,
		.state = 4,
		.online = true,
		.domain_exists = true,
		.nr_identities = 1,
		.identities = { image },
	};
}

static bool conflicts(const struct hotplug_claim *claim, enum hotplug_mode mode)
{
	return hotplug_claim_conflicts(claim, &image, mode);
}

static void modes_are_spelled_as_xl_and_xend_did(void **state)
{
	enum hotplug_mode mode;

	(void)state;
	assert_int_equal(hotplug_mode_parse("r", &mode), 0);
	assert_int_equal(mode, HOTPLUG_MODE_READ);
	assert_int_equal(hotplug_mode_parse("ro", &mode), 0);
	assert_int_equal(mode, HOTPLUG_MODE_READ);
	assert_int_equal(hotplug_mode_parse("w", &mode), 0);
	assert_int_equal(mode, HOTPLUG_MODE_WRITE);
	assert_int_equal(hotplug_mode_parse("rw", &mode), 0);
	assert_int_equal(mode, HOTPLUG_MODE_WRITE);
	assert_int_equal(hotplug_mode_parse("w!", &mode), 0);
	assert_int_equal(mode, HOTPLUG_MODE_UNCHECKED);
	assert_int_equal(hotplug_mode_parse("", &mode), -EINVAL);
	assert_int_equal(hotplug_mode_parse("x", &mode), -EINVAL);
	assert_int_equal(hotplug_mode_parse("r!", &mode), -EINVAL);
}

static void a_writer_wants_the_image_alone(void **state)
{
	struct hotplug_claim reader = claim_of_image(HOTPLUG_MODE_READ);
	struct hotplug_claim writer = claim_of_image(HOTPLUG_MODE_WRITE);
	struct hotplug_claim free_for_all = claim_of_image(HOTPLUG_MODE_UNCHECKED);

	(void)state;
	assert_true(conflicts(&reader, HOTPLUG_MODE_WRITE));
	assert_true(conflicts(&writer, HOTPLUG_MODE_WRITE));
	assert_true(conflicts(&free_for_all, HOTPLUG_MODE_WRITE));
}

static void readers_share_but_not_with_a_writer(void **state)
{
	struct hotplug_claim reader = claim_of_image(HOTPLUG_MODE_READ);
	struct hotplug_claim writer = claim_of_image(HOTPLUG_MODE_WRITE);

	(void)state;
	assert_false(conflicts(&reader, HOTPLUG_MODE_READ));
	assert_true(conflicts(&writer, HOTPLUG_MODE_READ));
}

static void an_exclamation_mark_turns_the_check_off(void **state)
{
	struct hotplug_claim writer = claim_of_image(HOTPLUG_MODE_WRITE);

	(void)state;
	assert_false(conflicts(&writer, HOTPLUG_MODE_UNCHECKED));
}

static void the_same_vm_may_hold_the_image_twice(void **state)
{
	struct hotplug_claim claim = claim_of_image(HOTPLUG_MODE_WRITE);

	(void)state;
	claim.same_vm = true;
	assert_false(conflicts(&claim, HOTPLUG_MODE_WRITE));
}

static void what_is_gone_does_not_count(void **state)
{
	struct hotplug_claim claim = claim_of_image(HOTPLUG_MODE_WRITE);

	(void)state;
	claim.state = 0;
	assert_false(conflicts(&claim, HOTPLUG_MODE_WRITE));

	claim = claim_of_image(HOTPLUG_MODE_WRITE);
	claim.domain_exists = false;
	assert_false(conflicts(&claim, HOTPLUG_MODE_WRITE));

	claim = claim_of_image(HOTPLUG_MODE_WRITE);
	claim.state = 6;
	claim.online = false;
	assert_false(conflicts(&claim, HOTPLUG_MODE_WRITE));
}

static void a_frontend_between_two_drivers_still_counts(void **state)
{
	struct hotplug_claim claim = claim_of_image(HOTPLUG_MODE_WRITE);

	(void)state;
	claim.state = 6; /* closed, but online: the next driver in that guest will open it */
	assert_true(conflicts(&claim, HOTPLUG_MODE_WRITE));
	claim.state = 5; /* closing: requests may still be in flight */
	claim.online = false;
	assert_true(conflicts(&claim, HOTPLUG_MODE_WRITE));
}

static void only_the_same_storage_conflicts(void **state)
{
	struct hotplug_claim claim = claim_of_image(HOTPLUG_MODE_WRITE);

	(void)state;
	claim.identities[0].ino = 43;
	assert_false(conflicts(&claim, HOTPLUG_MODE_WRITE));
	claim.identities[0] = (struct hotplug_identity){ .is_block = true, .dev = image.dev };
	assert_false(conflicts(&claim, HOTPLUG_MODE_WRITE));
	claim.identities[1] = image; /* known under a second name */
	claim.nr_identities = 2;
	assert_true(conflicts(&claim, HOTPLUG_MODE_WRITE));
	claim.nr_identities = 0;
	assert_false(conflicts(&claim, HOTPLUG_MODE_WRITE));
}

/* --- mounts --- */

static const char mounts[] =
	"21 28 0:19 / /sys rw,nosuid - sysfs sysfs rw\n"
	"28 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro\n"
	"this line is not one\n"
	"40 28 8:17 / /mnt/cd ro,relatime shared:7 master:1 - iso9660 /dev/sdb1 ro,nojoliet\n"
	"41 28 8:33 / /srv ro,relatime - ext4 /dev/sdc1 rw\n";

static bool mounted(dev_t dev, enum hotplug_mode mode, char *where, size_t size)
{
	FILE *f = fmemopen((char *)(uintptr_t)mounts, sizeof(mounts) - 1, "r");
	bool result;

	assert_non_null(f);
	result = hotplug_mount_conflicts(f, dev, mode, where, size);
	fclose(f);
	return result;
}

static void a_mounted_device_is_not_given_to_a_writer(void **state)
{
	char where[64];

	(void)state;
	assert_true(mounted(makedev(259, 2), HOTPLUG_MODE_WRITE, where, sizeof(where)));
	assert_string_equal(where, "/");
	assert_true(mounted(makedev(8, 17), HOTPLUG_MODE_WRITE, where, sizeof(where)));
	assert_string_equal(where, "/mnt/cd");
	assert_false(mounted(makedev(8, 16), HOTPLUG_MODE_WRITE, where, sizeof(where)));
	assert_false(mounted(makedev(259, 2), HOTPLUG_MODE_UNCHECKED, where, sizeof(where)));
}

static void a_reader_shares_a_device_with_a_read_only_mount_only(void **state)
{
	char where[64];

	(void)state;
	assert_false(mounted(makedev(8, 17), HOTPLUG_MODE_READ, where, sizeof(where)));
	assert_true(mounted(makedev(259, 2), HOTPLUG_MODE_READ, where, sizeof(where)));
	/* A read-only view of a file system that can be written elsewhere. */
	assert_true(mounted(makedev(8, 33), HOTPLUG_MODE_READ, where, sizeof(where)));
}

/* --- the storage itself --- */

/* What is found: "PATH", "DRIVER PATH" or "nbd NAME". */
static void check_path(const char *type, const char *params, int expected_err, const char *expected)
{
	static struct hotplug_image found_image;
	struct hotplug_failure failure = { 0 };
	static char found[PATH_MAX + 32];
	int err = hotplug_target_parse(type, params, &found_image, &failure);

	assert_int_equal(err, expected_err);
	if (err) {
		assert_true(failure.text[0]);
		return;
	}
	snprintf(found, sizeof(found), "%s%s%s",
		 found_image.is_nbd ? "nbd" : found_image.driver ?: "",
		 found_image.is_nbd || found_image.driver ? " " : "", found_image.path);
	assert_string_equal(found, expected);
}

static void params_name_an_image_and_its_format(void **state)
{
	static char long_path[PATH_MAX + 1];

	(void)state;
	check_path("phy", "/dev/vg/lv", 0, "/dev/vg/lv");
	check_path("phy", "vg/lv", 0, "/dev/vg/lv");
	check_path("phy", "phy:vg/lv", 0, "/dev/vg/lv");
	check_path("file", "file:/img", 0, "/img");
	check_path("vbd3", "aio:/img", 0, "/img");
	check_path("phy", "tap:aio:/img", 0, "/img");
	check_path("phy", "/with:colon", 0, "/with:colon");
	check_path("phy", "/dev/disk/by-path/pci-0000:00", 0, "/dev/disk/by-path/pci-0000:00");
	check_path("phy", "", 0, "");
	check_path("phy", "qcow2:/img", 0, "qcow2 /img");
	check_path("phy", "vmdk:vg/lv", 0, "vmdk /dev/vg/lv");
	check_path("phy", "tap:vhdx:/img", 0, "vhdx /img");
	check_path("vbd3", "vhd:/img", 0, "vpc /img");
	check_path("phy", "/a.qcow2", 0, "/a.qcow2");
	check_path("phy", "raw:/a.qcow2", 0, "/a.qcow2");
	check_path("phy", "nbd:unix:/x", 0, "nbd nbd:unix:/x");
	check_path("phy", "nbd+unix:///d?socket=/x", 0, "nbd nbd+unix:///d?socket=/x");
	check_path("phy", "qcow:/img", -EOPNOTSUPP, NULL);
	check_path("phy", "qcow22:/img", -EOPNOTSUPP, NULL);
	check_path("phy", "iscsi:target", -EOPNOTSUPP, NULL);
	check_path("qdisk", "/img", -EOPNOTSUPP, NULL);
	memset(long_path, 'p', sizeof(long_path) - 1);
	long_path[0] = '/';
	check_path("phy", long_path, -ENAMETOOLONG, NULL);
}

static void a_plain_file_is_a_target(void **state)
{
	struct hotplug_failure failure = { 0 };
	struct hotplug_target target;
	struct stat st;

	(void)state;
	make_file("image", "x");
	assert_int_equal(symlink("image", in_dir("link")), 0);
	assert_int_equal(
		hotplug_target_inspect(in_dir("link"), HOTPLUG_MODE_WRITE, &target, &failure), 0);
	assert_int_equal(stat(in_dir("image"), &st), 0);
	assert_false(target.identity.is_block);
	assert_int_equal(target.identity.dev, st.st_dev);
	assert_int_equal(target.identity.ino, st.st_ino);
	assert_non_null(strstr(target.path, "/image"));
}

static int inspect(const char *path, enum hotplug_mode mode, const char *expected_text)
{
	struct hotplug_failure failure = { 0 };
	struct hotplug_target target;
	int err = hotplug_target_inspect(path, mode, &target, &failure);

	if (!strstr(failure.text, expected_text))
		fail_msg("'%s' is not in '%s'", expected_text, failure.text);
	return err;
}

static void what_cannot_be_a_disk_says_so(void **state)
{
	(void)state;
	make_file("file", "x");
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(inspect(in_dir("nothing"), HOTPLUG_MODE_READ, "does not exist"), -ENOENT);
	assert_int_equal(inspect(in_dir("file/x"), HOTPLUG_MODE_READ, "does not exist"), -ENOTDIR);
	assert_int_equal(inspect(dir, HOTPLUG_MODE_READ, "neither a block device"), -ENOTBLK);
	assert_int_equal(inspect(in_dir("fifo"), HOTPLUG_MODE_WRITE, "neither"), -ENOTBLK);
	assert_int_equal(inspect("/dev/null", HOTPLUG_MODE_WRITE, "neither"), -ENOTBLK);
}

static void a_file_that_nobody_may_write_is_not_for_a_writer(void **state)
{
	static const char *const path = "/sys/kernel/uevent_seqnum"; /* refuses even root */

	(void)state;
	if (access(path, R_OK) < 0)
		skip();
	assert_int_equal(inspect(path, HOTPLUG_MODE_WRITE, "is read-only"), -EACCES);
	assert_int_equal(inspect(path, HOTPLUG_MODE_READ, ""), 0);
}

/* --- the host --- */

static void a_daemon_is_known_by_its_lock(void **state)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct hotplug_failure failure = { 0 };
	int fd;

	(void)state;
	assert_int_equal(hotplug_host_check_daemon(dir, &failure), -ESRCH);
	assert_non_null(strstr(failure.text, "not running"));
	fd = open(in_dir("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(hotplug_host_check_daemon(dir, &failure), -ESRCH);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	assert_int_equal(hotplug_host_check_daemon(dir, &failure), 0);
	close(fd);
	assert_int_equal(hotplug_host_check_daemon(dir, &failure), -ESRCH);
}

static void a_device_of_a_kernel_driver_is_left_alone(void **state)
{
	struct hotplug_request req = { .script = HOTPLUG_SCRIPT_BLOCK, .domid = 7, .devid = 768 };
	struct hotplug_failure failure = { 0 };

	(void)state;
	strcpy(req.kind, "vbd");
	make_dir("bus");
	make_dir("bus/xen-backend");
	make_dir("bus/xen-backend/devices");
	make_dir("bus/xen-backend/devices/vbd-7-768");
	assert_int_equal(hotplug_host_check_driver(dir, &req, &failure), 0);
	assert_int_equal(symlink("nowhere", in_dir("bus/xen-backend/devices/vbd-7-768/driver")), 0);
	assert_int_equal(hotplug_host_check_driver(dir, &req, &failure), -EBUSY);
	assert_non_null(strstr(failure.text, "xen-blkback is loaded"));
	req.devid = 832;
	assert_int_equal(hotplug_host_check_driver(dir, &req, &failure), 0);
}

static void the_script_lock_is_held_until_it_is_closed(void **state)
{
	struct hotplug_failure failure = { 0 };
	int fd = hotplug_host_lock(dir, &failure);
	int again;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	again = hotplug_host_lock(dir, &failure);
	assert_true(again >= 0);
	close(again);
	assert_true(hotplug_host_lock("/nonexistent", &failure) < 0);
}

static void an_image_without_a_mounted_loop_device_is_free(void **state)
{
	struct hotplug_failure failure = { 0 };
	struct hotplug_identity identity;

	(void)state;
	make_file("looped", "x");
	assert_int_equal(hotplug_target_identify(in_dir("looped"), &identity), 0);
	make_dir("block");
	make_dir("block/loop0");
	make_dir("block/loop0/loop");
	make_file("block/loop0/dev", "7:4000\n"); /* mounted nowhere */
	make_file("block/loop0/loop/backing_file", in_dir("looped"));
	assert_int_equal(
		hotplug_host_check_mounts(dir, "looped", &identity, HOTPLUG_MODE_WRITE, &failure),
		0);
}

/* A made-up loop device with the number of a file system that is surely mounted. */
static void an_image_with_a_mounted_loop_device_is_busy(void **state)
{
	struct hotplug_failure failure = { 0 };
	struct hotplug_identity identity;
	char number[32];
	struct stat st;

	(void)state;
	assert_int_equal(stat("/proc", &st), 0);
	snprintf(number, sizeof(number), "%u:%u\n", major(st.st_dev), minor(st.st_dev));
	make_file("mounted-image", "x");
	assert_int_equal(hotplug_target_identify(in_dir("mounted-image"), &identity), 0);
	make_dir("block/loop1");
	make_dir("block/loop1/loop");
	make_file("block/loop1/dev", number);
	make_file("block/loop1/loop/backing_file", in_dir("mounted-image"));
	assert_int_equal(hotplug_host_check_mounts(dir, "mounted-image", &identity,
						   HOTPLUG_MODE_WRITE, &failure),
			 -EBUSY);
	assert_true(failure.busy);
	assert_non_null(strstr(failure.text, "is mounted on /proc"));
	assert_int_equal(hotplug_host_check_mounts(dir, "mounted-image", &identity,
						   HOTPLUG_MODE_UNCHECKED, &failure),
			 0);
}

/* --- vif --- */

static int final_name(const char *vifname, enum hotplug_iftype iftype, char name[IFNAMSIZ])
{
	struct hotplug_failure failure = { 0 };

	return vifconf_final_name(iftype == HOTPLUG_IFTYPE_TAP ? "vif7.0-emu" : "vif7.0", vifname,
				  iftype, name, &failure);
}

static void a_vifname_is_checked_with_its_suffix(void **state)
{
	char name[IFNAMSIZ];

	(void)state;
	assert_int_equal(final_name("", HOTPLUG_IFTYPE_VIF, name), 0);
	assert_string_equal(name, "vif7.0");
	assert_int_equal(final_name("web", HOTPLUG_IFTYPE_VIF, name), 0);
	assert_string_equal(name, "web");
	assert_int_equal(final_name("web", HOTPLUG_IFTYPE_TAP, name), 0);
	assert_string_equal(name, "web-emu");
	assert_int_equal(final_name("fifteen-letters", HOTPLUG_IFTYPE_VIF, name), 0);
	assert_int_equal(final_name("sixteen-letters-", HOTPLUG_IFTYPE_VIF, name), -EINVAL);
	assert_int_equal(final_name("eleven-char", HOTPLUG_IFTYPE_TAP, name), 0);
	assert_string_equal(name, "eleven-char-emu");
	assert_int_equal(final_name("twelve-chars", HOTPLUG_IFTYPE_TAP, name), -EINVAL);
	assert_int_equal(final_name("a/b", HOTPLUG_IFTYPE_VIF, name), -EINVAL);
}

static int choose_mtu(const char *text, unsigned int bridge_mtu, unsigned int *mtu)
{
	struct hotplug_failure failure = { 0 };

	return vifconf_mtu(text, bridge_mtu, mtu, &failure);
}

static void the_mtu_is_the_configured_one_else_the_bridges(void **state)
{
	unsigned int mtu;

	(void)state;
	assert_int_equal(choose_mtu("", 9000, &mtu), 0);
	assert_int_equal(mtu, 9000);
	assert_int_equal(choose_mtu("1400", 9000, &mtu), 0);
	assert_int_equal(mtu, 1400);
	assert_int_equal(choose_mtu("", 65535, &mtu), 0);
	assert_int_equal(mtu, 65521);
	assert_int_equal(choose_mtu("68", 1500, &mtu), 0);
	assert_int_equal(choose_mtu("65521", 1500, &mtu), 0);
	assert_int_equal(mtu, 65521);
}

static void an_mtu_out_of_range_is_refused(void **state)
{
	static const char *const bad[] = {
		"67",    "65522", "0",   "-1",    "+1500",
		" 1500", "1500 ", "1e3", "99999", "18446744073709553116"
	};
	unsigned int mtu;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (choose_mtu(bad[i], 1500, &mtu) != -ERANGE)
			fail_msg("'%s' was taken", bad[i]);
}

static void an_old_bridge_name_is_translated(void **state)
{
	char name[IFNAMSIZ];

	(void)state;
	assert_true(vifconf_old_bridge_name("xenbr0", name));
	assert_string_equal(name, "eth0");
	assert_true(vifconf_old_bridge_name("xenbr12", name));
	assert_string_equal(name, "eth12");
	assert_false(vifconf_old_bridge_name("xenbr", name));
	assert_false(vifconf_old_bridge_name("xenbrX", name));
	assert_false(vifconf_old_bridge_name("br0", name));
}

static void a_bridge_is_guessed_only_when_there_is_one(void **state)
{
	char name[IFNAMSIZ];

	(void)state;
	make_dir("net");
	make_dir("net/eth0");
	assert_int_equal(vifconf_only_bridge(in_dir("net"), name), -ENOENT);
	make_dir("net/br0");
	make_dir("net/br0/bridge");
	assert_int_equal(vifconf_only_bridge(in_dir("net"), name), 0);
	assert_string_equal(name, "br0");
	make_dir("net/br1");
	make_dir("net/br1/bridge");
	assert_int_equal(vifconf_only_bridge(in_dir("net"), name), -E2BIG);
	assert_int_equal(vifconf_only_bridge(in_dir("no-net"), name), -ENOENT);
}

static void only_the_vifs_own_frontend_is_written_to(void **state)
{
	const struct hotplug_request req = { .domid = 7, .devid = 0 };

	(void)state;
	assert_true(vifconf_frontend_is_plausible(&req, "/local/domain/7/device/vif/0"));
	assert_false(vifconf_frontend_is_plausible(&req, "/local/domain/8/device/vif/0"));
	assert_false(vifconf_frontend_is_plausible(&req, "/local/domain/7/device/vif/0/x"));
	assert_false(vifconf_frontend_is_plausible(&req, ""));
}

static int remove_dir(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static int create_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_says_which_script),
		cmocka_unit_test(a_disk_request_is_understood),
		cmocka_unit_test(an_absolute_path_of_a_driver_domain_is_understood),
		cmocka_unit_test(both_interfaces_of_a_vif_are_understood),
		cmocka_unit_test(a_strange_command_line_is_refused),
		cmocka_unit_test(a_malformed_xenbus_path_is_refused),
		cmocka_unit_test(modes_are_spelled_as_xl_and_xend_did),
		cmocka_unit_test(a_writer_wants_the_image_alone),
		cmocka_unit_test(readers_share_but_not_with_a_writer),
		cmocka_unit_test(an_exclamation_mark_turns_the_check_off),
		cmocka_unit_test(the_same_vm_may_hold_the_image_twice),
		cmocka_unit_test(what_is_gone_does_not_count),
		cmocka_unit_test(a_frontend_between_two_drivers_still_counts),
		cmocka_unit_test(only_the_same_storage_conflicts),
		cmocka_unit_test(a_mounted_device_is_not_given_to_a_writer),
		cmocka_unit_test(a_reader_shares_a_device_with_a_read_only_mount_only),
		cmocka_unit_test(params_name_an_image_and_its_format),
		cmocka_unit_test(a_plain_file_is_a_target),
		cmocka_unit_test(what_cannot_be_a_disk_says_so),
		cmocka_unit_test(a_file_that_nobody_may_write_is_not_for_a_writer),
		cmocka_unit_test(a_daemon_is_known_by_its_lock),
		cmocka_unit_test(a_device_of_a_kernel_driver_is_left_alone),
		cmocka_unit_test(the_script_lock_is_held_until_it_is_closed),
		cmocka_unit_test(an_image_without_a_mounted_loop_device_is_free),
		cmocka_unit_test(an_image_with_a_mounted_loop_device_is_busy),
		cmocka_unit_test(a_vifname_is_checked_with_its_suffix),
		cmocka_unit_test(the_mtu_is_the_configured_one_else_the_bridges),
		cmocka_unit_test(an_mtu_out_of_range_is_refused),
		cmocka_unit_test(an_old_bridge_name_is_translated),
		cmocka_unit_test(a_bridge_is_guessed_only_when_there_is_one),
		cmocka_unit_test(only_the_vifs_own_frontend_is_written_to),
	};

	return cmocka_run_group_tests(tests, create_dir, remove_dir);
}
