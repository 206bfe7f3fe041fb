#!/bin/sh
# SPDX-License-Identifier: MIT
# Make ./configure from configure.ac.
set -eu
cd "$(dirname "$0")"
autoreconf --install --warnings=all,no-portability
