# SPDX-License-Identifier: MIT
libpvb_a_SOURCES += \
	src/ring/blkif.c src/ring/blkif.h \
	src/ring/netctrl.h \
	src/ring/netif.c src/ring/netif.h \
	src/ring/ring.c src/ring/ring.h
