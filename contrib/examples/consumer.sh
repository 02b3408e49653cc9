#!/bin/sh
# consumer.sh QUEUE COMMAND [ARG...]
#
# Runs COMMAND once for every event of QUEUE, with the event on standard input, until the queue is gone.
# Any number of these may run at once: each event goes to one of them. An event whose COMMAND fails goes
# back as the newest, and the loop ends with the status of COMMAND.
#
# An event that was taken is nowhere else: if this script is killed while COMMAND runs, it is lost.
# claim.sh keeps it in the queue meanwhile. EVENTFS names the program.

set -u

[ $# -ge 2 ] || {
    echo "usage: ${0##*/} QUEUE COMMAND [ARG...]" >&2
    exit 2
}
queue=$1
shift
eventfs=${EVENTFS-eventfs}
event=$(mktemp) || exit 1
trap 'rm -f "$event"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Into a file, because a variable of the shell takes neither zero bytes nor line breaks at the end.
while "$eventfs" pop --wait "$queue" >"$event"; do
    "$@" <"$event" || {
        status=$?
        echo "${0##*/}: status $status of $1: the event goes back" >&2
        "$eventfs" push "$queue" <"$event" >/dev/null || cat "$event"
        exit "$status"
    }
done
[ ! -d "$queue" ]
