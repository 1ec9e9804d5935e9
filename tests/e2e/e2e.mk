# SPDX-License-Identifier: GPL-2.0-or-later
# make check-e2e: real packets in network namespaces. E2E='-k nat -x' picks and chooses.
# make check-e2e-asan: the same with the daemon and the CLI under ASan and UBSan.

E2E ?=
# Three at a time: each has namespaces of its own, and most of them wait. One file stays in one process.
E2E_JOBS ?= 3

.PHONY: check-e2e check-e2e-asan
check-e2e: all
	$(Q)$(if $(filter 0,$(shell id -u)),,sudo) env SALLYPORT_BUILD=$(B) PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) -m pytest -q -n $(E2E_JOBS) --dist loadfile tests/e2e $(E2E)

check-e2e-asan:
	$(Q)$(MAKE) --no-print-directory MODE=debug check-e2e
