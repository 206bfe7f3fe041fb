# SPDX-License-Identifier: MIT
libpvb_a_SOURCES += \
	src/blkback/aio.c src/blkback/aio.h \
	src/blkback/bufpool.c src/blkback/bufpool.h \
	src/blkback/image.c src/blkback/image.h \
	src/blkback/journal.c src/blkback/journal.h \
	src/blkback/slow.c src/blkback/slow.h \
	src/blkback/vbd.c src/blkback/vbd.h \
	src/blkback/vbd_attach.c \
	src/blkback/vbd_front.c \
	src/blkback/vbd_io.c \
	src/blkback/vbd_pass.c \
	src/blkback/vbd_resize.c \
	src/blkback/vbd_queue.c src/blkback/vbd_queue.h
