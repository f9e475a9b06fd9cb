#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Servers and virtual machines under load, with increments taken by the kernel.

usage: loads.py [-r ROUNDS] [-k] [redis|postgresql|openjdk|age]...

redis		a server with 30 MB, and a client that sets keys at random
postgresql	a server, and pgbench with four connections
openjdk		threads that change a map of 50 MB at random
age		encrypts zeros; in Go

Each is one tree of processes. Each round lets it run undisturbed and with an increment
each second and every 5 seconds, on tmpfs, and compares the work it gets done in a second.
The kernel takes them by its own clock; with -k on SIGCKPT, as from kill -CKPT.
"""
import argparse
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time

import auto
import programs

SIGCKPT = 16
INTERVALS = [1, 5]		# seconds
SECONDS = {None: 8, 1: 12, 5: 21}	# to measure for

REDIS_KEYS = 30_000
REDIS_BATCH = 50

POSTGRES = """
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
export PGHOST=$PWD PGDATABASE=postgres
initdb -N -A trust -D data > log
postgres -D data -k "$PWD" -c listen_addresses= >> log 2>&1 &
until pg_isready -q; do sleep 0.2; done
pgbench -q -i -s 2 >> log 2>&1
pgbench -n -l -c 4 -T 100000 >> log 2>&1
"""

REDIS = """
redis-server --port 0 --unixsocket "$PWD/socket" --save '' > server.log &
"$0" --redis-client
"""


def redis_client():
    for _ in range(600):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect("socket")
            break
        except OSError:
            time.sleep(0.1)
    answers = sock.makefile("rb")
    counter = programs.Counter()

    def put(keys):
        sock.sendall(b"".join(
            b"*3\r\n$3\r\nSET\r\n$10\r\n%010d\r\n$1000\r\n%s\r\n"
            % (key, programs.new_value(key, counter.done)[:1000].ljust(1000))
            for key in keys))
        for _ in keys:
            if answers.readline() != b"+OK\r\n":
                sys.exit("redis: a key was not set")

    for first in range(0, REDIS_KEYS, REDIS_BATCH):
        put(range(first, first + REDIS_BATCH))
    while True:
        put([random.randrange(REDIS_KEYS) for _ in range(REDIS_BATCH)])
        counter.add(REDIS_BATCH)


class Load(programs.Program):
    """One of them, running, in a directory of its own."""
    commands = {
        "redis": ["bash", "-c", REDIS, os.path.abspath(__file__)],
        "postgresql": ["bash", "-c", POSTGRES],
        "openjdk": ["java", "-Xmx256m", "-cp", ".", "Load"],
        "age": ["age", "-r",
                "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
    }

    def __init__(self, name):
        self.name = name
        self.directory = os.path.join(programs.DIRECTORY, name)
        self.log = None
        self.lines = 0
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        user = None
        if name == "openjdk":
            source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Load.java")
            subprocess.run(["java", "-m", "jdk.compiler/com.sun.tools.javac.Main", "-d",
                            self.directory, source], check=True)
        if name == "postgresql":
            user = "postgres"	# as root it does not want to be
            shutil.chown(self.directory, user, user)
        with open("/dev/zero", "rb") as zeros:
            self.process = subprocess.Popen(
                self.commands[name], cwd=self.directory, stdin=zeros,
                stdout=subprocess.DEVNULL, user=user, group=user,
                extra_groups=[] if user else None, start_new_session=True)
        self.pid = self.process.pid
        for _ in range(3):
            self.next_work()

    def work(self):
        if self.name == "age":	# in blocks
            with open(f"/proc/{self.pid}/io", encoding="ascii") as file:
                return int(file.readline().split()[1]) // 65536
        if self.name != "postgresql":
            return super().work()
        # In transactions: one is a line of the log.
        if not self.log:
            for entry in os.listdir(self.directory):
                if entry.startswith("pgbench_log."):
                    self.log = open(os.path.join(self.directory, entry), "rb")
        if self.log:
            self.lines += self.log.read().count(b"\n")
        return self.lines

    def end(self):
        os.killpg(self.pid, 9)
        self.process.wait()
        # Those of a server that have groups of their own find that out.
        time.sleep(3)
        shutil.rmtree(self.directory)


class Signals:
    """As from kill -CKPT PID, now and whenever so many seconds have passed"""

    def __init__(self, pid, interval):
        self.pid = pid
        self.interval = interval
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        os.kill(self.pid, SIGCKPT)
        while not self.over.wait(self.interval):
            os.kill(self.pid, SIGCKPT)

    def end(self):
        self.over.set()
        self.thread.join()


def measure(load, automatic, interval, by_signal=False):
    """Work in a second; bytes of the full image and of an increment, time frozen"""
    names = "images", "failed", "bytes"
    if not interval:
        return programs.measure(load, None, SECONDS[None])[0], None
    was = automatic.value("bytes")
    clock = 0 if by_signal else interval * 1000
    automatic.set(f"off interval_ms={clock} full_every=65536 keep=2 "
                  f"pattern={automatic.directory}/%p.%n.ckpt")
    images = automatic.value("images")
    signals = Signals(load.pid, interval) if by_signal else None
    while automatic.value("images") == images and not automatic.value("failed"):
        time.sleep(0.02)
    full = automatic.value("bytes") - was
    before = [automatic.value(name) for name in names]
    rate, _ = programs.measure(load, None, SECONDS[interval])
    images, failed, size = (automatic.value(name) - old for name, old in zip(names, before))
    if failed or not images:
        with open(automatic.path, encoding="utf-8") as file:
            sys.exit(f"{images} images, {failed} failed\n{file.read()}")
    freeze = automatic.value("last_freeze_ns")
    if signals:
        signals.end()
    automatic.end()
    os.makedirs(automatic.directory)
    if load.name == "postgresql":
        shutil.chown(automatic.directory, "postgres")
    return rate, (full, size / images, freeze)


def bench(name, rounds, by_signal):
    slower = {interval: [] for interval in INTERVALS}
    seen = {interval: [] for interval in INTERVALS}
    for _ in range(rounds):
        load = Load(name)
        automatic = auto.Automatic(load)
        os.chmod(programs.DIRECTORY, 0o755)
        if name == "postgresql":
            shutil.chown(automatic.directory, "postgres")
        automatic.set("off")
        # On both sides of each, as much may change over time
        undisturbed = [measure(load, automatic, None)[0]]
        for interval in INTERVALS:
            rate, what = measure(load, automatic, interval, by_signal)
            undisturbed.append(measure(load, automatic, None)[0])
            slower[interval].append(1 - 2 * rate / sum(undisturbed[-2:]))
            seen[interval].append(what)
            programs.note(f"{name}: every {interval} s {rate:.1f}/s, undisturbed "
                          f"{undisturbed[-2]:.1f}/s and {undisturbed[-1]:.1f}/s, {what}")
        load.end()
    programs.report(f"load.{name}.full", statistics.median(
        s[0] for s in seen[INTERVALS[0]]) / 2**20, "MiB")
    for interval in INTERVALS:
        programs.report(f"load.{name}.increment.{interval}s",
                        statistics.median(s[1] for s in seen[interval]) / 2**20, "MiB")
        programs.report(f"load.{name}.slow-down.{interval}s",
                        100 * statistics.median(slower[interval]), "%")
        programs.report(f"load.{name}.frozen.{interval}s",
                        statistics.median(s[2] for s in seen[interval]) / 1e6, "ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-r", "--rounds", type=int, default=1)
    parser.add_argument("-k", "--kill", action="store_true")
    parser.add_argument("--redis-client", action="store_true", help="be this program")
    parser.add_argument("name", nargs="*")
    args = parser.parse_args()
    if args.redis_client:
        redis_client()
    if set(args.name) - set(Load.commands) or args.rounds < 1:
        parser.error(f"the programs are {', '.join(Load.commands)}; rounds, at least one")
    for name in args.name or Load.commands:
        bench(name, args.rounds, args.kill)


if __name__ == "__main__":
    main()
