#!/usr/bin/env python3
"""Consumers of an eventfs queue, with nothing but Python's standard library.

    consumer.py QUEUE [COMMAND [ARG...]]

Runs COMMAND once for every event, with the event on standard input (without one, prints the events): those
that are in the queue and those that come, until the queue is gone. With --drain it ends when the queue is
empty. With --pop it takes events by `eventfs pop`, not by files.

Any number may run at once, claim.sh and consumer.sh beside them: each event goes to one of them. An event
whose COMMAND fails goes back as the newest, and the program ends with status 1.
"""

import argparse
import base64
import contextlib
import ctypes
import fcntl
import json
import os
import select
import subprocess
import sys
import uuid

PREFIX = ".claim."  # as claim.sh has it
IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE, IN_DELETE_SELF = 0x8, 0x80, 0x100, 0x400
IN_ATTRIB = 0x4
AT_FDCWD, RENAME_NOREPLACE = -100, 1

libc = ctypes.CDLL(None, use_errno=True)


def checked(result, name):
    """The result of a call of libc; raises what errno says."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(name))
    return result


def handle(data, command):
    """What is to be done with an event. Put your own here."""
    if command:
        subprocess.run(command, input=data, check=True)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


class Files:
    """Takes events by rename, in the mount or in a container that sees one queue.

    The claim is a dot name, which is no event; a lock on the file says that its consumer is alive.
    """

    def __init__(self, queue, command):
        self.queue = os.fsencode(queue)
        self.command = command
        self.id = str(uuid.uuid4())

    def path(self, name):
        return os.path.join(self.queue, os.fsencode(name))

    def rescue(self):
        """Gives back what killed consumers have left."""
        for name in os.listdir(self.queue):
            if not name.startswith(os.fsencode(PREFIX)):
                continue
            left = self.path(name)
            with contextlib.suppress(FileNotFoundError, BlockingIOError), open(left, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.exists(left):
                    self.back(left, name[len(PREFIX) :].partition(b".")[2])

    def back(self, claimed, name):
        """Makes a claimed file an event again, under another name if its own is in use."""
        name = self.path(name)
        try:
            checked(libc.renameat2(AT_FDCWD, claimed, AT_FDCWD, name, RENAME_NOREPLACE), name)
        except FileExistsError:
            os.rename(claimed, self.path("back." + str(uuid.uuid4())))

    def take(self):
        """Handles the oldest event; returns whether there was one."""
        try:
            name = os.readlink(self.path("head"))
        except FileNotFoundError:
            return False
        mine = PREFIX + self.id + "."
        mine = self.path(os.fsencode(mine) + (name if len(name) < 200 else b"long-name"))
        with contextlib.suppress(FileNotFoundError):  # another one was faster
            os.rename(self.path(name), mine)
            with open(mine, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.path.exists(mine):  # else a rescuer took it for left behind
                    try:
                        handle(file.read(), self.command)
                    except BaseException:
                        self.back(mine, name)
                        raise
                    os.unlink(mine)
        return True

    def drain(self):
        self.rescue()
        while self.take():
            pass

    def follow(self):
        """Drains the queue again and again, woken by inotify, until it is gone."""
        inotify = checked(libc.inotify_init1(os.O_CLOEXEC), "inotify")
        wanted = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_ATTRIB
        checked(libc.inotify_add_watch(inotify, self.queue, wanted), self.queue)
        while os.path.isdir(self.queue):
            with contextlib.suppress(FileNotFoundError):  # the queue has ended
                self.drain()
            # The watch was there before the queue was empty, so nothing is missed. The close of a file
            # is told just before it becomes an event: hence the time-out.
            if select.select([inotify], [], [], 1)[0]:
                os.read(inotify, 65536)
        os.close(inotify)


class Pop:
    """Takes events by `eventfs pop`. One that was taken is lost if this program is killed."""

    def __init__(self, queue, command):
        self.queue = queue
        self.command = command
        self.program = os.environ.get("EVENTFS", "eventfs")

    def take(self, *options):
        """Handles the oldest event; returns whether there was one."""
        command = [self.program, "pop", "--json", *options, self.queue]
        popped = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if popped.returncode == 3 or not os.path.isdir(self.queue):
            return False
        popped.check_returncode()
        event = json.loads(popped.stdout)
        data = event["data"].encode() if "data" in event else base64.b64decode(event["data_base64"])
        try:
            handle(data, self.command)
        except BaseException:
            back = [self.program, "push", self.queue]
            subprocess.run(back, input=data, stdout=subprocess.DEVNULL, check=True)
            raise
        return True

    def drain(self):
        while self.take():
            pass

    def follow(self):
        while self.take("--wait"):
            pass


def main():
    parser = argparse.ArgumentParser(description="Handles the events of a queue.")
    parser.add_argument("--drain", action="store_true", help="end when the queue is empty")
    parser.add_argument("--pop", action="store_true", help="take events by `eventfs pop`")
    parser.add_argument("queue", metavar="QUEUE")
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    consumer = (Pop if args.pop else Files)(args.queue, args.command)
    try:
        consumer.drain() if args.drain else consumer.follow()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"consumer.py: {error}")


if __name__ == "__main__":
    main()
