#!/bin/sh
# SPDX-License-Identifier: MIT
# Make ./configure from configure.ac.
set -eu
cd "$(dirname "$0")"
mkdir -p build-aux # aclocal looks for it before automake makes it
autoreconf --install --warnings=all,no-portability
