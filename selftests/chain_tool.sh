#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A real program (python3) under "ckpt save --incremental": it is killed, and goes
# on from the chain, and again from one image merged from it, to the result of an
# undisturbed run.

. "$(dirname "$0")/tap_result"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

cat > job.py << 'EOF'
import hashlib, time
data = {i: bytes([i % 251]) * 4000 for i in range(3000)}
for n in range(1, 300):
    for k in range(20):
        data[(n * 37 + k * 101) % 3000] = bytes([(n + k) % 251]) * 4000
    time.sleep(0.02)
digest = hashlib.sha256()
for i in range(3000):
    digest.update(data[i])
open('out', 'w').write(digest.hexdigest() + '\n')
EOF

echo "TAP version 13"
echo "1..6"

python3 job.py < /dev/null
mv out expected
python3 job.py < /dev/null > /dev/null 2>&1 &
pid=$!
until [ "$(grep -c . /proc/$pid/maps)" -gt 40 ] && [ -d /proc/$pid ]; do sleep 0.1; done
sleep 2
{
	status=0
	for i in 1 2 3 4 5 6; do
		ckpt save --incremental --full-every 4 --keep 2 $pid job.img || status=1
		sleep 0.2
	done
} > log 2>&1
result $status "increments of a running program are saved"

# the 5th is a full one, the 6th an increment of it, the others are not needed
ls job.img.* > log
[ "$(echo job.img.*)" = "job.img.000005 job.img.000006" ] &&
	[ "$(stat -c %s job.img.000006)" -lt $(($(stat -c %s job.img.000005) / 2)) ]
result $? "images that nothing needs are removed, an increment is small"

kill -KILL $pid
wait $pid 2> /dev/null
ckpt verify job.img > log 2>&1
result $? "the chain is found to be complete"

ckpt restart job.img > log 2>&1 && cmp out expected >> log 2>&1
result $? "from the chain it goes on to the same result"

rm -f out
ckpt merge -o merged.img job.img > log 2>&1 && rm job.img.* && ckpt verify merged.img >> log 2>&1
result $? "the chain is merged into one image"

ckpt restart merged.img > log 2>&1 && cmp out expected >> log 2>&1
result $? "from that it goes on to the same result"

exit $failed
