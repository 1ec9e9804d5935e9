# SPDX-License-Identifier: GPL-2.0-or-later
# make fuzz: every fuzzer (clang's libFuzzer) for FUZZ_SECONDS, FUZZ_JOBS at a time. It starts from
# the seeds in tests/fuzz/corpus and from what earlier runs have found, in build/fuzz/found.
# FUZZ='fuzz_queue fuzz_control' picks.

FUZZ_SECONDS ?= 60
FUZZ_JOBS    ?= 2
FUZZ ?= $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

ifeq ($(MODE),fuzz)

$(B)/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(patsubst %.c,$(B)/%.o,$(wildcard tests/unit/*.c)) \
             $(B)/libdaemon.a $(B)/libcli.a $(B)/libkernel.a $(B)/libhost.a $(B)/libcore.a
	$(say) LINK $@
	$(Q)$(CC) -fsanitize=fuzzer $(LDFLAGS_ALL) $(FUZZ_WRAP_$*) -o $@ $^ \
	  $(call pkg_libs,$(KERNEL_PKGS) $(DAEMON_PKGS)) -lpthread
.PRECIOUS: $(B)/%.o
$(B)/tests/fuzz/%.o: CPPFLAGS_ALL += -Itests/unit

wrap = $(patsubst %,-Wl$(,)--wrap=%,$(1))
, := ,
FUZZ_WRAP_control := $(call wrap,install_counters install_ruleset install_revoke install_closes install_forget_closed \
                       install_look_unseen_first install_dispatch install_forwards \
                       loop_guard_packets copier_figures packet_log_suppressed log_write)
FUZZ_WRAP_answer  := $(call wrap,session_open)

else

.PHONY: fuzz fuzz-build fuzz-run
fuzz: deps-fuzz
	$(Q)$(MAKE) --no-print-directory fuzz-build
	$(Q)$(MAKE) --no-print-directory fuzz-run

fuzz-build:
	$(Q)$(MAKE) --no-print-directory MODE=fuzz CC=clang -j2 $(patsubst %,build/fuzz/%,$(FUZZ))

fuzz-run:
	$(Q)printf '%s\n' $(FUZZ) | xargs -P $(FUZZ_JOBS) -n 1 tests/fuzz/run.sh $(FUZZ_SECONDS)

endif
