# SPDX-License-Identifier: MIT
# `make bench`: what can be measured without Xen. BENCH_OPTIONS go to each command.

EXTRA_DIST += \
	bench/README.md \
	bench/host-block \
	bench/lib/callgrind-objects \
	bench/lib/common.sh \
	bench/lib/report \
	bench/lib/sim.sh \
	bench/packages

.PHONY: bench
bench: all xensim
	'$(srcdir)/bench/host-block' $(BENCH_OPTIONS)

TESTS += tests/integration/test-bench-report.sh
EXTRA_DIST += tests/integration/test-bench-report.sh
