# SPDX-License-Identifier: MIT
# `make check`: unit tests and lints; no root, no Xen, no network.
