"""Parsers of /proc files, fed with captured texts."""

from __future__ import annotations

import os

from zdtm import proc

STAT = (
    "812 (a) b (c) S 1 812 811 34817 812 4194304 94 0 0 0 0 0 0 0 20 -5 1 0 1389 2506752 318 "
    "18446744073709551615 94 95 140 0 0 0 0 2 16384 0 0 0 17 1 7 3 0 0 0 96 97 98 99 100 101 102 139\n"
)

SMAPS = """\
55d0c0a3a000-55d0c0a3b000 r-xp 00001000 08:01 1187                       /bin/two words
Size:                  4 kB
VmFlags: rd ex mr mw me sd
7ffc6ab21000-7ffc6ab42000 rw-p 00000000 00:00 0                          [stack]
Size:                132 kB
VmFlags: rd wr mr mw me gd ac
7ffc6abc0000-7ffc6abc1000 ---s 00002000 00:01 2049 /dev/zero (deleted)
"""

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 524288               files
Max nice priority         0                    0
"""


def test_stat_with_a_name_of_blanks_and_parentheses() -> None:
    stat = proc.parse_stat(STAT)
    assert (stat.comm, stat.state) == ("a) b (c", "S")
    assert (stat.parent, stat.group, stat.session, stat.terminal) == (1, 812, 811, 34817)
    assert (stat.nice, stat.rt_priority, stat.policy, stat.exit_code) == (-5, 7, 3, 139)


def test_own_stat_agrees_with_system_calls() -> None:
    stat = proc.read_stat(os.getpid())
    assert (stat.parent, stat.group, stat.session) == (os.getppid(), os.getpgid(0), os.getsid(0))
    assert stat.nice == os.getpriority(os.PRIO_PROCESS, 0)
    assert stat.policy == os.sched_getscheduler(0)


def test_fields_keep_the_first_of_a_name() -> None:
    assert proc.parse_fields("pos:\t3\nUid:\t0\t 1\npos:\t4\nno colon") == {"pos": "3", "Uid": "0 1"}


def test_smaps() -> None:
    text, stack, shared = proc.parse_smaps(SMAPS)
    assert text[:7] == (0x55D0C0A3A000, 0x55D0C0A3B000, "r-xp", 0x1000, "08:01", 1187, "/bin/two words")
    assert text.flags == {"rd", "ex", "mr", "mw", "me", "sd"}
    assert (stack.name, "gd" in stack.flags) == ("[stack]", True)
    assert (shared.permissions, shared.offset, shared.inode) == ("---s", 0x2000, 2049)
    assert (shared.name, shared.flags) == ("/dev/zero (deleted)", set())


def test_only_a_newline_ends_a_line() -> None:
    """All that str.splitlines() takes for the end of a line may stand in a name."""
    name = "/bin/a\x0bb\x0cc\x1cd\x85e\u2028f\rg"
    (mapping,) = proc.parse_smaps(f"1000-2000 r-xp 00000000 08:01 1187                       {name}\nVmFlags: rd\n")
    assert (mapping.name, mapping.flags) == (name, {"rd"})
    assert proc.parse_fields("Name:\ta\x0bUid: 0\nUid:\t5\n")["Uid"] == "5"


def test_limits_whose_columns_touch() -> None:
    text = f"head\n{'Max open files':25} {2**64 - 2:<20} {2**64 - 1:<20} {'files':10} \n"
    assert proc.parse_limits(text) == {"Max open files": f"{2**64 - 2} {2**64 - 1}"}


def test_limits() -> None:
    assert proc.parse_limits(LIMITS) == {
        "Max cpu time": "unlimited unlimited",
        "Max open files": "1024 524288",
        "Max nice priority": "0 0",
    }


def test_descendants_come_parents_first() -> None:
    family = {2: 1, 3: 2, 4: 3, 5: 2, 6: 1}
    original, proc.parents = proc.parents, lambda: family
    try:
        assert proc.descendants(2) == [3, 5, 4]
        assert proc.descendants(6) == []
    finally:
        proc.parents = original
