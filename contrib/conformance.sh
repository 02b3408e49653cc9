#!/bin/sh
# Conformance: the well known testers of filesystems, on an eventfs of its own.
#
#   contrib/conformance.sh [--quick] [pjdfstest|fsx|stress-ng|fio]...    (default: all four)
#
# Installs what is missing: packages by apt-get, pjdfstest and fsx by cargo below the target directory.
# Needs root. Everything happens in a private mount namespace, so nothing stays mounted whatever
# happens. Prints a table; docs/CONFORMANCE.md says what a good one looks like.
#
# EVENTFS names the program; else it is target/release/eventfs. CONFORMANCE_SEED: of the testers that
# work at random (1).
#
# Exit status: 0 all as expected, 1 something was not, 2 wrong usage or something is missing.

set -u

PJDFSTEST_VERSION=0.2.2
FSX_VERSION=0.3.2

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
here=$top/contrib/conformance
target=${CARGO_TARGET_DIR:-$top/target}
tools=$target/conformance
eventfs=${EVENTFS:-$target/release/eventfs}
seed=${CONFORMANCE_SEED:-1}

quick=
wanted=
for word in "$@"; do
    case $word in
    --quick) quick=1 ;;
    pjdfstest | fsx | stress-ng | fio) wanted="$wanted $word" ;;
    *)
        echo "usage: ${0##*/} [--quick] [pjdfstest|fsx|stress-ng|fio]..." >&2
        exit 2
        ;;
    esac
done
wanted=${wanted:-pjdfstest fsx stress-ng fio}

give_up() {
    echo "conformance: $*" >&2
    exit 2
}

has() {
    command -v "$1" >/dev/null 2>&1
}

wants() {
    case " $wanted " in *" $1 "*) true ;; *) false ;; esac
}

# Packages, one pair `command:package` a line.
missing_packages() {
    printf '%s\n' cc:gcc unshare:util-linux setfattr:attr
    wants stress-ng && echo stress-ng:stress-ng
    wants fio && echo fio:fio
}

install_packages() {
    missing=$(missing_packages | while IFS=: read -r command package; do
        has "$command" || echo "$package"
    done)
    [ -n "$missing" ] || return 0
    has apt-get || give_up "missing: $missing"
    apt-get update -q >&2 || give_up "apt-get update failed"
    # One word a package is meant.
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2 ||
        give_up "cannot install $missing"
}

install_crate() {
    wants "$1" || return 0
    case $("$tools/bin/$1" --version 2>/dev/null) in *" $2") return 0 ;; esac
    has cargo || give_up "missing: cargo, to install $1"
    # Built without optimising where time matters: they are quick enough.
    cargo install --quiet --locked --force ${quick:+--debug} --root "$tools" --target-dir "$tools/build" \
        --version "$2" "$1" >&2 || give_up "cannot install $1"
}

# First the tools and the private namespace; then this script once more, inside.
if [ -z "${CONFORMANCE_INSIDE-}" ]; then
    [ "$(id -u)" -eq 0 ] || give_up "needs root"
    [ -x "$eventfs" ] || give_up "no $eventfs: run 'make' first"
    install_packages
    mkdir -p "$tools" || exit 2
    install_crate pjdfstest "$PJDFSTEST_VERSION"
    install_crate fsx "$FSX_VERSION"
    wants pjdfstest && { cc -O2 -Wall -Wextra -shared -fPIC -o "$tools/over.so" "$here/over.c" ||
        give_up "cannot compile over.c"; }
    CONFORMANCE_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi

dir=$(mktemp -d) || exit 2
chmod 755 "$dir" # some cases are run as another user
mnt=$dir/mnt
logs=$tools/logs
unexpected=0

unmount() {
    # Where pjdfstest was, it is mounted a second time.
    for point in "$dir"/first/.tmp* "$mnt"; do
        grep -q " $point fuse.eventfs " /proc/mounts || continue
        umount "$point" 2>/dev/null || umount -l "$point"
    done
}

cleanup() {
    trap '' INT TERM HUP
    unmount
    rm -rf --one-file-system -- "$dir"
}
trap 'cleanup' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A line of the table. Anything but "as expected" in the end makes the exit status 1.
row() { # TOOL WHAT RESULT [WHY]
    printf '%-10s %-28s %s%s\n' "$1" "$2" "$3" "${4:+: $4}"
}

fails() { # TOOL WHAT WHY
    row "$1" "$2" UNEXPECTED "$3"
    unexpected=$((unexpected + 1))
}

# Names of the contract's sentences: which refusals are meant.
sentence() {
    case $1 in
    mkdir) echo "mkdir inside a queue: EPERM" ;;
    bind | mkfifo | mknod | symlink) echo "Symbolic links, fifos, sockets, devices: EPERM" ;;
    esac
}

queue() {
    mkdir "$mnt/$1" || give_up "no queue"
    setfattr -n user.eventfs_sticky -v 1 "$mnt/$1" || give_up "no sticky queue"
}

# ---------------------------------------------------------------------------------------- pjdfstest

# Lines `RESULT CASE REFUSALS`, from its output.
pjdfstest_cases() {
    awk '/^refused / { $1 = ""; refused = refused "," substr($0, 2); next }
        /^[a-z0-9_]+(::[a-z0-9_]+)+ +(ok|FAILED|skipped)$/ {
            gsub(/ /, "_", refused)
            print $2, $1, refused == "" ? "-" : substr(refused, 2)
            refused = ""
        }' "$1"
}

# Every case of the list must be ok; any other may fail only after a refusal that the contract means.
run_pjdfstest() {
    mkdir "$dir/first" "$dir/second"
    log=$logs/pjdfstest.txt
    list=$top/tests/data/conformance/pjdfstest-flat-applicable.txt
    NO_COLOR=1 RUST_BACKTRACE=0 OVER_DIR=$dir/first OVER_FROM=$mnt LD_PRELOAD=$tools/over.so \
        timeout 300 "$tools/bin/pjdfstest" -c "$here/pjdfstest.toml" -p "$dir/first" \
        -s "$dir/second" >"$log" 2>&1
    cases=$logs/pjdfstest-cases.txt
    pjdfstest_cases "$log" >"$cases"
    total=$(sed -n 's/^Summary: .* \([0-9]*\) total$/\1/p' "$log")
    if [ -z "$total" ] || [ "$(wc -l <"$cases")" -ne "$total" ]; then
        fails pjdfstest "all cases" "it did not come to its end, see $log"
    fi
    good=0
    while IFS= read -r name; do
        if grep -qx "ok $name .*" "$cases"; then
            good=$((good + 1))
        else
            fails pjdfstest "$name" "$(grep -w "$name" "$cases"), but it must be ok"
        fi
    done <"$list"
    row pjdfstest "cases that must be ok" "$good ok"
    row pjdfstest "further cases" "$(($(grep -c '^ok ' "$cases") - good)) ok"
    while read -r result name refused; do
        [ "$result" = FAILED ] || continue
        grep -qx "$name" "$list" && continue
        [ -n "$(sentence "${refused%%,*}")" ] ||
            fails pjdfstest "$name" "failed, and was refused: $refused"
    done <"$cases"
    for call in mkdir mkfifo mknod symlink bind; do
        count=$(grep -c "^FAILED [^ ]* $call\(,.*\)*$" "$cases")
        [ "$count" -eq 0 ] || row pjdfstest "$call refused" "$count as meant" "$(sentence "$call")"
    done
    row pjdfstest "skipped by itself" "$(grep -c '^skipped ' "$cases")" "remounting, LINK_MAX"
}

# ---------------------------------------------------------------------------------------------- fsx

run_fsx() {
    queue fsx
    operations=20000
    last=$((seed + 4))
    [ -z "$quick" ] || { operations=5000 && last=$((seed + 1)); }
    number=$seed
    while [ "$number" -le "$last" ]; do
        log=$logs/fsx-$number.txt
        if timeout 300 "$tools/bin/fsx" -N "$operations" -S "$number" -f "$here/fsx.toml" \
            -P "$logs" "$mnt/fsx/event" >"$log" 2>&1; then
            row fsx "seed $number" "$operations operations ok"
        else
            fails fsx "seed $number" "see $log"
        fi
        rm -f "$mnt/fsx/event"
        number=$((number + 1))
    done
    row fsx "mmap of a writable handle" "left out" \
        "mmap for reading (on a handle opened for reading only)"
    row fsx "punching holes" "left out" \
        "read, write, append, truncate, sparse writes, mmap for reading"
}

# ---------------------------------------------------------------------------------------- stress-ng

# Ends well, says nothing of a failure, and leaves no queue behind.
stressor() { # NAME OPTION...
    name=$1
    shift
    log=$logs/stress-ng-$name.txt
    [ -z "$quick" ] && seconds=2 || seconds=1
    timeout 60 stress-ng --temp-path "$mnt" --seed "$seed" "--$name" 2 "$@" --verify -t "$seconds" \
        >"$log" 2>&1
    status=$?
    if [ "$status" -ne 0 ] || grep -q ' fail: ' "$log"; then
        fails stress-ng "$name" "status $status, see $log"
    elif [ -n "$(ls -A "$mnt")" ]; then
        fails stress-ng "$name" "left $(ls -A "$mnt")"
    else
        return 0
    fi
    rm -rf -- "$mnt"/tmp-stress-ng-*
    return 1
}

# One that wants what is refused, and must find it refused.
refused_stressor() { # NAME PATTERN CALL
    log=$logs/stress-ng-$1.txt
    timeout 60 stress-ng --temp-path "$mnt" "--$1" 1 -t 1 >"$log" 2>&1
    if grep -q "$2" "$log"; then
        row stress-ng "$1" "refused as meant" "$(sentence "$3")"
    else
        fails stress-ng "$1" "was not refused, see $log"
    fi
    rm -rf -- "$mnt"/tmp-stress-ng-*
}

run_stress_ng() {
    rmdir "$mnt"/* 2>/dev/null
    passed=
    while read -r name short options; do
        case $name in '#'*) continue ;; esac
        [ -z "$quick" ] || [ "$short" = + ] || continue
        # Its words are options.
        # shellcheck disable=SC2086
        stressor "$name" $options </dev/null && passed="$passed $name"
    done <"$here/stressors"
    # Its words are names.
    # shellcheck disable=SC2086
    set -- $passed
    row stress-ng "$# stressors, verified" "ok" "$*"
    refused_stressor dir 'mkdir .* errno=1 ' mkdir
    refused_stressor chdir 'mkdir .* errno=1 ' mkdir
    refused_stressor symlink 'link calls not allowed' symlink
}

# ---------------------------------------------------------------------------------------------- fio

# Writes with checksums, reads all back and compares.
fio_job() { # NAME OPTION...
    name=$1
    shift
    log=$logs/fio-$name.txt
    if timeout 300 fio --aux-path="$dir" --name="$name" --directory="$mnt/fio" --verify=crc32c --verify_fatal=1 \
        --do_verify=1 --randseed="$seed" --size="$fio_size" --bsrange=512-64k --numjobs=2 \
        "$@" >"$log" 2>&1 && ! grep -q 'verify failed\|err=[^ ]*[1-9]' "$log"; then
        row fio "$name" "ok"
    else
        fails fio "$name" "see $log"
    fi
    rm -f -- "$mnt/fio"/*.*
}

run_fio() {
    queue fio
    fio_size=32m
    [ -z "$quick" ] || fio_size=8m
    fio_job sequential --rw=write --ioengine=psync
    fio_job random --rw=randrw --ioengine=psync
    fio_job vectors --rw=randrw --ioengine=pvsync --iodepth=8
    fio_job synchronous --rw=randwrite --ioengine=psync --fsync=16
    fio_job asynchronous --rw=randrw --ioengine=libaio --iodepth=8
}

# --------------------------------------------------------------------------------------------- run

rm -rf "$logs"
mkdir -p "$mnt" "$logs" || exit 2
: >"$dir/none.toml"
# Above what the testers write; a hole counts as its bytes, and one is 2 GiB.
"$eventfs" -o allow_other,size=8g,max_event=4g -c "$dir/none.toml" "$mnt" || give_up "cannot mount"
for tool in $wanted; do
    case $tool in
    pjdfstest) run_pjdfstest ;;
    fsx) run_fsx ;;
    stress-ng) run_stress_ng ;;
    fio) run_fio ;;
    esac
done
unmount
if [ "$unexpected" -ne 0 ]; then
    echo "conformance: $unexpected unexpected"
    exit 1
fi
echo "conformance: all as expected"
