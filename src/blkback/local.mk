# SPDX-License-Identifier: MIT
libpvb_a_SOURCES += \
	src/blkback/aio.c src/blkback/aio.h \
	src/blkback/blocks.c src/blkback/blocks.h \
	src/blkback/bufpool.c src/blkback/bufpool.h \
	src/blkback/bufshare.c src/blkback/bufshare.h \
	src/blkback/disk.c src/blkback/disk.h \
	src/blkback/disk_options.c src/blkback/disk_options.h \
	src/blkback/image.c src/blkback/image.h \
	src/blkback/image_find.c src/blkback/image_find.h \
	src/blkback/image_nbd.c \
	src/blkback/image_open.c src/blkback/image_open.h \
	src/blkback/journal.c src/blkback/journal.h \
	src/blkback/kept.c src/blkback/kept.h \
	src/blkback/medium_lock.c src/blkback/medium_lock.h \
	src/blkback/nbd_conn.h src/blkback/nbd_link.h \
	src/blkback/nbd_dial.c src/blkback/nbd_dial.h \
	src/blkback/nbd_fence.c src/blkback/nbd_fence.h \
	src/blkback/nbd_keep.c src/blkback/nbd_keep.h \
	src/blkback/share.c src/blkback/share.h \
	src/blkback/slots.h \
	src/blkback/uring.c src/blkback/uring.h \
	src/blkback/vbd.c src/blkback/vbd.h \
	src/blkback/vbd_attach.c \
	src/blkback/vbd_blocks.c \
	src/blkback/vbd_file.c src/blkback/vbd_file.h \
	src/blkback/vbd_dial.c \
	src/blkback/vbd_front.c \
	src/blkback/vbd_image.c \
	src/blkback/vbd_io.c \
	src/blkback/vbd_lock.c \
	src/blkback/vbd_pass.c \
	src/blkback/vbd_resize.c \
	src/blkback/vbd_place.c \
	src/blkback/vbd_stall.c \
	src/blkback/vbd_stats.c src/blkback/vbd_stats.h \
	src/blkback/vbd_tune.c \
	src/blkback/vbd_queue.c src/blkback/vbd_queue.h \
	src/blkback/xentop.c src/blkback/xentop.h \
	src/blkback/xentop_file.c

if HAVE_CMOCKA
blkback_tests = \
	tests/unit/test-blocks \
	tests/unit/test-disk \
	tests/unit/test-disk-options \
	tests/unit/test-kept \
	tests/unit/test-slow \
	tests/unit/test-vbd-queue
check_PROGRAMS += $(blkback_tests)
TESTS += $(blkback_tests)

tests_unit_test_blocks_SOURCES = tests/unit/test-blocks.c tests/unit/unit.h
tests_unit_test_blocks_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_blocks_LDADD = $(UNIT_LIBS)

tests_unit_test_disk_SOURCES = tests/unit/test-disk.c tests/unit/unit.h $(fake_xen) $(fake_guest)
tests_unit_test_disk_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_disk_LDADD = $(UNIT_LIBS)

tests_unit_test_disk_options_SOURCES = tests/unit/test-disk-options.c tests/unit/unit.h
tests_unit_test_disk_options_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_disk_options_LDADD = $(UNIT_LIBS)

tests_unit_test_slow_SOURCES = tests/unit/test-slow.c tests/unit/unit.h
tests_unit_test_slow_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_slow_LDADD = $(UNIT_LIBS)

tests_unit_test_kept_SOURCES = tests/unit/test-kept.c tests/unit/unit.h $(fake_xen)
tests_unit_test_kept_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_kept_LDADD = $(UNIT_LIBS)

tests_unit_test_vbd_queue_SOURCES = tests/unit/test-vbd-queue.c tests/unit/unit.h $(fake_xen) \
	$(fake_guest)
tests_unit_test_vbd_queue_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_vbd_queue_LDADD = $(UNIT_LIBS)
endif

if HAVE_LIBNBD
libpvb_a_SOURCES += src/blkback/nbd_conn.c src/blkback/nbd_link.c
endif
