# SPDX-License-Identifier: MIT
libpvb_a_SOURCES += \
	src/netback/capture.c src/netback/capture.h \
	src/netback/budget.c src/netback/budget.h \
	src/netback/tap_share.c src/netback/tap_share.h \
	src/netback/checksum.c src/netback/checksum.h \
	src/netback/filter.c src/netback/filter.h \
	src/netback/filter_conf.c \
	src/netback/frame.c src/netback/frame.h \
	src/netback/hash.c src/netback/hash.h \
	src/netback/merge.c src/netback/merge.h \
	src/netback/mcast.c src/netback/mcast.h \
	src/netback/offload.c src/netback/offload.h \
	src/netback/nic.c src/netback/nic.h \
	src/netback/pcapng.c src/netback/pcapng.h \
	src/netback/quirks.c src/netback/quirks.h \
	src/netback/segment.c src/netback/segment.h \
	src/netback/steer.c src/netback/steer.h \
	src/netback/tap.c src/netback/tap.h \
	src/netback/tap_batch.c src/netback/tap_batch.h \
	src/netback/tap_keeper.c src/netback/tap_keeper.h \
	src/netback/tap_mark.c src/netback/tap_mark.h \
	src/netback/vif.c src/netback/vif.h \
	src/netback/vif_ctrl.c src/netback/vif_ctrl.h \
	src/netback/vif_capture.c src/netback/vif_capture.h \
	src/netback/vif_emit.c src/netback/vif_emit.h \
	src/netback/vif_front.c src/netback/vif_front.h \
	src/netback/vif_options.c src/netback/vif_options.h \
	src/netback/vif_file.c src/netback/vif_file.h \
	src/netback/vif_kept.c src/netback/vif_kept.h \
	src/netback/pcap_filter.c src/netback/pcap_filter.h \
	src/netback/vif_pcap.c src/netback/vif_pcap.h \
	src/netback/vif_pool.c src/netback/vif_pool.h \
	src/netback/vif_quirks.c src/netback/vif_quirks.h \
	src/netback/vif_queue.c src/netback/vif_queue.h \
	src/netback/vif_rx.c \
	src/netback/vif_shared.c src/netback/vif_shared.h \
	src/netback/vif_state.c src/netback/vif_state.h \
	src/netback/vif_stats.c src/netback/vif_stats.h \
	src/netback/vif_steer.c src/netback/vif_steer.h \
	src/netback/vif_tune.c src/netback/vif_tune.h \
	src/netback/vif_tx.c \
	src/netback/vif_undo.h

if HAVE_CMOCKA
netback_tests = \
	tests/unit/test-capture \
	tests/unit/test-checksum \
	tests/unit/test-hash \
	tests/unit/test-filter \
	tests/unit/test-merge \
	tests/unit/test-netif \
	tests/unit/test-nic \
	tests/unit/test-rate \
	tests/unit/test-tap \
	tests/unit/test-tap-batch \
	tests/unit/test-tap-share \
	tests/unit/test-vif-answer \
	tests/unit/test-vif-front \
	tests/unit/test-vif-kept \
	tests/unit/test-vif-queue
check_PROGRAMS += $(netback_tests)
TESTS += $(netback_tests)

tests_unit_test_checksum_SOURCES = tests/unit/test-checksum.c tests/unit/netframes.h
tests_unit_test_checksum_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_checksum_LDADD = $(UNIT_LIBS)

tests_unit_test_hash_SOURCES = tests/unit/test-hash.c tests/unit/netframes.h
tests_unit_test_hash_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_hash_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=syscall
tests_unit_test_hash_LDADD = $(UNIT_LIBS)

tests_unit_test_capture_SOURCES = tests/unit/test-capture.c
tests_unit_test_capture_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_capture_LDADD = $(UNIT_LIBS)

tests_unit_test_filter_SOURCES = tests/unit/test-filter.c
tests_unit_test_filter_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_filter_LDADD = $(UNIT_LIBS)

tests_unit_test_merge_SOURCES = tests/unit/test-merge.c tests/unit/netframes.h tests/unit/unit.h
tests_unit_test_merge_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_merge_LDADD = $(UNIT_LIBS)

tests_unit_test_netif_SOURCES = tests/unit/test-netif.c
tests_unit_test_netif_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_netif_LDADD = $(UNIT_LIBS)

tests_unit_test_nic_SOURCES = tests/unit/test-nic.c
tests_unit_test_nic_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_nic_LDADD = $(UNIT_LIBS)

tests_unit_test_rate_SOURCES = tests/unit/test-rate.c
tests_unit_test_rate_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rate_LDADD = $(UNIT_LIBS)

tests_unit_test_tap_batch_SOURCES = tests/unit/test-tap-batch.c tests/unit/unit.h
tests_unit_test_tap_batch_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tap_batch_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=io_setup -Wl,--wrap=io_submit
tests_unit_test_tap_batch_LDADD = $(UNIT_LIBS)

tests_unit_test_tap_share_SOURCES = tests/unit/test-tap-share.c tests/unit/unit.h
tests_unit_test_tap_share_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tap_share_LDADD = $(UNIT_LIBS)

tests_unit_test_tap_SOURCES = tests/unit/test-tap.c
tests_unit_test_tap_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tap_LDADD = $(UNIT_LIBS)

tests_unit_test_vif_answer_SOURCES = tests/unit/test-vif-answer.c
tests_unit_test_vif_answer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_vif_answer_LDADD = $(UNIT_LIBS)

tests_unit_test_vif_front_SOURCES = tests/unit/test-vif-front.c
tests_unit_test_vif_front_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_vif_front_LDADD = $(UNIT_LIBS)

tests_unit_test_vif_kept_SOURCES = tests/unit/test-vif-kept.c
tests_unit_test_vif_kept_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_vif_kept_LDADD = $(UNIT_LIBS)

# It is its own hypervisor and its own clock.
tests_unit_test_vif_queue_SOURCES = tests/unit/test-vif-queue.c tests/unit/netframes.h $(fake_xen)
tests_unit_test_vif_queue_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_vif_queue_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_gettime -Wl,--wrap=timerfd_settime
tests_unit_test_vif_queue_LDADD = $(UNIT_LIBS)
endif
