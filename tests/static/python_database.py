# SPDX-License-Identifier: Apache-2.0
"""An open sqlite database in the middle of a transaction, a cursor half read, and a subprocess at its pipes."""

import sqlite3
import subprocess

import zdtm_lib as test

test.init()
ROWS = 3000

database = sqlite3.connect("file:data.db?vfs=unix-none", uri=True, isolation_level=None)  # without locks
database.execute("create table words (number integer primary key, word text)")
database.execute("begin")
database.executemany("insert into words values (?, ?)", ((n, f"word {n}") for n in range(ROWS)))
database.execute("commit")
database.execute("begin")
database.execute("update words set word = word || ' changed' where number % 3 = 0")
cursor = database.execute("select number from words order by number")
half = [cursor.fetchone()[0] for _ in range(ROWS // 2)]
shell = subprocess.Popen(["sh", "-c", "read a; read b; echo $((a * b)); exec cat"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
assert shell.stdin and shell.stdout
shell.stdin.write("6\n")
shell.stdin.flush()

test.ready()
test.wait()

rest = [row[0] for row in cursor]
test.check(half + rest == list(range(ROWS)), "the cursor lost its place")
test.check(database.in_transaction, "the transaction ended")
changed = database.execute("select count(*) from words where word like '% changed'").fetchone()[0]
test.check(changed == ROWS // 3, f"{changed} rows are changed inside the transaction")
database.execute("rollback")
left = database.execute("select count(*) from words where word like '% changed'").fetchone()[0]
test.check(left == 0, f"{left} changes outlive the rollback")
test.check(database.execute("pragma integrity_check").fetchone()[0] == "ok", "the database is damaged")
answer, _ = shell.communicate("7\nlast line\n")
test.check(answer == "42\nlast line\n", f"the subprocess answered {answer!r}")
test.check(shell.returncode == 0, f"the subprocess ended with {shell.returncode}")
test.passed()
