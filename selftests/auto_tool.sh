#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tool and checkpoints that the kernel takes by itself: ckpt kill, auto, status,
# restart --latest; the example with hooks; the helper that ships images.

. "$(dirname "$0")/tap_result"
dir=$(mktemp -d)
pattern=$(cat /proc/sys/kernel/checkpoint_pattern) || exit 4
pause=$(cat /proc/sys/kernel/checkpoint_pause_ms)
pid=

cleanup()
{
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
	echo "$pattern" > /proc/sys/kernel/checkpoint_pattern
	echo "$pause" > /proc/sys/kernel/checkpoint_pause_ms
	rm -rf "$dir"
}
trap cleanup EXIT
cd "$dir" || exit 1
chmod 755 .
echo 0 > /proc/sys/kernel/checkpoint_pause_ms

# A job that counts in a file, which is never empty once there is a number in it:
# not even if the job is killed.
start()
{
	python3 -c '
import os, time
count = os.open("count", os.O_WRONLY | os.O_CREAT, 0o644)
n = 0
while True:
    n += 1
    os.pwrite(count, b"%-8d\n" % n, 0)
    time.sleep(0.02)' < /dev/null > /dev/null 2>&1 &
	pid=$!
	until [ -s count ]; do sleep 0.1; done
}

# wait_for COMMAND...: for a minute
wait_for()
{
	i=0
	until "$@"; do
		i=$((i + 1))
		[ $i -lt 600 ] || return 1
		sleep 0.1
	done
}

number()
{
	echo $(cat count)
}

differs()
{
	[ "$(number)" != "$1" ]
}

counts()
{
	was=$(number)
	sleep 0.5
	wait_for differs $was
}

images()
{
	[ "$(find "$dir/$1" -name '*.ckpt' 2>/dev/null | wc -l)" -ge "$2" ]
}

echo "TAP version 13"
echo "1..14"
start

echo "$dir/%e.%p.%n.ckpt" > /proc/sys/kernel/checkpoint_pattern
ckpt kill --wait $pid > log 2>&1 && grep -q "^$dir/python3.$pid.0.ckpt$" log
result $? "ckpt kill --wait tells where the image is"
ckpt verify "$dir/python3.$pid.0.ckpt" > log 2>&1 && counts
result $? "which is one, and the job goes on"

echo "/nowhere/%p" > /proc/sys/kernel/checkpoint_pattern
! ckpt kill --wait $pid > log 2>&1 && grep -q /nowhere log
result $? "ckpt kill --wait tells why there is none"
ckpt status $pid > log 2>&1 && grep -q /nowhere log
result $? "ckpt status tells it, too"

mkdir jobs
ckpt auto $pid --every 300ms --full-every 3 --keep 2 --dir "$dir/jobs" > log 2>&1 &&
	wait_for images jobs 5
result $? "ckpt auto makes checkpoints happen"
ckpt status > log 2>&1 && grep -q "$pid" log
result $? "ckpt status finds the process"
ckpt status --json $pid > log 2>&1 && python3 -c '
import json
text = json.load(open("log"))
text = text[0] if isinstance(text, list) else text
assert "interval_ms" in json.dumps(text)' 2>> log
result $? "ckpt status --json is JSON"

kill -KILL $pid
wait $pid 2>/dev/null
before=$(number)
ckpt restart --latest --detach "$dir/jobs" > log 2>&1
result $? "ckpt restart --latest restarts it"
counts && [ "$(number)" -lt $((before + 500)) ] && ckpt status $pid > log &&
	grep -q 300 log
result $? "it goes on, and so do its checkpoints"
ckpt auto $pid --off > log 2>&1 && sleep 1 && ls jobs > before && sleep 1 && ls jobs |
	cmp - before
result $? "ckpt auto --off ends them"

cat > helper << EOF2
#!/bin/sh
CKPT_TRANSPORT="sh -c" exec /usr/local/lib/linux-cr/ckpt-ship remote "\$@"
EOF2
chmod 755 helper
mkdir remote
echo "|$dir/helper $dir/remote %e.%p.%n.ckpt" > /proc/sys/kernel/checkpoint_pattern
ckpt auto $pid --off
ckpt kill --wait --full $pid > log 2>&1 && ls remote >> log &&
	image=$(ls remote/*.ckpt) && ckpt verify "$image" >> log 2>&1
result $? "an image gets to where the helper brings it"
rm -rf remote
! ckpt kill --wait --full $pid > log 2>&1 && counts
result $? "and the job goes on if that is not there"
kill -KILL $pid
pid=

# Two accounts whose sum is always the same
mkdir accounts
/usr/local/lib/linux-cr/examples/hooks "$dir/accounts" 1 > log 2>&1 &
pid=$!
wait_for images accounts 2 && ckpt kill --wait $pid >> log 2>&1
result $? "a program with hooks is checkpointed"
kill -KILL $pid
wait $pid 2>/dev/null
ckpt restart --latest --detach "$dir/accounts" >> log 2>&1 && sleep 1 && kill -0 $pid
result $? "and restarted"

[ $failed = 0 ]
