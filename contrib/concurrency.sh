#!/bin/sh
# Looks for mistakes in the order of locks and threads, in four ways.
#
#   contrib/concurrency.sh [model] [breaks] [miri] [tsan]
#
# model    the janitor under a model checker, on EVENTFS_SCHEDULES (5000) schedules of each kind a scenario
# breaks   the same, with one step of the janitor broken at a time: each break must be found
# miri     the unit tests of the pure modules under Miri
# tsan     unit tests, the model's tests and tests on mounts under ThreadSanitizer
#
# Without a word all of them. What the toolchain lacks is SKIPPED in one line that says so. Exit status:
# 0 nothing found, 1 something found or broken.

set -eu
cd "$(dirname "$0")/.."

source=$PWD/contrib/concurrency
target=${CARGO_TARGET_DIR:-$PWD/target}
case "$target" in
/*) ;;
*) target=$PWD/$target ;;
esac

# Modules without I/O, threads and clocks, in as many cases as Miri does in minutes.
pure='model:: decode:: event:: export::'

# What many threads and processes do on a mount.
mounted="
watch storm:: deadlock:: race:: locks::
fate owners::all_queues owners::an_unreaped who::
consume storm:: many::producers many::eight
"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

model() {
    EVENTFS_SCHEDULES=${EVENTFS_SCHEDULES:-5000} cargo test --test interleave
}

# The tests without the library around them, which would be built anew for every break.
breaks() {
    mkdir -p "$work/breaks/src" "$work/breaks/tests"
    cp -R tests/interleave tests/interleave.rs "$work/breaks/tests"
    cp Cargo.lock "$work/breaks"
    : >"$work/breaks/src/lib.rs"
    cat >"$work/breaks/Cargo.toml" <<END
[package]
name = "breaks"
version = "0.0.0"
edition = "2024"

[dependencies]
eventfs = { path = "$PWD", default-features = false }
libc = "0.2"
log = "0.4"
nix = "0.31"
shuttle = "0.9"
END
    cp -R src/janitor "$work/breaks/src"
    cd "$work/breaks"
    export CARGO_TARGET_DIR="$target/breaks"
    cargo test --quiet >"$work/log" 2>&1 || {
        cat "$work/log"
        echo "the tests fail where nothing is broken"
        return 1
    }
    missed=
    for patch in "$source"/breaks/*.patch; do
        name=$(basename "$patch" .patch)
        scenario=$(sed -n 's/^Found by: //p' "$patch")
        rm -rf src/janitor
        cp -R "$source/../../src/janitor" src
        patch -s -p1 <"$patch"
        # What does not compile would pass for found.
        cargo test --quiet --no-run
        if EVENTFS_SCHEDULES=20000 cargo test --quiet -- --exact "$scenario" >"$work/log" 2>&1; then
            missed="$missed $name"
        elif grep -q "^test result: FAILED. 0 passed; 1 failed" "$work/log"; then
            echo "$name: found by $scenario"
        else
            cat "$work/log"
            return 1
        fi
    done
    [ -z "$missed" ] || echo "not found:$missed"
    [ -z "$missed" ]
}

miri() {
    if ! cargo +nightly miri --version >/dev/null 2>&1; then
        echo "SKIPPED: Miri is missing (rustup component add --toolchain nightly miri rust-src)"
        return 0
    fi
    # Random cases are few, each costs a thousand times what it costs elsewhere.
    # One word a module is meant.
    # shellcheck disable=SC2086
    PROPTEST_CASES=4 MIRIFLAGS=-Zmiri-disable-isolation CARGO_TARGET_DIR=$target/miri \
        cargo +nightly miri test --no-default-features --lib -- $pure
}

# Runs a program whose races are reported below $work/reports.
watched() {
    TSAN_OPTIONS="symbolize=0 exitcode=0 log_path=$work/reports/report" "$@"
}

tsan() {
    host=x86_64-unknown-linux-gnu
    if ! cargo +nightly --version >/dev/null 2>&1; then
        echo "SKIPPED: ThreadSanitizer needs a nightly toolchain (rustup toolchain install nightly)"
        return 0
    fi
    if ! [ -e "$(rustc +nightly --print sysroot)/lib/rustlib/$host/lib/librustc-nightly_rt.tsan.a" ]; then
        echo "SKIPPED: this nightly toolchain has no ThreadSanitizer for $host"
        return 0
    fi
    if ! command -v llvm-symbolizer >/dev/null; then
        echo "SKIPPED: names in ThreadSanitizer's reports need llvm-symbolizer (package llvm)"
        return 0
    fi
    # The standard library stays as it is, without rust-src: contrib/concurrency/known has what follows.
    flags='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer'

    mkdir "$work/reports"
    # One word an option is meant.
    # shellcheck disable=SC2086
    rustc +nightly --edition 2024 -g $flags -o "$work/race" "$source/race.rs"
    watched "$work/race"
    if "$source/reports.py" "$work/reports" "$source/known" "$work/race" >/dev/null; then
        echo "ThreadSanitizer does not see a race that is there"
        return 1
    fi
    rm -f "$work/reports"/*

    set --
    for test in model $(echo "$mounted" | sed 's/ .*//'); do
        set -- "$@" --test "$test"
    done
    RUSTFLAGS=$flags CARGO_TARGET_DIR=$target/tsan cargo +nightly test --no-run --target $host \
        --no-default-features --lib "$@" 2>&1 | tee "$work/built"
    programs=$(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' "$work/built")
    failed=
    for program in $programs; do
        name=${program##*/}
        # One word a filter is meant.
        # shellcheck disable=SC2046
        watched env PROPTEST_CASES=16 "$program" \
            $(echo "$mounted" | sed -n "s/^${name%-*} //p") || failed="$failed $name"
    done
    # One word a program is meant.
    # shellcheck disable=SC2086
    "$source/reports.py" "$work/reports" "$source/known" "$target/tsan/$host/debug/eventfs" $programs ||
        failed="$failed races"
    [ -z "$failed" ] || echo "failed:$failed"
    [ -n "$programs" ] && [ -z "$failed" ]
}

[ $# -gt 0 ] || set -- model breaks miri tsan
bad=
for part in "$@"; do
    case "$part" in
    model | breaks | miri | tsan) ;;
    *)
        echo "usage: ${0##*/} [model] [breaks] [miri] [tsan]" >&2
        exit 2
        ;;
    esac
done
for part in "$@"; do
    echo "== $part"
    # Not as a condition: within one, a step that fails would not end it.
    set +e
    (
        set -e
        "$part"
    )
    status=$?
    set -e
    [ "$status" -eq 0 ] || bad="$bad $part"
done
if [ -n "$bad" ]; then
    echo "something found or broken:$bad"
    exit 1
fi
echo "nothing found"
