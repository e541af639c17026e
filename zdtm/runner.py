"""Runs tests, each in a process of its own: the one core under both `zdtm run` and pytest."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from .description import Description
from .needs import reason_to_skip
from .results import Outcome, Result
from .settings import Settings
from .worker import settings_to_json

_LAST_WORDS = 15.0  # seconds that a worker gets to clean up


class Listener(Protocol):
    """Is told how the runs go; called from several threads, one at a time."""

    def started(self, test: Description) -> None: ...
    def reached(self, test: Description, step: str) -> None: ...
    def finished(self, result: Result) -> None: ...


class Runner:
    """Runs tests under the same settings, several at a time if wanted."""

    def __init__(self, settings: Settings, listener: Listener) -> None:
        self._settings, self._listener = settings, listener
        self._lock = threading.Lock()
        self._workers: set[subprocess.Popen[str]] = set()
        self._stopping = False

    def run_all(self, tests: Sequence[Description], parallel: int, keep_going: bool) -> list[Result]:
        """Results in the order of their ends. Unless `keep_going`, none begins after the first failure."""
        results: list[Result] = []
        waiting = iter(tests)
        with ThreadPoolExecutor(max(1, parallel)) as pool, self._ending_workers():
            running = {pool.submit(self.run, test) for test in islice(waiting, max(1, parallel))}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                results += [future.result() for future in done]
                if not keep_going and any(result.outcome is Outcome.FAILED for result in results):
                    continue
                running |= {pool.submit(self.run, test) for test in islice(waiting, len(done))}
        return results

    def run(self, test: Description) -> Result:
        """One test."""
        self._tell(self._listener.started, test)
        reason = reason_to_skip(test, self._settings)
        result = Result(test.name, Outcome.SKIPPED, message=reason) if reason else self._run_worker(test)
        self._tell(self._listener.finished, result)
        return result

    def _tell(self, call: Callable[..., None], *values: object) -> None:
        with self._lock:
            call(*values)

    def _run_worker(self, test: Description) -> Result:
        request = {"test": str(test.path), "settings": settings_to_json(self._settings)}
        with self._worker() as worker:
            assert worker.stdin and worker.stdout
            with worker.stdin as pipe:
                json.dump(request, pipe)
            for line in worker.stdout:
                message: dict[str, Any] = json.loads(line)
                if "result" in message:
                    return Result.from_json(message["result"])
                self._tell(self._listener.reached, test, message["step"])
        why = "the run was interrupted" if self._stopping else f"the worker ended with status {worker.wait()}"
        return Result(test.name, Outcome.FAILED, "worker", why, hard=True)

    @contextlib.contextmanager
    def _worker(self) -> Iterator[subprocess.Popen[str]]:
        words = [sys.executable, "-m", "zdtm.worker"]
        root = Path(__file__).parent.parent
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, start_new_session=True, cwd=root) as worker:
            self._workers.add(worker)
            if self._stopping:  # it was born while the others were told to end
                worker.terminate()
            try:
                yield worker
            finally:
                self._workers.discard(worker)
                self._end(worker)

    @contextlib.contextmanager
    def _ending_workers(self) -> Iterator[None]:
        """On Ctrl-C every worker cleans up its run before the pool waits for the threads."""
        try:
            yield
        except BaseException:
            self._stopping = True
            for worker in list(self._workers):
                worker.terminate()
            raise

    @staticmethod
    def _end(worker: subprocess.Popen[str]) -> None:
        """It ends by itself after its result; a request to end is for one whose reader was interrupted."""
        if sys.exc_info()[0]:
            worker.terminate()
        try:
            worker.wait(_LAST_WORDS)
        except subprocess.TimeoutExpired:
            worker.kill()
