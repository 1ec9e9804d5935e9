# SPDX-License-Identifier: GPL-2.0-or-later
# make check-e2e: real packets in network namespaces. E2E='-k nat -x' picks and chooses;
# MODE=debug tests the build with sanitizers.

E2E ?=

.PHONY: check-e2e
check-e2e: all
	$(Q)$(if $(filter 0,$(shell id -u)),,sudo) env SALLYPORT_BUILD=$(B) PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) -m pytest -q tests/e2e $(E2E)
