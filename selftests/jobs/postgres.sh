#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A server and pgbench. Afterwards the balances agree, and each index with its table.
# With an argument: make the database that the runs begin with.

PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
export PGHOST=$PWD PGDATABASE=postgres

if [ $# = 1 ]; then
	initdb -N -A trust -D data > initdb.log 2>&1 || { tail initdb.log; exit 1; }
	cat >> data/postgresql.conf <<-EOF
		listen_addresses = ''
		unix_socket_directories = '.'
		shared_buffers = 16MB
		autovacuum_naptime = 1s
		checkpoint_timeout = 30s
	EOF
fi

postgres -D data -k "$PWD" > log 2>&1 &
server=$!
for ((i = 0; i < 600; i++)); do
	pg_isready -q && break
	sleep 0.1
done

if [ $# = 1 ]; then
	pgbench -q -i -s 1 > init.log 2>&1 && psql -q -c "CREATE EXTENSION amcheck"
else
	transactions=$((80 * ${JOB_REPEAT:-1}))
	# Meanwhile somebody asks, for which the server starts more processes.
	while psql -q -A -t -c "SET force_parallel_mode = on" \
		-c "SELECT 'the sums were ', a, d
			FROM (SELECT sum(abalance) a FROM pgbench_accounts) x,
				(SELECT sum(delta) d FROM pgbench_history) y WHERE a != d"
	do
		:
	done > wrong 2> /dev/null &
	reader=$!
	pgbench -n -c 4 -j 2 -t $transactions > bench.log 2>&1 &&
	grep -q "actually processed: $((4 * transactions))/" bench.log &&
	psql -q -A -t <<-EOF
		SELECT (SELECT sum(abalance) FROM pgbench_accounts) = sum(delta),
			(SELECT sum(bbalance) FROM pgbench_branches) = sum(delta),
			(SELECT sum(tbalance) FROM pgbench_tellers) = sum(delta),
			count(*) FROM pgbench_history;
		SELECT count(*) FROM (SELECT bt_index_check(c.oid, true) FROM pg_class c
			JOIN pg_am a ON c.relam = a.oid WHERE a.amname = 'btree'
			AND c.relname LIKE 'pgbench%') x;
	EOF
fi
status=$?
if [ $# = 0 ]; then
	kill $reader
	wait $reader 2> /dev/null
	[ ! -s wrong ] || { cat wrong >&2; status=1; }
fi
[ $# = 1 ] || pg_dump > dump || status=1
kill -INT $server
wait $server || status=1
[ $status = 0 ] || tail -n 20 ./*.log log >&2
exit $status
