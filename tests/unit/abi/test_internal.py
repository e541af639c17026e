"""Kernel facts without a header, observed on the kernel and the processor that run the tests."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from engine.abi import internal, xsave

# Prints `bit offset size` for each user component of the standard format, as CPUID leaf 0xD tells it.
CPUID = """
#include <cpuid.h>
#include <stdio.h>
int main(void)
{
    unsigned a, b, c, d;
    for (unsigned bit = 2; bit < 19; bit++)
        if (__get_cpuid_count(0xd, bit, &a, &b, &c, &d) && a && !(c & 1))
            printf("%u %u %u\\n", bit, b, a);
}
"""


def test_vm_flags_of_our_own_mappings_are_known() -> None:
    smaps = Path("/proc/self/smaps").read_text()
    shown = {flag for line in re.findall(r"^VmFlags: (.*)$", smaps, re.M) for flag in line.split()}
    assert {"rd", "mr"} <= shown
    assert shown <= set(internal.VM_FLAGS)


def test_comm_is_cut_at_its_length() -> None:
    comm = Path("/proc/thread-self/comm")
    before = comm.read_text()
    comm.write_text("x" * 40)
    seen = comm.read_text()
    comm.write_text(before.rstrip("\n"))
    assert seen == "x" * (internal.TASK_COMM_LEN - 1) + "\n"


def test_vsyscall_page_is_where_maps_shows_it() -> None:
    row = re.search(r"^(\w+)-\w+ .*\[vsyscall\]$", Path("/proc/self/maps").read_text(), re.M)
    assert row is None or int(row[1], 16) == internal.VSYSCALL_ADDR


def test_places_of_components_on_this_processor(tmp_path: Path) -> None:
    (tmp_path / "cpuid.c").write_text(CPUID)
    subprocess.run(["gcc", "-o", tmp_path / "cpuid", tmp_path / "cpuid.c"], check=True)
    shown = subprocess.check_output([tmp_path / "cpuid"], text=True)
    rows = (map(int, row.split()) for row in shown.splitlines())
    here = {bit: (offset, size) for bit, offset, size in rows}
    vendor = re.search(r"^vendor_id\s*: (\S+)", Path("/proc/cpuinfo").read_text(), re.M)
    assert here[xsave.XFEATURE_YMM] == xsave.STANDARD_PLACES[xsave.XFEATURE_YMM]
    if vendor and vendor[1] == "GenuineIntel":
        assert all(xsave.STANDARD_PLACES[bit] == place for bit, place in here.items() if bit != 8)
