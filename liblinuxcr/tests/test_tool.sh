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
		restart --all a
		restart --name x a
		restart --pid 1 a
		restart --latest -
		restart --latest --parent a b
		restart --latest --pid 0 a
		restart --latest
		kill
		kill x
		kill --full --incremental 1
		kill --tree --single 1
		kill --timeout never 1
		auto
		auto 1
		auto --every 1m
		auto --every 1x 1
		auto --every 0 1
		auto --every 60d 1
		auto --mtbf 1ms 1
		auto --every 1m --mtbf 1h 1
		auto --every 1m --off 1
		auto --off --keep 1 1
		auto --every 1m --keep -1 1
		auto --every 1m --full-every 0 1
		auto --every 1m --tracker soft 1
		auto --every 1m --pattern relative 1
		auto --every 1m --pattern |/helper 1
		auto --every 1m --pattern /a --full-every 2 1
		auto --every 1m --pattern /a%%n --full-every 2 1
		auto --every 1m --pattern /a --dir / 1
		auto --every 1m 1 2
		status x
		status --json --watch
	END
}

help_texts()
{
	local command

	expect 0 "$ckpt" --help && says out "usage: ckpt COMMAND" || return
	expect 0 "$ckpt" --version && says out '^ckpt [0-9]' || return
	for command in save restart check info verify merge kill auto status; do
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

# job CHAIN SEQUENCE PID NAME SECONDS FILE: an image in jobs/
job()
{
	"$tests/make_image" "${@:1:5}" > "jobs/$6"
}

# Two chains of process 100, one image of 200
new_jobs()
{
	rm -rf jobs parents
	umask 022
	mkdir jobs
	export FAKE_PARENTS=parents
	job 1 0 100 solver 1000 s.0 && job 1 1 100 solver 1010 s.1 &&
	job 2 0 100 solver 1020 s.2 && job 2 1 100 solver 1030 s.3 && job 2 2 100 solver 1040 s.4 &&
	job 3 0 200 server 1005 other
}

# restarted FILE [SEQUENCES]: of the process restarted last, and its parents
restarted()
{
	json out "d['restarted'] and d['file'].endswith('/jobs/$1')" &&
	[ "$(cat parents)" = "$2" ] && rm parents
}

latest()
{
	fake "$ckpt" restart --latest -d --json "$@" jobs
}

restart_latest_takes_newest()
{
	new_jobs
	expect 0 latest && restarted s.4 "1 0" && says err '100 (solver); for the 1 other in jobs' &&
	expect 0 latest --name solver && restarted s.4 "1 0" && empty err &&
	expect 0 latest --name server && restarted other && empty err &&
	expect 0 latest --pid 200 && restarted other &&
	expect 125 latest --pid 300 && says err 'no image in jobs' && [ ! -e parents ] &&
	expect 0 fake FAKE_COMMAND='exit 7' "$ckpt" restart --latest --detach jobs && says out '^[0-9]*$' &&
	expect 7 fake FAKE_COMMAND='exit 7' "$ckpt" restart --latest jobs &&
	expect 7 fake FAKE_COMMAND='sleep 0.2; exit 7' timeout 20 env --ignore-signal=CHLD \
		"$ckpt" restart --latest jobs &&
	expect 125 fake "$ckpt" restart --latest missing && says err 'cannot read missing: No such' || return
	# The clock was set back: what is based on an image is newer all the same.
	job 2 3 100 solver 500 s.5 && expect 0 latest --pid 100 && restarted s.5 "2 1 0" || return
	# A name is cut off, as that of a process is.
	job 9 0 300 a-name-of-15-ch 2000 long && expect 0 latest --name a-name-of-15-characters &&
	restarted long
}

restart_latest_falls_back()
{
	new_jobs
	printf X | dd of=jobs/s.4 bs=1 seek=5000 conv=notrunc status=none
	expect 0 latest --pid 100 && restarted s.3 0 && says err 'passed over .*/s.4: .*damaged' &&
	truncate -s 9000 jobs/s.3 && expect 0 latest --pid 100 && restarted s.2 || return
	truncate -s 100 jobs/s.3 && expect 0 latest --pid 100 && restarted s.2 &&
	says err 'passed over jobs/s.3: .*truncated' &&
	rm jobs/s.2 && expect 0 latest --pid 100 && restarted s.1 0 && says err '/s.4: image .* is missing' &&
	rm jobs/s.0 && expect 125 latest --pid 100 && says err 'process 100 (solver): it has no image' &&
	[ ! -e parents ] && expect 0 latest --name server && restarted other
}

restart_latest_trusts_nobody()
{
	new_jobs
	echo text > jobs/readme && ln -s s.0 jobs/link && mkfifo jobs/pipe && mkdir jobs/dir &&
	cp jobs/s.4 jobs/.hidden && chmod 666 jobs/s.4 &&
	expect 0 latest --pid 100 && restarted s.3 0 && says err 'jobs/s.4: others may write to it (mode 0666)' &&
	! grep -q 'readme\|link\|pipe\|dir\|hidden' err &&
	chmod 620 jobs/s.2 && expect 0 latest --pid 100 && restarted s.1 0 || return
	[ "$(id -u)" -eq 0 ] || return 0
	chmod 600 jobs/s.* && chown 1 jobs/s.3 && expect 0 latest --pid 100 && restarted s.2 &&
	says err 'jobs/s.3: belongs to user 1' && says err '/s.4: needs .*/s.3\|/s.4: image .* missing'
}

restart_latest_removes_stale_files()
{
	new_jobs
	cp jobs/s.0 jobs/.s.0.00000000.tmp && cp jobs/s.0 jobs/.s.1.0123abcd.tmp &&
	: > jobs/.s.2.89abcdef.tmp && truncate -s 9000 jobs/.s.3.01234567.tmp || return
	# what others may have left there
	others='.disk.tmp .notes.01234567.tmp .s.4.01234567 .s.5.0123456.tmp .s.6.0123456X.tmp .tmp'
	echo text > jobs/.notes.01234567.tmp && : > jobs/.disk.tmp || return
	for file in .s.4.01234567 .s.5.0123456.tmp .s.6.0123456X.tmp .tmp; do
		cp jobs/s.0 jobs/$file || return
	done
	touch -d 1980-01-01 jobs/.s.[1-6].* jobs/.notes.* jobs/.disk.* jobs/.tmp
	expect 0 latest --pid 100 && restarted s.4 "1 0" &&
	[ "$(grep -c 'removed: it was being written when' err)" = 3 ] &&
	[ "$(ls -A jobs | grep '^\.' | LC_ALL=C sort | tr '\n' ' ')" = \
		"$(printf '%s\n' .s.0.00000000.tmp $others | LC_ALL=C sort | tr '\n' ' ')" ]
}

restart_latest_all()
{
	new_jobs
	expect 0 latest --all && json out "[j['file'][-7:] for j in d] == ['obs/s.4', 's/other'] and all(j['restarted'] for j in d)" &&
	empty err && expect 0 fake FAKE_COMMAND='sleep 0' "$ckpt" restart --latest --all jobs &&
	[ "$(grep -c '^[0-9]*$' out)" = 2 ] || return
	# They get /dev/null, ckpt keeps what it had.
	expect 0 fake FAKE_COMMAND='readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 > fds.new
		mv fds.new fds; echo lost; echo lost >&2' "$ckpt" restart --latest --all --pid 200 jobs &&
	wait_for_file fds && [ "$(grep -v fds.new fds | sort -u)" = /dev/null ] && ! grep lost out err || return
	rm jobs/s.2 jobs/s.0 && expect 125 latest --all && says err 'process 100 (solver): it has no image' &&
	json out "[j['file'][-5:] for j in d] == ['other']" &&
	expect 125 fake FAKE_ERROR=17 "$ckpt" restart --latest --all jobs && says err 'cannot restart .*/other: File exists' &&
	rm jobs/* && expect 0 latest --all && empty err && json out 'd == []'
}

# status_file PID NAME=VALUE...: what /proc/PID/checkpoint says, with some lines changed
status_file()
{
	local pid=$1 line

	mkdir -p proc
	shift
	cat > "proc/$pid" <<-END
		takes_part:	0
		interval_ms:	0
		mtbf_s:	0
		full_every:	1
		keep:	0
		tracker:	auto
		across_exec:	0
		remove_at_exit:	0
		pattern:	
		state:	idle
		interval_now_ms:	0
		next_ms:	-1
		requests:	0
		coalesced:	0
		images:	0
		failed:	0
		failures_in_a_row:	0
		next_number:	0
		images_in_chain:	0
		bytes:	0
		cost_ns:	0
		last_bytes:	0
		last_freeze_ns:	0
		last_total_ns:	0
		last_time_ns:	0
		last_uuid:	00000000-0000-0000-0000-000000000000
		last_image:	
		last_error:	0
	END
	for line; do
		if grep -q "^${line%%=*}:" "proc/$pid"; then
			sed -i "s|^${line%%=*}:.*|${line%%=*}:\t${line#*=}|" "proc/$pid"
		else
			printf '%s:\t%s\n' "${line%%=*}" "${line#*=}" >> "proc/$pid"
		fi
	done
}

good="images=1 last_image=/var/x.1.ckpt last_time_ns=1700000000123456789 last_freeze_ns=2100000
	last_bytes=1572864 last_total_ns=5000000 requests=1 bytes=1572864"

kill_requests()
{
	export FAKE_STATUS=proc
	rm -rf proc
	mkdir proc
	expect 0 fake "$ckpt" kill $$ && empty out && empty err && [ "$(cat proc/signals)" = "$$ 0" ] &&
	expect 0 fake "$ckpt" kill --full --exit --tree $$ $$ &&
	[ "$(tail -n 1 proc/signals)" = "$$ 13" ] && [ "$(wc -l < proc/signals)" = 3 ] &&
	expect 0 fake "$ckpt" kill --incremental $$ && [ "$(tail -n 1 proc/signals)" = "$$ 2" ] &&
	expect 1 fake "$ckpt" kill 4000000 && says err 'cannot checkpoint process 4000000: No such process'
	local result=$?
	unset FAKE_STATUS
	# Here it would kill.
	[ $result -eq 0 ] && [ ! -e /proc/sys/kernel/checkpoint_pattern ] || return $result
	expect 1 "$ckpt" kill $$ && says err 'has no SIGCKPT'
}

kill_waits()
{
	export FAKE_STATUS=proc FAKE_SIGCKPT='cp after proc/$PID' PID=$$
	# shellcheck disable=SC2086
	status_file $$ $good && mv proc/$$ after && status_file $$ &&
	expect 0 fake "$ckpt" kill --wait $$ && [ "$(cat out)" = /var/x.1.ckpt ] && empty err &&
	status_file $$ && expect 0 fake "$ckpt" kill --json $$ &&
	json out "d == [{'pid': $$, 'checkpointed': True, 'image': '/var/x.1.ckpt', 'report': []}]" || return
	# Not what was on its way before
	status_file $$ state=running && FAKE_SIGCKPT="cp proc/$$ proc/old; sed -e s/^images.*/images:\ 1/ -e s/running/requested/ proc/old > proc/$$; (sleep 0.3; sed -e s/^images.*/images:\ 2/ -e s,^last_image.*,last_image:\ /second, proc/old > new; sed s/running/idle/ new > proc/$$) > /dev/null 2>&1 &" \
		expect 0 fake "$ckpt" kill --wait $$ && [ "$(cat out)" = /second ] || return
	status_file $$ failed=1 last_error=28 'report=image /x: cannot be written' && mv proc/$$ after &&
	status_file $$ && expect 1 fake "$ckpt" kill --wait $$ && empty out &&
	says err "cannot checkpoint process $$ (.*): No space left" && says err '^  image /x: cannot be written$' &&
	status_file $$ && expect 1 fake "$ckpt" kill --json $$ &&
	json out "d[0]['error'] == 'ENOSPC' and d[0]['report'] == ['image /x: cannot be written']" &&
	status_file $$ && FAKE_SIGCKPT=true expect 1 fake "$ckpt" kill --timeout 100ms $$ &&
	says err 'timed out' && says err 'ckpt status' || return
	# It ends instead.
	sleep 60 &
	status_file $! && FAKE_SIGCKPT="kill -KILL $!" expect 1 fake "$ckpt" kill --wait $! 2> /dev/null &&
	says err 'No such process' && [ ! -s out ]
}

kill_tests()
{
	kill_waits
	local result=$?
	unset FAKE_STATUS FAKE_SIGCKPT PID
	return $result
}

auto_sets_up()
{
	export FAKE_STATUS=proc
	rm -rf proc 'a %n b'
	mkdir -p proc 'd%n'
	expect 0 fake "$ckpt" auto $$ --every 10m && empty out && empty err &&
	[ "$(cat proc/$$.set)" = "interval_ms=600000 full_every=10 keep=2 tracker=auto across_exec=0 remove_at_exit=0 pattern=" ] &&
	expect 0 fake "$ckpt" auto --mtbf 24h --full-every 3 --keep 0 --tracker shadow --across-exec --remove-at-exit=always $$ --pattern '/a/%p.%n' &&
	[ "$(cat proc/$$.set)" = "mtbf_s=86400 full_every=3 keep=0 tracker=shadow across_exec=1 remove_at_exit=2 pattern=/a/%p.%n" ] &&
	expect 0 fake "$ckpt" auto $$ --every 1.5s --pattern /a/%p && says proc/$$.set 'interval_ms=1500 full_every=1 ' &&
	expect 0 fake "$ckpt" auto $$ --every 500ms --dir d%n &&
	says proc/$$.set "pattern=$PWD/d%%n/%e.%p.%n.ckpt\$" &&
	expect 0 fake "$ckpt" auto $$ --off && [ "$(cat proc/$$.set)" = off ] &&
	expect 1 fake "$ckpt" auto $$ --every 1m --dir missing && says err 'cannot use missing: No such' &&
	mkdir 'a b' && expect 2 fake "$ckpt" auto $$ --every 1m --dir 'a b' && says err 'white space'
	local result=$?
	unset FAKE_STATUS
	return $result
}

status_shows()
{
	export FAKE_STATUS=proc
	rm -rf proc
	# shellcheck disable=SC2086
	status_file $$ $good interval_ms=600000 interval_now_ms=600000 next_ms=65000 state=waiting &&
	status_file 1 && status_file $PPID requests=2 failed=2 last_error=28 'report=no space' &&
	expect 0 fake "$ckpt" status && empty err && [ "$(wc -l < out)" = 3 ] &&
	says out '^ *PID COMMAND  *STATE' && says out "^ *$$ test_tool.sh  *waiting  *10m00s   1m05s  *1  *0  *1.5 MiB  *2.1 ms  .* ago, /var/x.1.ckpt$" &&
	says out "^ *$PPID .* idle  *-  *-  *0  *2  *-  *-  ENOSPC: no space$" &&
	expect 0 fake "$ckpt" status $$ && empty err && says out "^process    $$ (test_tool.sh)$" &&
	says out '^automatic  every 10m00s$' && says out '^pattern    that of kernel.checkpoint_pattern$' &&
	says out '^state      waiting, the next one in 1m05s$' && says out '^last image /var/x.1.ckpt$' &&
	expect 0 fake "$ckpt" status $PPID $$ && says out '^failure    No space left' && says out '^ *no space$' &&
	expect 0 fake "$ckpt" status --json && json out "[p['pid'] for p in d] == sorted([$$, $PPID])" &&
	expect 0 fake "$ckpt" status --json $$ 1 && json out "[p['pid'] for p in d] == [$$, 1]" &&
	json out "d[0]['last_image'] == '/var/x.1.ckpt' and d[0]['last_time'] == '2023-11-14T22:13:20.123456Z'" &&
	json out "d[0]['state'] == 'waiting' and d[0]['next_ms'] == 65000 and 'last_image' not in d[1]" &&
	expect 1 fake "$ckpt" status $$ 4000000 && says err '4000000: No such process' && says out '^process' &&
	expect 124 timeout 1.5 env LD_PRELOAD="$tests/fake_kernel.so" "$tests/ckpt" status --watch &&
	[ "$(grep -c PID out)" -ge 2 ]
	local result=$?
	unset FAKE_STATUS
	return $result
}

# ship NAME [DIR]: what is on standard input, to another machine that is this one
ship()
{
	CKPT_TRANSPORT="${transport-sh -c}" "$sources/examples/ckpt-ship" host "${2-$PWD/ship dir}" "$1" \
		> out 2> err
}

helper_ships_images()
{
	local PATH=$PATH transport

	rm -rf 'ship dir'
	mkdir 'ship dir'
	"$tests/make_image" > image
	printf '#!/bin/sh\ncat > /dev/null\necho received 1\n' > liar
	chmod +x liar
	# Where there is ckpt, and where there is none
	for PATH in "$(dirname "$ckpt"):$PATH" "$PATH"; do
		ship "a b'c.1" < image && empty err && cmp image "ship dir/a b'c.1" &&
		[ "$(stat -c %a "ship dir/a b'c.1")" = 600 ] && echo old > 'ship dir/new' || return
		head -c 5000 image | ship new && return 1
		says err 'host has not got new' && ! ship new < /dev/null &&
		! ship ../new < image && ! ship new "$PWD/missing" < image || return
		for transport in false true ./liar; do
			! ship new < image || return
		done
		says err 'host has 1 bytes of new, [0-9]* were sent' || return
		unset transport
		[ "$(cat 'ship dir/new')" = old ] && [ "$(find 'ship dir' -name '.*')" = "" ] &&
		ship new < image && cmp image 'ship dir/new' || return
	done
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

# Saved with an ancestor
save_in_restarted_process()
{
	rm -f image
	FAKE_RESTARTED=1 expect 0 fake "$ckpt" save $$ image && empty out && empty err &&
	[ ! -e image ]
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

# The root with two children, one a zombie, and a grandchild without its first thread
info_shows_tree()
{
	"$tests/make_image" tree > image
	expect 0 "$ckpt" info image && empty err &&
	says out '^process    4711 synth, parent 1' || return
	sed -n '/^processes/,/^threads/p' out | diff - <(cat <<-'END'
		processes      pid  parent  state    name
		              4711       1  running  shell
		              4713    4711  stopped    job
		              4715    4713  running      gone
		              4714    4711  zombie     done (exit status 3)
		threads    6: 4711 shell, 4712 helper, 4713 job, 4714 done, 4715 gone, 4716 goes on
	END
	) || return
	[ "$(grep '^files' out)" = "$(printf 'files      of %s\n' '4711, 4713' 4712 4715)" ] &&
	expect 0 "$ckpt" info --records image &&
	says out 'PROCESS *pid 4714, parent 4711, 1 thread, outer session, zombie: exit status 3$' &&
	says out 'PROCESS *pid 4713, .*, outer session, subreaper$' &&
	says out 'THREAD *tid 4712, helper, descriptors of its own$' &&
	says out 'THREAD *tid 4713, job, waits in vfork for 4715$' &&
	says out 'THREAD *tid 4715, gone, has ended: killed by signal 9$' &&
	expect 0 "$ckpt" info --json image &&
	json out "[p['comm'] for p in d['processes']] == ['shell', 'job', 'done', 'gone']" &&
	json out "[p['state'] for p in d['processes']] == ['running', 'stopped', 'zombie', 'running']" &&
	json out "[p.get('parent') for p in d['processes']] == [None, 1, 1, 2]" &&
	json out "d['processes'][2]['exit_code'] == 768 and d['processes'][1]['subreaper']" &&
	json out "d['processes'][3]['outer_session'] == False" &&
	json out "[t['own_files'] for t in d['threads']] == [False, True] + 4 * [False]" &&
	json out "d['threads'][4]['ended'] and d['threads'][4]['exit_code'] == 9" &&
	json out "d['threads'][2]['vfork_child'] == 4715" &&
	json out "[f['table'] for f in d['files']] == [30, 31, 32]"
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
	COMP_WORDS=(ckpt kill --wait $$) COMP_CWORD=3 && _ckpt && [[ " ${COMPREPLY[*]} " == *" $$ "* ]] &&
	COMP_WORDS=(ckpt auto $$ --tracker a) COMP_CWORD=4 && _ckpt && [ "${COMPREPLY[*]}" = auto ] &&
	COMP_WORDS=(ckpt restart --la) COMP_CWORD=2 && _ckpt && [ "${COMPREPLY[*]}" = --latest ] &&
	COMP_WORDS=(ckpt check $$) COMP_CWORD=2 && _ckpt && [[ " ${COMPREPLY[*]} " == *" $$ "* ]]
}

# Every option the tool knows is in the help text, the completion and the manual.
options_are_documented()
{
	local command option

	for command in save restart check info verify merge kill auto status; do
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
echo "1..46"
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
run "restart --latest takes the newest image" restart_latest_takes_newest
run "restart --latest falls back to what is undamaged" restart_latest_falls_back
run "restart --latest trusts only the user's own images" restart_latest_trusts_nobody
run "restart --latest removes what was being written" restart_latest_removes_stale_files
run "restart --latest --all restarts each job" restart_latest_all
run "kill sends SIGCKPT to who can take it" kill_requests
run "kill --wait tells what has become of it" kill_tests
run "auto sets up automatic checkpoints" auto_sets_up
run "status shows them" status_shows
run "the helper ships whole images or none" helper_ships_images
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
run "save that is in the image itself ends well after a restart" save_in_restarted_process
run "info shows what is in an image" info_shows_image
run "info --json is JSON" info_in_json
run "info shows a tree of processes" info_shows_tree
run "info of a damaged image shows what is readable" info_of_damaged
run "verify finds damage and says where" verify_images
run "completion knows commands, options and processes" completion "$completion_script"
run "all options are in completion and manual" options_are_documented "$completion_script" "$manual"
exit $failed
