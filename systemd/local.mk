# SPDX-License-Identifier: MIT

systemdsystemunit_DATA = systemd/pvbackd.service
CLEANFILES += systemd/pvbackd.service
EXTRA_DIST += systemd/pvbackd.service.in systemd/modprobe-pvbackd.conf systemd/sysctl-pvbackd.conf

systemd/pvbackd.service: systemd/pvbackd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) systemd && \
	sed -e 's|[@]sbindir[@]|$(sbindir)|g' -e 's|[@]sysconfdir[@]|$(sysconfdir)|g' \
		'$(srcdir)/systemd/pvbackd.service.in' > $@

install-data-hook: install-host-conf
uninstall-hook: uninstall-host-conf

# In these directories a file has the name of its program: modprobe-pvbackd.conf becomes pvbackd.conf.
install-host-conf:
	$(MKDIR_P) "$(DESTDIR)$(modprobedir)" "$(DESTDIR)$(sysctldir)" "$(DESTDIR)$(sysconfdir)/pvbackd.conf.d"
	$(INSTALL_DATA) '$(srcdir)/systemd/modprobe-pvbackd.conf' "$(DESTDIR)$(modprobedir)/pvbackd.conf"
	$(INSTALL_DATA) '$(srcdir)/systemd/sysctl-pvbackd.conf' "$(DESTDIR)$(sysctldir)/pvbackd.conf"

uninstall-host-conf:
	rm -f "$(DESTDIR)$(modprobedir)/pvbackd.conf" "$(DESTDIR)$(sysctldir)/pvbackd.conf"
	rmdir "$(DESTDIR)$(hotplugdir)" "$(DESTDIR)$(sysconfdir)/pvbackd.conf.d" 2>/dev/null || :

.PHONY: install-host-conf uninstall-host-conf
