"""Every kernel resource that Amber knows. A new one is a module and a line here.

A module of TASK has `collect(task)` and/or `collect_thread(thread)` for the dump, and `restore(task)` and/or
`restore_thread(thread)` for the way back. A module of FILES has TYPE, `claims`, `collect` and `open`
(engine/resources/files/table.py).
"""

from __future__ import annotations

from engine.resources.files import memfd, regular
from engine.resources.memory import contents, mappings, mm
from engine.resources.task import futexes, ids, place, state, tree

TASK = (tree, ids, state, mappings, mm, place, futexes, contents)
FILES = (regular, memfd)
