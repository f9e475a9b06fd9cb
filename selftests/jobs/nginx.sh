#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nginx.sh ADDRESS: a web server with four workers, until the file "stop" is there

cat > conf <<-EOF
	daemon off;
	worker_processes 4;
	pid $PWD/pid;
	error_log $PWD/error.log;
	events { worker_connections 64; }
	http {
		access_log off;
		server {
			listen $1;
			location / { root $PWD/www; }
		}
	}
EOF
mkdir -p www
echo "this is a page" > www/index.html
chmod 755 . www
nginx -p "$PWD" -e error.log -c "$PWD/conf" &
server=$!
until [ -e stop ]; do sleep 0.1; done
kill -QUIT $server
wait $server
