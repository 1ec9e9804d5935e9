# SPDX-License-Identifier: GPL-2.0-or-later
# What touches the system: the packages that building and testing need, and where
# `make install` puts things.

.PHONY: deps deps-build deps-demo deps-check deps-lint deps-fuzz deps-vm
deps:
	$(Q)tests/deps.sh build demo test lint fuzz coverage vm
deps-build:
	$(Q)tests/deps.sh build
deps-demo:
	$(Q)tests/deps.sh build demo
deps-check:
	$(Q)tests/deps.sh build demo test
deps-lint:
	$(Q)tests/deps.sh build lint
deps-fuzz:
	$(Q)tests/deps.sh build fuzz
deps-vm:
	$(Q)tests/deps.sh build vm

MAN8 = $(wildcard doc/*.8)
MAN5 = $(wildcard doc/*.5)
EXAMPLES = $(wildcard rules/examples/*.rules)
# The files name the usual places; another PREFIX or SYSCONFDIR is written in on the way. (The programs
# have SYSCONFDIR built in: give it to `make` too.)
place = sed -e 's,/usr/sbin/sally,$(SBINDIR)/sally,g' -e 's,/etc/sallyport,$(SYSCONFDIR)/sallyport,g' \
            -e 's,/usr/share/doc/sallyport,$(DOCDIR),g'
# Only where the files go to the running system, not into a package's tree.
live = $(if $(DESTDIR),false,test -d /run/systemd/system)

.PHONY: install uninstall
install: all
	$(say) INST $(DESTDIR)$(PREFIX)
	$(Q)install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) \
	  $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(DOCDIR)/examples \
	  $(DESTDIR)$(SYSCONFDIR)/sallyport
	$(Q)install -m 755 $(B)/sallyportd $(B)/sallyport $(DESTDIR)$(SBINDIR)
	$(Q)$(place) systemd/sallyport.service | install -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/sallyport.service
	$(Q)install -m 644 systemd/sallyport.sysusers $(DESTDIR)$(SYSUSERSDIR)/sallyport.conf
	$(Q)for page in $(MAN5) $(MAN8); do $(place) $$page | \
	  install -m 644 /dev/stdin $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; done
	$(Q)install -m 644 doc/control-protocol.md $(DESTDIR)$(DOCDIR)
	$(Q)install -m 644 $(EXAMPLES) $(DESTDIR)$(DOCDIR)/examples
	$(Q)install -D -m 644 doc/completion/sallyport $(DESTDIR)$(COMPLETIONDIR)/sallyport
	$(Q)ln -sf sallyport $(DESTDIR)$(COMPLETIONDIR)/sallyportd
	$(Q)test -e $(DESTDIR)$(SYSCONFDIR)/sallyport/sallyport.rules || $(place) rules/sallyport.rules | \
	  install -m 644 /dev/stdin $(DESTDIR)$(SYSCONFDIR)/sallyport/sallyport.rules
	$(Q)if $(live); then systemd-sysusers sallyport.conf && systemctl daemon-reload; fi

# The rules file stays: it is the administrator's. What a dead daemon has left in the kernel goes.
uninstall:
	$(say) UNIN $(DESTDIR)$(PREFIX)
	$(Q)if $(live); then systemctl disable --now sallyport.service || :; $(SBINDIR)/sallyportd --remove || :; fi
	$(Q)rm -f $(DESTDIR)$(SBINDIR)/sallyportd $(DESTDIR)$(SBINDIR)/sallyport \
	  $(DESTDIR)$(UNITDIR)/sallyport.service $(DESTDIR)$(SYSUSERSDIR)/sallyport.conf \
	  $(DESTDIR)$(COMPLETIONDIR)/sallyport $(DESTDIR)$(COMPLETIONDIR)/sallyportd \
	  $(addprefix $(DESTDIR)$(MANDIR)/man8/,$(notdir $(MAN8))) \
	  $(addprefix $(DESTDIR)$(MANDIR)/man5/,$(notdir $(MAN5))) $(DESTDIR)$(DOCDIR)/control-protocol.md
	$(Q)rm -rf $(DESTDIR)$(DOCDIR)/examples
	$(Q)rmdir $(DESTDIR)$(DOCDIR) 2>/dev/null || :
	$(Q)if $(live); then systemctl daemon-reload; fi

include tests/vm/vm.mk
