# make demo    set up, build, show the filesystem at work
# make test    set up, run all tests
# make soak    look for losses under kills, MINUTES=1
# make deny    what is depended on: licences, versions, sources, known holes
# make conformance    well known testers of filesystems, QUICK=1 and TOOLS="fsx fio" for a part
# make gluster    the tap against a real Gluster, where it is installed
# make concurrency    the order of locks and threads, PARTS="model tsan" for a part
# make install DESTDIR= PREFIX=/usr/local
# make deb     a Debian package in dist/

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
MANDIR     ?= $(PREFIX)/share/man
BASHDIR    ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR     ?= $(PREFIX)/share/zsh/site-functions
FISHDIR    ?= $(PREFIX)/share/fish/vendor_completions.d
UNITDIR    ?= $(PREFIX)/lib/systemd/system
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
EXAMPLEDIR ?= $(PREFIX)/share/doc/eventfs/examples
DESTDIR    ?=
CARGO      ?= cargo
CARGOFLAGS ?=
INSTALL    ?= install

TARGET  := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
BINARY  := $(TARGET)/release/eventfs
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
PAGES   := $(sort $(wildcard man/*.1 man/*.5 man/*.8))
UNITS   := eventfs.service eventfs@.service
# What runs, and what is read, of the examples.
EXAMPLES := $(addprefix contrib/examples/,claim.sh consumer.py consumer.sh container.sh)
SAMPLES  := contrib/eventfs.toml contrib/fstab.example \
	$(addprefix contrib/systemd/,eventfs-drain@.path eventfs-drain@.service)
SCRIPTS := $(wildcard contrib/*.sh contrib/conformance/*.sh contrib/examples/*.sh) \
	$(addprefix contrib/debian/,postinst prerm postrm) tests/contrib/manager.sh .ci/run
DIST    := dist/eventfs-$(VERSION).tar.gz

# The packager: the one in the path, else one that is built once into the target directory.
CARGO_DEB := $(or $(shell command -v cargo-deb),$(TARGET)/tools/bin/cargo-deb)
# Where the package's files are put together; cargo-deb looks below the profile's directory.
DEBDIR   := $(dir $(BINARY))package
DEBOUT   ?= dist
DEBFLAGS ?=

# How long the soak takes.
MINUTES  ?= 1

.PHONY: all demo test soak conformance gluster concurrency bench fuzz deny check install uninstall clean dist deb

all:
	$(CARGO) build --release $(CARGOFLAGS)

# Built only if missing, so that `make install` as root needs no compiler.
$(BINARY):
	$(CARGO) build --release $(CARGOFLAGS)

demo:
	contrib/setup.sh run
	@$(MAKE) --no-print-directory $(BINARY)
	EVENTFS=$(BINARY) contrib/demo.sh

# Without the packager its test says that it was skipped (with CI set it fails).
test:
	contrib/setup.sh test
	-@$(MAKE) -s $(CARGO_DEB)
	$(CARGO) test $(CARGOFLAGS)

soak:
	EVENTFS_SOAK_SECONDS=$$(($(MINUTES) * 60)) $(CARGO) test --release $(CARGOFLAGS) --test soak

conformance:
	contrib/setup.sh run
	@$(MAKE) --no-print-directory $(BINARY)
	EVENTFS=$(abspath $(BINARY)) contrib/conformance.sh $(if $(QUICK),--quick) $(TOOLS)

# The tap against a real glusterd and glustereventsd, where they are installed.
gluster: $(BINARY)
	EVENTFS=$(abspath $(BINARY)) contrib/conformance/gluster.sh

# The janitor under a model checker; Miri and ThreadSanitizer where the nightly toolchain has them.
concurrency:
	contrib/concurrency.sh $(PARTS)

# Each benchmark leaves its rows; the report judges them, also when one broke.
bench:
	rm -rf $(TARGET)/tmp/bench
	-$(CARGO) bench --no-fail-fast $(CARGOFLAGS)
	@$(CARGO) bench --quiet $(CARGOFLAGS) --bench report

# Every fuzz target for so many seconds; what is found lies in fuzz/artifacts.
fuzz:
	contrib/fuzz.sh $(or $(SECONDS),5)

# What we depend on: licences, versions, sources, and advisories where their database can be had.
deny:
	contrib/deny.sh

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
	$(INSTALL) -m 644 $(filter %.1,$(PAGES)) $(DESTDIR)$(MANDIR)/man1/
	$(INSTALL) -m 644 $(filter %.5,$(PAGES)) $(DESTDIR)$(MANDIR)/man5/
	$(INSTALL) -m 644 $(filter %.8,$(PAGES)) $(DESTDIR)$(MANDIR)/man8/
	$(INSTALL) -d $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	$(BINARY) completions bash >$(DESTDIR)$(BASHDIR)/eventfs
	$(BINARY) completions zsh >$(DESTDIR)$(ZSHDIR)/_eventfs
	$(BINARY) completions fish >$(DESTDIR)$(FISHDIR)/eventfs.fish
	$(INSTALL) -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(TMPFILESDIR) $(DESTDIR)$(SYSUSERSDIR) \
		$(DESTDIR)$(EXAMPLEDIR)
	$(INSTALL) -m 644 contrib/tmpfiles.d/eventfs.conf $(DESTDIR)$(TMPFILESDIR)/
	$(INSTALL) -m 644 contrib/sysusers.d/eventfs.conf $(DESTDIR)$(SYSUSERSDIR)/
	$(INSTALL) -m 755 $(EXAMPLES) $(DESTDIR)$(EXAMPLEDIR)/
	$(INSTALL) -m 644 $(SAMPLES) $(DESTDIR)$(EXAMPLEDIR)/
	$(INSTALL) -m 644 $(addprefix contrib/systemd/,$(UNITS)) $(DESTDIR)$(UNITDIR)/
	sed -i 's,/usr/bin/eventfs,$(BINDIR)/eventfs,' \
		$(addprefix $(DESTDIR)$(UNITDIR)/,$(UNITS)) $(DESTDIR)$(EXAMPLEDIR)/eventfs-drain@.service

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/eventfs \
		$(foreach n,1 5 8,$(addprefix $(DESTDIR)$(MANDIR)/man$n/,$(notdir $(filter %.$n,$(PAGES))))) \
		$(DESTDIR)$(BASHDIR)/eventfs $(DESTDIR)$(ZSHDIR)/_eventfs $(DESTDIR)$(FISHDIR)/eventfs.fish \
		$(addprefix $(DESTDIR)$(UNITDIR)/,$(UNITS)) \
		$(DESTDIR)$(TMPFILESDIR)/eventfs.conf $(DESTDIR)$(SYSUSERSDIR)/eventfs.conf \
		$(addprefix $(DESTDIR)$(EXAMPLEDIR)/,$(notdir $(EXAMPLES) $(SAMPLES)))
	rmdir $(DESTDIR)$(EXAMPLEDIR) $(DESTDIR)$(dir $(EXAMPLEDIR)) 2>/dev/null || :

clean:
	$(CARGO) clean
	rm -rf dist

# What is committed, as a tarball.
dist:
	mkdir -p dist
	git archive --format=tar --prefix=eventfs-$(VERSION)/ HEAD | gzip -n >$(DIST)
	@echo $(DIST)

$(TARGET)/tools/bin/cargo-deb:
	$(CARGO) install --locked --root $(TARGET)/tools --version '^3' cargo-deb

# The package holds what `make install` installs, and the configuration.
deb: $(BINARY) $(CARGO_DEB)
	rm -rf $(DEBDIR)
	@$(MAKE) --no-print-directory install DESTDIR=$(abspath $(DEBDIR)) PREFIX=/usr BINARY=$(BINARY)
	gzip -9n $(DEBDIR)/usr/share/man/man*/*
	mkdir -p $(DEBOUT)
	$(CARGO_DEB) deb --no-build -o $(DEBOUT)/ $(DEBFLAGS)
	rm -rf $(DEBDIR)
