#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A pool of processes, with its queues, semaphores and threads."""
import multiprocessing
import os

REPEAT = int(os.environ.get("JOB_REPEAT", "1"))


def work(n):
    x = n
    for _ in range(20000):
        x = x * 1103515245 + 12345 & 0x7fffffff
    return x


if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool:
        for _ in range(REPEAT):
            total = sum(pool.imap_unordered(work, range(240), chunksize=4))
    print(total)
