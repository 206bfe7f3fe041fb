# SPDX-License-Identifier: MIT
# `make check`: unit tests and lints; no root, no Xen, no network.

# A test that hangs is killed after so many seconds, with all that it started.
AM_TESTS_ENVIRONMENT = top_srcdir='$(top_srcdir)'; pvbackd="$$PWD/pvbackd"; \
	XENSIM_LIMIT=$${XENSIM_LIMIT-$$((1500 * $${XENSIM_SLOW:-1}))}; export top_srcdir pvbackd XENSIM_LIMIT;
UNIT_CFLAGS = $(AM_CFLAGS) -I$(top_srcdir)/tests $(CMOCKA_CFLAGS)
UNIT_LIBS = libpvb.a $(CMOCKA_LIBS) $(XEN_LIBS) $(NL_LIBS) $(AIO_LIBS) $(PCAP_LIBS) $(SECCOMP_LIBS) $(NBD_LIBS) $(JSONC_LIBS)

if HAVE_CMOCKA
unit_tests = \
	tests/unit/test-ring \
	tests/unit/test-blkif \
	tests/unit/test-xenbus \
	tests/unit/test-loop \
	tests/unit/test-trace \
	tests/unit/test-bufpool \
	tests/unit/test-bufshare \
	tests/unit/test-journal \
	tests/unit/test-confine \
	tests/unit/test-ctl \
	tests/unit/test-guests \
	tests/unit/test-leftover \
	tests/unit/test-link \
	tests/unit/test-medium-id \
	tests/unit/test-nbd-fence \
	tests/unit/test-log \
	tests/unit/test-pcap-filter \
	tests/unit/test-nbd-keep \
	tests/unit/test-nbd-name \
	tests/unit/test-opener \
	tests/unit/test-parse \
	tests/unit/test-metrics \
	tests/unit/test-metrics-socket \
	tests/unit/test-notice \
	tests/unit/test-pass-clock \
	tests/unit/test-stats \
	tests/unit/test-options \
	tests/unit/test-statefile \
	tests/unit/test-worker
if HAVE_SYSTEMD
unit_tests += tests/unit/test-log-journal
endif
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)

tests_unit_test_ring_SOURCES = tests/unit/test-ring.c tests/unit/unit.h
tests_unit_test_ring_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ring_LDADD = $(UNIT_LIBS)

tests_unit_test_blkif_SOURCES = tests/unit/test-blkif.c tests/unit/unit.h
tests_unit_test_blkif_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_blkif_LDADD = $(UNIT_LIBS)

tests_unit_test_xenbus_SOURCES = tests/unit/test-xenbus.c tests/unit/unit.h
tests_unit_test_xenbus_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_xenbus_LDADD = $(UNIT_LIBS)

tests_unit_test_loop_SOURCES = tests/unit/test-loop.c tests/unit/unit.h
tests_unit_test_loop_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_loop_LDADD = $(UNIT_LIBS)

tests_unit_test_trace_SOURCES = tests/unit/test-trace.c tests/unit/unit.h
tests_unit_test_trace_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_trace_LDADD = $(UNIT_LIBS)

tests_unit_test_confine_SOURCES = tests/unit/test-confine.c tests/unit/unit.h
tests_unit_test_confine_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_confine_LDADD = $(UNIT_LIBS)

tests_unit_test_ctl_SOURCES = tests/unit/test-ctl.c tests/unit/turn.h tests/unit/unit.h
tests_unit_test_ctl_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ctl_LDADD = $(UNIT_LIBS)

tests_unit_test_guests_SOURCES = tests/unit/test-guests.c $(fake_process) tests/unit/turn.h tests/unit/unit.h
tests_unit_test_guests_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_guests_LDADD = $(UNIT_LIBS)

tests_unit_test_link_SOURCES = tests/unit/test-link.c tests/unit/unit.h
tests_unit_test_link_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_link_LDADD = $(UNIT_LIBS)

tests_unit_test_bufshare_SOURCES = tests/unit/test-bufshare.c tests/unit/unit.h
tests_unit_test_bufshare_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bufshare_LDADD = $(UNIT_LIBS)

tests_unit_test_bufpool_SOURCES = tests/unit/test-bufpool.c tests/unit/unit.h
tests_unit_test_bufpool_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bufpool_LDADD = $(UNIT_LIBS)

tests_unit_test_journal_SOURCES = tests/unit/test-journal.c tests/unit/unit.h
tests_unit_test_journal_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_journal_LDADD = $(UNIT_LIBS)

tests_unit_test_leftover_SOURCES = tests/unit/test-leftover.c tests/unit/unit.h
tests_unit_test_leftover_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_leftover_LDADD = $(UNIT_LIBS)

tests_unit_test_medium_id_SOURCES = tests/unit/test-medium-id.c tests/unit/unit.h
tests_unit_test_medium_id_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_medium_id_LDADD = $(UNIT_LIBS)

tests_unit_test_nbd_fence_SOURCES = tests/unit/test-nbd-fence.c tests/unit/unit.h
tests_unit_test_nbd_fence_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_nbd_fence_LDADD = $(UNIT_LIBS)

tests_unit_test_log_SOURCES = tests/unit/test-log.c tests/unit/unit.h
tests_unit_test_log_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_log_LDADD = $(UNIT_LIBS)

# Its sd_journal_sendv() takes the place of libsystemd's.
tests_unit_test_log_journal_SOURCES = tests/unit/test-log-journal.c tests/unit/unit.h
tests_unit_test_log_journal_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_log_journal_LDADD = $(UNIT_LIBS)

# Its getaddrinfo() takes the place of the C library's.
tests_unit_test_pcap_filter_SOURCES = tests/unit/test-pcap-filter.c tests/unit/unit.h
tests_unit_test_pcap_filter_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pcap_filter_LDADD = $(UNIT_LIBS)

tests_unit_test_nbd_keep_SOURCES = tests/unit/test-nbd-keep.c tests/unit/unit.h
tests_unit_test_nbd_keep_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_nbd_keep_LDADD = $(UNIT_LIBS)

tests_unit_test_nbd_name_SOURCES = tests/unit/test-nbd-name.c tests/unit/unit.h
tests_unit_test_nbd_name_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_nbd_name_LDADD = $(UNIT_LIBS)

tests_unit_test_metrics_SOURCES = tests/unit/test-metrics.c tests/unit/unit.h
tests_unit_test_metrics_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_metrics_LDADD = $(UNIT_LIBS)

tests_unit_test_metrics_socket_SOURCES = tests/unit/test-metrics-socket.c tests/unit/turn.h tests/unit/unit.h
tests_unit_test_metrics_socket_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_metrics_socket_LDADD = $(UNIT_LIBS)

tests_unit_test_notice_SOURCES = tests/unit/test-notice.c tests/unit/unit.h
tests_unit_test_notice_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_notice_LDADD = $(UNIT_LIBS)

tests_unit_test_opener_SOURCES = tests/unit/test-opener.c tests/unit/unit.h
tests_unit_test_opener_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_opener_LDADD = $(UNIT_LIBS)

tests_unit_test_parse_SOURCES = tests/unit/test-parse.c tests/unit/unit.h
tests_unit_test_parse_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_parse_LDADD = $(UNIT_LIBS)

tests_unit_test_pass_clock_SOURCES = tests/unit/test-pass-clock.c tests/unit/unit.h
tests_unit_test_pass_clock_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pass_clock_LDADD = $(UNIT_LIBS)

tests_unit_test_worker_SOURCES = tests/unit/test-worker.c tests/unit/unit.h $(fake_xen)
tests_unit_test_worker_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_worker_LDADD = $(UNIT_LIBS)

tests_unit_test_stats_SOURCES = tests/unit/test-stats.c tests/unit/unit.h
tests_unit_test_stats_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_stats_LDADD = $(UNIT_LIBS)

tests_unit_test_options_SOURCES = tests/unit/test-options.c tests/unit/unit.h src/control/config_file.c src/control/options.c src/control/options.h
tests_unit_test_options_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_options_LDADD = $(UNIT_LIBS) $(INIH_LIBS) $(SYSTEMD_LIBS)

tests_unit_test_statefile_SOURCES = tests/unit/test-statefile.c tests/unit/unit.h
tests_unit_test_statefile_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_statefile_LDADD = $(UNIT_LIBS)
endif

check_PROGRAMS += tests/lint/list-stats
tests_lint_list_stats_SOURCES = tests/lint/list-stats.c
tests_lint_list_stats_LDADD = libpvb.a
check_PROGRAMS += tests/lint/list-keys
tests_lint_list_keys_SOURCES = tests/lint/list-keys.c
tests_lint_list_keys_LDADD = $(UNIT_LIBS)

TESTS += tests/lint/layout.sh tests/lint/man.sh tests/lint/unit.sh
EXTRA_DIST += tests/lint/layout.sh tests/lint/man.sh tests/lint/unit.sh

list-tests:
	@echo $(TESTS)

format:
	cd '$(top_srcdir)' && find src tests bench -name '*.[ch]' ! -path 'tests/xen/cache/*' \
		-exec clang-format -i {} +

.PHONY: format list-tests

include tests/fake/local.mk
include tests/sim/local.mk
include tests/fuzz/local.mk
include tests/xen/local.mk

EXTRA_DIST += tests/coverage.sh
coverage: check
	'$(srcdir)/tests/coverage.sh' .

.PHONY: coverage
