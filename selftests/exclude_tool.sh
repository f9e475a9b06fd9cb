#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A real program (python3) with a cache that it has excluded, under "ckpt save
# --incremental", which takes a full image by itself after it was included again.

if ! python3 -c 'import mmap
mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE).madvise(200)' 2> /dev/null; then
	echo "1..0 # SKIP kernel without MADV_DONTCHECKPOINT"
	exit 4
fi

. "$(dirname "$0")/tap_result"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

await()
{
	until [ -e "$1" ] || ! [ -d /proc/$pid ]; do sleep 0.1; done
}

# The file "look" lets it write how much of the cache is there.
cat > job.py << 'END'
import mmap, os, time

def step(name, wait_for):
    open(name, 'w').close()
    while not os.path.exists(wait_for):
        time.sleep(0.05)

size = 8 << 20
cache = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE)
cache.madvise(200)
cache[:] = b'c' * size
step('excluded', 'include')
cache.madvise(201)
step('included', 'look')
open('out', 'w').write('%d\n' % cache[:].count(b'c'))
END

echo "TAP version 13"
echo "1..5"

python3 job.py < /dev/null > /dev/null 2>&1 &
pid=$!
await excluded
{
	ckpt save --incremental $pid job.img && ckpt save --incremental $pid job.img
} > log 2>&1
result $? "images of a program with a cache are saved"

cp job.img.000001 before
touch include
await included
ckpt save --incremental $pid job.img > log 2>&1
result $? "so is one after the cache was included again"

ls -l job.img.* >> log
rm job.img.000001 job.img.000002
[ "$(stat -c %s job.img.000003)" -gt $(($(stat -c %s before) + (8 << 20) - 100000)) ] &&
	ckpt verify job.img >> log 2>&1
result $? "that is a full image, and the only one with the cache"

kill -KILL $pid
wait $pid 2> /dev/null
touch look
ckpt restart job.img > log 2>&1
cat out >> log
[ "$(cat out)" = $((8 << 20)) ]
result $? "it goes on with the cache"

rm -f out
ckpt restart before > log 2>&1
cat out >> log
[ "$(cat out)" = 0 ]
result $? "from an older image it goes on with an empty one"

exit $failed
