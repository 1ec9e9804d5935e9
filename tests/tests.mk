# SPDX-License-Identifier: GPL-2.0-or-later
# Tests. Unit tests: tests/unit/*/test_*.c, a cmocka program each, linked with every
# library but a main, built with ASan and UBSan.

UNIT_SRC := $(wildcard tests/unit/*/test_*.c)
UNIT_BIN := $(patsubst tests/unit/%.c,build/debug/unit/%,$(UNIT_SRC))
UNIT_HELP := $(wildcard tests/unit/*.c)

ifeq ($(MODE),release)
.PHONY: check-unit
check-unit:
	$(Q)$(MAKE) --no-print-directory MODE=debug unit-run
else
.PHONY: unit-run
unit-run: $(patsubst tests/unit/%.c,$(B)/unit/%,$(if $(UNIT_ONLY),$(UNIT_ONLY),$(UNIT_SRC)))
	$(Q)for t in $^; do echo "== $$t"; $$t || exit 1; done

$(B)/unit/%: $(B)/tests/unit/%.o $(patsubst %.c,$(B)/%.o,$(UNIT_HELP)) \
             $(B)/libdaemon.a $(B)/libcli.a $(B)/libkernel.a $(B)/libhost.a $(B)/libcore.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(call pkg_libs,$(KERNEL_PKGS) $(DAEMON_PKGS) cmocka) -lpthread
.PRECIOUS: $(B)/tests/unit/%.o
endif
