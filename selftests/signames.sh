#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# SIGCKPT by its name, as typed: in bash and dash, with /bin/kill and pkill. They
# have to be those of liblinuxcr/signames. Where the kernel has no such signal,
# which is also how it looks to who cannot see its sysctl, they refuse the name.

. "$(dirname "$0")/tap_result"
sysctl=/proc/sys/kernel

if [ -e $sysctl/checkpoint_pattern ]; then
	here=1
else
	here=
fi

# result, for what needs a kernel that has the signal
with_signal()
{
	if [ -n "$here" ]; then
		result "$@"
	else
		nr=$((nr + 1))
		echo "ok $nr $2 # SKIP kernel without SIGCKPT"
	fi
}

# without_signal COMMAND...: run it where the sysctl is not to be seen
without_signal()
{
	unshare -m sh -c "mount -t tmpfs none $sysctl && exec \"\$@\"" sh "$@"
}

clean_up()
{
	[ -z "$victim" ] || pkill -KILL -x "$victim"
	[ -z "$here" ] || echo "$old_pattern" > $sysctl/checkpoint_pattern
	[ -z "$old_pause" ] || echo "$old_pause" > $sysctl/checkpoint_pause_ms
	rm -rf "$dir"
}

dir=$(mktemp -d)
victim='' old_pause='' old_pattern=$(cat $sysctl/checkpoint_pattern 2> /dev/null)
trap clean_up EXIT
cd "$dir" || exit 1

if [ -n "$here" ]; then
	echo "$dir/x.%p.ckpt" > $sysctl/checkpoint_pattern
	if [ -e $sysctl/checkpoint_pause_ms ]; then
		old_pause=$(cat $sysctl/checkpoint_pause_ms)
		echo 0 > $sysctl/checkpoint_pause_ms
	fi
fi

victim=victim$$
cp /bin/sleep $victim
./$victim 1000 < /dev/null > /dev/null 2>&1 &
pid=$!
disown
until [ "$(cat /proc/$pid/comm)" = $victim ]; do sleep 0.1; done

alive()
{
	grep -q '^State:.[^ZX]' /proc/$pid/status
}

# image_of PID: does it appear?
image_of()
{
	for _ in $(seq 300); do
		[ ! -s "x.$1.ckpt" ] || return 0
		sleep 0.1
	done
	echo "no image within 30 s"
	return 1
}

# sends NAME COMMAND...
sends()
{
	name=$1
	shift
	rm -f x.*
	[ -z "$here" ] || { "$@" && image_of $pid && alive; } > log 2>&1
	with_signal $? "$name makes an image"
}

# prints NAME REGEX COMMAND...: on one of its lines
prints()
{
	name=$1 regex=$2
	shift 2
	"$@" > log 2>&1 && grep -Eq -- "$regex" log
	with_signal $? "$name names it"
}

# refuses NAME COMMAND...: with an error that says why
refuses()
{
	name=$1
	shift
	! without_signal "$@" > log 2>&1 && grep -q "this kernel has no SIGCKPT" log && alive
	result $? "$name is refused without the signal"
}

echo "TAP version 13"
echo "1..34"

sends "bash: kill -CKPT" bash -c "kill -CKPT $pid"
sends "bash: kill -s SIGCKPT" bash -c "kill -s SIGCKPT $pid"
sends "bash: kill -STKFLT" bash -c "kill -STKFLT $pid"
sends "dash: kill -CKPT" dash -c "kill -CKPT $pid"
sends "dash: kill -s CKPT" dash -c "kill -s CKPT $pid"
sends "/bin/kill -CKPT" /bin/kill -CKPT $pid
sends "/bin/kill -s SIGCKPT" /bin/kill -s SIGCKPT $pid
sends "/bin/kill -STKFLT" /bin/kill -STKFLT $pid
sends "pkill -CKPT -x" pkill -CKPT -x $victim
sends "pkill --signal CKPT -x" pkill --signal CKPT -x $victim

# On a terminal bash has job control: the job is a process group.
cat > typed << END
$(declare -f image_of)
./$victim 1000 < /dev/null > /dev/null 2>&1 &
sleep 1
kill -s SIGCKPT %1 && image_of \$! && kill -KILL %1
END
rm -f x.*
[ -z "$here" ] || script -qec "bash -i -c '. ./typed'" /dev/null < /dev/null > log 2>&1
with_signal $? "bash on a terminal: kill -s SIGCKPT %1 makes an image"

prints "bash: kill -l" '16\) SIGCKPT' bash -c 'kill -l'
prints "bash: kill -l 16" '^CKPT$' bash -c 'kill -l 16'
prints "bash: kill -l CKPT" '^16$' bash -c 'kill -l CKPT'
prints "bash: kill -l SIGCKPT" '^16$' bash -c 'kill -l SIGCKPT'
prints "bash: completion" '^SIGCKPT$' bash -c 'compgen -A signal SIGC'
prints "bash: trap" "^trap -- 'echo got' SIGCKPT$" bash -c 'trap "echo got" CKPT && trap'
prints "dash: kill -l" '^CKPT$' dash -c 'kill -l'
prints "dash: kill -l 16" '^CKPT$' dash -c 'kill -l 16'
prints "dash: trap" "^trap -- 'echo got' CKPT$" dash -c 'trap "echo got" CKPT && trap'
prints "/bin/kill -l" 'TERM CKPT' /bin/kill -l
prints "/bin/kill -l 16" '^CKPT$' /bin/kill -l 16
prints "/bin/kill -l CKPT" '^16$' /bin/kill -l CKPT

rm -f x.*
refuses "bash: kill -CKPT" bash -c "kill -CKPT $pid"
refuses "bash: kill -s SIGCKPT" bash -c "kill -s SIGCKPT $pid"
refuses "bash: trap" bash -c 'trap "echo got" CKPT'
refuses "dash: kill -CKPT" dash -c "kill -CKPT $pid"
refuses "dash: kill -s CKPT" dash -c "kill -s CKPT $pid"
refuses "dash: trap" dash -c 'trap "echo got" CKPT'
refuses "/bin/kill -CKPT" /bin/kill -CKPT $pid
refuses "/bin/kill -s SIGCKPT" /bin/kill -s SIGCKPT $pid
refuses "pkill -CKPT -x" pkill -CKPT -x $victim
refuses "pkill --signal CKPT -x" pkill --signal CKPT -x $victim
sleep 2
echo x.* > log
[ "$(cat log)" = 'x.*' ]
result $? "what was refused has made no image"

exit $failed
