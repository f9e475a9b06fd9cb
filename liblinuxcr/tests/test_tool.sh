#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tool ckpt: messages, exit statuses, signals, output for programs. The
# kernel's part is played by fake_kernel.so.
#
#	test_tool.sh CKPT DIRECTORY-WITH-ckpt-AND-fake_kernel.so-AND-make_image

ckpt=$(realpath "$1")
tests=$(realpath "$2")
sources=$(realpath "$(dirname "$0")/..")
completion_script=$sources/completion/ckpt.bash
manual=$sources/man/ckpt.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# fake [NAME=VALUE]... COMMAND...: with the kernel made up, and the ckpt that can
# be told so: nothing is preloaded into one without shared libraries
fake()
{
	env LD_PRELOAD="$tests/fake_kernel.so" "${@/#"$ckpt"/"$tests/ckpt"}"
}

# start ... &: likewise, so that $! is the command and no signals are ignored, as
# the shell does for background processes
start()
{
	exec env --default-signal LD_PRELOAD="$tests/fake_kernel.so" \
		"${@/#"$ckpt"/"$tests/ckpt"}"
}

# expect STATUS COMMAND...: runs it; its output goes to the files out and err
expect()
{
	local expected=$1 status

	shift
	"$@" > out 2> err < /dev/null
	status=$?
	[ $status -eq "$expected" ] && return
	echo "# status $status, expected $expected: $*"
	sed 's/^/# /' out err
	return 1
}

says()
{
	grep -q -e "$2" "$1" && return
	echo "# no \"$2\" in $1:"
	sed 's/^/# /' "$1"
	return 1
}

empty()
{
	[ ! -s "$1" ] && return
	echo "# $1 is not empty:"
	sed 's/^/# /' "$1"
	return 1
}

# json FILE EXPRESSION: python expression about the document d
json()
{
	python3 -c "import json; d = json.load(open('$1')); assert $2, d" 2> json.err && return
	sed 's/^/# /' json.err
	return 1
}

# wait_for_file FILE: until it exists, 10 s at most
wait_for_file()
{
	local i

	for i in {1..1000}; do
		[ -e "$1" ] && return
		sleep 0.01
	done
	echo "# $1 did not appear"
	return 1
}

# wait_for_image PID: until the process has begun to write an image
wait_for_image()
{
	local i

	for i in {1..1000}; do
		grep -sq 'write_bytes: [1-9]\|wchar: [6-9]' "/proc/$1/io" && return
		sleep 0.01
	done
	echo "# process $1 does not write"
	return 1
}

# state PID: R, S, T, Z ...
state()
{
	sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null
}

# wait_for_state PID STATE
wait_for_state()
{
	local i

	for i in {1..1000}; do
		[ "$(state "$1")" = "$2" ] && return
		sleep 0.01
	done
	echo "# process $1 is in state $(state "$1"), not $2"
	return 1
}

usage_errors()
{
	local args

	while read -r args; do
		# shellcheck disable=SC2086
		expect 2 "$ckpt" $args && says err 'Try "ckpt' && empty out || return
	done <<-END

		frobnicate
		save
		save 1
		save 0 file
		save -1 file
		save one file
		save 1 file more
		save --kill --leave-stopped 1 file
		save --timeout -1 1 file
		save --timeout nan 1 file
		save --external-fd x 1 file
		save --nonsense 1 file
		save --keep 1 1 file
		save --tracker none 1 file
		save --incremental --tracker off 1 file
		save --incremental --tracker soft 1 file
		save --incremental --full-every 0 1 file
		save --incremental --keep 0 1 file
		save --incremental --parent x 1 file
		save --incremental --keep 1 1 -
		check
		check 1 2
		check --kill 1
		restart
		restart a b
		restart --inherit-fd 1: a
		restart --inherit-fd :1 a
		restart --inherit-fd -1 a
		restart --parent a --parent-dir b c
		restart --parent-dir b -
		info
		info a b
		verify
		merge
		merge a b
		merge -
	END
}

help_texts()
{
	local command

	expect 0 "$ckpt" --help && says out "usage: ckpt COMMAND" || return
	expect 0 "$ckpt" --version && says out '^ckpt [0-9]' || return
	for command in save restart check info verify merge; do
		expect 0 "$ckpt" $command --help && says out "usage: ckpt $command" &&
			empty err || return
		expect 0 "$ckpt" $command -h 1 && says out "usage: ckpt $command" || return
	done
}

full_stdout()
{
	"$ckpt" --help > /dev/full 2> err && return 1
	says err "cannot write to standard output"
}

no_system_call()
{
	: > image
	expect 1 fake FAKE_ERROR=38 "$ckpt" save 1 file && says err 'has no checkpoint(2)' &&
	expect 1 fake FAKE_ERROR=38 "$ckpt" check 1 && says err 'has no checkpoint(2)' &&
	expect 125 fake FAKE_ERROR=38 "$ckpt" restart image && says err 'has no restart(2)' &&
	[ ! -e file ]
}

save_writes_file()
{
	expect 0 fake "$ckpt" save $$ saved && empty out && empty err &&
	[ "$(cat saved)" = image ] && [ "$(stat -c %a saved)" = 600 ] &&
	expect 0 fake "$ckpt" save --stats $$ saved && says err '1.5 MiB in 12.3 ms' &&
	expect 0 fake "$ckpt" save --json $$ saved &&
	json out "d['saved'] and d['pid'] == $$ and d['stats']['bytes'] == 1572864"
}

save_writes_stdout()
{
	expect 0 fake "$ckpt" save --json $$ - && [ "$(cat out)" = image ] &&
	json err "d['saved'] and d['file'] == '-'" || return
	fake "$ckpt" save $$ - 2> err | true
	[ "${PIPESTATUS[0]}" -le 1 ]
}

save_reports_failure()
{
	echo old > saved
	expect 1 fake FAKE_ERROR=95 FAKE_LOG=$'pid 7 (x): fd 3: socket:\a no\n' \
		"$ckpt" save $$ saved &&
	says err "cannot save process $$ (test_tool.sh): Operation not supported" &&
	says err '^  pid 7 (x): fd 3: socket:\\x07 no$' && says err 'external-fd' &&
	[ "$(cat saved)" = old ] && [ "$(find . -name '.saved*')" = "" ] &&
	expect 1 fake FAKE_ERROR=1 FAKE_LOG=$'no "way"\nat all\n' "$ckpt" save --json 1 new &&
	json out "not d['saved'] and d['error'] == 'EPERM' and d['report'] == ['no \"way\"', 'at all']" &&
	[ ! -e new ] &&
	expect 1 fake "$ckpt" save 1 /nonexistent/file && says err 'cannot write /nonexistent'
}

# signal_during_save SIGNAL [SETTING]: it ends ckpt, and nothing is left behind
signal_during_save()
{
	local pid status

	echo old > saved
	start FAKE_SLEEP=60 $2 "$ckpt" save $$ saved > out 2> err &
	pid=$!
	wait_for_image $pid || return
	[ -z "$2" ] || [ "$(find . -name '.saved*')" ] || return
	kill "-$1" $pid
	wait $pid 2>/dev/null
	status=$?
	[ $status -eq $((128 + $(kill -l "$1"))) ] || { echo "# status $status"; return 1; }
	[ "$(cat saved)" = old ] && [ "$(find . -name '.saved*')" = "" ]
}

signals_end_save()
{
	local sig

	set +m
	for sig in INT TERM HUP QUIT; do
		signal_during_save $sig && signal_during_save $sig FAKE_NFS=1 || return
	done
}

# --kill: what the checkpoint has stopped goes on if there is no image in the end
signal_during_save_and_kill()
{
	local pid victim status

	set +m
	sleep 60 &
	victim=$!
	start FAKE_SLEEP=60 "$ckpt" save --kill $victim killed > out 2> err &
	pid=$!
	wait_for_image $pid && kill -STOP $victim && wait_for_state $victim T || return
	kill -TERM $pid
	wait $pid 2>/dev/null
	status=$?
	wait_for_state $victim S || return
	kill -KILL $victim
	wait $victim 2>/dev/null
	[ $status -eq 143 ] && [ ! -e killed ]
}

# chain OPTION...: the next image of job, of a process that is remembered in state
chain()
{
	fake FAKE_CHAIN=state "$ckpt" save --incremental "$@" $$ job
}

new_chain()
{
	rm -rf state job* more parents a b c d whole new
}

save_makes_chain()
{
	new_chain
	expect 0 chain && empty out && empty err && [ "$(readlink job)" = job.000001 ] &&
	expect 0 chain --json && empty err &&
	json out "d['saved'] and d['incremental'] and d['image'] == 'job.000002'" &&
	json out "d['sequence'] == 1 and d['tracker'] == 'shadow' and d['removed'] == 0" &&
	json out "d['parent_uuid'] == '01000000-0000-0000-0000-000000000000'" &&
	expect 0 chain --stats && says err 'of the parent left out' &&
	[ "$(readlink job)" = job.000003 ] && [ "$(stat -c %a job.000003)" = 600 ] &&
	expect 0 "$ckpt" verify job && says out '^job: complete and undamaged, with its 2 parents$' &&
	expect 0 "$ckpt" verify --json job job.000001 &&
	json out "d[0]['parents'] == 2 and d[1]['parents'] == 0" || return
	# Without O_TMPFILE, and with --kill
	sleep 60 &
	expect 0 fake FAKE_NFS=1 FAKE_CHAIN=state "$ckpt" save --incremental --kill $! job &&
	! kill -0 $! 2>/dev/null || [ "$(state $!)" = Z ] || return
	[ "$(readlink job)" = job.000004 ] && [ "$(find . -name '.*job*')" = "" ] &&
	[ "$(stat -c %h job.000004)" = 1 ] && expect 0 "$ckpt" verify job && says out '3 parents'
}

save_takes_full_image_every_now_and_then()
{
	local i

	new_chain
	for i in {1..7}; do
		expect 0 chain --full-every 3 && empty err || return
	done
	expect 0 "$ckpt" info --json job && json out "d['header']['sequence'] == 0" &&
	expect 0 "$ckpt" info --json job.000006 && json out "[i['sequence'] for i in d['chain']] == [2, 1, 0]"
}

# ESTALE, and every damage to the chain, gives a full image, and is told.
save_falls_back_to_full()
{
	new_chain
	expect 0 chain && rm state && expect 0 chain && says err 'took a full image: what was written since image 01' &&
	expect 0 chain && empty err && rm state &&
	expect 0 chain --json && says err 'took a full image' &&
	json out "d['saved'] and not d['incremental'] and 'is not known' in d['full_reason']" &&
	expect 0 "$ckpt" verify job && says out 'undamaged$' || return
	expect 0 chain && truncate -s 1000 job && expect 0 chain &&
	says err 'took a full image: .*/job.000005: .*truncated' && expect 0 "$ckpt" verify job || return
	rm job.000006 && expect 0 chain && says err 'took a full image: .*No such file' &&
	[ "$(readlink job)" = job.000007 ] || return
	expect 0 chain && empty err && rm job.000007 && expect 0 chain &&
	says err 'took a full image: image 0.*is missing, the parent of .*job.000008' &&
	expect 0 "$ckpt" verify job || return
	expect 0 chain --tracker none && says err 'took a full image'
}

save_falls_back_to_other_tracker()
{
	new_chain
	expect 0 fake FAKE_TRACKERS=1,3 FAKE_CHAIN=state "$ckpt" save --incremental $$ job &&
	says err 'cannot track by shadow: tracking by write-protect' &&
	expect 0 fake FAKE_TRACKERS=1,3 FAKE_CHAIN=state "$ckpt" save --incremental --json $$ job &&
	empty err && json out "d['incremental'] and d['tracker'] == 'write-protect'" || return
	new_chain
	expect 0 fake FAKE_TRACKERS=1 FAKE_CHAIN=state "$ckpt" save --incremental --json $$ job &&
	says err 'tracking by none' && json out "d['tracker'] == 'none'" &&
	expect 1 fake FAKE_TRACKERS=1 FAKE_CHAIN=state "$ckpt" save --incremental --tracker shadow $$ new &&
	says err 'Operation not supported' && [ ! -e new ] && [ ! -e new.000001 ] || return
	expect 1 fake FAKE_ERROR=95 FAKE_LOG='fd 3: no' "$ckpt" save --incremental $$ new &&
	says err 'fd 3: no' && [ ! -L new ] && [ "$(find . -name '*new*')" = "" ]
}

save_keeps_what_is_needed()
{
	local i

	new_chain
	for i in {1..7}; do
		expect 0 chain --full-every 3 --keep 2 && empty err && expect 0 "$ckpt" verify job || return
	done
	[ "$(echo job.*)" = "job.000004 job.000005 job.000006 job.000007" ] &&
	expect 0 "$ckpt" verify job job.000006 &&
	expect 0 chain --full-every 1 --keep 1 --json && json out "d['removed'] == 4" &&
	[ "$(echo job.*)" = job.000008 ]
}

save_replaces_no_file_by_link()
{
	new_chain
	echo precious > job
	expect 1 chain && says err 'cannot write job: it is not a symbolic link to an image job.NNNNNN' &&
	[ "$(cat job)" = precious ] && rm job && ln -s other job && expect 1 chain &&
	[ "$(readlink job)" = other ] && rm job && expect 0 chain &&
	expect 1 fake "$ckpt" save $$ job && says err 'it is a symbolic link'
}

save_chain_to_pipe()
{
	new_chain
	expect 0 fake FAKE_CHAIN=state "$ckpt" save --incremental $$ - && empty err && cp out a &&
	expect 0 fake FAKE_CHAIN=state "$ckpt" save --incremental --parent a --json $$ - &&
	json err "d['incremental']" && cp out b &&
	expect 0 "$ckpt" verify b && says out '1 parent' &&
	expect 0 fake FAKE_CHAIN=state "$ckpt" save --incremental \
		--parent 01000000-0000-0000-0100-000000000000 $$ - && empty err && cp out c &&
	expect 0 "$ckpt" verify c && says out '2 parents' &&
	expect 0 fake FAKE_CHAIN=state "$ckpt" save --incremental --parent b $$ - &&
	says err 'took a full image' && cp out d && expect 0 "$ckpt" verify d &&
	expect 0 fake FAKE_CHAIN=state "$ckpt" save --incremental --parent nothing $$ - &&
	says err 'took a full image: nothing: No such file'
}

restart_of_chain()
{
	new_chain
	chain && chain && chain && mkdir more || return
	export FAKE_PARENTS=parents
	expect 0 fake "$ckpt" restart -d job && [ "$(cat parents)" = "1 0" ] &&
	expect 0 fake "$ckpt" restart -d job.000001 && [ "$(cat parents)" = "" ] &&
	mv job.000001 more/first && rm parents &&
	expect 125 fake "$ckpt" restart -d job && says err 'is missing, the parent of .*job.000002' &&
	[ ! -e parents ] &&
	expect 0 fake "$ckpt" restart -d --parent-dir more job && [ "$(cat parents)" = "1 0" ] &&
	expect 0 fake "$ckpt" restart -d --parent job.000002 --parent more/first - &&
	[ "$(cat parents)" = "1 0" ] &&
	expect 125 fake "$ckpt" restart -d --parent more/first --parent job.000002 job &&
	says err 'parent 1 .*has to be image 01' &&
	expect 125 fake "$ckpt" restart -d --parent missing job && says err 'cannot open missing'
	local result=$?
	unset FAKE_PARENTS
	return $result
}

info_shows_chain()
{
	new_chain
	chain && chain && chain || return
	expect 0 "$ckpt" info job && empty err && says out '^chain      3 images, ' &&
	says out '^     2  .* 1 *15 *0  .*/job.000003$' && says out '^     0  .* 16 *0 *0  .*/job.000001$' &&
	expect 0 "$ckpt" info --json job &&
	json out "[(i['pages'], i['pages_parent'], i['pages_zero']) for i in d['chain']] == [(1, 15, 0), (1, 15, 0), (16, 0, 0)]" &&
	json out "d['chain'][0]['file'].endswith('/job.000003') and d['chain'][2]['image_bytes'] == $(stat -c %s job.000001)" &&
	"$ckpt" info - < job > out && says out '^parent' || return
	mkdir more && mv job.000001 more &&
	expect 1 "$ckpt" info job && says err 'is missing' && says out '^uuid' &&
	expect 1 "$ckpt" info --json job && json out "d['complete'] and 'missing' in d['chain_error']" &&
	expect 0 "$ckpt" info --parent-dir more job && says out '3 images'
}

verify_of_chain()
{
	new_chain
	chain && chain && chain || return
	printf X | dd of=job.000001 bs=1 seek=9000 conv=notrunc status=none
	expect 1 "$ckpt" verify job && says err 'job: .*/job.000001: .*damaged' &&
	expect 1 "$ckpt" verify --json job job.000002 && json out "[i['error'] for i in d] == ['EBADMSG'] * 2" &&
	"$ckpt" verify - < job > out && says out 'an increment, without its parents' &&
	rm job.000001 && expect 1 "$ckpt" verify --json job && json out "d[0]['error'] == 'ENOENT'"
}

merge_makes_full_image()
{
	new_chain
	chain && chain && chain || return
	expect 0 "$ckpt" merge --output whole job && empty out && empty err &&
	[ "$(stat -c %a whole)" = 600 ] && expect 0 "$ckpt" verify whole &&
	expect 0 "$ckpt" info --json whole && json out "d['pages'] == 16 and d['header']['sequence'] == 0" &&
	"$ckpt" merge -o - job.000002 2> err | "$ckpt" verify - > out && says out 'undamaged$' && empty err &&
	expect 1 "$ckpt" merge job.000002 && says err 'not a link made by' &&
	expect 1 "$ckpt" merge -o job.000001 job && says err 'job needs it' &&
	expect 1 "$ckpt" merge -o job job && says err 'it is a symbolic link' &&
	expect 0 "$ckpt" merge --json job && json out "d['merged'] and d['image'] == 'job.000004' and d['images'] == 3" &&
	[ "$(readlink job)" = job.000004 ] && expect 0 "$ckpt" verify job && says out 'undamaged$' || return
	expect 0 chain --keep 1 && says err 'took a full image' && [ "$(echo job.*)" = job.000005 ] &&
	chain && rm job.000005 && expect 1 "$ckpt" merge -o new job && says err 'is missing' && [ ! -e new ]
}

check_reports()
{
	expect 0 fake "$ckpt" check $$ && says out 'can be checkpointed' && empty err &&
	expect 1 fake FAKE_ERROR=95 FAKE_LOG=$'a\nb\n' "$ckpt" check $$ &&
	says out 'cannot be checkpointed' && says out '^  a$' && says out '^  b$' &&
	expect 1 fake FAKE_ERROR=3 "$ckpt" check $$ && says err 'No such process' &&
	expect 1 fake FAKE_ERROR=95 FAKE_LOG=$'a\nb\n' "$ckpt" check --json $$ &&
	json out "d['possible'] == False and d['report'] == ['a', 'b']" &&
	expect 0 fake "$ckpt" check --json --timeout 1.5 --external-fd 5 $$ &&
	json out "d['possible']"
}

restart_passes_status()
{
	: > image
	expect 0 fake FAKE_COMMAND='exit 0' "$ckpt" restart image &&
	expect 7 fake FAKE_COMMAND='echo hello; exit 7' "$ckpt" restart image &&
	says out hello && empty err &&
	expect 143 fake FAKE_COMMAND='kill -TERM $$' "$ckpt" restart image &&
	expect 137 fake FAKE_COMMAND='kill -KILL $$' "$ckpt" restart image
}

restart_reports_failure()
{
	: > image
	expect 125 fake FAKE_ERROR=17 FAKE_LOG='tid 12 is taken' "$ckpt" restart image &&
	says err 'cannot restart image: File exists' && says err '^  tid 12 is taken$' &&
	says err 'ps -eL' &&
	expect 125 "$ckpt" restart /nonexistent && says err 'cannot open /nonexistent' &&
	expect 125 fake FAKE_ERROR=74 "$ckpt" restart --json image &&
	says err '"error": "EBADMSG"' &&
	expect 125 fake FAKE_ERROR=74 "$ckpt" restart --detach --json image &&
	json out "not d['restarted'] and d['error'] == 'EBADMSG'"
}

restart_detached()
{
	local pid

	: > image
	rm -f gate
	expect 0 fake FAKE_COMMAND='for i in $(seq 1000); do [ -e gate ] && break; sleep 0.01; done' "$ckpt" restart -d image &&
	pid=$(cat out) && kill -0 "$pid" && empty err || return
	: > gate
	expect 0 fake FAKE_COMMAND='exit 0' "$ckpt" restart --detach --json image &&
	json out "d['restarted'] and d['pid'] > 1 and d['file'] == 'image'"
}

# The image on standard input is not read by ckpt, nor given to the process.
restart_from_stdin()
{
	printf 'data' | fake FAKE_COMMAND='cat' "$ckpt" restart - > out 2> err
	[ "${PIPESTATUS[1]}" -eq 0 ] && empty out && empty err &&
	expect 0 fake FAKE_COMMAND='readlink /proc/self/fd/0' "$ckpt" restart - &&
	says out '^/dev/null$'
}

# ckpt does not hold the standard descriptors open for longer than the process.
restart_releases_output()
{
	: > image
	timeout 5 fake FAKE_COMMAND='exec >&- 2>&-; sleep 20' "$ckpt" restart image 2>&1 | cat > out &
	wait $! || return
}

restart_forwards_signals()
{
	local sig pid

	: > image
	for sig in HUP INT QUIT TERM USR1 USR2 ALRM; do
		rm -f ready
		start FAKE_COMMAND="trap 'exit 9' $sig; : > ready
			for i in \$(seq 1000); do sleep 0.01; done" \
			"$ckpt" restart image > out 2> err < /dev/null &
		pid=$!
		wait_for_file ready || return
		kill "-$sig" $pid
		wait $pid
		[ $? -eq 9 ] || { echo "# SIG$sig"; return 1; }
	done
}

restart_respects_nohup()
{
	local pid

	: > image
	rm -f ready gate
	start nohup env FAKE_COMMAND=': > ready; for i in $(seq 1000); do [ -e gate ] && break; sleep 0.01; done; exit 3' \
		"$ckpt" restart image > out 2> err < /dev/null &
	pid=$!
	wait_for_file ready || return
	kill -HUP $pid
	: > gate
	wait $pid
	[ $? -eq 3 ]
}

restart_stops_with_process()
{
	local pid child pgrp

	: > image
	for pgrp in "" 1; do
		rm -f ready
		start ${pgrp:+FAKE_PGRP=1} FAKE_COMMAND='echo $$ > pid; mv pid ready; exec sleep 20' \
			"$ckpt" restart image > out 2> err < /dev/null &
		pid=$!
		wait_for_file ready || return
		child=$(cat ready)
		kill -TSTP $pid
		wait_for_state "$child" T && wait_for_state $pid T || return
		kill -CONT $pid
		wait_for_state "$child" S && wait_for_state $pid S || return
		kill -TERM $pid
		wait $pid
		[ $? -eq 143 ] || return
	done
}

# A process that led a process group gets the terminal, and gives it back.
restart_passes_terminal()
{
	cat > terminal.py <<-'END'
		import os, pty, sys, time
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp("bash", ["bash", "-c", sys.argv[1]])
		data = b""
		try:
		    while True:
		        if b"READY" in data:
		            os.write(fd, b"line\n")
		            data = data.replace(b"READY", b"")
		        part = os.read(fd, 1000)
		        if not part:
		            break
		        data += part
		except OSError:
		    pass
		sys.stdout.write(data.decode())
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
	: > image
	export FAKE_PGRP=1
	# shellcheck disable=SC2016
	expect 5 timeout 20 python3 terminal.py '
		export LD_PRELOAD="'"$tests"'/fake_kernel.so"
		export FAKE_COMMAND="sleep 0.2; echo READY; read x; echo got \$x; exit 5"
		"'"$tests"'/ckpt" restart image
		status=$?
		unset LD_PRELOAD
		stty -a > /dev/null && echo terminal is back
		exit $status' &&
	says out 'got line' && says out 'terminal is back'
	local result=$?
	unset FAKE_PGRP
	return $result
}

info_shows_image()
{
	"$tests/make_image" > image
	expect 0 "$ckpt" info image && empty err &&
	says out '^process    4711 synth, parent 1' && says out '^program    /usr/bin/synth' &&
	says out '^threads    2: 4711 synth, 4712 wor\\x1bker$' &&
	says out '4 pages (16.0 KiB) in the image, 600 of zeros$' && says out '/home/user/log  (write)' &&
	says out '/dev/pts/3  (read, write)' &&
	says out "$(stat -c %s image) bytes in 22 records" || return
	expect 0 "$ckpt" info --records image &&
	says out 'VMA *400000-410000 r-xp /usr/bin/synth' && says out 'PAGES *3 pages in 2 runs, 10000000' &&
	says out 'PAGES *1 page, 600 of zeros in 2 runs, 10100000' || return
	"$ckpt" info - < image | grep -q 4711
}

info_in_json()
{
	"$tests/make_image" > image
	expect 0 "$ckpt" info --json --records image &&
	json out "d['complete'] and d['header']['comm'] == 'synth'" &&
	json out "[f['fd'] for f in d['files']] == [0, 1, 7]" &&
	json out "d['files'][2]['name'] == '/home/user/log' and d['files'][2]['cloexec']" &&
	json out "d['threads'][1]['comm'] == 'wor\x1bker'" &&
	json out "len(d['records']) == 22 and d['records'][-1]['name'] == 'TRAILER'" &&
	json out "(d['pages'], d['pages_zero'], d['pages_parent']) == (4, 600, 0)" &&
	json out "len(d['vmas']) == 2 and d['image_bytes'] == $(stat -c %s image)"
}

info_of_damaged()
{
	"$tests/make_image" > image
	truncate -s 1500 image
	expect 1 "$ckpt" info image && says err 'image: .*offset 1500' && says out '^uuid' &&
	expect 1 "$ckpt" info --json image && json out "not d['complete'] and 'error' in d" &&
	expect 1 "$ckpt" info /dev/null && says err 'not a checkpoint image'
}

verify_images()
{
	"$tests/make_image" > image
	"$tests/make_image" | head -c 5000 > short
	"$tests/make_image" > flipped
	printf 'X' | dd of=flipped bs=1 seek=9000 conv=notrunc status=none
	expect 0 "$ckpt" verify image && says out '^image: complete and undamaged$' &&
	expect 1 "$ckpt" verify image short flipped && says out '^image: complete' &&
	says err 'short: .*truncated: the image ends at offset 5000' &&
	says err 'flipped: .*(PAGES).*damaged' &&
	says err '^ckpt: short: record' &&
	expect 1 "$ckpt" verify --quiet short && empty out && empty err &&
	expect 1 "$ckpt" verify --json image short missing &&
	json out "[i['ok'] for i in d] == [True, False, False]" &&
	json out "d[1]['error'] == 'EBADMSG' and d[2]['error'] == 'ENOENT'" || return
	"$ckpt" verify - < image > out && says out '^-: complete'
}

completion()
{
	local script=$1

	# shellcheck disable=SC1090
	. "$script" &&
	COMP_WORDS=(ckpt ve) COMP_CWORD=1 && _ckpt && [ "${COMPREPLY[*]}" = verify ] &&
	COMP_WORDS=(ckpt save --ki) COMP_CWORD=2 && _ckpt && [ "${COMPREPLY[*]}" = --kill ] &&
	COMP_WORDS=(ckpt save --tracker w) COMP_CWORD=3 && _ckpt && [ "${COMPREPLY[*]}" = write-protect ] &&
	COMP_WORDS=(ckpt check $$) COMP_CWORD=2 && _ckpt && [[ " ${COMPREPLY[*]} " == *" $$ "* ]]
}

# Every option the tool knows is in the help text, the completion and the manual.
options_are_documented()
{
	local command option

	for command in save restart check info verify merge; do
		"$ckpt" $command --help > help
		for option in $(grep -o -e '--[a-z-]*' help | sort -u); do
			grep -q -e "$option" "$1" || { echo "# completion lacks $option"; return 1; }
			sed 's/\\-/-/g' "$2" | grep -q -e "$option" ||
				{ echo "# manual lacks $option"; return 1; }
		done
	done
}

number=0 failed=0
run()
{
	local promise=$1

	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number $promise"
	else
		echo "not ok $number $promise"
		failed=1
	fi
}

echo "KTAP version 1"
echo "1..36"
run "wrong usage is told, with status 2" usage_errors
run "every command has a help text" help_texts
run "output that cannot be written is a failure" full_stdout
run "a kernel without the system calls is named as such" no_system_call
run "save writes a file only its owner can read" save_writes_file
run "save writes to standard output" save_writes_stdout
run "save shows the report and what to do" save_reports_failure
run "a signal ends save and leaves no file behind" signals_end_save
run "a signal ends save --kill and lets the process go on" signal_during_save_and_kill
run "save --incremental makes a chain" save_makes_chain
run "every Nth image is full" save_takes_full_image_every_now_and_then
run "a full image is taken where no increment can be" save_falls_back_to_full
run "another tracker is used where the kernel lacks one" save_falls_back_to_other_tracker
run "save --keep removes what is not needed" save_keeps_what_is_needed
run "nothing but a link to an image becomes one" save_replaces_no_file_by_link
run "increments go to standard output too" save_chain_to_pipe
run "restart finds or is given the parents" restart_of_chain
run "info shows the chain" info_shows_chain
run "verify goes through the chain" verify_of_chain
run "merge makes one full image of a chain" merge_makes_full_image
run "check tells what prevents a checkpoint" check_reports
run "restart ends with the status of the process" restart_passes_status
run "restart fails with status 125, the report and what to do" restart_reports_failure
run "restart --detach prints the process ID" restart_detached
run "restart reads standard input without touching it" restart_from_stdin
run "restart does not keep the output open" restart_releases_output
run "restart passes signals on" restart_forwards_signals
run "restart leaves alone what it was told to ignore" restart_respects_nohup
run "restart stops and continues with the process" restart_stops_with_process
run "restart lends the terminal to a process group" restart_passes_terminal
run "info shows what is in an image" info_shows_image
run "info --json is JSON" info_in_json
run "info of a damaged image shows what is readable" info_of_damaged
run "verify finds damage and says where" verify_images
run "completion knows commands, options and processes" completion "$completion_script"
run "all options are in completion and manual" options_are_documented "$completion_script" "$manual"
exit $failed
