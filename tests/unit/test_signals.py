"""The signal module without enumerations is the signal module."""

from __future__ import annotations

import signal as known
import subprocess
import sys

from engine.signals import signal


def test_numbers_and_functions_are_the_same() -> None:
    assert known.SIGALRM == signal.SIGALRM
    assert known.ITIMER_REAL == signal.ITIMER_REAL
    assert signal.getsignal(signal.SIGCHLD) == known.getsignal(known.SIGCHLD)
    assert signal.strsignal(signal.SIGTERM) == "Terminated"


def test_enum_is_not_imported() -> None:
    code = "import sys; sys.path.insert(0, '.'); import engine.signals; sys.exit('enum' in sys.modules)"
    done = subprocess.run([sys.executable, "-IS", "-c", code], timeout=30, check=False)
    assert done.returncode == 0
