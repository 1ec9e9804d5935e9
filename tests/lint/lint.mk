# SPDX-License-Identifier: GPL-2.0-or-later
# make lint: format, layers, static analysis. clang-tidy runs a file a time, two at once.

LINT_C := $(wildcard src/*/*.c tests/unit/*.c tests/unit/*/*.c tests/fuzz/*.c tests/bench/*.c tests/e2e/*.c)
LINT_H := $(wildcard include/sallyport/*/*.h src/*/*.h tests/unit/*.h)
LINT_SH := $(shell grep -lE '^\#!/bin/(ba)?sh|^\#!/usr/bin/env bash' $(wildcard tests/*/*.sh tests/*/*/*.sh .ci/run tests/*/* doc/completion/*) 2>/dev/null | sort -u)

.PHONY: lint lint-format lint-layers lint-tidy lint-cppcheck lint-shell lint-man lint-analyze check-hardening
lint: deps-lint
	$(Q)$(MAKE) --no-print-directory lint-format lint-layers lint-shell lint-man lint-cppcheck lint-analyze lint-tidy check-hardening

lint-format:
	$(Q)clang-format --dry-run -Werror $(LINT_C) $(LINT_H)

lint-layers: $(B)/libcore.a
	$(Q)tests/lint/layers.sh $<

lint-shell:
	$(Q)shellcheck $(LINT_SH)

lint-man:
	$(Q)mandoc -T lint -W warning $(wildcard doc/*.5 doc/*.8)

lint-cppcheck:
	$(Q)cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability --inline-suppr \
	  --error-exitcode=1 --suppress=missingIncludeSystem --suppress=preprocessorErrorDirective \
	  -D_GNU_SOURCE -DSALLYPORT_VERSION='""' -Iinclude -j2 src

lint-tidy:
	$(Q)printf '%s\n' $(wildcard src/*/*.c) | xargs -P 2 -n 1 sh -c \
	  'clang-tidy --quiet "$$@" -- -Iinclude -D_GNU_SOURCE -DSALLYPORT_VERSION=\"\" $(PKG_CFLAGS) -std=gnu11 2>/dev/null' tidy

lint-analyze:
	$(Q)printf '%s\n' $(wildcard src/*/*.c) | xargs -P 2 -n 8 tests/lint/analyze.sh $(PKG_CFLAGS) --

check-hardening: all
	$(Q)tests/lint/hardening.sh $(B)/sallyportd $(B)/sallyport
