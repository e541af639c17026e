"""An engine with CRIU's command line that does one thing wrong: `fake_engine.py FAULT dump --tree 2 …`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main(fault: str, action: str, words: list[str]) -> int:
    images = Path(words[words.index("--images-dir") + 1])
    (images / f"{action}.log").write_text(f"(00.1) quiet\n(00.2) Error (fake.c:1): {fault}\n")
    if action == "dump":
        return dump(fault, int(words[words.index("--tree") + 1]), images)
    return restore(fault, images, Path(words[words.index("--pidfile") + 1]))


def dump(fault: str, pid: int, images: Path) -> int:
    work = Path(os.readlink(f"/proc/{pid}/cwd"))
    match fault:
        case "dump fails":
            return 1
        case "dump harms":
            os.kill(pid, signal.SIGKILL)
            return 1
        case "dump crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "dump has a bug":
            raise ZeroDivisionError
        case "dump hangs":
            time.sleep(60)
        case "dump leaves a process":
            subprocess.Popen(["sleep", "60"], start_new_session=True)
        case "dump leaves a file" | "dump fails and leaves a file":
            (work / "link_remap.1").touch()
            return int("fails" in fault)
        case "dump leaves a mount":
            subprocess.run(["mount", "-t", "tmpfs", "none", str(work)], check=True)
        case "dump ends the tree":
            end(pid, images, work)
        case "dump stops the tree":
            os.kill(pid, signal.SIGSTOP)
        case fault if fault.startswith("restore"):
            end(pid, images, work)
    return 0


def end(pid: int, images: Path, work: Path) -> None:
    command = Path(f"/proc/{pid}/cmdline").read_text()
    (images / "tree").write_text("\n".join([str(pid), str(work), os.readlink(f"/proc/{pid}/fd/1"), command]))
    os.kill(pid, signal.SIGKILL)


def restore(fault: str, images: Path, pidfile: Path) -> int:
    if fault == "restore fails":
        return 1
    pid, work, log, command = (images / "tree").read_text().split("\n")
    if fault != "restore makes nothing":
        start_again(int(pid), work, log, command.rstrip("\0").split("\0"))
    if fault != "restore writes no pid":
        pidfile.write_text(pid)
    return 0


def start_again(pid: int, work: str, log: str, command: list[str]) -> None:
    """Not a restore at all: the program runs anew, with its old pid."""
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
    if os.fork():
        return
    assert os.getpid() == pid
    os.setsid()
    os.chdir(work)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(output, number)
    os.closerange(3, 100)
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
