# SPDX-License-Identifier: MIT
# The daemon is main.c and options.c on top of libpvb.a, which the tests link as well.

sbin_PROGRAMS += pvbackd
ctl_answers = src/control/ctl_change.c src/control/ctl_commands.c src/control/ctl_commands.h src/control/ctl_watch.c \
	src/control/config_file.c src/control/config_file.h src/control/options.c src/control/options.h
pvbackd_SOURCES = src/control/main.c $(ctl_answers)
pvbackd_LDADD = libpvb.a $(XEN_LIBS) $(NL_LIBS) $(INIH_LIBS) $(JSONC_LIBS) $(SYSTEMD_LIBS) $(AIO_LIBS) $(PCAP_LIBS) $(SECCOMP_LIBS) $(NBD_LIBS)

noinst_LIBRARIES += libpvb.a
libpvb_a_SOURCES = \
	src/core/container_of.h \
	src/core/dump.c src/core/dump.h \
	src/core/fdpass.c src/core/fdpass.h \
	src/core/link.c src/core/link.h \
	src/core/log.c src/core/log.h \
	src/core/log_journal.c src/core/log_journal.h \
	src/core/loop.c src/core/loop.h \
	src/core/messages.c src/core/messages.h \
	src/core/nbd_name.c src/core/nbd_name.h \
	src/core/pace.c src/core/pace.h \
	src/core/parse.c src/core/parse.h \
	src/core/rate.c src/core/rate.h \
	src/core/sd.h \
	src/core/slow.c src/core/slow.h \
	src/core/statefile.c src/core/statefile.h \
	src/core/trace.c src/core/trace.h \
	src/guest/aio_ring.c src/guest/aio_ring.h \
	src/guest/confine.c src/guest/confine.h \
	src/guest/grant.c src/guest/grant.h \
	src/guest/own_pages.c src/guest/own_pages.h \
	src/guest/guest.c src/guest/guest.h \
	src/guest/main.c src/guest/main.h \
	src/guest/pass_clock.c src/guest/pass_clock.h \
	src/guest/ringset.c src/guest/ringset.h \
	src/core/stats.c src/core/stats.h \
	src/core/thread.c src/core/thread.h \
	src/guest/worker.c src/guest/worker.h \
	src/control/cgroup.c src/control/cgroup.h \
	src/control/clients.c src/control/clients.h \
	src/control/cpu.c src/control/cpu.h \
	src/control/ctl.c src/control/ctl.h \
	src/control/ctl_device.c src/control/ctl_device.h \
	src/control/device.c src/control/device.h \
	src/control/drop_in.c src/control/drop_in.h \
	src/control/events.c src/control/events.h \
	src/control/front.c src/control/front.h \
	src/control/guest_process.c src/control/guest_process.h \
	src/control/guests.c src/control/guests.h \
	src/control/json.c src/control/json.h \
	src/control/keys.c src/control/keys.h \
	src/control/leftover.c src/control/leftover.h \
	src/control/medium_id.c src/control/medium_id.h \
	src/control/listener.c src/control/listener.h \
	src/control/metrics.c src/control/metrics.h \
	src/control/metrics_all.c src/control/metrics_all.h \
	src/control/metrics_socket.c src/control/metrics_socket.h \
	src/control/names.c src/control/names.h \
	src/control/notice.c src/control/notice.h \
	src/control/opener.c src/control/opener.h \
	src/control/owner.c src/control/owner.h \
	src/control/reason.c src/control/reason.h \
	src/control/registry.c src/control/registry.h \
	src/control/settings.c src/control/settings.h \
	src/control/spawn.c src/control/spawn.h \
	src/control/store.c src/control/store.h \
	src/control/watchdog.c src/control/watchdog.h \
	src/control/xenbus.c src/control/xenbus.h
