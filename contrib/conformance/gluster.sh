#!/bin/sh
# The Gluster tap against a real glusterd and its real glustereventsd, on one node.
#
#   contrib/conformance/gluster.sh
#
# Needs root, Gluster (on Debian glusterfs-server; releases from 9.6 on), iproute2, jq and EVENTFS, else
# target/release/eventfs. Everything happens in namespaces of its own, with empty directories in the place of
# /var/lib/glusterd, /var/log/glusterfs, /run/gluster and /etc/glusterfs: a Gluster that runs here notices
# nothing, and nothing stays.
#
# First the tap stands in the place of glustereventsd and gets the local messages; then glustereventsd has
# them and posts them to the tap's webhook. Exit status: 0 all came, 1 something did not, 2 something is missing.

set -u

top=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
eventfs=${EVENTFS:-${CARGO_TARGET_DIR:-$top/target}/release/eventfs}

# Documentation's own, RFC 5737: Gluster wants an address that is not the loopback's.
ADDRESS=192.0.2.1

# That of glustereventsd, 55555, as /proc/net/udp writes it.
PORT=D903

# Changes of a volume in each way.
CHANGES=20

give_up() {
    echo "gluster: $*" >&2
    exit 2
}

if [ -z "${GLUSTER_INSIDE-}" ]; then
    [ "$(id -u)" -eq 0 ] || give_up "needs root"
    [ -x "$eventfs" ] || give_up "no $eventfs: run 'make' first"
    for tool in glusterd gluster glustereventsd gluster-eventsapi ip jq unshare; do
        command -v "$tool" >/dev/null || give_up "missing: $tool"
    done
    GLUSTER_INSIDE=1 exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private "$0"
fi

dir=$(mktemp -d) || exit 2
mnt=$dir/mnt
mkdir "$mnt" "$dir/bricks"

cleanup() {
    trap '' INT TERM HUP
    umount -l "$mnt" 2>/dev/null
    rm -rf --one-file-system -- "$dir"
}
trap 'cleanup' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

{ ip link set lo up && ip address add "$ADDRESS/32" dev lo; } || give_up "no network of its own"
for place in /var/lib/glusterd /var/log/glusterfs /run/gluster; do
    { mkdir -p "$place" && mount -t tmpfs none "$place"; } || give_up "no $place of its own"
done
{ cp -R /etc/glusterfs "$dir/etc" && mount --bind "$dir/etc" /etc/glusterfs; } ||
    give_up "no configuration of its own"

unexpected=0

row() { # WHAT RESULT
    printf '%-52s %s\n' "$1" "$2"
}

check() { # WHAT EXPECTED FOUND
    if [ "$2" = "$3" ]; then
        row "$1" "as expected: $3"
    else
        row "$1" "UNEXPECTED: $3, not $2"
        unexpected=$((unexpected + 1))
    fi
}

# Waits for a condition, for at most half a minute.
until_true() {
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    return 1
}

gluster_says() {
    timeout 60 gluster --mode=script "$@" >>"$dir/gluster.log" 2>&1 || give_up "gluster $*: $(tail -n 1 "$dir/gluster.log")"
}

# What is done to a volume, and as which events it must come. glustereventsd drops a value with "=" in it.
act() { # VOLUME COMMENT
    gluster_says volume create "$1" "$ADDRESS:$dir/bricks/$1" force
    gluster_says volume start "$1"
    for number in $(seq "$CHANGES"); do
        gluster_says volume set "$1" user.comment "number $number$2"
    done
    gluster_says volume stop "$1"
    gluster_says volume delete "$1"
}

act_gives() {
    echo volume_create
    echo volume_start
    for _ in $(seq "$CHANGES"); do echo volume_set; done
    echo volume_stop
    echo volume_delete
}

tap() { # QUEUE WORDS...
    queue=$mnt/$1
    shift
    "$eventfs" tap gluster --queue "$queue" --sticky "$@" 2>"$dir/tap.log" &
    tap=$!
    until_true test -d "$queue" || give_up "no queue: $(cat "$dir/tap.log")"
}

types() {
    cat "$queue"/gluster-* 2>/dev/null | jq -r 'select(.type | startswith("gluster.volume_")) | .type[8:]'
}

are_all_there() {
    [ "$(types | wc -l)" -ge "$(act_gives | wc -l)" ]
}

end_tap() { # HOW COMMENT
    until_true are_all_there
    check "$1: events of the volume" "$(act_gives | uniq -c | xargs)" "$(types | uniq -c | xargs)"
    check "$1: comments kept" "$CHANGES" \
        "$(cat "$queue"/gluster-* 2>/dev/null | jq -r "select(.type == \"gluster.volume_set\") | .data.message.options[0][1]" |
            grep -c "^number [0-9]*$2\$")"
    kill "$tap" && wait "$tap"
    check "$1: status of the tap" 0 "$?"
    check "$1: lost, unreadable" "0 0" "$(tail -n 1 "$dir/tap.log" | jq -r '"\(.lost) \(.unreadable)"')"
}

"$eventfs" "$mnt" || give_up "no mount"

tap local --udp default
glusterd || give_up "glusterd does not start"
until_true gluster --mode=script volume list || give_up "glusterd does not answer"
act gv1 '; a=b'
end_tap "messages of glusterd" '; a=b'

tap posted --webhook 127.0.0.1:9000
gluster-eventsapi webhook-add http://127.0.0.1:9000/v1/listen >>"$dir/gluster.log" 2>&1 ||
    give_up "webhook-add: $(tail -n 1 "$dir/gluster.log")"
glustereventsd --pid-file "$dir/glustereventsd.pid" &
until_true grep -q " [0-9A-F]*:$PORT " /proc/net/udp || give_up "glustereventsd does not listen"
act gv2 ', a'
end_tap "posts of glustereventsd" ', a'

row "$(gluster --version | head -n 1)" ""
[ "$unexpected" -eq 0 ] || {
    echo "gluster: $unexpected unexpected"
    exit 1
}
echo "gluster: all as expected"
