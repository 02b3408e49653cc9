#!/bin/sh
# The filesystem at work: this machine's own kernel messages and device events as files in a queue.
# Mounts on a directory of its own, leaves nothing behind. Needs no root where fusermount3 is.
#
# EVENTFS names the program; else it is taken from target/release or PATH.

set -u

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
eventfs=${EVENTFS-}
if [ -z "$eventfs" ]; then
    eventfs=$top/target/release/eventfs
    [ -x "$eventfs" ] || eventfs=eventfs
fi
eventfs=$(command -v "$eventfs") || {
    echo "demo: no eventfs: run 'make' first" >&2
    exit 1
}
case $eventfs in /*) ;; *) eventfs=$PWD/$eventfs ;; esac
command -v inotifywait >/dev/null || {
    echo "demo: no inotifywait: run 'contrib/setup.sh run' first" >&2
    exit 1
}

dir=$(mktemp -d) || exit 1
mnt=$dir/events
owner=
watcher=

unmount() {
    fusermount3 -u "$mnt" 2>/dev/null || umount "$mnt" 2>/dev/null
}

cleanup() {
    trap '' INT TERM HUP
    for pid in $owner $watcher; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    tries=0
    while grep -q " $mnt fuse.eventfs " /proc/mounts && [ "$tries" -lt 50 ]; do
        unmount || sleep 0.1
        tries=$((tries + 1))
    done
    rm -rf --one-file-system -- "$dir"
}
trap 'cleanup' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() {
    printf '\n== %s\n' "$*"
}

fail() {
    echo "demo: $*" >&2
    exit 1
}

# Waits up to five seconds until a command succeeds.
wait_for() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -le 500 ] || return 1
        sleep 0.01
    done
}

is_owner() {
    [ "$(getfattr --only-values -n user.eventfs_owner "$queue" 2>/dev/null)" = "$1" ]
}

gone() {
    ! [ -e "$1" ]
}

# The last lines of the kernel's log, where this user may read it.
kernel_log() {
    dmesg 2>/dev/null >"$dir/log" || journalctl -q -k -n 5 >"$dir/log" 2>/dev/null
    tail -n 5 "$dir/log"
}

# What a device says of itself at this moment: as root a change event that the kernel sends to whoever
# listens (it changes nothing), else the same facts from its file.
device_events() {
    device=/sys/class/mem/null
    if [ "$(id -u)" -eq 0 ] && command -v udevadm >/dev/null; then
        timeout 1 udevadm monitor --kernel >"$dir/monitor" 2>/dev/null &
        sleep 0.3
        echo change >"$device/uevent"
        wait "$!"
        grep '^KERNEL\[' "$dir/monitor" && return
    elif [ "$(id -u)" -eq 0 ] && command -v python3 >/dev/null; then
        python3 -c '
import socket, sys
uevents = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15)
uevents.bind((0, 1))
uevents.settimeout(1)
open(sys.argv[1] + "/uevent", "w").write("change")
print(uevents.recv(8192).rstrip(b"\0").decode().replace("\0", " "))
' "$device" 2>/dev/null && return
    fi
    for device in "$device" /sys/class/net/lo; do
        paste -s -d ' ' "$device/uevent" | sed "s,^,${device#/sys} ,"
    done
}

put() {
    printf '%s\n' "$2" >"$queue/$1" || fail "cannot put $1"
}

say "An eventfs on $mnt"
mkdir "$mnt" || exit 1
"$eventfs" "$mnt" || fail "cannot mount"
findmnt -n -o TARGET,FSTYPE "$mnt"

say "A process makes a queue; the queue is to live and die with it"
queue=$mnt/machine
# The command's parent, the shell, becomes the owner, and stays it when it becomes sleep.
sh -c '"$1" mkqueue "$2" && exec sleep 600' sh "$eventfs" "$queue" &
owner=$!
wait_for [ -d "$queue" ] || fail "no queue"
wait_for is_owner "$owner" || fail "the queue belongs to somebody else"
ls -l "$mnt"
"$eventfs" status "$mnt"

say "Somebody watches"
: >"$dir/watching"
inotifywait -m -e close_write,delete,delete_self --format '%e %f' "$mnt" "$queue" \
    >"$dir/seen" 2>"$dir/watching" &
watcher=$!
wait_for grep -q established "$dir/watching" || fail "inotifywait does not start"
echo "inotifywait $watcher"

say "Kernel messages and device events of this machine go in, one a file"
count=0
kernel_log >"$dir/lines"
while IFS= read -r line; do
    count=$((count + 1))
    put "kernel-$count" "$line"
done <"$dir/lines"
[ "$count" -gt 0 ] || echo "(the kernel's log cannot be read by user $(id -u): none of it)"
device_events >"$dir/lines"
while IFS= read -r line; do
    count=$((count + 1))
    put "device-$count" "$line"
done <"$dir/lines"
[ "$count" -gt 0 ] || fail "nothing to put in"
ls -l "$queue"

say "They are taken out through head, the oldest first"
taken=0
while [ -L "$queue/head" ]; do
    printf '%-10s ' "$(readlink "$queue/head")"
    cat "$queue/head" || fail "cannot read an event"
    rm "$queue/head" || fail "cannot take an event"
    taken=$((taken + 1))
done
[ "$taken" -eq "$count" ] || fail "$count events went in, $taken came out"
echo "$taken of $count; head and tail are gone with the last one:"
ls -l "$queue"

say "The owner ends, and the queue with it"
kill "$owner"
wait "$owner" 2>/dev/null
wait_for gone "$queue" || fail "the queue outlived its owner"
owner=
ls -l "$mnt"

say "What the watcher has seen"
wait_for grep -q '^DELETE,ISDIR machine' "$dir/seen" || fail "the end was not seen"
cat "$dir/seen"
[ "$(grep -c '^CLOSE_WRITE' "$dir/seen")" -eq "$count" ] || fail "an event was not seen"

say "Unmounted"
kill "$watcher"
wait "$watcher" 2>/dev/null
watcher=
wait_for unmount || fail "cannot unmount"
! grep -q " $mnt " /proc/mounts || fail "still mounted"
echo "nothing is left"
