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

static struct hotplug_claim claim_of_image(enum hotplug_mode mode)
{
	return (struct hotplug_claim){
		.mode = mode,
		.state = 4,
		.online = true,
		.domain_exists = true,
	};
}

static bool conflicts(const struct hotplug_claim *claim, enum hotplug_mode mode)
{
	return hotplug_claim_forbids(claim, mode);
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

/* The identity, the part, and the storage below that. */
static struct hotplug_medium medium_of(const char *text)
{
	struct hotplug_medium medium;

	assert_int_equal(hotplug_medium_parse(text, &medium), 0);
	return medium;
}

static bool collide(const char *one, const char *other)
{
	struct hotplug_medium a = medium_of(one), b = medium_of(other);

	assert_int_equal(hotplug_media_collide(&a, &b), hotplug_media_collide(&b, &a));
	return hotplug_media_collide(&a, &b);
}

static void only_what_has_a_part_in_common_collides(void **state)
{
	(void)state;
	assert_true(collide("f8:3:2a:0-ff", "f8:3:2a:0-ff"));
	assert_false(collide("f8:3:2a:0-ff", "f8:3:2b:0-ff"));
	assert_false(collide("f8:3:0:0-ff", "b8:3:0:0-ff"));
	assert_true(collide("b8:0:0:0-ffffffffffffffff", "b8:0:0:1000-2000"));
	assert_true(collide("b8:0:0:0-1001", "b8:0:0:1000-2000"));
	assert_false(collide("b8:0:0:0-1000", "b8:0:0:1000-2000"));
}

static void what_is_made_of_it_collides_but_not_its_neighbour(void **state)
{
	static const char one[] = "bfd:1:0:0-ffff b8:0:0:100-200 b8:10:0:0-ffff";
	static const char other[] = "bfd:2:0:0-ffff b8:0:0:100-200";

	(void)state;
	assert_false(collide(one, other));
	assert_true(collide(one, "b8:0:0:0-ffff"));
	assert_true(collide(one, "b8:10:0:100-200"));
	assert_false(collide(one, "b8:0:0:200-300"));
	assert_true(collide("bfd:3:0:0-ffff bfd:1:0:0-ffff", one));
}

static void a_medium_is_the_same_after_a_visit_to_xenstore(void **state)
{
	static char text[HOTPLUG_MEDIUM_TEXT], again[HOTPLUG_MEDIUM_TEXT];
	static struct hotplug_medium medium;

	(void)state;
	for (size_t i = 0; i < HOTPLUG_EXTENTS_MAX; i++)
		medium.extents[medium.nr++] = (struct hotplug_extent){
			.of = { .is_block = i & 1,
				.dev = makedev(0xfff, 0xfffff),
				.ino = UINT64_MAX },
			.from = UINT64_MAX - i,
			.to = UINT64_MAX,
		};
	hotplug_medium_format(&medium, text);
	medium = medium_of(text);
	assert_int_equal(medium.nr, HOTPLUG_EXTENTS_MAX);
	hotplug_medium_format(&medium, again);
	assert_string_equal(text, again);
}

static void what_is_no_medium_is_refused(void **state)
{
	static const char *const bad[] = {
		"", " ", "x8:3:0:0-1", "f8:3:0:0", "f8:3:0:0-1 f", "b8:3"
	};
	static struct hotplug_medium medium;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (hotplug_medium_parse(bad[i], &medium) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
}

/* --- mounts --- */

static const char mounts[] =
	"21 28 0:19 / /sys rw,nosuid - sysfs sysfs rw\n"
	"28 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro\n"
	"this line is not one\n"
	"40 28 8:17 / /mnt/my\\040cd ro,relatime shared:7 master:1 - iso9660 /dev/sdb1 "
	"ro,nojoliet\n"
	"41 28 8:33 / /srv ro,relatime - ext4 /dev/sdc1 rw\n";

/* Where the first mount of the device is that forbids the mode; "" if there is none. */
static const char *mounted(dev_t dev, enum hotplug_mode mode)
{
	FILE *f = fmemopen((char *)(uintptr_t)mounts, sizeof(mounts) - 1, "r");
	static struct hotplug_mount mount;

	assert_non_null(f);
	while (hotplug_mount_next(f, &mount))
		if (mount.dev == dev && hotplug_mount_forbids(&mount, mode))
			break;
	if (mount.dev != dev || !hotplug_mount_forbids(&mount, mode))
		mount.dir[0] = '\0';
	fclose(f);
	return mount.dir;
}

static void a_mounted_device_is_not_given_to_a_writer(void **state)
{
	(void)state;
	assert_string_equal(mounted(makedev(259, 2), HOTPLUG_MODE_WRITE), "/");
	assert_string_equal(mounted(makedev(8, 17), HOTPLUG_MODE_WRITE), "/mnt/my cd");
	assert_string_equal(mounted(makedev(8, 16), HOTPLUG_MODE_WRITE), "");
	assert_string_equal(mounted(makedev(259, 2), HOTPLUG_MODE_UNCHECKED), "");
}

static void a_reader_shares_a_device_with_a_read_only_mount_only(void **state)
{
	(void)state;
	assert_string_equal(mounted(makedev(8, 17), HOTPLUG_MODE_READ), "");
	assert_string_equal(mounted(makedev(259, 2), HOTPLUG_MODE_READ), "/");
	/* A read-only view of a file system that can be written elsewhere. */
	assert_string_equal(mounted(makedev(8, 33), HOTPLUG_MODE_READ), "/srv");
}

static void the_kernel_names_its_swap(void **state)
{
	static const char text[] =
		"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
		"/dev/sda2                               partition\t1048572\t0\t-2\n"
		"/my\\040swap\tfile\t1\t0\t-3\n";
	FILE *f = fmemopen((char *)(uintptr_t)text, sizeof(text) - 1, "r");
	char path[PATH_MAX];

	(void)state;
	assert_non_null(f);
	assert_true(hotplug_swap_next(f, path));
	assert_string_equal(path, "/dev/sda2");
	assert_true(hotplug_swap_next(f, path));
	assert_string_equal(path, "/my swap");
	assert_false(hotplug_swap_next(f, path));
	fclose(f);
}

/* --- the storage itself --- */

/* Returns what was found: "PATH", "DRIVER PATH" or "nbd NAME". */
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
	assert_int_equal(target.medium_id.number, st.st_ino);
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
	make_file("empty", "");
	assert_int_equal(inspect(in_dir("empty"), HOTPLUG_MODE_READ, "is empty (0 bytes)"),
			 -ENODATA);
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
	if (access(path, R_OK) < 0 || (access(path, W_OK) < 0 && errno == EROFS))
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
		cmocka_unit_test(only_what_has_a_part_in_common_collides),
		cmocka_unit_test(what_is_made_of_it_collides_but_not_its_neighbour),
		cmocka_unit_test(a_medium_is_the_same_after_a_visit_to_xenstore),
		cmocka_unit_test(what_is_no_medium_is_refused),
		cmocka_unit_test(a_mounted_device_is_not_given_to_a_writer),
		cmocka_unit_test(a_reader_shares_a_device_with_a_read_only_mount_only),
		cmocka_unit_test(the_kernel_names_its_swap),
		cmocka_unit_test(params_name_an_image_and_its_format),
		cmocka_unit_test(a_plain_file_is_a_target),
		cmocka_unit_test(what_cannot_be_a_disk_says_so),
		cmocka_unit_test(a_file_that_nobody_may_write_is_not_for_a_writer),
		cmocka_unit_test(a_daemon_is_known_by_its_lock),
		cmocka_unit_test(a_device_of_a_kernel_driver_is_left_alone),
		cmocka_unit_test(the_script_lock_is_held_until_it_is_closed),
		cmocka_unit_test(a_vifname_is_checked_with_its_suffix),
		cmocka_unit_test(the_mtu_is_the_configured_one_else_the_bridges),
		cmocka_unit_test(an_mtu_out_of_range_is_refused),
		cmocka_unit_test(an_old_bridge_name_is_translated),
		cmocka_unit_test(a_bridge_is_guessed_only_when_there_is_one),
		cmocka_unit_test(only_the_vifs_own_frontend_is_written_to),
	};

	return cmocka_run_group_tests(tests, create_dir, remove_dir);
}
