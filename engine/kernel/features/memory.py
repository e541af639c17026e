"""Probes: mappings, page tables, userfaultfd, the vDSO."""

from __future__ import annotations

import mmap
import os
import struct
import tempfile

from engine.abi import fs, mman, prctl, uffd
from engine.errors import KernelError
from engine.kernel.features.catalog import EXPERIMENTAL, EXTRA, REQUIRED, Missing, feature
from engine.kernel.features.raw import PAGE, Memory, at, call, mapping
from engine.kernel.proc import Mapping, ProcDir

_NON_COOPERATIVE = (
    uffd.UFFD_FEATURE_EVENT_FORK
    | uffd.UFFD_FEATURE_EVENT_REMAP
    | uffd.UFFD_FEATURE_EVENT_REMOVE
    | uffd.UFFD_FEATURE_EVENT_UNMAP
)


def _our_mappings(*names: str) -> list[Mapping]:
    with ProcDir(os.getpid()) as ours:
        return [found for found in ours.maps() if found.name in names]


@feature(REQUIRED, "3.3; readable with CAP_CHECKPOINT_RESTORE since 5.9")
def map_files() -> None:
    """/proc/PID/map_files: opens the file behind a mapping, also when its name is gone."""
    with tempfile.TemporaryFile() as file:
        file.truncate(PAGE)
        with mmap.mmap(file.fileno(), PAGE):
            inode = os.fstat(file.fileno()).st_ino
            with ProcDir(os.getpid()) as ours:
                (found,) = (m for m in ours.maps() if m.inode == inode)
            fd = os.open(f"/proc/self/map_files/{found.start:x}-{found.end:x}", os.O_RDONLY)
            same = os.path.sameopenfile(fd, file.fileno())
            os.close(fd)
    if not same:
        raise Missing("map_files led to another file")


@feature(EXTRA, "3.11, commit 0f8975ec4db2", alone=True)
def mem_dirty_track() -> None:
    """Soft-dirty bits: which pages were written since /proc/PID/clear_refs was told 4."""
    with mapping() as address:
        at(address, PAGE)[0] = 1
        with open("/proc/self/clear_refs", "w") as control:
            control.write("4")
        if _pagemap_word(address) & fs.PAGEMAP_SOFT_DIRTY:
            raise Missing("clear_refs leaves pages soft-dirty")
        at(address, PAGE)[0] = 2
        if not _pagemap_word(address) & fs.PAGEMAP_SOFT_DIRTY:
            raise Missing("a written page is not soft-dirty: CONFIG_MEM_SOFT_DIRTY is off")


def _pagemap_word(address: int) -> int:
    fd = os.open("/proc/self/pagemap", os.O_RDONLY)
    try:
        word: int = struct.unpack("=Q", os.pread(fd, 8, address // PAGE * 8))[0]
    finally:
        os.close(fd)
    return word


def _scan(address: int, pages: int, mask: int) -> list[tuple[int, int, int]]:
    """(start, end, categories) of the pages that are in one of the categories `mask`."""
    regions = Memory(16 * fs.PAGE_REGION.size)
    request = fs.PM_SCAN_ARG.pack(
        size=fs.PM_SCAN_ARG.size,
        start=address,
        end=address + pages * PAGE,
        vec=regions.address,
        vec_len=16,
        category_anyof_mask=mask,
        return_mask=mask,
    )
    fd = os.open("/proc/self/pagemap", os.O_RDONLY)
    try:
        count = call("ioctl", fd, fs.PAGEMAP_SCAN, Memory(request))
    finally:
        os.close(fd)
    return [fs.PAGE_REGION.struct.unpack_from(regions.view, i * fs.PAGE_REGION.size) for i in range(count)]


@feature(EXTRA, "6.7, commit 52526ca7fdb9")
def pagemap_scan() -> None:
    """PAGEMAP_SCAN: finds the pages of a range that are present, zero, swapped or written, in one call."""
    with mapping(4 * PAGE) as address:
        at(address + PAGE, 1)[0] = 1
        found = _scan(address, 4, fs.PAGE_IS_PRESENT)
        if found != [(address + PAGE, address + 2 * PAGE, fs.PAGE_IS_PRESENT)]:
            raise Missing(f"PAGEMAP_SCAN found {found}")


@feature(EXTRA, "6.13, commit 662df3e5c376")
def madvise_guard() -> None:
    """MADV_GUARD_INSTALL: guard pages without a mapping of their own."""
    with mapping(2 * PAGE) as address:
        call("madvise", address, PAGE, mman.MADV_GUARD_INSTALL)


@feature(EXTRA, "6.15, commit a516403787e0")
def pagemap_scan_guard_pages() -> None:
    """PAGE_IS_GUARD: PAGEMAP_SCAN tells guard pages from pages that were never touched."""
    with mapping(2 * PAGE) as address:
        call("madvise", address, PAGE, mman.MADV_GUARD_INSTALL)
        if _scan(address, 2, fs.PAGE_IS_GUARD) != [(address, address + PAGE, fs.PAGE_IS_GUARD)]:
            raise Missing("PAGEMAP_SCAN does not see a guard page")


@feature(EXTRA, "6.11, commit ed5d583a88a9")
def procmap_query() -> None:
    """PROCMAP_QUERY: one mapping by address, without the text of all."""
    layout = fs.PROCMAP_QUERY_ARG
    with mapping() as address:
        flags = fs.PROCMAP_QUERY_COVERING_OR_NEXT_VMA
        query = Memory(layout.pack(size=layout.size, query_flags=flags, query_addr=address))
        fd = os.open("/proc/self/maps", os.O_RDONLY)
        try:
            call("ioctl", fd, fs.PROCMAP_QUERY, query)
        finally:
            os.close(fd)
        if not layout.get(query.view, "vma_start") <= address < layout.get(query.view, "vma_end"):
            raise Missing("PROCMAP_QUERY answered with another mapping")


@feature(EXTRA, "5.14, commit 4ca9b3859dac")
def madvise_populate() -> None:
    """MADV_POPULATE_WRITE: fresh memory in large strides instead of page by page."""
    with mapping(2 * PAGE) as address:
        call("madvise", address, 2 * PAGE, mman.MADV_POPULATE_WRITE)


@feature(EXTRA, "4.14, commit 749df87bd7be")
def memfd_hugetlb() -> None:
    """memfd_create with MFD_HUGETLB: shared huge pages without a mount."""
    os.close(call("memfd_create", Memory(b"probe\0"), mman.MFD_HUGETLB | mman.MFD_CLOEXEC))


def _open_uffd(wanted: int) -> int:
    fd = call("userfaultfd", os.O_CLOEXEC)
    try:
        api = Memory(uffd.UFFDIO_API_ARG.pack(api=uffd.UFFD_API, features=wanted))
        call("ioctl", fd, uffd.UFFDIO_API, api, subject=f"UFFDIO_API with features {wanted:#x}")
    except KernelError:
        os.close(fd)
        raise
    return fd


@feature(EXTRA, "4.3, commit 86039bd3b4e6", name="uffd")
def userfaultfd() -> None:
    """userfaultfd: memory that is filled when it is touched (restore on demand)."""
    os.close(_open_uffd(0))


@feature(EXTRA, "4.11", name="uffd-noncoop")
def uffd_noncoop() -> None:
    """userfaultfd events for fork, mremap, munmap and MADV_DONTNEED of a program that knows nothing of it."""
    os.close(_open_uffd(_NON_COOPERATIVE))


@feature(EXTRA, "6.7, commit d61ea1cb0095")
def uffd_wp_async() -> None:
    """Asynchronous write protection by userfaultfd: PAGEMAP_SCAN finds what was written since."""
    fd = _open_uffd(uffd.UFFD_FEATURE_WP_ASYNC | uffd.UFFD_FEATURE_WP_UNPOPULATED)
    try:
        with mapping(2 * PAGE) as address:
            where = {"range.start": address, "range.len": 2 * PAGE}
            register = uffd.UFFDIO_REGISTER_ARG.pack(**where, mode=uffd.UFFDIO_REGISTER_MODE_WP)
            call("ioctl", fd, uffd.UFFDIO_REGISTER, Memory(register))
            protect = uffd.UFFDIO_WRITEPROTECT_ARG.pack(**where, mode=uffd.UFFDIO_WRITEPROTECT_MODE_WP)
            call("ioctl", fd, uffd.UFFDIO_WRITEPROTECT, Memory(protect))
            at(address, PAGE)[0] = 1
            written = _scan(address, 2, fs.PAGE_IS_WRITTEN)
            if written != [(address, address + PAGE, fs.PAGE_IS_WRITTEN)]:
                raise Missing(f"PAGEMAP_SCAN says that {written} were written")
    finally:
        os.close(fd)


def _remap_vdso(request: int) -> None:
    for found in _our_mappings("[vdso]", "[vvar]", "[vvar_vclock]"):
        call("munmap", found.start, found.end - found.start)
    call("arch_prctl", request, 0)
    if not _our_mappings("[vdso]"):
        raise Missing("no vDSO appeared")


@feature(EXTRA, "4.9, commit 2eefd8789698", alone=True)
def can_map_vdso() -> None:
    """ARCH_MAP_VDSO_64: the vDSO at an address of our choice, for restored processes."""
    _remap_vdso(prctl.ARCH_MAP_VDSO_64)


@feature(EXPERIMENTAL, "4.9, commit 2eefd8789698", alone=True)
def compat_cr() -> None:
    """ARCH_MAP_VDSO_32: the vDSO of 32-bit programs in a 64-bit process."""
    _remap_vdso(prctl.ARCH_MAP_VDSO_32)


@feature(REQUIRED, "4.8 for x86-64's vDSO", alone=True)
def special_mapping_mremap() -> None:
    """mremap of the vDSO: the kernel goes on knowing where it is."""
    vdso = _our_mappings("[vdso]")
    if not vdso:
        raise Missing("there is no vDSO to move")
    size = vdso[0].end - vdso[0].start
    with mapping(size) as target:
        flags = mman.MREMAP_MAYMOVE | mman.MREMAP_FIXED
        call("mremap", vdso[0].start, size, size, flags, target)
        if [found.start for found in _our_mappings("[vdso]")] != [target]:
            raise Missing("the vDSO lost its name on the way")


@feature(EXTRA, "3.19, commit e4a0d3e720e7", alone=True)
def aio_remap() -> None:
    """mremap of an asynchronous I/O ring: the context moves with it."""
    context = Memory(8)
    call("io_setup", 1, context)
    old = int.from_bytes(context.view, "little")
    (ring,) = (found for found in _our_mappings("/[aio] (deleted)", "/[aio]") if found.start == old)
    size = ring.end - ring.start
    with mapping(size) as target:
        call("mremap", old, size, size, mman.MREMAP_MAYMOVE | mman.MREMAP_FIXED, target)
        call("io_getevents", target, 0, 1, Memory(32), Memory(16))
        call("io_destroy", target)


@feature(REQUIRED, "2.6.17; unaligned pages always")
def vmsplice_unaligned() -> None:
    """vmsplice of memory that is not page-aligned into a pipe."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        memory = Memory(b"unaligned")
        vector = Memory(struct.pack("=QQ", memory.address + 1, 8))
        call("vmsplice", writer, vector, 1, 0)
        if os.read(reader, 16) != b"naligned":
            raise Missing("other bytes came out of the pipe")
    finally:
        os.close(reader)
        os.close(writer)


@feature(REQUIRED, "3.2, commit fcf634098c00")
def process_vm() -> None:
    """process_vm_readv: copies memory between processes without a detour."""
    source, target = Memory(b"page"), Memory(4)
    vectors = Memory(struct.pack("=4Q", target.address, 4, source.address, 4))
    call("process_vm_readv", os.getpid(), vectors, 1, vectors.address + 16, 1, 0)
    if bytes(target.view) != b"page":
        raise Missing("other bytes came back")


@feature(REQUIRED, "3.18, commit f606b77f1a9e", alone=True)
def set_mm_map() -> None:
    """PR_SET_MM_MAP: all addresses of a program's parts at once, without CAP_SYS_RESOURCE."""
    with ProcDir(os.getpid()) as ours:
        stat = ours.stat()
    layout = prctl.PRCTL_MM_MAP
    parts = layout.pack(
        start_code=stat.startcode,
        end_code=stat.endcode,
        start_data=stat.start_data,
        end_data=stat.end_data,
        start_brk=stat.start_brk,
        brk=call("brk", 0),
        start_stack=stat.startstack,
        arg_start=stat.arg_start,
        arg_end=stat.arg_end,
        env_start=stat.env_start,
        env_end=stat.env_end,
        exe_fd=(1 << 32) - 1,
    )
    call("prctl", prctl.PR_SET_MM, prctl.PR_SET_MM_MAP, Memory(parts), layout.size, 0)


@feature(EXTRA, "2.6.25; with CAP_SYS_ADMIN since 4.2")
def pagemap_pfn() -> None:
    """Page frame numbers in /proc/PID/pagemap: without PAGEMAP_SCAN, they tell pages of zeros from others."""
    with mapping() as address:
        at(address, PAGE)[0] = 1
        if not _pagemap_word(address) & fs.PAGEMAP_PFN_MASK:
            raise Missing("page frame numbers are hidden")
