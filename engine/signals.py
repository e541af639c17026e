"""The module `signal` without its enumerations: importing `enum` for them takes 4 ms.

    from engine.signals import signal

Signal numbers are plain integers here; all functions are the same. Type checkers see the module that they know.
"""

from __future__ import annotations

__all__ = ["signal"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal
