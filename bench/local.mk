# SPDX-License-Identifier: MIT
# `make bench` runs the benchmarks that need no Xen, `make bench-xen` the others. BENCH_OPTIONS are passed to each command.

bench_programs = \
	bench/net/framegen \
	bench/net/tapjoin \
	bench/xen/domcpu \
	bench/xen/mark \
	bench/xen/tcpload
bench_plugins = bench/lib/callgrind.so bench/xen/plugin.so
EXTRA_PROGRAMS = $(bench_programs)
CLEANFILES += $(bench_programs) $(bench_plugins)
bench/lib/callgrind.so: bench/lib/callgrind.c src/guest/main.h
	$(AM_V_CCLD)$(MKDIR_P) bench/lib && $(sim_so_link) -I$(srcdir)/src -o $@ $(srcdir)/bench/lib/callgrind.c -ldl
bench/xen/plugin.so: bench/xen/plugin.c bench/xen/qemu-plugin.h bench/xen/mark.h
	$(AM_V_CCLD)$(MKDIR_P) bench/xen && $(sim_so_link) -fvisibility=hidden -o $@ $(srcdir)/bench/xen/plugin.c
bench_net_framegen_SOURCES = bench/net/framegen.c
bench_net_tapjoin_SOURCES = bench/net/tapjoin.c
bench_xen_domcpu_SOURCES = bench/xen/domcpu.c
bench_xen_domcpu_LDADD = $(XEN_LIBS)
bench_xen_mark_SOURCES = bench/xen/mark.c bench/xen/mark.h
bench_xen_tcpload_SOURCES = bench/xen/tcpload.c

EXTRA_DIST += \
	bench/README.md bench/history/2026-11.md \
	bench/emulated \
	bench/control-death \
	bench/fairness \
	bench/guest-start \
	bench/host-block \
	bench/host-net \
	bench/metrics-plot \
	bench/plots \
	docs/bench.svg docs/demo.txt docs/kills.svg docs/metrics.svg docs/processes.svg docs/session.svg \
	bench/scale-guests \
	bench/scale-vifs \
	bench/session \
	bench/lib/callgrind-objects \
	bench/lib/callgrind.c \
	bench/lib/common.sh \
	bench/lib/cost \
	bench/lib/report \
	bench/lib/short-turns \
	bench/lib/sim.sh \
	bench/lib/xen.sh \
	bench/neighbours \
	bench/packages \
	bench/scale-disks \
	bench/real-host \
	bench/restart-time \
	bench/xen-block \
	bench/xen-cost \
	bench/xen-net \
	bench/xen/bench.sh \
	bench/xen/cost.sh \
	bench/xen/emulated.sh \
	bench/xen/plugin.c \
	bench/xen/qemu-plugin.h \
	bench/xen/xen-block.sh \
	bench/xen/xen-cost-disk.sh \
	bench/xen/xen-cost-net.sh \
	bench/xen/xen-net.sh

.PHONY: bench bench-xen bench-programs
bench-programs: $(bench_programs) $(bench_plugins)
bench: all xensim bench-programs
	'$(srcdir)/bench/host-block' $(BENCH_OPTIONS)
	'$(srcdir)/bench/host-net' $(BENCH_OPTIONS)
	'$(srcdir)/bench/scale-disks' $(BENCH_OPTIONS)
	'$(srcdir)/bench/scale-guests' $(BENCH_OPTIONS)
	'$(srcdir)/bench/fairness' $(BENCH_OPTIONS)
	'$(srcdir)/bench/restart-time' $(BENCH_OPTIONS)
	'$(srcdir)/bench/control-death' $(BENCH_OPTIONS)
	'$(srcdir)/bench/guest-start' $(BENCH_OPTIONS)
	'$(srcdir)/bench/neighbours' $(BENCH_OPTIONS)
bench-xen: all bench-programs
	'$(srcdir)/bench/xen-block' $(BENCH_OPTIONS)
	'$(srcdir)/bench/xen-net' $(BENCH_OPTIONS)
	'$(srcdir)/bench/emulated' $(BENCH_OPTIONS)

TESTS += tests/integration/test-bench-cost.sh tests/integration/test-bench-report.sh
EXTRA_DIST += tests/integration/test-bench-cost.sh tests/integration/test-bench-report.sh
