# SPDX-License-Identifier: MIT
# xensim. `make xensim` builds all of it; README.md in this folder says what it is.

# The static library: the Xen libraries' calls, the machine, and what guests need.
# For tests within one process; link it before the real libraries.
check_LIBRARIES = tests/sim/libxensim.a
tests_sim_libxensim_a_SOURCES = \
	tests/sim/client.c tests/sim/client.h \
	tests/sim/ctrl.c \
	tests/sim/events.c tests/sim/events.h \
	tests/sim/evtchn.c \
	tests/sim/fail.c tests/sim/fail.h tests/sim/role.h \
	tests/sim/gntcopy.c \
	tests/sim/gntshr.c \
	tests/sim/gntstub.c \
	tests/sim/gnttab.c tests/sim/gnttab.h \
	tests/sim/guest.c tests/sim/guest.h \
	tests/sim/hv.c tests/sim/hv.h \
	tests/sim/shm.c tests/sim/shm.h \
	tests/sim/util.c tests/sim/util.h \
	tests/sim/xensim.c \
	tests/sim/xsd.h tests/sim/xsd_impl.h \
	tests/sim/xsd_conn.c \
	tests/sim/xsd_dom.c \
	tests/sim/xsd_ops.c \
	tests/sim/xsd_perm.c \
	tests/sim/xsd_store.c \
	tests/sim/xsd_tx.c \
	tests/sim/xsd_watch.c

sim_programs = \
	tests/sim/holdfs \
	tests/sim/simblk \
	tests/sim/simidle \
	tests/sim/simnet \
	tests/sim/simpeer \
	tests/sim/xensim-box \
	tests/sim/xensim-hv \
	tests/sim/xensim-xenstored \
	tests/sim/xensim-xl
check_PROGRAMS += $(sim_programs)
sim_ldadd = tests/sim/libxensim.a -lxenstore
tests_sim_simblk_SOURCES = \
	tests/sim/blk_attack.c tests/sim/blk_attack.h \
	tests/sim/blk_attack_bus.c \
	tests/sim/blk_bus.c \
	tests/sim/blk_load.c \
	tests/sim/blk_nbd.c \
	tests/sim/blk_plain.c \
	tests/sim/blk_ring.c \
	tests/sim/bus.c tests/sim/bus.h \
	tests/sim/simblk.c tests/sim/simblk.h
tests_sim_simblk_LDADD = $(sim_ldadd)
tests_sim_simidle_SOURCES = tests/sim/blk_bus.c tests/sim/blk_ring.c tests/sim/bus.c tests/sim/simidle.c
tests_sim_simidle_LDADD = $(sim_ldadd)
tests_sim_simnet_SOURCES = \
	tests/sim/bus.c \
	tests/sim/net_attack.c tests/sim/net_attack.h \
	tests/sim/net_attack_bus.c \
	tests/sim/net_bus.c \
	tests/sim/net_check.c \
	tests/sim/net_talk.c tests/sim/net_talk.h \
	tests/sim/net_ctrl.c \
	tests/sim/net_plain.c \
	tests/sim/net_ring.c \
	tests/sim/net_slots.c tests/sim/net_slots.h \
	tests/sim/netframe.c tests/sim/netframe.h \
	tests/sim/simnet.c tests/sim/simnet.h
tests_sim_simnet_LDADD = $(sim_ldadd)
tests_sim_simpeer_SOURCES = tests/sim/netframe.c tests/sim/simpeer.c
tests_sim_simpeer_LDADD = $(sim_ldadd)
tests_sim_xensim_xl_SOURCES = \
	tests/sim/xensim-xl.c \
	tests/sim/xl.h \
	tests/sim/xl_device.c \
	tests/sim/xl_domain.c
tests_sim_xensim_xl_LDADD = $(sim_ldadd)
tests_sim_holdfs_SOURCES = tests/sim/holdfs.c
tests_sim_xensim_box_SOURCES = tests/sim/xensim-box.c
tests_sim_xensim_box_LDADD = $(sim_ldadd)
tests_sim_xensim_hv_SOURCES = tests/sim/xensim-hv.c
tests_sim_xensim_hv_LDADD = $(sim_ldadd)
tests_sim_xensim_xenstored_SOURCES = tests/sim/xensim-xenstored.c
tests_sim_xensim_xenstored_LDADD = $(sim_ldadd)

# The shared objects that take the place of the real ones by LD_LIBRARY_PATH. They
# are never sanitized: the program that loads them decides about that.
sim_so = \
	tests/sim/lib/libxengnttab.so.1 \
	tests/sim/lib/libxenevtchn.so.1 \
	tests/sim/lib/libxenctrl.so \
	tests/sim/lib/dead.so \
	tests/sim/lib/medium.so \
	tests/sim/lib/xensim-faults.so \
	tests/sim/lib/moment.so \
	tests/sim/lib/takeover.so \
	tests/sim/lib/version.so
sim_so_common = tests/sim/client.c tests/sim/shm.c tests/sim/fail.c
sim_so_headers = tests/sim/client.h tests/sim/fail.h tests/sim/role.h tests/sim/shm.h tests/sim/events.h tests/sim/gnttab.h
sim_so_link = $(MKDIR_P) tests/sim/lib && $(CC) -shared -D_GNU_SOURCE -fPIC -pthread -std=gnu11 -O2 -g \
	$(WARN_CFLAGS) $(XEN_CFLAGS)
EXTRA_DIST += tests/sim/libxengnttab.map tests/sim/libxenevtchn.map tests/sim/README.md \
	tests/sim/xensim-run

sim_gnttab_src = tests/sim/gnttab.c tests/sim/gntcopy.c tests/sim/gntshr.c tests/sim/gntstub.c $(sim_so_common)
tests/sim/lib/libxengnttab.so.1: $(sim_gnttab_src) $(sim_so_headers) tests/sim/libxengnttab.map
	$(AM_V_CCLD)$(sim_so_link) -Wl,-soname,libxengnttab.so.1 \
		-Wl,--version-script=$(srcdir)/tests/sim/libxengnttab.map \
		-o $@ $(sim_gnttab_src:%=$(srcdir)/%)

sim_evtchn_src = tests/sim/evtchn.c tests/sim/events.c $(sim_so_common)
tests/sim/lib/libxenevtchn.so.1: $(sim_evtchn_src) $(sim_so_headers) tests/sim/libxenevtchn.map
	$(AM_V_CCLD)$(sim_so_link) -Wl,-soname,libxenevtchn.so.1 \
		-Wl,--version-script=$(srcdir)/tests/sim/libxenevtchn.map \
		-o $@ $(sim_evtchn_src:%=$(srcdir)/%)

# libxenctrl's soname and symbol version carry Xen's version: ask the installed one.
sim_ctrl_src = tests/sim/ctrl.c $(sim_so_common)
tests/sim/lib/libxenctrl.so: $(sim_ctrl_src) $(sim_so_headers)
	$(AM_V_CCLD)$(MKDIR_P) tests/sim/lib && \
	version=`pkg-config --modversion xencontrol` && \
	soname=libxenctrl.so.`echo $$version | cut -d. -f1,2` && \
	named=`nm -D --with-symbol-versions \`$(CC) -print-file-name=libxenctrl.so\` | sed -n 's/.* xc_interface_open@@//p'` && \
	echo "$$named { global: xc_*; local: *; };" > tests/sim/lib/libxenctrl.map && \
	$(sim_so_link) -DSIM_MAP_BYTES=SIM_HDR_BYTES -Wl,-soname,$$soname \
		-Wl,--version-script=tests/sim/lib/libxenctrl.map \
		-o tests/sim/lib/$$soname $(sim_ctrl_src:%=$(srcdir)/%) && \
	ln -sf $$soname $@

# Loaded before the daemon by the tests that want a disk with demands.
EXTRA_DIST += tests/sim/medium.c
tests/sim/lib/medium.so: tests/sim/medium.c tests/sim/role.h
	$(AM_V_CCLD)$(sim_so_link) -o $@ $(srcdir)/tests/sim/medium.c
EXTRA_DIST += tests/sim/dead.c
tests/sim/lib/dead.so: tests/sim/dead.c
	$(AM_V_CCLD)$(sim_so_link) -o $@ $(srcdir)/tests/sim/dead.c
# Not a library of Xen's: preloaded into a program whose system calls are to fail.
sim_faults_src = tests/sim/faults.c tests/sim/fail.c
tests/sim/lib/xensim-faults.so: $(sim_faults_src) $(sim_so_headers)
	$(AM_V_CCLD)$(sim_so_link) -o $@ $(sim_faults_src:%=$(srcdir)/%)
EXTRA_DIST += tests/sim/faults.c
sim_moment_src = tests/sim/moment.c src/core/messages.c
tests/sim/lib/moment.so: $(sim_moment_src) tests/sim/role.h src/core/messages.h
	$(AM_V_CCLD)$(sim_so_link) -I$(srcdir)/src -o $@ $(sim_moment_src:%=$(srcdir)/%) -ldl

EXTRA_DIST += tests/sim/takeover.c
sim_takeover_src = tests/sim/takeover.c src/core/messages.c
tests/sim/lib/takeover.so: $(sim_takeover_src) tests/sim/role.h src/core/messages.h src/guest/main.h
	$(AM_V_CCLD)$(sim_so_link) -I$(srcdir)/src -o $@ $(sim_takeover_src:%=$(srcdir)/%) -ldl

EXTRA_DIST += tests/sim/version.c
sim_version_src = tests/sim/version.c src/core/messages.c
tests/sim/lib/version.so: $(sim_version_src) src/core/messages.h config.h
	$(AM_V_CCLD)$(sim_so_link) -I$(srcdir)/src -include config.h -o $@ $(sim_version_src:%=$(srcdir)/%) -ldl

check_DATA = $(sim_so)
EXTRA_DIST += tests/sim/moment.c
CLEANFILES += tests/sim/lib/*

.PHONY: xensim
xensim: $(sim_programs) $(sim_so)

if HAVE_CMOCKA
sim_unit_tests = tests/unit/test-sim-xenstore tests/unit/test-sim-hv tests/unit/test-damage
check_PROGRAMS += $(sim_unit_tests)
TESTS += $(sim_unit_tests)
sim_unit_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests $(CMOCKA_CFLAGS)
sim_unit_ldadd = $(sim_ldadd) $(CMOCKA_LIBS)
tests_unit_test_sim_xenstore_SOURCES = tests/unit/test-sim-xenstore.c
tests_unit_test_sim_xenstore_CPPFLAGS = $(sim_unit_cppflags)
tests_unit_test_sim_xenstore_LDADD = libpvb.a $(sim_unit_ldadd)
tests_unit_test_sim_hv_SOURCES = tests/unit/test-sim-hv.c
tests_unit_test_sim_hv_CPPFLAGS = $(sim_unit_cppflags)
tests_unit_test_sim_hv_LDADD = $(sim_unit_ldadd)
tests_unit_test_damage_SOURCES = tests/unit/test-damage.c tests/unit/unit.h $(fake_guest)
tests_unit_test_damage_CPPFLAGS = $(sim_unit_cppflags)
tests_unit_test_damage_LDADD = libpvb.a $(sim_unit_ldadd) $(XEN_LIBS) $(AIO_LIBS) $(NBD_LIBS) $(SECCOMP_LIBS)
endif

check_PROGRAMS += tests/integration/ask-ctl tests/integration/like-systemd tests/integration/like-unit \
	tests/integration/slow-xenstored
tests_integration_ask_ctl_SOURCES = tests/integration/ask-ctl.c
tests_integration_ask_ctl_LDADD = libpvb.a $(JSONC_LIBS)
tests_integration_like_systemd_SOURCES = tests/integration/like-systemd.c
tests_integration_like_unit_SOURCES = tests/integration/like-unit.c
tests_integration_slow_xenstored_SOURCES = tests/integration/slow-xenstored.c

# The built daemon, unmodified, on the simulated machine; the longest first, so that a parallel run ends soon.
sim_tests = \
	tests/integration/sim-owner.sh \
	tests/integration/sim-restart.sh \
	tests/integration/sim-walk.sh \
	tests/integration/sim-walk-net.sh \
	tests/integration/sim-walk-messages.sh \
	tests/integration/sim-antispoof.sh \
	tests/integration/sim-meanwhile-net.sh \
	tests/integration/sim-faults.sh \
	tests/integration/sim-faults-net.sh \
	tests/integration/sim-hostile-net.sh \
	tests/integration/sim-rate.sh \
	tests/integration/sim-net-control.sh \
	tests/integration/sim-nbd-image.sh \
	tests/integration/sim-meanwhile.sh \
	tests/integration/sim-qcow2.sh \
	tests/integration/sim-block.sh \
	tests/integration/sim-block-life.sh \
	tests/integration/sim-hostile.sh \
	tests/integration/sim-nbd.sh \
	tests/integration/sim-watchdog.sh \
	tests/integration/sim-stall.sh \
	tests/integration/sim-stopped.sh \
	tests/integration/sim-storage.sh \
	tests/integration/sim-control.sh \
	tests/integration/sim-net.sh \
	tests/integration/sim-limits.sh \
	tests/integration/sim-stats.sh \
	tests/integration/sim-ctl.sh \
	tests/integration/sim-metrics.sh \
	tests/integration/sim-pvbackctl.sh \
	tests/integration/sim-blocks.sh \
	tests/integration/sim-toolstacks.sh \
	tests/integration/sim-vbd3.sh \
	tests/integration/sim-box.sh \
	tests/integration/sim-systemd.sh \
	tests/integration/sim-takeover.sh \
	tests/integration/sim-upgrade.sh \
	tests/integration/sim-driver-domain.sh \
	tests/integration/sim-pcap.sh \
	tests/integration/sim-trace.sh
EXTRA_DIST += tests/soak/net-order.sh
EXTRA_DIST += $(sim_tests) tests/integration/sim-lib.sh tests/integration/systemd-box.sh \
	tests/integration/sim-net-lib.sh tests/integration/stall-lib.sh tests/integration/faults-lib.sh tests/integration/sim-walk-lib.sh
# Longer ones of the same kind: every moment of a device's life, every use of a call in it, and a thousand
# kills at random.
walks = \
	sim-walk.one_by_one sim-walk.together sim-walk.narrow sim-walk.again sim-walk.once_more \
	sim-walk-net.small sim-walk-net.large sim-walk-net.control sim-walk-net.again \
	sim-walk-messages.disk_everywhere sim-walk-messages.full_everywhere sim-walk-messages.nbd_everywhere \
	sim-walk-messages.nic_everywhere sim-walk-messages.disk_twice sim-walk-messages.nic_twice \
	sim-faults.all sim-faults-net.all
walk: $(walks)
$(walks): $(sim_so) $(sim_programs) pvbackd
	@name=$@ && top_srcdir='$(top_srcdir)' SIM_WALK_STEP=1 SIM_WALK_CASE=$${name#*.} SIM_FAULTS_ALL=yes \
		sh "$(srcdir)/tests/integration/$${name%.*}.sh"
KILLS = 1000
soak: $(sim_so) $(sim_programs) pvbackd
	top_srcdir='$(top_srcdir)' sh '$(srcdir)/tests/soak/sigkill.sh' $(KILLS) $(SEED)
.PHONY: walk $(walks) soak
EXTRA_DIST += tests/soak/sigkill.sh

# The shared objects must be there before a test starts.
$(sim_tests:.sh=.log): $(sim_so) $(sim_programs) tests/integration/ask-ctl \
	tests/integration/like-systemd \
	tests/integration/like-unit tests/integration/slow-xenstored tests/integration/hold-lock
