#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Five programs, a large file. sort(1) has threads, and temporary files.
set -e -o pipefail

if [ ! -e data ]; then
	seq 1 150000 > data
fi
for ((i = 0; i < ${JOB_REPEAT:-1}; i++)); do
	cat data | xxd -c 8 | sort -k 2 -S 8M -T . --parallel=2 | bzip2 -1 | sha256sum > sum
done
cat sum
