# SPDX-License-Identifier: MIT
libpvb_a_SOURCES += \
	src/netback/checksum.c src/netback/checksum.h \
	src/netback/frame.c src/netback/frame.h \
	src/netback/vif_front.c src/netback/vif_front.h \
	src/netback/offload.c src/netback/offload.h \
	src/netback/vif_pool.c src/netback/vif_pool.h \
	src/netback/vif_queue.c src/netback/vif_queue.h \
	src/netback/rate.c src/netback/rate.h \
	src/netback/vif_rx.c \
	src/netback/segment.c src/netback/segment.h \
	src/netback/vif_stats.c src/netback/vif_stats.h \
	src/netback/tap.c src/netback/tap.h \
	src/netback/vif_tx.c \
	src/netback/vif.c src/netback/vif.h
