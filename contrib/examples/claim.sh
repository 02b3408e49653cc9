#!/bin/sh
# claim.sh [-w WORK] QUEUE COMMAND [ARG...]
#
# Runs COMMAND once for every event that QUEUE holds, the oldest first, with the event on standard input.
# Needs nothing of eventfs but its files, so it works in a container too. Any number may run at once, of
# consumer.sh and consumer.py as well: each event goes to one of them.
#
# Exit status: 0 the queue is empty, 1 trouble, 2 usage; of COMMAND, if that fails.
#
# The claim is a rename, which succeeds for exactly one: to a dot name in QUEUE, which is no event, or with
# -w into WORK, a sticky queue of the same mount. The event stays there until COMMAND is done. If COMMAND
# fails, it goes back under its name, as the newest event. A lock on it tells the others that its consumer
# is alive: what a killed one has left, the next one gives back.

# Files are renamed while a lock on them is held:
# shellcheck disable=SC2094

set -u
export LC_ALL=C # lengths in bytes

usage() {
    echo "usage: ${0##*/} [-w WORK] QUEUE COMMAND [ARG...]" >&2
    exit 2
}

fail() {
    echo "claim.sh: $*" >&2
    exit 1
}

work=
while getopts w: option; do
    case $option in
    w) work=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || usage
queue=$1
shift
[ -d "$queue" ] || fail "$queue: no such queue"

# Unique in all containers of the machine, where process numbers are not.
id=$(cat /proc/sys/kernel/random/uuid) || exit 1
prefix=.claim.
[ -z "$work" ] || prefix=claim.
work=${work:-$queue}

# mv(1) copies where it cannot rename, and then two may have the same event. ln(1) does not copy.
if [ "$work" != "$queue" ]; then
    : >"$queue/.try.$id" && ln "$queue/.try.$id" "$work/.try.$id"
    same=$?
    rm -f "$queue/.try.$id" "$work/.try.$id"
    [ "$same" -eq 0 ] || fail "$work and $queue are not in the same mount"
fi

# Gives a claimed event back: back CLAIMED NAME. If the name is in use again, under another one.
back() {
    mv -n "$1" "$queue/$2"
    [ ! -e "$1" ] || mv "$1" "$queue/back.$id"
}

# Gives back what killed consumers have left: what nobody holds a lock on.
rescue() {
    for left in "$work/$prefix"*; do
        [ -f "$left" ] || continue
        (
            flock -n 9 || exit 0
            name=${left##*/"$prefix"}
            [ ! -e "$left" ] || back "$left" "${name#*.}"
        ) 9<"$left"
    done 2>/dev/null # gone meanwhile
}

# Runs COMMAND on a claimed event: handle CLAIMED NAME COMMAND [ARG...].
handle() {
    mine=$1
    name=$2
    shift 2
    # COMMAND inherits the lock: while it runs, the event is not left behind.
    flock 9
    # Before the lock, a rescuer may have taken it for left behind: then it is an event again.
    [ -e "$mine" ] || return
    if "$@" <&9 2>&3 3>&-; then
        rm "$mine" 2>&3
    else
        failed=$?
        back "$mine" "$name" 2>&3
    fi
}

rescue
exec 3>&2
failed=0
tries=0
while [ -L "$queue/head" ]; do
    name=$(readlink -n "$queue/head" && echo .) || continue # emptied meanwhile
    name=${name%.}
    mine=$work/$prefix$id.$name
    [ "${#name}" -lt 200 ] || mine=$work/$prefix$id.long-name
    if mv -n "$queue/$name" "$mine" 2>/dev/null; then
        tries=0
        { handle "$mine" "$name" "$@" 9<"$mine"; } 2>/dev/null
        [ "$failed" -eq 0 ] || exit "$failed"
    else
        # Another one was faster; or it is not allowed, and will not be.
        tries=$((tries + 1))
        [ "$tries" -lt 1000 ] || fail "$queue/$name: cannot claim"
    fi
done
