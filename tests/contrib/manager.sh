#!/bin/bash
# manager.sh EVENTFS UNITS EXAMPLES: starts a systemd for one user in namespaces of its own and has it run
# the units of two directories. Prints what was seen, at last "all done".
#
# Exit status: 0 all was as it should be, 77 systemd cannot be run here, else a failure.

set -u

groups=()

# The groups can be removed when their processes have ended.
cleanup() {
    for group in "${groups[@]}"; do
        for _ in $(seq 100); do
            find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
            [ -d "$group" ] || break
            sleep 0.05
        done
    done
}

if [ "${4-}" != inside ]; then
    trap 'cleanup' EXIT
    # Control groups of its own below ours, in the hierarchies that systemd uses.
    while IFS=: read -r _ kind path; do
        case $kind in
        name=systemd) base=/sys/fs/cgroup/systemd ;;
        '') base=/sys/fs/cgroup/unified && [ -d "$base" ] || base=/sys/fs/cgroup ;;
        *) continue ;;
        esac
        group=$base$path/eventfs-test-$$
        mkdir "$group" 2>/dev/null && groups+=("$group")
    done </proc/self/cgroup
    [ "${#groups[@]}" -gt 0 ] || {
        echo "no control groups for systemd" >&2
        exit 77
    }
    (
        for group in "${groups[@]}"; do
            echo "$BASHPID" >"$group/cgroup.procs" || exit 77
        done
        exec unshare --mount --pid --fork --mount-proc --kill-child bash "$0" "$@" inside
    )
    exit
fi

eventfs=$1
work=/run/place
mnt=$work/mnt
mount -t tmpfs run /run || exit 77
mkdir -p /run/systemd/system /run/user "$work"
chmod 700 /run/user
export XDG_RUNTIME_DIR=/run/user XDG_CONFIG_HOME=/run/config
units=$XDG_CONFIG_HOME/systemd/user
mkdir -p "$units"
# Nothing but what the units need: no sockets, no session bus.
export SYSTEMD_UNIT_PATH=$units
cp /usr/lib/systemd/user/*.target "$2"/*.service "$3"/*.path "$3"/*.service "$units"
rm -f "$units"/*session* "$units"/graphical*
# Another place, and a file in place of the log.
sed -i -e "s,/mnt/events,$mnt,g" -e "s,| logger -t [^']*',>>$work/drained'," "$units"/eventfs*
cd "$work" || exit 1

/lib/systemd/systemd --user --log-target=console --unit=basic.target >"$work/log" 2>&1 &
manager=$!

run() {
    timeout 20 systemctl --user "$@"
}

fail() {
    echo "failed: $*" >&2
    cat "$work/log" >&2
    exit 1
}

# Waits until a command succeeds.
until_so() {
    for _ in $(seq 400); do
        "$@" && return
        kill -0 "$manager" 2>/dev/null || break
        sleep 0.05
    done
    return 1
}

is_active() {
    run is-active -q "$1" 2>/dev/null
}

until_so is_active basic.target || {
    cat "$work/log" >&2
    exit 77
}

run start eventfs.service || fail "start"
grep -q " $mnt .* fuse.eventfs " /proc/self/mountinfo || fail "the mount cannot be seen"
pid=$(run show -P MainPID eventfs.service)
[ "$(readlink "/proc/$pid/ns/mnt")" = "$(readlink /proc/self/ns/mnt)" ] || fail "another mount namespace"
grep -q '^NoNewPrivs:.1' "/proc/$pid/status" || fail "new privileges"
grep -q '^Seccomp:.2' "/proc/$pid/status" || fail "no filter of system calls"
echo "the service mounts for everybody"

# Under its restrictions it still sees whose processes are whose, and tells what ends by itself.
chmod 1777 "$mnt"
# shellcheck disable=SC2016
unshare --pid --fork --mount-proc sh -c '
    sleep 20 &
    "$1" mkqueue --owner $! "$2" && [ "$(getfattr --only-values -n user.eventfs_owner "$2")" = $! ]
' sh "$eventfs" "$mnt/inside" || fail "owners in a PID namespace"
setpriv --reuid=65534 --regid=65534 --clear-groups mkdir -m 700 "$mnt/private" || fail "mkdir"
setfattr -n user.eventfs_sticky -v 1 "$mnt/private"
echo event >"$mnt/private/expires"
inotifywait -m -e delete --format '%w%f' "$mnt" "$mnt/private" >"$work/seen" 2>"$work/watching" &
watcher=$!
until_so grep -q established "$work/watching" || fail "inotifywait does not start"
setfattr -n user.eventfs_ttl -v 1 "$mnt/private"
until_so grep -q '/private/expires$' "$work/seen" || fail "an expiry was not told"
setfattr -x user.eventfs_sticky "$mnt/private"
until_so grep -q "^$mnt/*private$" "$work/seen" || fail "the end of a queue was not told"
kill "$watcher"
echo "its restrictions do not hinder it"

run reload eventfs.service || fail "reload"
is_active eventfs.service || fail "ended by reload"

# Events that come alone, in bursts, slowly: all are drained, none waits for the next.
drained() {
    [ "$(sort -u drained 2>/dev/null | wc -l)" -eq "$1" ]
}
"$eventfs" mkqueue --sticky "$mnt/q" || fail "mkqueue"
run enable eventfs-drain@q.path 2>/dev/null || fail "enable"
run start eventfs-drain@q.path || fail "start path"
echo 1 >"$mnt/q/a"
until_so drained 1 || fail "an event was not drained"
{
    sleep 0.5
    echo 2
} >"$mnt/q/slow"
until_so drained 2 || fail "an event that was written slowly was not drained"
for i in $(seq 3 52); do
    echo "$i" | "$eventfs" push "$mnt/q" >/dev/null || fail "push"
done
until_so drained 52 || fail "a burst was not drained: $(sort -u drained | wc -l)"
[ "$(wc -l <drained)" -eq 52 ] || fail "drained twice"
echo "the path unit drains"

kill -KILL "$pid"
served() {
    is_active eventfs.service && is_active eventfs-drain@q.path && [ -d "$mnt/." ]
}
gone() {
    [ "$(run show -P MainPID eventfs.service)" != "$pid" ]
}
until_so gone
until_so served || fail "not restarted"
"$eventfs" mkqueue --sticky "$mnt/q" || fail "mkqueue after restart"
echo 53 >"$mnt/q/a"
until_so drained 53 || fail "not drained after restart"
echo "a killed daemon is started again"

other=$(systemd-escape --template=eventfs@.service --path "$work/other-place")
run start "$other" || fail "start $other"
grep -q " $work/other-place .* fuse.eventfs " /proc/self/mountinfo || fail "no mount by the template"
run stop "$other" eventfs.service || fail "stop"
# Any mount of ours; who runs the tests may have others.
! grep -q " $work/.* fuse.eventfs " /proc/self/mountinfo || fail "a mount is left"
! run is-failed -q eventfs.service || fail "failed at the end"
echo "stopped, and nothing is left"

# What is left in the namespaces ends with this shell.
echo "all done"
