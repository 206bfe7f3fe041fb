# SPDX-License-Identifier: MIT
# `make check-xen`: the build under test on real Xen, under QEMU. XEN_SCENARIOS names some of them.

EXTRA_DIST += \
	tests/xen/README.md \
	tests/xen/build \
	tests/xen/dom0/init \
	tests/xen/dom0/lab-run \
	tests/xen/guest/agent \
	tests/xen/guest/init \
	tests/xen/host/boot.sh \
	tests/xen/host/common.sh \
	tests/xen/host/parts.sh \
	tests/xen/host/prune \
	tests/xen/install-for \
	tests/xen/lib/backend.sh \
	tests/xen/lib/dom0.sh \
	tests/xen/lib/guest.sh \
	tests/xen/lib/kills.sh \
	tests/xen/lib/load.sh \
	tests/xen/lib/net.sh \
	tests/xen/lib/scenario.sh \
	tests/xen/packages \
	tests/xen/run \
	tests/xen/scenarios/ctl.sh \
	tests/xen/scenarios/disk-lines.sh \
	tests/xen/scenarios/destroy.sh \
	tests/xen/scenarios/disk-features.sh \
	tests/xen/scenarios/driver-domain.sh \
	tests/xen/scenarios/emulated.sh \
	tests/xen/scenarios/errors.sh \
	tests/xen/scenarios/grub32.sh \
	tests/xen/scenarios/hotplug.sh \
	tests/xen/scenarios/hvm-root.sh \
	tests/xen/scenarios/i386.sh \
	tests/xen/scenarios/libvirt.sh \
	tests/xen/scenarios/lives.sh \
	tests/xen/scenarios/lifecycle.sh \
	tests/xen/scenarios/net-features.sh \
	tests/xen/scenarios/order \
	tests/xen/scenarios/pvh.sh \
	tests/xen/scenarios/save-migrate.sh \
	tests/xen/scenarios/smoke.sh \
	tests/xen/scenarios/stock-scripts.sh \
	tests/xen/scenarios/two-guests.sh \
	tests/xen/scenarios/xendomains.sh \
	tests/xen/scenarios/xenstored.sh

.PHONY: check-xen
check-xen: all
	rm -rf xen-destdir
	$(MAKE) install DESTDIR='$(abs_builddir)/xen-destdir' >/dev/null
	'$(srcdir)/tests/xen/run' --destdir '$(abs_builddir)/xen-destdir' $(XEN_SCENARIOS)
