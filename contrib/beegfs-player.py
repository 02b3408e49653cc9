#!/usr/bin/env python3
"""Plays a BeeGFS metadata server, so that `eventfs tap beegfs` can be tried without BeeGFS.

    eventfs tap beegfs --socket /tmp/eventlog --queue /mnt/events/beegfs &
    contrib/beegfs-player.py --socket /tmp/eventlog --count 1000

It connects to the socket as a metadata server does: sends its handshake, says which events it has, sends
them from the number that it is asked for, and closes when it is asked to. Its events are generated, or
those of a recorded session (a JSON object a line; "dir": "S" marks what the server sent, "hex" is the packet).
"""

import argparse
import json
import socket
import struct
import sys
import time

MAGIC = b"events\0"
HANDSHAKE, NEWEST, RANGE, START, MESSAGE, CLOSE_REQUEST, CLOSE = 1, 3, 5, 7, 8, 9, 10
ACKNOWLEDGED, CRASHED, PROTOCOL_ERROR = 0, 1, 3


def packet(kind, body=b""):
    return bytes([kind]) + MAGIC + body


def string(text):
    data = text.encode()
    return struct.pack("<I", len(data)) + data + b"\0"


def generated(msn):
    """The payload of an event: files are created, written, renamed and removed in turn."""
    kind = (5, 16, 12, 10)[msn % 4]
    file = msn // 4
    path, target = f"/demo/upload-{file}.part", f"/demo/file-{file}"
    strings = [f"{file + 2:X}-68F1C2D3-1", "1-68F1C2D0-1", target if kind == 10 else path]
    strings += [target, "1-68F1C2D0-1"] if kind == 12 else ["", ""]
    head = struct.pack("<HIQI", 2, 0, 0 if kind == 10 else 1, kind)
    tail = struct.pack("<Iq", 1000, time.time_ns())
    return head + b"".join(map(string, strings)) + tail


def recorded(path):
    """The payloads of a recorded session by their numbers."""
    events = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            data = bytes.fromhex(record.get("hex", ""))
            if record["dir"] == "S" and data[:1] == bytes([MESSAGE]):
                events[struct.unpack_from("<Q", data, 8)[0]] = data[18:]
    return events


def connect(path, patience):
    """A server tries again every 50 ms for as long as it takes; this one gives up some day."""
    end = time.monotonic() + patience
    while True:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            server.connect(path)
            return server
        except OSError as error:
            server.close()
            if time.monotonic() > end:
                sys.exit(f"beegfs-player: {path}: {error.strerror}")
            time.sleep(0.05)


def play(server, node, first, events, rate, linger):
    """One connection; returns how many events were sent, and whether to connect again."""
    end, sent = first + len(events), 0
    server.sendall(packet(2, struct.pack("<HHIH", 2, 0, node, 0)))
    while True:
        try:
            request = server.recv(16384)
        except socket.timeout:
            return sent, False
        if not request:
            return sent, True
        kind, answer = request[0], None
        if kind == NEWEST:
            answer = packet(4, struct.pack("<Q", end))
        elif kind == RANGE:
            answer = packet(6, struct.pack("<QQ", end, first))
        elif kind == START:
            start = struct.unpack_from("<Q", request, 8)[0]
            if not first <= start <= end:
                server.sendall(packet(CLOSE, bytes([CRASHED])))
                return sent, True
            for msn in range(start, end):
                payload = events[msn - first]
                server.sendall(packet(MESSAGE, struct.pack("<QH", msn, len(payload)) + payload))
                sent += 1
                if rate:
                    time.sleep(1 / rate)
            server.settimeout(linger)
        elif kind == CLOSE_REQUEST:
            server.sendall(packet(CLOSE, bytes([ACKNOWLEDGED])))
            return sent, False
        elif kind != HANDSHAKE:
            server.sendall(packet(CLOSE, bytes([PROTOCOL_ERROR])))
            return sent, True
        if answer:
            server.sendall(answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--socket", default="/run/beegfs/eventlog", help="where the tap listens")
    parser.add_argument("--node", type=int, default=1, help="number of the metadata node (1)")
    parser.add_argument("--count", type=int, default=100, help="events to generate (100)")
    parser.add_argument("--rate", type=float, default=0, help="events a second (as fast as it goes)")
    parser.add_argument("--wait", type=float, default=10, help="seconds to wait for the tap (10)")
    parser.add_argument("--stay", action="store_true", help="stay connected until the tap closes")
    parser.add_argument("session", nargs="?", help="a recorded session to play instead")
    options = parser.parse_args()
    first, events = 0, []
    if options.session:
        numbered = recorded(options.session)
        first = min(numbered, default=0)
        events = [numbered[msn] for msn in sorted(numbered)]
    else:
        events = [generated(msn) for msn in range(options.count)]
    # A tap that finds another queue than it knew closes, to begin again from the start: 0.5 s for that.
    linger = None if options.stay else 0.5
    sent, again = 0, True
    while again:
        with connect(options.socket, options.wait) as server:
            try:
                more, again = play(server, options.node, first, events, options.rate, linger)
                sent += more
            except (BrokenPipeError, ConnectionResetError):
                time.sleep(0.05)
            except KeyboardInterrupt:
                again = False
    print(f"{sent} events sent")


if __name__ == "__main__":
    main()
