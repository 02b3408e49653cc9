#!/bin/sh
# Checks what the program depends on, by deny.toml: licences, versions, sources, advisories.
#
# cargo-deny is built into the target directory where it is not there. Licences, versions and sources need
# no network once the packages are there; advisories are looked up where their database can be fetched, else
# this says SKIPPED. Exit status: 0 nothing found, 1 something found or broken.

set -eu
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
if ! command -v cargo-deny >/dev/null; then
    PATH=$target/tools/bin:$PATH
    export PATH
    command -v cargo-deny >/dev/null || cargo install --locked --root "$target/tools" cargo-deny
fi

cargo fetch --locked
cargo fetch --locked --manifest-path fuzz/Cargo.toml

found=
deny() { # deny NAME MANIFEST ARGUMENT...
    echo "== $1"
    manifest=$2
    shift 2
    cargo deny --locked --manifest-path "$manifest" --config deny.toml "$@" || found=yes
}

# The fuzz targets have less below them than the program, and the fuzzer.
deny "the program and its tests" Cargo.toml --offline check -D unmatched-skip -D unnecessary-skip \
    -A license-exception-not-encountered -A no-license-field bans licenses sources
deny "the fuzz targets" fuzz/Cargo.toml --offline check -A unmatched-skip -A unnecessary-skip \
    -A license-not-encountered -A no-license-field bans licenses sources

# Nobody is asked for a password.
if reason=$(GIT_TERMINAL_PROMPT=0 cargo deny fetch db 2>&1 </dev/null); then
    deny "advisories on the program and its tests" Cargo.toml check advisories
    deny "advisories on the fuzz targets" fuzz/Cargo.toml check advisories
else
    echo "SKIPPED: advisories: $(printf '%s\n' "$reason" | grep -v '^$' | tail -n 1)"
fi

[ -z "$found" ] || {
    echo "found something"
    exit 1
}
echo "nothing found"
