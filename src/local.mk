# SPDX-License-Identifier: MIT
# The daemon is main.c and options.c on top of libpvb.a, which the tests link as well.

sbin_PROGRAMS += pvbackd
pvbackd_SOURCES = src/main.c src/options.c src/options.h
pvbackd_LDADD = libpvb.a $(XEN_LIBS) $(NL_LIBS) $(INIH_LIBS) $(SYSTEMD_LIBS) $(AIO_LIBS) $(PCAP_LIBS) $(NBD_LIBS)

noinst_LIBRARIES += libpvb.a
libpvb_a_SOURCES = \
	src/aio_ring.c src/aio_ring.h \
	src/device.c src/device.h \
	src/front.c src/front.h \
	src/grant.c src/grant.h \
	src/keys.c src/keys.h \
	src/leftover.c src/leftover.h \
	src/log.c src/log.h \
	src/log_journal.c src/log_journal.h \
	src/loop.c src/loop.h \
	src/mapfile.c src/mapfile.h \
	src/medium_id.c src/medium_id.h \
	src/nbd_name.c src/nbd_name.h \
	src/owner.c src/owner.h \
	src/parse.c src/parse.h \
	src/rate.c src/rate.h \
	src/reason.c src/reason.h \
	src/registry.c src/registry.h \
	src/store.c src/store.h \
	src/trace.c src/trace.h \
	src/watchdog.c src/watchdog.h \
	src/worker.c src/worker.h \
	src/xenbus.c src/xenbus.h
