# SPDX-License-Identifier: GPL-2.0-or-later
# A booted Debian with systemd and its own kernel. build/vm/ is a cache of the guest's
# image; no network is needed once it is there.

.PHONY: check-vm
check-vm:
	$(Q)$(MAKE) --no-print-directory deps-vm
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) tests/vm/check.py build/vm
