# SPDX-License-Identifier: Apache-2.0
"""An interpreter asleep: objects, a generator, an exception being handled, waiting threads, an open file and mmap."""

import io
import mmap
import os
import sys
import threading
from collections.abc import Generator

import zdtm_lib as test

test.init()


def count() -> Generator[int, None, None]:
    try:
        for number in range(1000):
            yield number * number
    finally:
        ended.append(True)


def wait_in_thread(number: int) -> None:
    local.value = number
    barrier.wait()
    finish.wait()
    results[number] = local.value


ended: list[bool] = []
results: dict[int, int] = {}
local, finish, barrier = threading.local(), threading.Event(), threading.Barrier(9)
threads = [threading.Thread(target=wait_in_thread, args=(number,), name=f"waiter-{number}") for number in range(8)]
for thread in threads:
    thread.start()
barrier.wait()

graph = {number: {"text": str(number) * 10, "set": frozenset(range(number % 17))} for number in range(5000)}
graph[0]["self"] = graph
identity, hashed = id(graph), hash("the seed of hashes is chosen at the start")
squares = count()
test.check([next(squares) for _ in range(10)] == [n * n for n in range(10)], "the generator begins wrongly")
text = open("text", "w+", encoding="utf-8")
text.write("not yet flushed: äöü")
with open("mapped", "wb+") as file:
    file.write(test.data(10_000, 5))
    file.flush()
    mapped = mmap.mmap(file.fileno(), 0)
try:
    raise ValueError("in the middle")
except ValueError as error:
    test.ready()
    test.wait()
    test.check(sys.exc_info()[1] is error and str(error) == "in the middle", f"the exception is {sys.exc_info()}")

test.check(id(graph) == identity and graph[0]["self"] is graph, "the objects moved")
test.check(hash("the seed of hashes is chosen at the start") == hashed, "strings have other hashes")
intact = all(graph[n]["text"] == str(n) * 10 and len(graph[n]["set"]) == n % 17 for n in graph)
test.check(intact, "the objects changed")
second = [next(squares) for _ in range(10)]
test.check(second == [n * n for n in range(10, 20)] and not ended, f"the generator went on with {second}")
squares.close()
test.check(ended == [True], "the generator was not closed")
test.check(bytes(mapped) == test.data(10_000, 5), "the mapped file changed")
test.check(os.stat("text").st_size == 0, "the text was flushed too early")
text.seek(0, io.SEEK_SET)
test.check(text.read() == "not yet flushed: äöü", "the buffered text changed")
finish.set()
for thread in threads:
    thread.join()
test.check(results == {number: number for number in range(8)}, f"the threads gave {results}")
test.passed()
