#!/bin/sh
# Installs what is missing on a Debian system; where it may not, says what is missing.
#
#   contrib/setup.sh run    what building and running eventfs needs
#   contrib/setup.sh test   that, and what its tests and checks need
#
# Exit status: 0 all is there, 1 something is missing, 2 wrong usage.

set -u

RUST_MINOR=90 # rust-version in Cargo.toml, 1.x

case "${1-}" in
run | test) mode=$1 ;;
*)
    echo "usage: ${0##*/} run|test" >&2
    exit 2
    ;;
esac

# command:package, one pair a line.
needed() {
    cat <<'END'
cc:gcc
fusermount3:fuse3
getfattr:attr
inotifywait:inotify-tools
findmnt:util-linux
END
    [ "$mode" = test ] || return 0
    cat <<'END'
bash:bash
bwrap:bubblewrap
curl:curl
dpkg-deb:dpkg
jq:jq
make:make
mandoc:mandoc
mkfs.btrfs:btrfs-progs
mkfs.ext4:e2fsprogs
mkfs.xfs:xfsprogs
python3:python3
setpriv:util-linux
shellcheck:shellcheck
systemd-analyze:systemd
END
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# The names of packages whose command is missing, one a line.
missing() {
    needed | while IFS=: read -r command package; do
        has "$command" || echo "$package"
    done | sort -u
    # A compiler without the C library's headers and start files links nothing.
    if ! has cc && ! [ -e /usr/include/stdio.h ]; then
        echo libc6-dev
    fi
}

bad=0

complain() {
    echo "setup: $*" >&2
    bad=1
}

check_rust() {
    if ! has cargo || ! has rustc; then
        complain "missing: cargo and rustc 1.$RUST_MINOR or newer, for example from rustup"
        return
    fi
    version=$(rustc --version | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p')
    if [ "${version%%.*}" != 1 ] || [ "${version#*.}" -lt "$RUST_MINOR" ]; then
        complain "rustc is $version, 1.$RUST_MINOR or newer is needed (rustup update)"
    fi
}

# rustfmt and clippy: the tests do without, `make check` does not.
add_components() {
    for component in rustfmt clippy; do
        if [ "$component" = rustfmt ]; then program=cargo-fmt; else program=cargo-clippy; fi
        "$program" --version >/dev/null 2>&1 && continue
        if has rustup && rustup component add "$component"; then
            continue
        fi
        echo "setup: note: $component is missing; 'make check' needs it" >&2
    done
}

install_packages() {
    packages=$(missing)
    [ -n "$packages" ] || return 0
    # One word a package is meant.
    # shellcheck disable=SC2086
    set -- $packages
    if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
        complain "missing packages: $*"
        echo "setup: as root: apt-get install $*" >&2
        return
    fi
    echo "setup: installing $*"
    apt-get update -q || complain "apt-get update failed"
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" ||
        complain "apt-get install failed"
    left=$(missing)
    [ -z "$left" ] || complain "still missing: $left"
}

# The device through which filesystems in user space work.
check_device() {
    [ -e /dev/fuse ] && return 0
    if [ "$(id -u)" -eq 0 ]; then
        modprobe fuse 2>/dev/null
        [ -e /dev/fuse ] || mknod -m 666 /dev/fuse c 10 229 2>/dev/null
    fi
    [ -e /dev/fuse ] ||
        complain "missing: /dev/fuse (modprobe fuse; in a container, pass the device in)"
}

install_packages
check_rust
[ "$mode" = run ] || add_components
check_device
[ "$bad" -eq 0 ] && echo "setup: all that '$mode' needs is there"
exit "$bad"
