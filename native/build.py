"""Builds the native part: `python -m native.build`.

Three products, all beside the Python code that uses them: the interpreter as a blob
(`engine/plan/interp.bin`), the same source as the skeleton ELF
(`engine/plan/skeleton`), and the cffi extension with the raw calls (`engine/kernel/_native*.so`).
Nothing is rebuilt whose sources did not change.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PLAN = ROOT / "engine" / "plan"
KERNEL = ROOT / "engine" / "kernel"

# Where the skeleton ELF is linked: below every address that mmap hands out, above mmap_min_addr.
SKELETON_BASE = 0x10000

# -mgeneral-regs-only: the task's extended state must not change; -fno-jump-tables: a switch's table is data.
BLOB_FLAGS = """
    -Os -std=gnu11 -Wall -Wextra -Werror -ffreestanding -fPIE -fvisibility=hidden -fno-stack-protector
    -fcf-protection=none -fno-asynchronous-unwind-tables -fno-jump-tables -fno-tree-loop-distribute-patterns
    -mgeneral-regs-only -mno-red-zone
""".split()  # noqa: SIM905

CDEF = """
struct piece { uint64_t remote, local, length; };
struct request { int32_t number, tid; uint64_t addr, data, length; int64_t result; };
struct file { uint64_t name, data, size; int64_t result; };
struct text { int32_t directory, link; uint64_t name; int64_t size; uint64_t at; };
long raw_syscall(long, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
long ptrace_call(long request, int pid, uint64_t addr, uint64_t data);
long ptrace_regset(long request, int pid, unsigned type, void *buf, size_t size);
long wait_task(int pid, int *status, int flags);
long descriptor_facts(int proc, int pidfd, void *found, int count, char *texts, size_t size);
long copy_pieces(int pid, int mem, const struct piece *pieces, long count, int threads, uint64_t *fault);
long map_file(int fd, uint64_t offset, uint64_t length, int writable, int populate);
long spawn_skeleton(int image, int pid, int *fds, int fd_count, int keep_from, uint64_t blocked);
long find_bytes(const void *haystack, size_t size, const void *needle, size_t length);
void cpuid(unsigned leaf, unsigned subleaf, unsigned *out);
long equal_pages(uint64_t a, uint64_t b, long pages, unsigned char *same);
void ptrace_many(struct request *rows, long count);
long wait_many(const int *tids, int *statuses, long count);
void thread_facts(void *found, long count, size_t room);
void read_many(struct text *rows, long count, char *texts, size_t size);
long populate(uint64_t address, uint64_t size);
void write_many(int directory, struct file *files, long count);
long sort_tasks(int *pids, unsigned char *same, long count, int kind);
long same_as_first(const int *pids, long count, int kind);
"""


def run(*command: str | Path) -> str:
    """Runs a tool of the C toolchain; its complaint is ours."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"native.build: {' '.join(map(str, command))} failed:\n{done.stderr}")
    return done.stdout


def build_blob(work: Path) -> None:
    """interp.c -> the blob and the skeleton."""
    obj, elf, blob, skeleton = (work / name for name in ("interp.o", "interp.elf", "interp.bin", "skeleton"))
    run("gcc", *BLOB_FLAGS, "-c", HERE / "interp.c", "-o", obj)
    link = ("ld", "-static", "-nostdlib", "-z", "noexecstack", "-T", HERE / "blob.lds")
    run(*link, obj, "-o", elf)
    run("objcopy", "-O", "binary", "-j", ".text", elf, blob)
    run(*link, f"-Ttext={SKELETON_BASE + 0x1000:#x}", "-s", obj, "-o", skeleton)
    for product in (blob, skeleton):
        install(product, PLAN)


def build_extension(work: Path) -> None:
    """calls.c and many.c -> engine/kernel/_native, a cffi module in API mode."""
    from cffi import FFI

    ffi = FFI()
    ffi.cdef(CDEF)
    source = "".join((HERE / name).read_text() for name in ("calls.c", "many.c"))
    ffi.set_source("engine.kernel._native", source, extra_compile_args=["-O2", "-Wall"], libraries=["pthread"])
    ffi.compile(tmpdir=str(work), verbose=False)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    install(work / "engine" / "kernel" / f"_native{suffix}", KERNEL)


def install(product: Path, directory: Path) -> None:
    """Processes that run the old file at this moment keep it whole."""
    new = directory / f"{product.name}.new{os.getpid()}"
    shutil.copy(product, new)
    new.replace(directory / product.name)


def digest() -> str:
    """What the products were made from: sources, this script, and the Python they are for."""
    parts = [p.read_bytes() for p in sorted(HERE.iterdir()) if p.suffix in (".c", ".lds", ".py")]
    return hashlib.sha256(b"\0".join(parts) + sys.version.encode()).hexdigest()


def products() -> list[Path]:
    """Every file that a build leaves."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return [PLAN / "interp.bin", PLAN / "skeleton", KERNEL / f"_native{suffix}"]


def main() -> None:
    """Builds what is missing or out of date."""
    work = ROOT / "build" / "native"
    work.mkdir(parents=True, exist_ok=True)
    stamp, now = work / "stamp", digest()
    if stamp.exists() and stamp.read_text() == now and all(p.exists() for p in products()):
        return
    stamp.unlink(missing_ok=True)  # what a build that fails leaves belongs to no sources
    build_blob(work)
    build_extension(work)
    stamp.write_text(now)


if __name__ == "__main__":
    main()
