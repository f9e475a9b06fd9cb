#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Real programs with automatic checkpoints, taken by the kernel.

usage: auto.py [-r ROUNDS] [heat|kv]...

The programs are those of programs.py, the images go to tmpfs, each tenth is a full one
and two chains are kept. Each round runs the program undisturbed and with a checkpoint
each second, every 5 and every 30 seconds, and compares the work it gets done in a
second. Then the kernel is asked which interval it would choose for a machine that fails
once a day.
"""
import argparse
import os
import shutil
import statistics
import sys
import time

import programs

INTERVALS = [1, 5, 30]		# seconds
SECONDS = {None: 15, 1: 20, 5: 31, 30: 92}	# to measure for: full images, increments
MTBF = 86400


class Automatic:
    """The automatic checkpoints of a program, as /proc/PID/checkpoint has them."""

    def __init__(self, program):
        self.path = f"/proc/{program.pid}/checkpoint"
        self.directory = os.path.join(programs.DIRECTORY, "images")
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)

    def set(self, words):
        with open(self.path, "w", encoding="ascii") as file:
            file.write(words)

    def begin(self, interval):
        self.set(f"off interval_ms={interval * 1000} full_every=10 keep=2 "
                 f"pattern={self.directory}/%p.%n.ckpt")

    def value(self, name):
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1])
        raise KeyError(name)

    def end(self):
        self.set("off")
        while "state:\trunning" in open(self.path, encoding="utf-8").read():
            time.sleep(0.01)
        shutil.rmtree(self.directory)


def measure(program, auto, interval):
    """Work in a second, and what the checkpoints were like."""
    names = "images", "failed", "bytes"
    before = [auto.value(name) for name in names] if interval else None
    if interval:
        auto.begin(interval)
    rate, _ = programs.measure(program, None, SECONDS[interval])
    if not interval:
        return rate, None
    images, failed, size = (auto.value(name) - was for name, was in zip(names, before))
    if failed or not images:
        sys.exit(f"{auto.path}: {images} images, {failed} failed\n"
                 + open(auto.path, encoding="utf-8").read())
    freeze = auto.value("last_freeze_ns")
    auto.end()
    os.makedirs(auto.directory)
    return rate, (images, size / images, freeze)


def bench(name, rounds):
    rates = {interval: [] for interval in INTERVALS}
    seen = {interval: [] for interval in INTERVALS}
    chosen = []
    for i in range(rounds):
        program = programs.Program(name)
        auto = Automatic(program)
        # So that there is a file with everything in it
        auto.set("off")
        order = [None] + INTERVALS
        order = order[i % len(order):] + order[:i % len(order)]
        rate = {}
        for interval in order:
            rate[interval], what = measure(program, auto, interval)
            programs.note(f"{name}: {interval or 'undisturbed'} {rate[interval]:.2f}/s {what or ''}")
            if interval:
                seen[interval].append(what)
        auto.set(f"off mtbf_s={MTBF}")
        chosen.append(auto.value("interval_now_ms") / 1000)
        cost = auto.value("cost_ns") / 1e6
        programs.note(f"{name}: a checkpoint costs {cost:.1f} ms, best each {chosen[-1]:.1f} s")
        auto.set("off")
        program.end()
        for interval in INTERVALS:
            rates[interval].append(rate[interval] / rate[None])
    for interval in INTERVALS:
        programs.report(f"auto.{name}.slow-down.{interval}s",
                        100 * (1 - statistics.median(rates[interval])), "%")
        programs.report(f"auto.{name}.image.{interval}s",
                        statistics.median(s[1] for s in seen[interval]) / 2**20, "MiB")
        programs.report(f"auto.{name}.frozen.{interval}s",
                        statistics.median(s[2] for s in seen[interval]) / 1e6, "ms")
    programs.report(f"auto.{name}.interval-for-24h", statistics.median(chosen), "s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-r", "--rounds", type=int, default=3)
    parser.add_argument("name", nargs="*")
    args = parser.parse_args()
    if set(args.name) - {"heat", "kv"} or args.rounds < 1:
        parser.error("the programs are heat, kv; rounds, at least one")
    for name in args.name or ["heat", "kv"]:
        bench(name, args.rounds)


if __name__ == "__main__":
    main()
