# SPDX-License-Identifier: GPL-2.0-or-later
# make demo: the main job on a scratch network, step by step.

.PHONY: demo
demo: deps-demo
	$(Q)$(MAKE) --no-print-directory all
	$(Q)SALLYPORT_BUILD=$(B) $(PYTHON) tests/demo/demo.py
