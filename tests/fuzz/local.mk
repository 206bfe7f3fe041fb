# SPDX-License-Identifier: MIT
# Fuzz targets. `make check` replays their corpora; `make fuzz FUZZ_TIME=SECONDS` explores with clang's
# libFuzzer, that long for each, and adds what it finds new to the corpora.

fuzz_targets = blkif ring netif frame filter xenbus journal store device messages ctl
check_PROGRAMS += \
	tests/fuzz/replay-blkif tests/fuzz/replay-ring tests/fuzz/replay-netif \
	tests/fuzz/replay-frame tests/fuzz/replay-filter tests/fuzz/replay-xenbus tests/fuzz/replay-journal \
	tests/fuzz/replay-store tests/fuzz/replay-device tests/fuzz/replay-messages tests/fuzz/replay-ctl
TESTS += tests/fuzz/replay.sh
EXTRA_DIST += tests/fuzz/replay.sh tests/fuzz/corpus

fuzz_common = tests/fuzz/replay.c tests/fuzz/fuzz.h
fuzz_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_fuzz_replay_blkif_SOURCES = tests/fuzz/fuzz-blkif.c $(fuzz_common)
tests_fuzz_replay_blkif_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_blkif_LDADD = libpvb.a
tests_fuzz_replay_ring_SOURCES = tests/fuzz/fuzz-ring.c $(fuzz_common)
tests_fuzz_replay_ring_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_ring_LDADD = libpvb.a
tests_fuzz_replay_netif_SOURCES = tests/fuzz/fuzz-netif.c $(fuzz_common)
tests_fuzz_replay_netif_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_netif_LDADD = libpvb.a
tests_fuzz_replay_frame_SOURCES = tests/fuzz/fuzz-frame.c $(fuzz_common)
tests_fuzz_replay_frame_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_frame_LDADD = libpvb.a
tests_fuzz_replay_filter_SOURCES = tests/fuzz/fuzz-filter.c $(fuzz_common)
tests_fuzz_replay_filter_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_filter_LDADD = libpvb.a
tests_fuzz_replay_xenbus_SOURCES = tests/fuzz/fuzz-xenbus.c $(fuzz_common)
tests_fuzz_replay_xenbus_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_xenbus_LDADD = libpvb.a
tests_fuzz_replay_journal_SOURCES = tests/fuzz/fuzz-journal.c $(fuzz_common)
tests_fuzz_replay_journal_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_journal_LDADD = libpvb.a
# These see the Xen libraries as fakes.
fuzz_fakes = tests/fuzz/fakes.c tests/fuzz/fakes.h $(fake_xen)
tests_fuzz_replay_store_SOURCES = tests/fuzz/fuzz-store.c $(fuzz_fakes) $(fuzz_common)
tests_fuzz_replay_store_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_store_LDADD = libhotplug.a libpvb.a $(NL_LIBS) $(AIO_LIBS) $(PCAP_LIBS) $(SECCOMP_LIBS) $(NBD_LIBS) $(JSONC_LIBS)
tests_fuzz_replay_device_SOURCES = tests/fuzz/fuzz-device.c $(fuzz_fakes) $(fake_guest) $(fuzz_common)
tests_fuzz_replay_device_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_device_LDADD = libpvb.a $(NL_LIBS) $(AIO_LIBS) $(PCAP_LIBS) $(SECCOMP_LIBS) $(NBD_LIBS) $(JSONC_LIBS)
tests_fuzz_replay_messages_SOURCES = tests/fuzz/fuzz-messages.c $(fuzz_fakes) $(fake_process) $(fuzz_common)
tests_fuzz_replay_messages_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_messages_LDADD = libpvb.a $(NL_LIBS) $(AIO_LIBS) $(PCAP_LIBS) $(SECCOMP_LIBS) $(NBD_LIBS) $(JSONC_LIBS)
tests_fuzz_replay_ctl_SOURCES = tests/fuzz/fuzz-ctl.c $(ctl_answers) $(fuzz_fakes) $(fake_process) $(fuzz_common)
tests_fuzz_replay_ctl_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_ctl_LDADD = libpvb.a $(NL_LIBS) $(AIO_LIBS) $(PCAP_LIBS) $(SECCOMP_LIBS) $(NBD_LIBS) $(JSONC_LIBS) $(INIH_LIBS) $(SYSTEMD_LIBS)

FUZZ_TIME = 60
FUZZ_CC = clang
FUZZ_FLAGS = -g -O1 -std=gnu11 -D_GNU_SOURCE -DDEFAULT_CONFIG_FILE='""' -DDEFAULT_RUNTIME_DIR='""' -I. -I$(srcdir)/src -I$(srcdir)/tests \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
fuzz_under_test = $(srcdir)/src/ring/*.c $(srcdir)/src/control/xenbus.c $(srcdir)/src/blkback/journal.c $(srcdir)/src/core/statefile.c \
	$(srcdir)/src/netback/filter.c $(srcdir)/src/netback/filter_conf.c \
	$(srcdir)/src/netback/frame.c $(srcdir)/src/netback/offload.c \
	$(srcdir)/src/netback/segment.c $(srcdir)/src/netback/checksum.c

# All but the main()s, for the targets that need it.
# What a target or a fake has in its own way comes first, and is taken.
fuzz_whole = -Wl,-z,muldefs $(srcdir)/tests/fuzz/fakes.c $(srcdir)/tests/fake/fake_xen.c \
	$(addprefix $(srcdir)/,$(filter-out src/core/log.c,$(filter %.c,$(libpvb_a_SOURCES) $(libhotplug_a_SOURCES)))) \
	$(NL_CFLAGS) $(SYSTEMD_CFLAGS) $(NL_LIBS) $(SYSTEMD_LIBS) $(AIO_LIBS) $(PCAP_LIBS) $(SECCOMP_LIBS) $(NBD_LIBS) $(JSONC_LIBS)

fuzz:
	@$(MKDIR_P) tests/fuzz
	@for target in $(fuzz_targets); do \
		case $$target in \
		store) with='$(fuzz_whole)' ;; \
		device) with='$(srcdir)/tests/fake/fake_guest.c $(fuzz_whole)' ;; \
		ctl) with='$(addprefix $(srcdir)/,$(filter %.c,$(ctl_answers))) $(srcdir)/tests/fake/fake_process.c $(INIH_LIBS) $(fuzz_whole)' ;; \
		messages) with='$(srcdir)/tests/fake/fake_process.c $(fuzz_whole)' ;; \
		*) with='$(fuzz_under_test)' ;; esac; \
		$(FUZZ_CC) $(FUZZ_FLAGS) $(srcdir)/tests/fuzz/fuzz-$$target.c $$with \
			-o tests/fuzz/fuzz-$$target && \
		tests/fuzz/fuzz-$$target -max_total_time=$(FUZZ_TIME) -print_final_stats=1 \
			-artifact_prefix=tests/fuzz/ $(srcdir)/tests/fuzz/corpus/$$target || exit 1; \
	done

.PHONY: fuzz
