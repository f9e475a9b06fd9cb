#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two sqlite3 with transactions on one database, which is in WAL mode: locks, and
# memory that is shared through a file.
set -e

sqlite3 db > /dev/null <<-EOF
	PRAGMA journal_mode = WAL;
	CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER, note TEXT);
	CREATE TABLE history (writer INTEGER, n INTEGER, delta INTEGER);
	CREATE INDEX by_balance ON account (balance);
	WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000)
	INSERT INTO account SELECT x, 0, hex(zeroblob(50)) FROM c;
EOF

writer()
{
	local i
	echo ".timeout 60000"
	for ((i = 0; i < 250 * ${JOB_REPEAT:-1}; i++)); do
		echo "BEGIN IMMEDIATE;"
		echo "UPDATE account SET balance = balance + $i, note = 'writer $1 step $i' WHERE id % 97 = $((i % 97));"
		echo "INSERT INTO history SELECT $1, $i, $i * count(*) FROM account WHERE id % 97 = $((i % 97));"
		echo "COMMIT;"
	done
}

writer 1 | sqlite3 -bail db & one=$!
writer 2 | sqlite3 -bail db & two=$!
wait $one
wait $two
sqlite3 db <<-EOF
	PRAGMA integrity_check;
	SELECT sum(balance), (SELECT sum(delta) FROM history), count(*) FROM account;
	SELECT writer, count(*), sum(delta) FROM history GROUP BY writer;
	SELECT sum(id * balance) FROM account;
EOF
