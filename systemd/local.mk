# SPDX-License-Identifier: MIT

systemdsystemunit_DATA = systemd/pvbackd.service
CLEANFILES += systemd/pvbackd.service
EXTRA_DIST += systemd/pvbackd.service.in systemd/modprobe-pvbackd.conf

systemd/pvbackd.service: systemd/pvbackd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) systemd && \
	sed 's|[@]sbindir[@]|$(sbindir)|g' '$(srcdir)/systemd/pvbackd.service.in' > $@

install-data-hook: install-modprobe-conf
uninstall-hook: uninstall-modprobe-conf

# The directory's files are named after their owners: modprobe-pvbackd.conf becomes pvbackd.conf.
install-modprobe-conf:
	$(MKDIR_P) "$(DESTDIR)$(modprobedir)"
	$(INSTALL_DATA) '$(srcdir)/systemd/modprobe-pvbackd.conf' \
		"$(DESTDIR)$(modprobedir)/pvbackd.conf"

uninstall-modprobe-conf:
	rm -f "$(DESTDIR)$(modprobedir)/pvbackd.conf"

.PHONY: install-modprobe-conf uninstall-modprobe-conf
