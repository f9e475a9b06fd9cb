#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A server, and a client that writes 10000 keys and reads them again.

redis-server --port 0 --unixsocket "$PWD/socket" --daemonize no --save '' \
	--appendonly yes --appendfsync everysec --dir "$PWD" > log 2>&1 &
server=$!
"$(dirname "$0")/redis_client.py" socket "${JOB_REPEAT:-1}"
status=$?
redis-cli -s socket shutdown nosave > /dev/null 2>&1
wait $server || status=1
[ $status = 0 ] || tail -n 20 log >&2
exit $status
