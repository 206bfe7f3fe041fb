/* SPDX-License-Identifier: MIT */
/* The names of NBD exports: each form, its limits, and what is refused with a reason. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/nbd_name.h"

static bool is(const char *text, bool is_unix, const char *where, unsigned int port,
	       const char *export_name)
{
	struct nbd_name name = { 0 };
	const char *why = NULL;

	return nbd_name_parse(text, &name, &why) == 0 && name.is_unix == is_unix &&
	       !strcmp(name.where, where) && (is_unix || name.port == port) &&
	       !strcmp(name.export_name, export_name);
}

static void every_form_is_understood(void **state)
{
	(void)state;
	CHECK(is("nbd:unix:/run/x", true, "/run/x", 0, ""));
	CHECK(is("nbd:unix:/run/x:exportname=disk one", true, "/run/x", 0, "disk one"));
	CHECK(is("nbd+unix:///?socket=/run/x", true, "/run/x", 0, ""));
	CHECK(is("nbd+unix:///disk?socket=/run/x", true, "/run/x", 0, "disk"));
	CHECK(is("nbd+unix:///a%20b?socket=/run/%58", true, "/run/X", 0, "a b"));
	CHECK(is("nbd://10.0.0.1", false, "10.0.0.1", 10809, ""));
	CHECK(is("nbd://10.0.0.1/", false, "10.0.0.1", 10809, ""));
	CHECK(is("nbd://host:7/pool/disk", false, "host", 7, "pool/disk"));
	CHECK(is("nbd://[fe80::1]:65535/d", false, "fe80::1", 65535, "d"));
}

static void what_is_wrong_is_refused_with_a_reason(void **state)
{
	static const char *const wrong[] = {
		"nbd:",
		"nbd:unix:",
		"nbd:unix:relative",
		"nbd+unix:///d",
		"nbd+unix://host/d?socket=/x",
		"nbd+unix:///d?socket=x",
		"nbd+unix:///d?socket=/x&tls=1",
		"nbd+unix:///%zz?socket=/x",
		"nbd+unix:///%0?socket=/x",
		"nbd+unix:///%00?socket=/x",
		"nbd://",
		"nbd:///d",
		"nbd://host:/d",
		"nbd://host:0/d",
		"nbd://host:65536/d",
		"nbd://host:+1/d",
		"nbd://host:1x/d",
		"nbd://[::1/d",
		"nbd://[::1]x/d",
		"nbd://host/d?tls=1",
		"nbd+vsock:///d",
		"nbds://host/d",
		"/a/path",
	};
	struct nbd_name name;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *why = NULL;

		if (nbd_name_parse(wrong[i], &name, &why) == 0 || !why)
			fail_msg("%s is taken", wrong[i]);
	}
}

static void what_does_not_fit_is_refused(void **state)
{
	char text[600], path[NBD_WHERE_MAX + 1], export_name[NBD_EXPORT_MAX + 1];
	struct nbd_name name;
	const char *why = NULL;

	(void)state;
	memset(path, 'p', sizeof(path));
	path[0] = '/';
	path[NBD_WHERE_MAX] = '\0'; /* one byte too long */
	snprintf(text, sizeof(text), "nbd:unix:%s", path);
	CHECK(nbd_name_parse(text, &name, &why) == -EINVAL && why);
	text[strlen(text) - 1] = '\0';
	CHECK(nbd_name_parse(text, &name, &why) == 0);

	memset(export_name, 'e', sizeof(export_name));
	export_name[NBD_EXPORT_MAX] = '\0';
	snprintf(text, sizeof(text), "nbd://h/%s", export_name);
	CHECK(nbd_name_parse(text, &name, &why) == -EINVAL);
	text[strlen(text) - 1] = '\0';
	CHECK(nbd_name_parse(text, &name, &why) == 0);
}

static void a_path_is_no_export(void **state)
{
	(void)state;
	CHECK(nbd_name_is("nbd:unix:/x") && nbd_name_is("nbd://h") && nbd_name_is("nbds://h") &&
	      nbd_name_is("nbd+unix:///"));
	CHECK(!nbd_name_is("/dev/nbd0") && !nbd_name_is("nbd0") && !nbd_name_is("") &&
	      !nbd_name_is("vg/nbd:x"));
}

static void a_name_is_the_same_after_it_was_written(void **state)
{
	static const char *const names[] = { "nbd:unix:/run/x", "nbd:unix:/run/x:exportname=a?b",
					     "nbd://[::1]:9/a%3Fb%25", "nbd://10.0.0.1:10809/" };
	struct nbd_name one, two;
	const char *why;
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CHECK(nbd_name_parse(names[i], &one, &why) == 0);
		CHECK(nbd_name_format(&one, text, sizeof(text)) == 0);
		assert_string_equal(text, names[i]);
		CHECK(nbd_name_parse(text, &two, &why) == 0);
		CHECK(memcmp(&one, &two, sizeof(one)) == 0);
		CHECK(nbd_name_format(&one, text, strlen(names[i])) == -ENAMETOOLONG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_is_understood),
		cmocka_unit_test(what_is_wrong_is_refused_with_a_reason),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(a_path_is_no_export),
		cmocka_unit_test(a_name_is_the_same_after_it_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
