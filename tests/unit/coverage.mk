# SPDX-License-Identifier: GPL-2.0-or-later
# make coverage: the unit tests on a build that counts; lines and branches of every file of src by
# gcovr. Fails where src/core has less than COVER_LINES or COVER_BRANCHES percent.

COVER_LINES    ?= 95
COVER_BRANCHES ?= 90
COVER := build/coverage
GCOVR  = gcovr --root . --object-directory $(COVER) --exclude-throw-branches $(COVER)

ifeq ($(MODE),release)
.PHONY: coverage deps-coverage
deps-coverage:
	$(Q)tests/deps.sh build test coverage

coverage: deps-coverage
	$(Q)find $(COVER) -name '*.gcda' -delete 2>/dev/null || :
	$(Q)$(MAKE) --no-print-directory MODE=coverage CC=gcc -j2 unit-build
	$(Q)$(MAKE) --no-print-directory MODE=coverage CC=gcc unit-run >$(COVER)/unit.log 2>&1 || { cat $(COVER)/unit.log; exit 1; }
	$(Q)$(GCOVR) --filter src/ >$(COVER)/lines.txt
	$(Q)$(GCOVR) --filter src/ --branches
	$(Q)cat $(COVER)/lines.txt
	$(Q)$(GCOVR) --filter src/core/ --print-summary --output $(COVER)/core.txt \
	  --fail-under-line $(COVER_LINES) --fail-under-branch $(COVER_BRANCHES)
endif
