# SPDX-License-Identifier: MIT
# The hypervisor of unit tests and fuzz targets that are one process: a few entry points of the Xen libraries.
fake_xen = tests/fake/fake_xen.c tests/fake/fake_xen.h
# A guest of one device, whose control the test is.
fake_guest = tests/fake/fake_guest.c tests/fake/fake_guest.h
# Guests' processes that are sockets only.
fake_process = tests/fake/fake_process.c tests/fake/fake_process.h
