# SPDX-License-Identifier: MIT
# The hypervisor of unit tests and fuzz targets that are one process: a few entry points of the Xen libraries.
fake_xen = tests/fake/fake_xen.c tests/fake/fake_xen.h
# A guest with one device; the test is control.
fake_guest = tests/fake/fake_guest.c tests/fake/fake_guest.h
# Guests' processes, replaced by sockets.
fake_process = tests/fake/fake_process.c tests/fake/fake_process.h
