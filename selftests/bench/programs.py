#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Real programs under "ckpt save --incremental" once a second.

usage: programs.py [-r ROUNDS] [-s SECONDS] [heat|kv|sqlite]...

heat	the demonstration's solver with numpy, several threads
kv	a key-value store of 200 MB in a dictionary, updated at random
sqlite	a database of 100 MB in sqlite3's cache, rows updated at random

Each round runs the program for SECONDS undisturbed and as long with each of the
trackers. The work it gets done in a second is compared with the undisturbed one of the
same round, the increments with the full image before them. Everything is on tmpfs. No
program knows of checkpoints; each counts its work in a file.
"""
import argparse
import hashlib
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

DIRECTORY = "/tmp/bench/programs"
DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "demo")

TRACKERS = ["shadow", "none", "write-protect"]
PERIOD = 1		# seconds from checkpoint to checkpoint
POLL = 0.01
PATIENCE = 120

KV_VALUES = 200_000
SQLITE_ROWS = 100_000
VALUE_SIZE = 1000
BATCH = 50


# ---- the programs ----

class Counter:
    """Work done, for those who look at the file."""

    def __init__(self):
        self.fd = os.open("work", os.O_WRONLY | os.O_CREAT, 0o600)
        self.done = 0

    def add(self, work):
        self.done += work
        os.pwrite(self.fd, b"%20d" % self.done, 0)


def new_value(key, n):
    digest = hashlib.sha256(b"%d %d" % (key, n)).digest()
    return (digest * (VALUE_SIZE // len(digest) + 1))[:VALUE_SIZE]


def kv():
    store = {key: new_value(key, 0) for key in range(KV_VALUES)}
    counter = Counter()
    while True:
        for n in range(BATCH):
            key = random.randrange(KV_VALUES)
            store[key] = new_value(key, counter.done + n)
        counter.add(BATCH)


def sqlite():
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("PRAGMA cache_size = -400000")
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, value BLOB)")
    database.execute("BEGIN")
    database.executemany("INSERT INTO item VALUES (?, ?)",
                         ((key, new_value(key, 0)) for key in range(SQLITE_ROWS)))
    database.execute("COMMIT")
    counter = Counter()
    while True:
        database.execute("BEGIN")
        for n in range(BATCH):
            key = random.randrange(SQLITE_ROWS)
            database.execute("UPDATE item SET value = ? WHERE id = ?",
                             (new_value(key, counter.done + n), key))
        database.execute("COMMIT")
        counter.add(BATCH)


PROGRAMS = {
    "heat": [sys.executable, os.path.join(DEMO, "heat.py"),
             os.path.join(DEMO, "plate.txt"), "result", "log", "10000000"],
    "kv": [sys.executable, os.path.abspath(__file__), "--run", "kv"],
    "sqlite": [sys.executable, os.path.abspath(__file__), "--run", "sqlite"],
}


class Program:
    """One of them, running, in a directory of its own."""

    def __init__(self, name):
        self.directory = os.path.join(DIRECTORY, name)
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        self.process = subprocess.Popen(PROGRAMS[name], cwd=self.directory,
                                        stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        self.pid = self.process.pid
        for _ in range(3):
            self.next_work()

    def work(self):
        """What its file says: a number, or as the last line of the log "step N of"."""
        for name in "work", "log":
            try:
                with open(os.path.join(self.directory, name), "rb") as file:
                    file.seek(max(0, os.fstat(file.fileno()).st_size - 200))
                    words = file.read().splitlines()[-1].split()
            except (FileNotFoundError, IndexError):
                continue
            return int(words[0] if name == "work" else words[1])
        return 0

    def next_work(self):
        """Wait until it has done something more: what it has done, and when."""
        before, until = self.work(), time.monotonic() + PATIENCE
        while self.work() == before:
            if self.process.poll() is not None or time.monotonic() > until:
                sys.exit(f"{self.process.args} does no work")
            time.sleep(POLL)
        return self.work(), time.monotonic()

    def end(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory)


# ---- checkpoints ----

class Images:
    """A full image of a program, and increments."""

    def __init__(self, program, tracker):
        self.directory = os.path.join(DIRECTORY, "images")
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        self.command = ["ckpt", "save", "--incremental", "--tracker", tracker,
                        "--full-every", "10000", "--json", str(program.pid),
                        os.path.join(self.directory, "image")]
        self.saving = None
        self.increments = []
        self.full = None
        self.begin()
        self.full = self.finish()

    def begin(self):
        self.saving = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE)

    def finish(self):
        output, _ = self.saving.communicate()
        if self.saving.returncode:
            sys.exit(f"{self.command}: status {self.saving.returncode}")
        self.saving = None
        result = json.loads(output)
        if self.full and not result["incremental"]:
            sys.exit(f"{self.command}: not an increment")
        return result["stats"]

    def poll(self, due):
        """Take the next one if it is due; returns when the one after that will be."""
        if self.saving and self.saving.poll() is not None:
            self.increments.append(self.finish())
        if self.saving or time.monotonic() < due:
            return due
        self.begin()
        return due + PERIOD

    def end(self):
        if self.saving:
            self.increments.append(self.finish())
        shutil.rmtree(self.directory)


def measure(program, tracker, seconds):
    """Work in a second, and the images; with tracker None, without checkpoints."""
    images = Images(program, tracker) if tracker else None
    work, start = program.next_work()
    due = start + PERIOD / 2
    before, last, now = work, work, start
    while last == before or now < start + seconds:
        if images:
            due = images.poll(due)
        time.sleep(POLL)
        before, last, now = last, program.work(), time.monotonic()
    if images:
        images.end()
    return (last - work) / (now - start), images


# ---- reports ----

def note(text):
    print("#", text, file=sys.stderr, flush=True)


def report(name, value, unit):
    digits = 3 if value < 10 else 1 if value < 1000 else 0
    print(f"{name}\t{value:.{digits}f}\t{unit}\t\tok", flush=True)


def bench(name, rounds, seconds):
    rates = {tracker: [] for tracker in TRACKERS}
    images = {tracker: [] for tracker in TRACKERS}
    undisturbed = []
    # What write-protect has protected is for no one after it: it comes last.
    first = [None] + TRACKERS[:-1]
    for i in range(rounds):
        program = Program(name)
        order = first[i % len(first):] + first[:i % len(first)] + TRACKERS[-1:]
        rate = {}
        for tracker in order:
            rate[tracker], taken = measure(program, tracker, seconds)
            if tracker:
                images[tracker].append(taken)
            note(f"{name}: {tracker or 'undisturbed'} {rate[tracker]:.2f}/s")
        program.end()
        undisturbed.append(rate[None])
        for tracker in TRACKERS:
            rates[tracker].append(rate[tracker] / rate[None])

    report(f"program.{name}.undisturbed", statistics.median(undisturbed), "/s")
    for tracker in TRACKERS:
        full = statistics.median(chain.full["bytes"] for chain in images[tracker])
        increments = [stats for chain in images[tracker] for stats in chain.increments]
        size = statistics.median(stats["bytes"] for stats in increments)
        freeze = statistics.median(stats["freeze_ns"] for stats in increments)

        report(f"program.{name}.full-size.{tracker}", full / 2**20, "MiB")
        report(f"program.{name}.increment-size.{tracker}", size / 2**20, "MiB")
        report(f"program.{name}.increment.{tracker}", 100 * size / full, "% of full")
        report(f"program.{name}.frozen.{tracker}", freeze / 1e6, "ms")
        report(f"program.{name}.slow-down.{tracker}",
               100 * (1 - statistics.median(rates[tracker])), "%")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-r", "--rounds", type=int, default=5)
    parser.add_argument("-s", "--seconds", type=float, default=5)
    parser.add_argument("--run", choices=["kv", "sqlite"], help="be this program")
    parser.add_argument("name", nargs="*")
    args = parser.parse_args()
    if args.run:
        {"kv": kv, "sqlite": sqlite}[args.run]()
    if set(args.name) - set(PROGRAMS) or args.rounds < 1:
        parser.error(f"the programs are {', '.join(PROGRAMS)}; rounds, at least one")
    for name in args.name or PROGRAMS:
        bench(name, args.rounds, args.seconds)


if __name__ == "__main__":
    main()
