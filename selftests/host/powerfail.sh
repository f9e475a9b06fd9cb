#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A job under automatic checkpoints, in a machine that fails again and again.
#
# Boots, lets the job work for a random time, pulls the plug (SIGKILL to QEMU), boots
# again, restarts it from the newest complete chain; CKPT_TEST_COUNT times. In the end
# the job has to have the right result. Each failure may cost it the interval of two
# seconds and the time that one checkpoint takes, by the job's own clock, which goes
# on after a restart.

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
: > "$work/out"
count=${CKPT_TEST_COUNT:-3}
interval=2000
# It says how far it is ten times a second, and is looked at five times.
slack=$((500 * ${CKPT_TEST_SLOWNESS:-1}))
seed=${CKPT_TEST_SEED:-$(date +%s)}
RANDOM=$seed
number=0 qemu=

cleanup()
{
	[ -s "$work/pid" ] && kill -KILL "$(cat "$work/pid")" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

result()
{
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
	else
		tail -n 20 "$work/err" "$work/out" | sed 's/^/# /'
		echo "not ok $number $2"
	fi
}

# life MODE: in the background
life()
{
	rm -f "$work/pid"
	# Not what the last life has left, until the shell below gets to it.
	: > "$work/out"
	"$here/../qemu/run" $LINUXCR_RUN_FLAGS --no-leak-check --timeout 900 \
		--disk "$work/disk" --disk-size 1G --disk-cache writethrough \
		--share "$here" --pidfile "$work/pid" -- \
		/mnt/share/powerfail-guest "$1" > "$work/out" 2> "$work/err" &
	qemu=$!
}

# The job's time, in milliseconds, when it first and last said something
first_time()
{
	awk '$1 == "t" && NF == 4 { print $2; exit }' "$work/out"
}

last_time()
{
	awk '$1 == "t" && NF == 4 { t = $2 } END { print t }' "$work/out"
}

# The longest that a checkpoint took in this life, in milliseconds; the one that the
# plug was pulled on has taken some time, too.
longest()
{
	awk '$1 == "at" && $5 == "running" && !since { since = now ? now : $2 }
	     $1 == "at" && $5 != "running" { since = 0 }
	     $1 == "at" && $4 > max { max = $4 }
	     $1 == "at" { now = $2 }
	     END { if (since && now - since > max) max = now - since; print max + 0 }' \
		"$work/out"
}

echo "TAP version 13"
echo "1..4"
echo "# CKPT_TEST_SEED=$seed, $count failures"

last= lost_most=0 lost_sum=0 over=0 lives=0 passed_over=0 took_most=0 failures=0
for ((i = 0; i < count; i++)); do
	life work
	while [ -z "$(first_time)" ] && kill -0 $qemu 2>/dev/null; do
		sleep 0.2
	done
	first=$(first_time)
	if [ -z "$first" ]; then
		failures=$((failures + 1))
		tail -n 5 "$work/err" | sed 's/^/# /'
		break
	fi
	if [ -n "$last" ]; then
		lost=$((last - first))
		lost_sum=$((lost_sum + lost))
		[ $lost -le $lost_most ] || lost_most=$lost
		if [ $lost -gt $((interval + took + slack)) ]; then
			echo "# life $i: lost $lost ms, a checkpoint took at most $took ms"
			sed 's/^/# before: /' "$work/before"
			over=$((over + 1))
		fi
	fi
	passed_over=$((passed_over + $(grep -c 'passed over' "$work/err")))
	sleep $((RANDOM % 6)).$((RANDOM % 10))
	kill -KILL "$(cat "$work/pid")"
	wait $qemu 2>/dev/null
	lives=$((lives + 1))
	last=$(last_time)
	took=$(longest)
	{ sort -u <(grep '^failed' "$work/out"); grep '^at ' "$work/out" | tail -n 30; } > "$work/before"
	[ "$took" -le $took_most ] || took_most=$took
done
result $failures "the job began, or was restarted, in each of $count lives"

life finish
wait $qemu
status=$?
sed -n 's/^\(result\|undisturbed\|images\)/# &/p' "$work/out"
result $status "it came to the right result"
echo "# $lives failures: lost $((lost_sum / (lives > 1 ? lives - 1 : 1))) ms on average, $lost_most ms at most; a checkpoint took $took_most ms at most; images passed over: $passed_over"
result $over "no failure cost more than an interval and a checkpoint"
# Damaged: the checksums say so. Incomplete: no image has its name before it is safe.
[ $passed_over = 0 ]
result $? "every image that had its name was complete"
[ $failures = 0 ] && [ $status = 0 ] && [ $over = 0 ] && [ $passed_over = 0 ]
