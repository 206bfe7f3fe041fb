# SPDX-License-Identifier: MIT
# Both hotplug scripts are one program, which is told by its name what to do: xl runs it by the links
# block-pvbackd and vif-pvbackd. All of it but main() is a library, so that the tests can call the parts.

libpvb_a_SOURCES += src/control/rtnl.c src/control/rtnl.h src/control/rtnl_bridge.c src/control/rtnl_bridge.h

noinst_LIBRARIES += libhotplug.a
libhotplug_a_SOURCES = \
	src/hotplug/aside.c src/hotplug/aside.h \
	src/hotplug/backend.c src/hotplug/backend.h \
	src/hotplug/block.c \
	src/hotplug/claims.c src/hotplug/claims.h \
	src/hotplug/failure.c src/hotplug/failure.h \
	src/hotplug/host.c src/hotplug/host.h \
	src/hotplug/medium.c src/hotplug/medium.h \
	src/hotplug/request.c src/hotplug/request.h \
	src/hotplug/scripts.h \
	src/hotplug/server.c src/hotplug/server.h \
	src/hotplug/sharing.c src/hotplug/sharing.h \
	src/hotplug/target.c src/hotplug/target.h \
	src/hotplug/vif.c \
	src/hotplug/vifconf.c src/hotplug/vifconf.h \
	src/hotplug/vlan.c src/hotplug/vlan.h

hotplug_PROGRAMS += src/hotplug/block-pvbackd
src_hotplug_block_pvbackd_SOURCES = src/hotplug/main.c
src_hotplug_block_pvbackd_LDADD = libhotplug.a libpvb.a $(XEN_LIBS) $(NL_LIBS)
# It runs once per device: load only the libraries that it calls.
src_hotplug_block_pvbackd_LDFLAGS = $(AM_LDFLAGS) -Wl,--as-needed

install-data-hook: install-script-links
uninstall-hook: uninstall-script-links

install-script-links:
	$(MKDIR_P) "$(DESTDIR)$(xenscriptsdir)"
	cd "$(DESTDIR)$(xenscriptsdir)" && rm -f block-pvbackd vif-pvbackd && \
		$(LN_S) "$(hotplugdir)/block-pvbackd" block-pvbackd && $(LN_S) "$(hotplugdir)/block-pvbackd" vif-pvbackd

uninstall-script-links:
	rm -f "$(DESTDIR)$(xenscriptsdir)/block-pvbackd" "$(DESTDIR)$(xenscriptsdir)/vif-pvbackd"

.PHONY: install-script-links uninstall-script-links

# The scripts as libxl runs them, on the simulated xenstore (tests/sim); the vif's needs root.
check_PROGRAMS += tests/integration/hold-lock
tests_integration_hold_lock_SOURCES = tests/integration/hold-lock.c
TESTS += tests/integration/test-block-script.sh tests/integration/test-vif-script.sh
EXTRA_DIST += \
	tests/integration/hotplug-lib.sh \
	tests/integration/test-block-script.sh \
	tests/integration/test-vif-script.sh

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test-hotplug tests/unit/test-medium tests/unit/test-hotplug-rtnl tests/unit/test-vlan
TESTS += tests/unit/test-hotplug tests/unit/test-medium tests/unit/test-hotplug-rtnl tests/unit/test-vlan

tests_unit_test_vlan_SOURCES = tests/unit/test-vlan.c
tests_unit_test_vlan_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_vlan_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=rtnl_request
tests_unit_test_vlan_LDADD = libhotplug.a libpvb.a $(CMOCKA_LIBS) $(NL_LIBS)

tests_unit_test_hotplug_SOURCES = tests/unit/test-hotplug.c
tests_unit_test_hotplug_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hotplug_LDADD = libhotplug.a libpvb.a $(CMOCKA_LIBS) $(XEN_LIBS) $(NL_LIBS)

tests_unit_test_medium_SOURCES = tests/unit/test-medium.c
tests_unit_test_medium_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_medium_LDADD = libhotplug.a libpvb.a $(CMOCKA_LIBS) $(XEN_LIBS) $(NL_LIBS)

tests_unit_test_hotplug_rtnl_SOURCES = tests/unit/test-hotplug-rtnl.c
tests_unit_test_hotplug_rtnl_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hotplug_rtnl_LDADD = libpvb.a $(CMOCKA_LIBS) $(NL_LIBS)
endif
