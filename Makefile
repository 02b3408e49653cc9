# make demo    set up, build, show the filesystem at work
# make test    set up, run all tests
# make install DESTDIR= PREFIX=/usr/local

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
MANDIR     ?= $(PREFIX)/share/man
BASHDIR    ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR     ?= $(PREFIX)/share/zsh/site-functions
FISHDIR    ?= $(PREFIX)/share/fish/vendor_completions.d
DESTDIR    ?=
CARGO      ?= cargo
CARGOFLAGS ?=
INSTALL    ?= install

TARGET  := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
BINARY  := $(TARGET)/release/eventfs
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
PAGES   := man/eventfs.1 man/eventfs.conf.5 man/eventfs.8
SCRIPTS := $(wildcard contrib/*.sh) .ci/run
DIST    := dist/eventfs-$(VERSION).tar.gz

.PHONY: all demo test bench check install uninstall clean dist

all:
	$(CARGO) build --release $(CARGOFLAGS)

# Built only if missing, so that `make install` as root needs no compiler.
$(BINARY):
	$(CARGO) build --release $(CARGOFLAGS)

demo:
	contrib/setup.sh run
	@$(MAKE) --no-print-directory $(BINARY)
	EVENTFS=$(BINARY) contrib/demo.sh

test:
	contrib/setup.sh test
	$(CARGO) test $(CARGOFLAGS)

bench:
	$(CARGO) bench $(CARGOFLAGS)

# mandoc's word on references depends on which pages the machine has: not ours to mend.
check:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets $(CARGOFLAGS) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps $(CARGOFLAGS)
	! mandoc -T lint $(PAGES) 2>&1 | \
		grep -v -e 'referenced manual not found' -e 'mandoc\.db'
	shellcheck $(SCRIPTS)

install: $(BINARY)
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 \
		$(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8
	$(INSTALL) -m 755 $(BINARY) $(DESTDIR)$(BINDIR)/eventfs
	$(INSTALL) -m 644 man/eventfs.1 $(DESTDIR)$(MANDIR)/man1/
	$(INSTALL) -m 644 man/eventfs.conf.5 $(DESTDIR)$(MANDIR)/man5/
	$(INSTALL) -m 644 man/eventfs.8 $(DESTDIR)$(MANDIR)/man8/
	$(INSTALL) -d $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	$(BINARY) completions bash >$(DESTDIR)$(BASHDIR)/eventfs
	$(BINARY) completions zsh >$(DESTDIR)$(ZSHDIR)/_eventfs
	$(BINARY) completions fish >$(DESTDIR)$(FISHDIR)/eventfs.fish

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/eventfs $(DESTDIR)$(MANDIR)/man1/eventfs.1 \
		$(DESTDIR)$(MANDIR)/man5/eventfs.conf.5 $(DESTDIR)$(MANDIR)/man8/eventfs.8 \
		$(DESTDIR)$(BASHDIR)/eventfs $(DESTDIR)$(ZSHDIR)/_eventfs $(DESTDIR)$(FISHDIR)/eventfs.fish

clean:
	$(CARGO) clean
	rm -rf dist

# What is committed, as a tarball.
dist:
	mkdir -p dist
	git archive --format=tar --prefix=eventfs-$(VERSION)/ HEAD | gzip -n >$(DIST)
	@echo $(DIST)
