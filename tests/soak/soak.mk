# SPDX-License-Identifier: GPL-2.0-or-later
# make soak: everything at once, with accidents; tests/soak/soak.py says what and how.
#   SOAK_SECONDS=1800   how long (60)
#   SOAK_SEED=N         the accidents of an earlier run in their order
#   SOAK_OPTIONS=--at-home   on a host that forwards nothing
#   MODE=debug          under ASan, UBSan and LeakSanitizer

SOAK_SECONDS ?= 60
SOAK_SEED    ?=

.PHONY: soak
soak: all
	$(Q)$(MAKE) --no-print-directory MODE=release build/bench/http_load
	$(Q)$(if $(filter 0,$(shell id -u)),,sudo) env SALLYPORT_BUILD=$(B) PYTHONDONTWRITEBYTECODE=1 \
	  $(PYTHON) tests/soak/soak.py --seconds $(SOAK_SECONDS) $(if $(SOAK_SEED),--seed $(SOAK_SEED)) $(SOAK_OPTIONS)
