#!/bin/sh
# container.sh [--unshare] QUEUE COMMAND [ARG...]
#
# Runs COMMAND in a container that sees the events of QUEUE on /queue, and nothing else of the mount. It has
# process numbers of its own and the system's /usr and /etc to read; these examples are on /examples, and
# eventfs, where this machine has it, on /examples/bin. With bwrap(1), or with --unshare by unshare(1) and
# mount(8) alone, as root.
#
# Inside, a claim is a rename to a dot name, as claim.sh does it, or `eventfs pop`. A queue cannot be made
# there, and between bind mounts there is no rename.

set -u

by=bwrap
if [ "${1-}" = --unshare ]; then
    by=unshare
    shift
fi
[ $# -ge 2 ] || {
    echo "usage: ${0##*/} [--unshare] QUEUE COMMAND [ARG...]" >&2
    exit 2
}
queue=$(CDPATH='' cd -- "$1" && pwd) || exit 1
shift
examples=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
eventfs=$(command -v "${EVENTFS-eventfs}") || eventfs=
path=/examples:/examples/bin:/usr/bin:/usr/sbin

if [ "$by" = bwrap ]; then
    set -- --chdir / --setenv PATH "$path" -- "$@"
    [ -z "$eventfs" ] || set -- --ro-bind "$eventfs" /examples/bin/eventfs "$@"
    exec bwrap --unshare-pid --unshare-ipc --unshare-uts --die-with-parent \
        --ro-bind /usr /usr --ro-bind /etc /etc --symlink usr/bin /bin --symlink usr/sbin /sbin \
        --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
        --proc /proc --dev /dev --tmpfs /tmp \
        --tmpfs /examples --dir /examples/bin \
        --ro-bind "$examples/claim.sh" /examples/claim.sh \
        --ro-bind "$examples/consumer.sh" /examples/consumer.sh \
        --ro-bind "$examples/consumer.py" /examples/consumer.py \
        --bind "$queue" /queue "$@"
fi

# The same by hand: a root of its own in memory, into which is bound what the container is to see.
root=$(mktemp -d) || exit 1
trap 'rmdir "$root"' EXIT
# shellcheck disable=SC2016 # the inner shell's variables
unshare --mount --pid --fork --kill-child --propagation slave sh -euc '
    root=$1 queue=$2 examples=$3 eventfs=$4 path=$5
    shift 5
    bind() {
        if [ -d "$1" ]; then mkdir -p "$root$2"; else : >"$root$2"; fi
        mount --bind -o "$3" "$1" "$root$2"
    }
    mount -t tmpfs -o mode=755 container "$root"
    mkdir "$root/dev" "$root/examples" "$root/examples/bin" "$root/old" "$root/proc" "$root/tmp"
    for name in bin sbin lib lib64; do
        ln -s "usr/$name" "$root/$name"
    done
    bind "$queue" /queue rw
    bind /usr /usr ro
    bind /etc /etc ro
    for name in null zero urandom; do
        bind "/dev/$name" "/dev/$name" rw
    done
    for name in claim.sh consumer.sh consumer.py; do
        bind "$examples/$name" "/examples/$name" ro
    done
    [ -z "$eventfs" ] || bind "$eventfs" /examples/bin/eventfs ro
    mount -t proc proc "$root/proc"
    cd "$root"
    pivot_root . old
    cd /
    umount -l /old
    rmdir /old
    export PATH="$path"
    exec "$@"
' sh "$root" "$queue" "$examples" "$eventfs" "$path" "$@"
