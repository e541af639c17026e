# SPDX-License-Identifier: Apache-2.0
"""An interpreter at work: four threads fill a queue and a database, a subprocess echoes, a generator goes on and on."""

import hashlib
import queue
import sqlite3
import subprocess
import threading
from collections.abc import Iterator

import zdtm_lib as test

test.init()


def digests() -> Iterator[str]:
    """An endless chain, each link the hash of the one before."""
    link = "start"
    while True:
        link = hashlib.sha256(link.encode()).hexdigest()
        yield link


def produce(number: int, items: "queue.Queue[tuple[int, int]]") -> None:
    for count in range(1_000_000_000):
        if over.is_set():
            return
        items.put((number, count))


def check_database(rows: int) -> None:
    count, total = database.execute("select count(*), sum(value) from work").fetchone()
    test.check(count == rows, f"{count} rows, not {rows}")
    test.check((total or 0) == rows * (rows - 1) // 2, f"the values add up to {total}")


over = threading.Event()
items: "queue.Queue[tuple[int, int]]" = queue.Queue(maxsize=50)
threads = [threading.Thread(target=produce, args=(number, items)) for number in range(4)]
echo = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
assert echo.stdin and echo.stdout
database = sqlite3.connect("file:work.db?vfs=unix-none", uri=True)  # without file locks
database.execute("create table work (value integer)")
chain, seen, rounds = digests(), [0] * 4, 0
for thread in threads:
    thread.start()

test.ready()
while test.running() or rounds < 50:
    for _ in range(20):
        number, count = items.get()
        test.check(count == seen[number], f"thread {number} gave {count}, not {seen[number]}")
        seen[number] += 1
    link = next(chain)
    echo.stdin.write(link + "\n")
    answer = echo.stdout.readline()
    test.check(answer == link + "\n", f"the subprocess answered {answer!r}, not {link!r}")
    with database:
        database.execute("insert into work values (?)", (rounds,))
    rounds += 1

over.set()
while any(thread.is_alive() for thread in threads):
    try:
        items.get(timeout=0.01)
    except queue.Empty:
        pass
echo.stdin.close()
test.check(echo.wait() == 0, f"the subprocess ended with {echo.returncode}")
check_database(rounds)
again = digests()
test.check([next(again) for _ in range(rounds)][-1] == link, "the chain of hashes changed")
test.note(f"{rounds} rounds, {sum(seen)} items")
test.passed()
