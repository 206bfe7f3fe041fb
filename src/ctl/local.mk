# SPDX-License-Identifier: MIT
# pvbackctl is main() on top of a library, so that the tests can call the parts.

sbin_PROGRAMS += pvbackctl
pvbackctl_SOURCES = src/ctl/main.c
pvbackctl_LDADD = libctl.a libpvb.a $(JSONC_LIBS) $(NCURSES_LIBS)

bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = completion/pvbackctl

noinst_LIBRARIES += libctl.a
libctl_a_CFLAGS = $(AM_CFLAGS) $(NCURSES_CFLAGS)
libctl_a_SOURCES = \
	src/ctl/act.c \
	src/ctl/commands.c \
	src/ctl/complete.c \
	src/ctl/conn.c src/ctl/conn.h \
	src/ctl/cli.c src/ctl/cli.h \
	src/ctl/device.c src/ctl/device.h \
	src/ctl/diagnosis.c src/ctl/diagnosis.h \
	src/ctl/events.c \
	src/ctl/explain.c \
	src/ctl/help.c \
	src/ctl/json.c src/ctl/json.h \
	src/ctl/list.c \
	src/ctl/load.c src/ctl/load.h \
	src/ctl/look.c src/ctl/look.h \
	src/ctl/show.c \
	src/ctl/text.c src/ctl/text.h \
	src/ctl/top.c src/ctl/top.h \
	src/ctl/top_screen.c \
	src/ctl/watch.c \
	src/ctl/why.c

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test-diagnosis tests/unit/test-pvbackctl
TESTS += tests/unit/test-diagnosis tests/unit/test-pvbackctl

tests_unit_test_pvbackctl_SOURCES = tests/unit/test-pvbackctl.c tests/unit/unit.h
tests_unit_test_pvbackctl_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pvbackctl_LDADD = libctl.a libpvb.a $(CMOCKA_LIBS) $(JSONC_LIBS) $(NCURSES_LIBS)

tests_unit_test_diagnosis_SOURCES = tests/unit/test-diagnosis.c tests/unit/unit.h
tests_unit_test_diagnosis_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_diagnosis_LDADD = libctl.a libpvb.a $(CMOCKA_LIBS) $(JSONC_LIBS) $(NCURSES_LIBS)
endif
