# SPDX-License-Identifier: GPL-2.0-or-later
# make bench: sallyport and its peers in turn; tests/bench/bench.py says what and how. About an hour.
#   ROUNDS=10 SECONDS=3 WORK="connections bulk" SYSTEMS="none conntrack sallyport"
# make bench-quick: one short round, in under two minutes.

BENCH_BIN := $(patsubst tests/bench/%.c,build/bench/%,$(wildcard tests/bench/*.c))
AS_ROOT = $(if $(filter 0,$(shell id -u)),,sudo) env PYTHONDONTWRITEBYTECODE=1 $(PYTHON)
BENCH_ARGS = $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) \
             $(if $(WORK),--work "$(WORK)") $(if $(SYSTEMS),--systems "$(SYSTEMS)")

.PHONY: bench bench-quick bench-queue bench-check bench-programs deps-bench
bench bench-quick: deps-bench
	$(Q)$(MAKE) --no-print-directory all bench-programs
	$(Q)$(AS_ROOT) tests/bench/bench.py $(if $(filter bench-quick,$@),--quick) $(BENCH_ARGS)

# The daemon against an accept-everything loop: packets a second through the queue.
bench-queue: all bench-programs
	$(Q)$(AS_ROOT) tests/bench/queue_rate.py $(ROUNDS)

# The statistics, the shape of bench.json, the plots.
bench-check:
	$(Q)$(PYTHON) -B -m pytest -q -p no:cacheprovider tests/bench

bench-programs: $(BENCH_BIN)
build/bench/%: tests/bench/%.c $(B)/libcore.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MF build/bench/$*.d $(LDFLAGS_ALL) -o $@ $< $(B)/libcore.a \
	  $(call pkg_libs,libmnl libnetfilter_queue) -lpthread

deps-bench:
	$(Q)tests/deps.sh build bench
