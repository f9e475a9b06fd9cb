#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""redis_client.py SOCKET PASSES: write 10000 keys, read and check them, again and again.

In each pass the server is told to write its data to a file, which it does in a child.
"""
import hashlib
import socket
import sys
import time

KEYS = 10000
BATCH = 20


def value(key, n):
    return hashlib.sha256(b"%d %d" % (key, n)).hexdigest().encode() * (1 + key % 5)


class Client:
    def __init__(self, path):
        for _ in range(600):
            self.sock = socket.socket(socket.AF_UNIX)
            try:
                self.sock.connect(path)
                break
            except OSError:
                self.sock.close()
                time.sleep(0.1)
        self.input = self.sock.makefile("rb")

    def send(self, *commands):
        self.sock.sendall(b"".join(
            b"*%d\r\n" % len(c) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in c)
            for c in commands))

    def answer(self):
        line = self.input.readline()
        if line[:1] == b"$":
            size = int(line[1:])
            return self.input.read(size + 2)[:-2] if size >= 0 else None
        return line.rstrip()


def main():
    client = Client(sys.argv[1])
    total = hashlib.sha256()
    for n in range(int(sys.argv[2])):
        for first in range(0, KEYS, BATCH):
            keys = range(first, first + BATCH)
            client.send(*((b"SET", b"key:%d" % k, value(k, n)) for k in keys))
            for k in keys:
                if client.answer() != b"+OK":
                    sys.exit(f"key {k} was not set in pass {n}")
        client.send((b"BGSAVE",))
        answer = client.answer()
        if not answer.startswith((b"+Background", b"-ERR Background save already")):
            sys.exit(f"BGSAVE: {answer}")
        for first in range(0, KEYS, BATCH):
            keys = range(first, first + BATCH)
            client.send(*((b"GET", b"key:%d" % k) for k in keys))
            for k in keys:
                answer = client.answer()
                if answer != value(k, n):
                    sys.exit(f"key {k} is {answer} in pass {n}")
                total.update(answer)
    client.send((b"DBSIZE",))
    print(client.answer().decode(), total.hexdigest())


main()
