"""Who must be born in which session.

A task cannot join a session: it is in the one its parent was in when it was born, or leads one of its own since its
setsid. So what a tree's sessions are says when each child was born, before its parent's setsid or after it, and
also, up the tree, in which session a leader was before.
"""

from __future__ import annotations

from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

OUTSIDE = 0
"""Stands for every session whose leader is not in the tree."""


class Member(NamedTuple):
    """One process of a tree."""

    pid: int
    parent: int
    session: int


def births(members: Sequence[Member]) -> tuple[dict[int, int | None], dict[int, str]]:
    """(Session that each pid is born in, None if any will do; what is wrong with each pid that cannot be made).

    `members` has parents before children; the first one's parent is not among them.
    """
    pids = {member.pid for member in members}
    own = {m.pid: m.session if m.session in pids else OUTSIDE for m in members}
    wanted: dict[int, set[int]] = {m.pid: set() for m in members}  # by pid, the sessions its children are born in
    born: dict[int, int | None] = {}
    wrong: dict[int, str] = {}
    for member in reversed(members):
        pid, session = member.pid, own[member.pid]
        earlier = wanted[pid] - {session}
        born[pid] = session
        if session == pid:
            born[pid] = min(earlier, default=None)
            earlier.discard(min(earlier, default=-1))
        if earlier:
            wrong[pid] = f"children of it are in the sessions {sorted(wanted[pid])}, in which it cannot all have been"
        birth = born[pid]
        if birth is not None and member.parent in wanted:
            wanted[member.parent].add(birth)
    root = members[0].pid
    if born[root] not in (None, OUTSIDE):
        wrong[root] = f"processes that do not descend from pid {born[root]} are in the session {born[root]}"
    return born, wrong
