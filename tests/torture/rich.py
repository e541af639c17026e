"""A program that has some of everything, so that its images do: what is mutated is not only counters."""

import ctypes
import mmap
import os
import select
import signal
import sys
import tempfile
import threading
import time

libc = ctypes.CDLL(None)


def child(what: str) -> None:
    """A process that ends, stops, or sleeps in a session of its own."""
    if os.fork() == 0:
        if what == "dead":
            os._exit(7)
        if what == "session":
            os.setsid()
        if what == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        while True:
            time.sleep(1)


ends = os.pipe()
os.write(ends[1], b"still to be read")
poller = select.epoll()
poller.register(ends[0], select.EPOLLIN)
counter = libc.eventfd(5, 0)
ghost = tempfile.TemporaryFile(dir=sys.argv[1])
ghost.write(b"unlinked" * 1000)
ghost.flush()
plain = open(os.path.join(sys.argv[1], "plain"), "w+b")
plain.write(bytes(10000))
plain.flush()
shared = mmap.mmap(plain.fileno(), 8192)
common = mmap.mmap(-1, 1 << 16, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
common[:6] = b"shared"
anonymous = mmap.mmap(-1, 1 << 20)
anonymous[5000:5005] = b"dirty"
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
os.kill(os.getpid(), signal.SIGUSR2)
signal.setitimer(signal.ITIMER_VIRTUAL, 1000, 1000)
threading.Thread(target=time.sleep, args=(100000,), daemon=True).start()
for kind in ("dead", "session", "stopped", "plain"):
    child(kind)
time.sleep(0.2)
open(os.path.join(sys.argv[1], "ready"), "w").close()
while True:
    time.sleep(1)
