"""A program with eight threads, a database that stays open and a subprocess that answers them.

Prints a digest that depends on every row, every answer and nothing else.
"""

import hashlib
import sqlite3
import subprocess
import sys
import threading

ROUNDS = int(sys.argv[1])
THREADS = 8

database = sqlite3.connect("rows.db", check_same_thread=False)
database.execute("PRAGMA synchronous = OFF")
database.execute("CREATE TABLE rows (thread INTEGER, round INTEGER, answer TEXT, PRIMARY KEY (thread, round))")
helper = subprocess.Popen(["sed", "-u", "s/a/[A]/g"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
asking, writing = threading.Lock(), threading.Lock()


def ask(question: str) -> str:
    """What the helper makes of a line."""
    assert helper.stdin is not None and helper.stdout is not None
    with asking:
        helper.stdin.write(question + "\n")
        helper.stdin.flush()
        return helper.stdout.readline().strip()


def work(number: int) -> None:
    """Hashes, asks, and writes down what has come together, so that the database is locked only now and then."""
    digest, rows = str(number), []
    for step in range(ROUNDS):
        for _ in range(200):
            digest = hashlib.sha256(digest.encode()).hexdigest()
        answer = ask(digest)
        assert answer == digest.replace("a", "[A]"), (answer, digest)
        rows.append((number, step, answer))
        if len(rows) == 25 or step == ROUNDS - 1:
            with writing, database:
                database.executemany("INSERT INTO rows VALUES (?, ?, ?)", rows)
            rows.clear()


threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
helper.communicate()
rows = database.execute("SELECT * FROM rows ORDER BY thread, round").fetchall()
assert len(rows) == THREADS * ROUNDS and helper.returncode == 0
print(hashlib.sha256(repr(rows).encode()).hexdigest(), file=open("result", "w"))
