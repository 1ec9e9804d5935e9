# SPDX-License-Identifier: GPL-2.0-or-later
# Tests. Unit tests: tests/unit/*/test_*.c, a cmocka program each, linked with every library but
# a main, built with ASan and UBSan. Those of the table and of the threads run under TSan too.

UNIT_SRC  := $(wildcard tests/unit/*/test_*.c)
UNIT_HELP := $(wildcard tests/unit/*.c)
TSAN_SRC  := $(wildcard tests/unit/core/test_table.c tests/unit/core/test_filter.c tests/unit/daemon/test_*.c)

# What the daemon under ASan and UBSan is put through in `make check`; `make check-e2e-asan` is all of it.
ASAN_E2E ?= directions or fragments or nat or kernel_table or cli or leases

UNIT_LINK_core/test_out_of_memory := $(foreach f,malloc calloc realloc reallocarray strdup strndup,-Xlinker --wrap=$(f))

ifeq ($(MODE),release)

.PHONY: check check-unit check-tsan help
check: deps-check
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(MAKE) --no-print-directory check-hardening bench-check check-unit check-tsan check-e2e
	$(Q)$(MAKE) --no-print-directory check-e2e-asan E2E="-k '$(ASAN_E2E)'"
	$(Q)$(MAKE) --no-print-directory soak
	$(Q)$(MAKE) --no-print-directory MODE=debug soak SOAK_SECONDS=20 SOAK_OPTIONS=--at-home

check-unit:
	$(Q)$(MAKE) --no-print-directory MODE=debug -j2 unit-build
	$(Q)$(MAKE) --no-print-directory MODE=debug unit-run

check-tsan:
	$(Q)$(MAKE) --no-print-directory MODE=tsan UNIT_ONLY="$(TSAN_SRC)" -j2 unit-build
	$(Q)$(MAKE) --no-print-directory MODE=tsan UNIT_ONLY="$(TSAN_SRC)" unit-run

help:
	@echo 'make              build/sallyportd and build/sallyport (MODE=debug: ASan and UBSan; V=1: commands)'
	@echo 'make demo         the main job on a scratch network'
	@echo 'make check        all tests that need no guest    make check-vm   tests in a booted Debian guest'
	@echo 'make check-unit   make check-tsan   make check-e2e   make check-e2e-asan   make fuzz   make lint'
	@echo 'make soak         everything at once, with accidents, for SOAK_SECONDS=60'
	@echo 'make coverage     lines and branches that the unit tests reach; fails where core has too few'
	@echo 'make bench        speed against peers, about an hour; ROUNDS= SECONDS= WORK= SYSTEMS= as bench.py has them'
	@echo 'make bench-quick  the same in under two minutes'
	@echo 'make bench-queue  packets a second through the queue against an accept-everything loop'
	@echo 'make deps         installs what building and testing need'
	@echo 'make install      PREFIX, DESTDIR   make uninstall'

else

UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/unit/%,$(if $(UNIT_ONLY),$(UNIT_ONLY),$(UNIT_SRC)))

.PHONY: unit-build unit-run
unit-build: $(UNIT_BIN)
unit-run: $(UNIT_BIN)
	$(Q)for t in $^; do echo "== $$t"; $$t || exit 1; done

$(B)/unit/%: $(B)/tests/unit/%.o $(patsubst %.c,$(B)/%.o,$(UNIT_HELP)) \
             $(B)/libdaemon.a $(B)/libcli.a $(B)/libkernel.a $(B)/libhost.a $(B)/libcore.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) $(UNIT_LINK_$*) -o $@ $^ $(call pkg_libs,$(KERNEL_PKGS) $(DAEMON_PKGS) cmocka) -lpthread
.PRECIOUS: $(B)/tests/unit/%.o $(B)/tests/unit/core/%.o

endif

include tests/bench/bench.mk
include tests/fuzz/fuzz.mk
