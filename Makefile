# SPDX-License-Identifier: GPL-2.0-or-later
# sallyport. `make help` lists the targets.

VERSION := 0.1.0

PREFIX     ?= /usr
SYSCONFDIR ?= /etc
SBINDIR    ?= $(PREFIX)/sbin
MANDIR     ?= $(PREFIX)/share/man
UNITDIR    ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
DOCDIR     ?= $(PREFIX)/share/doc/sallyport
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions

CC ?= gcc
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3

# One source tree, several builds: `make` (release), MODE=debug (ASan and UBSan), MODE=tsan, MODE=fuzz
# (clang), MODE=coverage.
MODE ?= release
B := $(if $(filter release,$(MODE)),build,build/$(MODE))

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wvla -Wwrite-strings -Wformat=2 -Wundef -Wimplicit-fallthrough
# Flags that not every compiler and machine has: those of $(1) that this one takes.
taken     = $(foreach f,$(1),$(if $(shell $(CC) -O2 -Werror $(f) -include stdio.h -x c -c -o /dev/null /dev/null 2>&1),,$(f)))
fortify   = $(lastword -D_FORTIFY_SOURCE=2 $(call taken,-D_FORTIFY_SOURCE=3))
HARDEN    = -fPIE -fno-strict-aliasing -fstack-protector-strong -U_FORTIFY_SOURCE $(fortify) \
            $(call taken,-fstack-clash-protection -fcf-protection -mbranch-protection=standard)
CFLAGS_release  = -O2 -g $(HARDEN)
CFLAGS_debug   := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
CFLAGS_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
CFLAGS_coverage := -O0 -g --coverage -fprofile-update=atomic
CFLAGS_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS_release := -pie -Wl,-z,relro,-z,now,-z,noexecstack
LDFLAGS_debug   := -fsanitize=address,undefined
LDFLAGS_fuzz    := -fsanitize=address,undefined
LDFLAGS_coverage := --coverage
LDFLAGS_tsan    := -fsanitize=thread

CPPFLAGS_ALL := -Iinclude -D_GNU_SOURCE -DSALLYPORT_VERSION='"$(VERSION)"' \
                -DSALLYPORT_SYSCONFDIR='"$(SYSCONFDIR)"' $(CPPFLAGS)
CFLAGS_ALL   := -std=gnu11 $(WARNINGS) $(CFLAGS_$(MODE)) -MMD -MP $(CFLAGS)
LDFLAGS_ALL  := $(LDFLAGS_$(MODE)) $(LDFLAGS)

KERNEL_PKGS := libmnl libnftnl libnetfilter_queue
DAEMON_PKGS := libsystemd jansson libcap-ng libseccomp
CLI_PKGS    := jansson
PKG_CFLAGS  = $(shell $(PKG_CONFIG) --cflags $(KERNEL_PKGS) $(DAEMON_PKGS) 2>/dev/null)
pkg_libs    = $(shell $(PKG_CONFIG) --libs $(1))

ifeq ($(V),1)
Q :=
say :=
else
Q := @
say = @printf '  %-4s %s\n'
endif

src = $(wildcard src/$(1)/*.c)
obj = $(patsubst %.c,$(B)/%.o,$(1))

CORE_OBJ   := $(call obj,$(call src,core))
HOST_OBJ   := $(call obj,$(call src,host))
KERNEL_OBJ := $(call obj,$(call src,kernel))
DAEMON_OBJ := $(call obj,$(filter-out src/daemon/main.c,$(call src,daemon)))
CLI_OBJ    := $(call obj,$(filter-out src/cli/main.c,$(call src,cli)))

LIBS := $(B)/libcore.a $(B)/libhost.a $(B)/libkernel.a $(B)/libdaemon.a $(B)/libcli.a

.PHONY: all
all: $(B)/sallyportd $(B)/sallyport

$(B)/libcore.a: $(CORE_OBJ)
$(B)/libhost.a: $(HOST_OBJ)
$(B)/libkernel.a: $(KERNEL_OBJ)
$(B)/libdaemon.a: $(DAEMON_OBJ)
$(B)/libcli.a: $(CLI_OBJ)

$(LIBS):
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/sallyportd: $(B)/src/daemon/main.o $(B)/libdaemon.a $(B)/libkernel.a $(B)/libhost.a $(B)/libcore.a
	$(say) LINK $@
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(call pkg_libs,$(KERNEL_PKGS) $(DAEMON_PKGS)) -lpthread

$(B)/sallyport: $(B)/src/cli/main.o $(B)/libcli.a $(B)/libhost.a $(B)/libcore.a
	$(say) LINK $@
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(call pkg_libs,$(CLI_PKGS))

$(B)/%.o: %.c Makefile
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(PKG_CFLAGS) $(CFLAGS_ALL) -c -o $@ $<

# Those with the place of the rules file in them are built anew where it has changed.
.PHONY: FORCE
$(B)/sysconfdir: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(SYSCONFDIR)' | cmp -s - $@ || echo '$(SYSCONFDIR)' >$@
$(B)/src/cli/cmd_check.o $(B)/src/daemon/options.o: $(B)/sysconfdir

-include $(shell find $(B) -name '*.d' -type f -not -path '$(B)/vm/*' -not -path '$(B)/debug/*' -not -path '$(B)/tsan/*' -not -path '$(B)/fuzz/*' -not -path '$(B)/coverage/*' 2>/dev/null)

include tests/tests.mk
include tests/install.mk
include tests/e2e/e2e.mk tests/soak/soak.mk tests/demo/demo.mk tests/lint/lint.mk tests/unit/coverage.mk

.PHONY: clean
clean:
	rm -rf build
