/* SPDX-License-Identifier: MIT */
/* The command line and the configuration file: which values are accepted or refused, which one wins, and what holds after a reload. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/config_file.h"
#include "control/options.h"
#include "netback/filter.h"
#include "netback/quirks.h"

static enum options_result parse(struct options *options, const char *a, const char *b)
{
	char *argv[] = { (char *)"pvbackd", (char *)a, (char *)b, NULL };

	return options_parse(b ? 3 : a ? 2 : 1, argv, options);
}

static void defaults_need_nothing(void **state)
{
	struct options o;

	(void)state;
	CHECK(parse(&o, NULL, NULL) == OPTIONS_RUN);
	CHECK(o.nr_workers == 0 && o.log_level == LOG_LEVEL_INFO && !o.trace.categories);
	CHECK(!strcmp(o.runtime_dir, "/run/pvbackd"));
}

static void every_option_is_taken(void **state)
{
	struct options o;

	(void)state;
	CHECK(parse(&o, "--workers=3", "--log-level=debug") == OPTIONS_RUN);
	CHECK(o.nr_workers == 3 && o.log_level == LOG_LEVEL_DEBUG);
	CHECK(parse(&o, "--trace-rings", "--runtime-dir=/tmp/x") == OPTIONS_RUN);
	CHECK(o.trace.categories == TRACE_ALL && !strcmp(o.runtime_dir, "/tmp/x"));
	CHECK(parse(&o, "--trace-rings=blk@7/51712", NULL) == OPTIONS_RUN);
	CHECK(o.trace.categories == TRACE_BLK && o.trace.domid == 7 && o.trace.devid == 51712);
	CHECK(parse(&o, "--nbd-timeout=5", NULL) == OPTIONS_RUN && o.disk.nbd_timeout_s == 5);
	CHECK(parse(&o, "--vif-quirks=freebsd,poll", NULL) == OPTIONS_RUN);
	CHECK(o.vif.quirks.given && o.vif.quirks.bits == (QUIRK_NO_CSUM | QUIRK_POLL));
	CHECK(parse(&o, "--vif-quirks=windows", NULL) == OPTIONS_WRONG);
	CHECK(o.vif.rx_drain_ms == 10000 && o.vif.rx_stall_ms == 60000);
	CHECK(parse(&o, "--rx-drain-timeout=200", "--rx-stall-timeout=0") == OPTIONS_RUN);
	CHECK(o.vif.rx_drain_ms == 200 && o.vif.rx_stall_ms == 0);
	CHECK(parse(&o, "--rx-drain-timeout=0", NULL) == OPTIONS_WRONG);
	CHECK(parse(&o, "--rx-stall-timeout=-1", NULL) == OPTIONS_WRONG);
	CHECK(parse(&o, "--rx-stall-timeout=99999999999999999999", NULL) == OPTIONS_WRONG);
}

static void bad_spellings_are_refused(void **state)
{
	static const char *const wrong[] = {
		"--workers=0",
		"--workers=65",
		"--workers=two",
		"--workers=",
		"--workers=3x",
		"--workers= 2",
		"--workers=+2",
		"--log-level=loud",
		"--nbd-timeout=0",
		"--nbd-timeout=soon",
		"--trace-rings=disks",
		"--runtime-dir=",
		"--bogus",
		"stray",
		"--config=/nonexistent/pvbackd.conf",
	};
	struct options o;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(parse(&o, wrong[i], NULL) == OPTIONS_WRONG);
}

/* --- the configuration: a directory with `conf`, and perhaps conf.d/ --- */

static char dir[] = "/tmp/pvbackd-conf.XXXXXX";
static char config_arg[64];

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *out = fopen(path_of(name), "w");

	CHECK(out && fputs(text, out) >= 0 && fclose(out) == 0);
}

static int make_dir(void **state)
{
	(void)state;
	strcpy(strrchr(dir, '.'), ".XXXXXX");
	CHECK(mkdtemp(dir) && mkdir(path_of("conf.d"), 0700) == 0);
	snprintf(config_arg, sizeof(config_arg), "--config=%s/conf", dir);
	return 0;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {
		"conf",           "conf.d/10.conf",  "conf.d/9.conf",
		"conf.d/.x.conf", "conf.d/11.conf~", "conf.d/fifo.conf"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	rmdir(path_of("conf.d"));
	return rmdir(dir);
}

static char said[4096]; /* all lines of the log */

static void collect(enum log_level level, const char *text, size_t who_len, const char *notice)
{
	(void)who_len, (void)notice;
	if (level == LOG_LEVEL_ERROR)
		snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n", text);
}

static enum options_result parse_text(struct options *options, const char *text, const char *also)
{
	write_file("conf", text);
	*said = '\0';
	return parse(options, config_arg, also);
}

static void the_file_is_read_and_argv_wins(void **state)
{
	struct options o;

	(void)state;
	CHECK(parse_text(&o, "# workers\nworkers = 2\n  log-level = error ; quiet\n", NULL) ==
	      OPTIONS_RUN);
	CHECK(o.nr_workers == 2 && o.log_level == LOG_LEVEL_ERROR);
	CHECK(parse_text(&o, "\xef\xbb\xbfworkers = 2\n", "--workers=5") == OPTIONS_RUN);
	CHECK(o.nr_workers == 5 && !*said);
	CHECK(parse_text(&o, "packet-rate = 5,1000\n", NULL) == OPTIONS_RUN);
	CHECK(o.vif.packet_rate.amount == 5 && o.vif.packet_rate.usecs == 1000);
}

/* Otherwise guests would have no disks because of a small error. */
static void what_is_wrong_is_said_and_the_rest_is_served(void **state)
{
	static const struct {
		const char *text, *said;
	} wrong[] = {
		{ "iops = 3\nwokers = 2\n",
		  "conf, line 2: wokers is no option (is it `workers`?)" },
		{ "iops = 3\n\ncolour = red\n", "conf, line 3: colour is no option; see" },
		{ "workers = many\niops = 3\n",
		  "conf, line 1: workers cannot be `many`: it takes a number from 1 to 64" },
		{ "iops = 3\nlog-level = loud # no\n", "it takes error, warning, info or debug" },
		{ "iops\niops = 3\n", "conf, line 1: `iops` is not NAME = VALUE" },
		{ "iops = 3\nbps ; = 5\n", "line 2: `bps ; = 5` is not NAME = VALUE" },
		{ "iops = 3\n[disk web\nworkers = 2\niops = 4\n",
		  "line 2: [disk web is no section" },
		{ "iops = 3\n[disk web/xvda\niops = 4\n", "line 2: [disk web/xvda is no section" },
		{ "iops = 3\n[disk web]\niops = 4\n", "line 2: [disk web] is no section" },
		{ "iops = 3\n[guest ]\niops = 4\n", "[guest ] is no section" },
		{ "iops = 3\n[]\niops = 4\n", "[] is no section" },
		{ "iops = 3\n[vfi web/0]\nrate = 4\n", "[vfi web/0] is no section" },
		{ "iops = 3\n[guest web]\nworkers = 4\n",
		  "line 3: workers cannot be in [guest web]: it is for the daemon" },
		{ "iops = 3\n[disk web/xvda]\nrate = 4,5\n",
		  "rate cannot be in [disk web/xvda]: it is for network cards" },
		{ "iops = 3\n[disk web/xvda]\niops = lots\n", "line 3: iops cannot be `lots`" },
	};
	struct options o;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK(parse_text(&o, wrong[i].text, NULL) == OPTIONS_RUN);
		CHECK(strstr(said, wrong[i].said) && strstr(said, "has 1 fault,"));
		CHECK(o.nr_workers == 0 && o.disk.iops == 3 && !o.settings.first);
		CHECK(parse_text(&o, wrong[i].text, "--check-config") == OPTIONS_WRONG);
	}
	CHECK(parse_text(&o, "iop = 1\nbps = x\n", NULL) == OPTIONS_RUN);
	CHECK(strstr(said, "line 1:") && strstr(said, "line 2:") && strstr(said, "has 2 faults"));
	CHECK(parse_text(&o, "iops = 1\n", "--check-config") == OPTIONS_DONE && !*said);
}

static void what_has_no_safe_default_is_not_served_without(void **state)
{
	unsigned int on;
	struct options o;

	(void)state;
	CHECK(filter_parse_want("on", &on) == 0);
	CHECK(parse_text(&o, "antispoof = onn\n", NULL) == OPTIONS_RUN && o.vif.antispoof == on);
	CHECK(strstr(said, "; until that is put right it counts as `on`"));
	CHECK(parse_text(&o, "antispof = mac\n", NULL) == OPTIONS_RUN && o.vif.antispoof == on);
	CHECK(parse_text(&o, "[vfi web/0]\nantispoof = mac\n", NULL) == OPTIONS_RUN);
	CHECK(o.vif.antispoof == on && strstr(said, "it is `on` for all"));
	CHECK(parse_text(&o, "[vif web/0]\nantispoof = mca\n", NULL) == OPTIONS_RUN);
	CHECK(o.vif.antispoof == 0 && o.settings.first && strstr(said, "it counts as `on`"));
	options_free(&o);
	CHECK(parse_text(&o, "serve = vdb\n", NULL) == OPTIONS_WRONG);
	CHECK(strstr(said, "; pvbackd does not start without it"));
	CHECK(parse_text(&o, "srve = vif\n", NULL) == OPTIONS_WRONG);
	CHECK(parse_text(&o, "runtime-dir =\n", NULL) == OPTIONS_WRONG);
}

static void drop_ins_come_after_the_file_by_their_names(void **state)
{
	struct options o;

	(void)state;
	write_file("conf.d/9.conf", "iops = 9\nworkers = 9\n");
	write_file("conf.d/10.conf", "iops = 10\nbps = 10\nworkers = 10\n");
	write_file("conf.d/.x.conf", "iops = 1\n");
	write_file("conf.d/11.conf~", "iops = 2\n");
	CHECK(parse_text(&o, "iops = 3\npoll-time = 4\n", "--workers=1") == OPTIONS_RUN);
	CHECK(o.disk.iops == 9 && o.disk.bps == 10 && o.disk.poll_us == 4 && o.nr_workers == 1);
	write_file("conf.d/10.conf", "[guest web]\niops = many\n");
	write_file("conf.d/9.conf", "iops = 9\n"); /* of no section of the file before */
	CHECK(parse_text(&o, "", NULL) == OPTIONS_RUN && o.disk.iops == 9);
	CHECK(strstr(said, "conf.d/10.conf, line 2: iops cannot be `many`"));
	CHECK(mkfifo(path_of("conf.d/fifo.conf"), 0600) == 0);
	CHECK(parse_text(&o, "", NULL) == OPTIONS_WRONG);
	CHECK(strstr(said, "conf.d/fifo.conf: it cannot be read: it is not a plain file"));
}

static uint64_t iops_of(const struct options *o, const char *guest, const char *devid,
			const char *name)
{
	const struct settings_of of = { .guest = guest, .device = { devid, name } };
	struct disk_options disk = o->disk;

	settings_apply(&o->settings, &of, disk_keys, &disk);
	return disk.iops;
}

static void a_section_holds_for_its_guest_or_device(void **state)
{
	const struct settings_of nic = { .guest = "web", .device = { "0", "00:16:3e:00:00:0A" } };
	struct vif_options vif;
	struct options o;

	(void)state;
	CHECK(parse_text(&o,
			 "iops = 1\n"
			 "[disk web/xvda]\niops = 2\n"
			 "[guest web]\niops = 3\nrate = 5,6\n"
			 "[disk a/b/51728]\niops = 4\n"
			 "[vif web/00:16:3E:00:00:0a]\npacket-rate = 7,8\nantispoof = mac\n",
			 NULL) == OPTIONS_RUN);
	CHECK(!*said);
	CHECK(iops_of(&o, "web", "51712", "xvda") == 2); /* wherever it stands */
	CHECK(iops_of(&o, "web", "51728", "xvdb") == 3);
	CHECK(iops_of(&o, "a/b", "51728", "xvdb") == 4);
	CHECK(iops_of(&o, "web2", "51712", "xvda") == 1 && iops_of(&o, "WEB", "1", "x") == 1);
	vif = o.vif;
	settings_apply(&o.settings, &nic, vif_keys, &vif);
	CHECK(vif.rate.amount == 5 && vif.packet_rate.amount == 7 && vif.rate_rx.amount == 0);
	CHECK(vif.antispoof && !o.vif.antispoof);
	options_free(&o);
	CHECK(iops_of(&o, "web", "51712", "xvda") == 1);
}

static int reload_text(struct options *options, const char *text)
{
	char *argv[] = { (char *)"pvbackd", config_arg, (char *)"--rx-drain-timeout=7", NULL };
	struct config_faults faults;
	int err;

	write_file("conf", text);
	err = options_reload(3, argv, options, &faults);
	config_faults_log(&faults);
	config_faults_free(&faults);
	return err;
}

static void a_fault_is_told_in_its_parts(void **state)
{
	char *argv[] = { (char *)"pvbackd", config_arg, NULL };
	struct config_faults faults;

	(void)state;
	write_file("conf", "iops = 5\nbps = many\n[disk web]\n");
	CHECK(options_check(2, argv, &faults) == -EINVAL && faults.nr == 2 && !faults.vital);
	CHECK(!strcmp(faults.list[0].file, strchr(config_arg, '=') + 1));
	CHECK(faults.list[0].line == 2 && faults.list[1].line == 3);
	CHECK(!strcmp(faults.list[0].key, "bps") && !strcmp(faults.list[0].value, "many"));
	CHECK(strstr(faults.list[0].text, "a number from") && !faults.list[1].key);
	config_faults_free(&faults);
	config_faults_free(&faults);
	write_file("conf", "iops = 5\n");
	CHECK(options_check(2, argv, &faults) == 0 && faults.nr == 0);
}

static void it_is_read_again_as_a_whole_or_not_at_all(void **state)
{
	struct options o;

	(void)state;
	CHECK(parse_text(&o, "iops = 1\nworkers = 2\n[guest web]\niops = 2\n",
			 "--rx-drain-timeout=7") == OPTIONS_RUN);
	CHECK(reload_text(&o, "iops = 5\nbps = many\n") == -EINVAL);
	CHECK(o.disk.iops == 1 && iops_of(&o, "web", "1", "x") == 2);
	CHECK(reload_text(&o, "iops = 5\n[guest web]\nantispoof = sure\n") == -EINVAL);
	CHECK(o.disk.iops == 1 && iops_of(&o, "web", "1", "x") == 2);
	CHECK(reload_text(&o, "iops = 6\nworkers = 3\nrx-drain-timeout = 9\nlog-level = debug\n"
			      "[guest db]\niops = 4\n") == 0);
	CHECK(o.disk.iops == 6 && o.log_level == LOG_LEVEL_DEBUG);
	CHECK(o.nr_workers == 2 && o.vif.rx_drain_ms == 7); /* a restart's; argv's */
	CHECK(iops_of(&o, "web", "1", "x") == 6 && iops_of(&o, "db", "1", "x") == 4);
	CHECK(reload_text(&o, "") == 0 && o.disk.iops == 0 && o.log_level == LOG_LEVEL_INFO);
	options_free(&o);
}

static void every_option_may_be_copied_and_compared(void **state)
{
	(void)state;
	for (size_t i = 0; i < OPTIONS_NR_PARTS; i++)
		for (const struct key *key = options_parts[i].keys; key->name; key++)
			CHECK(key->size > 0);
}

static void only_a_plain_file_is_a_configuration(void **state)
{
	struct options o;

	(void)state;
	CHECK(parse(&o, config_arg, NULL) == OPTIONS_WRONG); /* there is none */
	CHECK(mkdir(path_of("conf"), 0700) == 0);
	CHECK(parse(&o, config_arg, NULL) == OPTIONS_WRONG);
	CHECK(rmdir(path_of("conf")) == 0 && mkfifo(path_of("conf"), 0600) == 0);
	CHECK(parse(&o, config_arg, NULL) == OPTIONS_WRONG); /* no program writes into it */
	CHECK(parse(&o, "--config=/dev/null", NULL) == OPTIONS_WRONG);
}

/* libinih would read what does not fit into its buffer as another line. */
static void a_line_that_is_too_long_is_left_out(void **state)
{
	char text[400];
	struct options o;

	(void)state;
	snprintf(text, sizeof(text), "pcap-dir = /%0220d workers = 3\niops = 3\n", 0);
	CHECK(parse_text(&o, text, NULL) == OPTIONS_RUN && o.nr_workers == 0 && o.disk.iops == 3);
	CHECK(strstr(said, "conf, line 1: it has more than 198 characters"));
	snprintf(text, sizeof(text), "pcap-dir = /%0100d", 0);
	CHECK(parse_text(&o, text, NULL) == OPTIONS_RUN && !*said);
}

/* The text of a file of the source tree, without the backslashes of a man page's hyphens. */
static char *text_of(const char *name)
{
	static char text[65536];
	const char *top = getenv("top_srcdir");
	char path[512];
	size_t len = 0;
	FILE *in;
	int c;

	snprintf(path, sizeof(path), "%s/%s", top ? top : ".", name);
	in = fopen(path, "r");
	CHECK(in);
	while ((c = getc(in)) != EOF && len < sizeof(text) - 1)
		if (c != '\\')
			text[len++] = (char)c;
	text[len] = '\0';
	fclose(in);
	return text;
}

/* Find where the name begins, as a whole word. */
static const char *find_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	while ((text = strstr(text, word)) && (strchr("-abcdefghijklmnopqrstuvwxyz", text[-1]) ||
					       strchr("-abcdefghijklmnopqrstuvwxyz", text[len])))
		text += len;
	return text;
}

static void the_man_page_and_the_example_have_every_option(void **state)
{
	static const char *const lists[] = {
		[KEY_AT_ONCE] = "\n.B at once\n",
		[KEY_AT_CONNECT] = "\n.B when the device connects the next time\n",
		[KEY_AT_RESTART] = "\n.B when the daemon is restarted\n",
	};
	char list[3][512], line[80];
	const char *text = text_of("man/pvbackd.conf.5");

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const char *begin = strstr(text, lists[i]);

		CHECK(begin);
		begin += strlen(lists[i]) - 1;
		snprintf(list[i], sizeof(list[i]), "%.*s", (int)(strstr(begin, "\n.") - begin),
			 begin);
		strcat(list[i], "\n");
	}
	for (size_t i = 0; i < OPTIONS_NR_PARTS; i++)
		for (const struct key *key = options_parts[i].keys; key->name; key++) {
			CHECK(find_word(list[key->when], key->name));
			snprintf(line, sizeof(line), " \"%s = ", key->name);
			CHECK(strstr(text, line));
		}
	text = text_of("examples/pvbackd.conf");
	for (size_t i = 0; i < OPTIONS_NR_PARTS; i++)
		for (const struct key *key = options_parts[i].keys; key->name; key++) {
			snprintf(line, sizeof(line), "\n#%s = ", key->name);
			CHECK(strstr(text, line));
		}
}

static void help_and_version_are_answered(void **state)
{
	struct options o;

	(void)state;
	CHECK(parse(&o, "--help", NULL) == OPTIONS_DONE);
	CHECK(parse(&o, "--version", NULL) == OPTIONS_DONE);
}

#define with_dir(test_) cmocka_unit_test_setup_teardown(test_, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_need_nothing),
		cmocka_unit_test(every_option_is_taken),
		cmocka_unit_test(bad_spellings_are_refused),
		with_dir(the_file_is_read_and_argv_wins),
		with_dir(what_is_wrong_is_said_and_the_rest_is_served),
		with_dir(what_has_no_safe_default_is_not_served_without),
		with_dir(drop_ins_come_after_the_file_by_their_names),
		with_dir(a_section_holds_for_its_guest_or_device),
		with_dir(a_fault_is_told_in_its_parts),
		with_dir(it_is_read_again_as_a_whole_or_not_at_all),
		with_dir(only_a_plain_file_is_a_configuration),
		with_dir(a_line_that_is_too_long_is_left_out),
		cmocka_unit_test(every_option_may_be_copied_and_compared),
		cmocka_unit_test(the_man_page_and_the_example_have_every_option),
		cmocka_unit_test(help_and_version_are_answered),
	};

	log_set_sink(collect);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
