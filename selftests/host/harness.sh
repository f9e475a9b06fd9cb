#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The harness itself: a test run is only worth something if a failing command,
# a kernel fault and a hang do not go unnoticed.

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0

# LINUXCR_RUN_FLAGS: --debug, where the debug guest is being tested
run()
{
	"$here/../qemu/run" $LINUXCR_RUN_FLAGS --no-leak-check --timeout 120 "$@" \
		> "$work/out" 2> "$work/err"
}

# expect STATUS TITLE: about the run just done
expect()
{
	local got=$?
	number=$((number + 1))
	if [ $got = "$1" ]; then
		echo "ok $number $2"
	else
		sed 's/^/# /' "$work/err"
		echo "# exit status $got instead of $1"
		echo "not ok $number $2"
	fi
}

echo "TAP version 13"
echo "1..9"

run -- sh -c 'echo out; echo err >&2; exit 42'
expect 42 "the command's exit status comes back"
[ "$(cat "$work/out")" = out ] && [ "$(cat "$work/err")" = err ]
expect 0 "its output and its errors come back, apart"

run -- sh -c 'kill -SEGV $$'
expect 139 "a signal that ends the command is seen"

run --timeout 8 -- sleep 1000
expect 124 "a hang is ended"

run -- sh -c 'echo c > /proc/sysrq-trigger'
expect 125 "a kernel crash is seen"

run -- sh -c 'echo "<4>WARNING: CPU: 0 PID: 1 at no/such/file.c:1" > /dev/kmsg'
expect 125 "a kernel warning is seen, although the command succeeds"

mkdir "$work/share"
echo in > "$work/share/in"
run --share "$work/share" -- cp /mnt/share/in /mnt/share/out
cmp -s "$work/share/in" "$work/share/out"
expect 0 "a host directory is shared both ways"

run --disk "$work/disk" --disk-size 64M --pidfile "$work/pid" -- \
	sh -c 'echo kept > /mnt/disk/file; sync; echo there; sleep 1000' &
runner=$!
for ((tenths = 0; tenths < 1000; tenths++)); do
	grep -q there "$work/out" 2>/dev/null && break
	sleep 0.1
done
kill -KILL "$(cat "$work/pid")"
wait $runner
expect 137 "a power failure is told from a shutdown"
run --disk "$work/disk" -- grep kept /mnt/disk/file
expect 0 "what was on the disk is there after a power failure"
