#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# SIGCKPT and programs that know nothing of it: interpreters, a virtual machine, a
# runtime that has a handler for every signal. None may be harmed; each is either
# checkpointed, and goes on from its image after a restart, or refused with a reason.

java=$(dirname "$0")/jobs/java.sh
work=$(mktemp -d)
pattern=$(cat /proc/sys/kernel/checkpoint_pattern) || exit 4
pause=$(cat /proc/sys/kernel/checkpoint_pause_ms)
number=0 failed=0

cleanup()
{
	kill -KILL $(jobs -p) 2>/dev/null
	echo "$pattern" > /proc/sys/kernel/checkpoint_pattern
	echo "$pause" > /proc/sys/kernel/checkpoint_pause_ms
	rm -rf "$work"
}
trap cleanup EXIT
echo "$work/%p.%n" > /proc/sys/kernel/checkpoint_pattern
echo 0 > /proc/sys/kernel/checkpoint_pause_ms

result()
{
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
	else
		echo "not ok $number $2"
		failed=$((failed + 1))
	fi
}

# value PID FIELD: of /proc/PID/checkpoint
value()
{
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/checkpoint" 2>/dev/null
}

# cpu_time PID: in ticks; a program that works uses more and more
cpu_time()
{
	awk '{ print $14 + $15 }' "/proc/$1/stat" 2>/dev/null
}

# works PID: does it go on?
works()
{
	local before now i
	before=$(cpu_time "$1") || return
	for ((i = 0; i < 300; i++)); do
		now=$(cpu_time "$1")
		[ -n "$now" ] || return 1
		[ "$now" -le "$before" ] || return 0
		sleep 0.1
	done
	return 1
}

# signalled PID COUNT: it has seen to so many signals
signalled()
{
	local i
	for ((i = 0; i < 1200; i++)); do
		[ $(($(value "$1" images) + $(value "$1" failed))) -lt "$2" ] || return 0
		[ -d "/proc/$1" ] || return 1
		sleep 0.1
	done
	return 1
}

# still_works PID WHAT: a result, with what the program had to say if it does not
still_works()
{
	local status
	works "$1"
	status=$?
	[ $status = 0 ] || head -n 100 "$work/output" | sed 's/^/# /'
	result $status "$2"
}

# program NAME COMMAND...: works for some minutes if nobody ends it
program()
{
	local name=$1 pid restart i image
	shift
	"$@" < /dev/zero > "$work/output" 2>&1 &
	pid=$!
	# Past its beginning, when it has made its threads
	sleep "${CKPT_TEST_SLOWNESS:-1}"
	still_works $pid "$name works"
	for ((i = 1; i <= 10; i++)); do
		kill -16 $pid
		signalled $pid $i || break
	done
	still_works $pid "$name works after ten signals"
	[ "$(value $pid requests)" = 10 ] &&
		[ $(($(value $pid images) + $(value $pid failed))) = 10 ]
	result $? "$name: each of them did something"
	echo "# $name: $(value $pid images) images of $(value $pid last_bytes) bytes, $(value $pid failed) refused, $(ls /proc/$pid/task | wc -l) threads"
	value $pid report | sort -u | sed 's/^/# /'
	if [ "$(value $pid images)" != 0 ]; then
		image=$(value $pid last_image)
		kill -KILL $pid
		wait $pid 2>/dev/null
		ckpt restart "$image" < /dev/zero >> "$work/output" 2>&1 &
		restart=$!
		for ((i = 0; i < 100; i++)); do
			[ -d "/proc/$pid" ] && break
			sleep 0.1
		done
		still_works $pid "$name works after a restart from its last image"
		kill -KILL $pid
		wait $restart 2>/dev/null
	else
		[ -n "$(value $pid report)" ]
		result $? "$name was refused with a reason"
		kill -KILL $pid
		wait $pid 2>/dev/null
	fi
}

echo "TAP version 13"
echo "1..28"

# In Go: its runtime has handlers for all signals and threads of its own.
program "age (Go)" age -r age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
program "openjdk" "$java" keytool -J-XX:+ErrorFileToStderr \
	-genkeypair -keyalg RSA -keysize 16384 -alias x -dname CN=x \
	-keystore "$work/keys" -storepass secret
# It puts its statistics where others can see them, with a lock, unless told not to.
program "openjdk without shared statistics" "$java" keytool -J-XX:+ErrorFileToStderr \
	-J-XX:+PerfDisableSharedMem \
	-genkeypair -keyalg RSA -keysize 16384 -alias x -dname CN=x \
	-keystore "$work/keys2" -storepass secret
program "python3" python3 -c '
import threading
def work():
    n = 1
    while True:
        n = n * 3 % 1000003
for i in range(3):
    threading.Thread(target=work).start()'
program "python3 that handles all signals" python3 -c '
import signal
for s in range(1, 65):
    try:
        signal.signal(s, lambda *a: exit(1))
    except (OSError, ValueError):
        pass
n = 1
while True:
    n = n * 3 % 1000003'
program "bash" bash -c 'while :; do ((n++)); done'
program "sqlite3" sqlite3 :memory: 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL
	SELECT x * 3 % 1000003 + 1 FROM c LIMIT 4000000000) SELECT sum(x) FROM c;'

[ $failed = 0 ]
