#!/bin/sh
# Runs the fuzz targets, each for so many seconds, from their seeds.
#
#   contrib/fuzz.sh [SECONDS [TARGET...]]
#
# Needs a nightly toolchain; cargo-fuzz is built into the target directory where it is not there. What is
# found lies in fuzz/artifacts/TARGET and is to become a named test. Exit status: 0 nothing found (or
# SKIPPED, which it says), 1 something found or broken.

set -eu
cd "$(dirname "$0")/.."

seconds=${1:-5}
[ $# -eq 0 ] || shift

case "$seconds" in
'' | *[!0-9]*)
    echo "usage: ${0##*/} [SECONDS [TARGET...]]" >&2
    exit 2
    ;;
esac

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: fuzzing needs a nightly toolchain (rustup toolchain install nightly)"
    exit 0
fi

target=${CARGO_TARGET_DIR:-$PWD/target}
if ! command -v cargo-fuzz >/dev/null; then
    PATH=$target/tools/bin:$PATH
    export PATH
    command -v cargo-fuzz >/dev/null || cargo install --locked --root "$target/tools" cargo-fuzz
fi

if [ $# -eq 0 ]; then
    for file in fuzz/fuzz_targets/*.rs; do
        name=${file##*/}
        set -- "$@" "${name%.rs}"
    done
fi

found=
for name in "$@"; do
    echo "== $name, $seconds s"
    mkdir -p "fuzz/corpus/$name"
    if ! cargo +nightly fuzz run "$name" "fuzz/corpus/$name" "fuzz/seeds/$name" -- \
        -max_total_time="$seconds" -timeout=20 -print_final_stats=1 2>"fuzz/corpus/$name.log"; then
        tail -n 40 "fuzz/corpus/$name.log"
        found="$found $name"
        continue
    fi
    grep -E 'stat::(number_of_executed_units|average_exec_per_sec)' "fuzz/corpus/$name.log" || :
done

if [ -n "$found" ]; then
    echo "found something:$found"
    exit 1
fi
echo "nothing found"
