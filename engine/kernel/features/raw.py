"""Memory for system calls that take structures, and mappings for probes to play with."""

from __future__ import annotations

from contextlib import contextmanager

from engine.abi.mman import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE
from engine.kernel._native import ffi
from engine.kernel.calls import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 4096


class Memory:
    """A buffer with an address. It lives as long as the object."""

    __slots__ = ("_owner", "address", "view")

    def __init__(self, content: bytes | int) -> None:
        """With this content, or with so many zero bytes."""
        size = content if isinstance(content, int) else len(content)
        self._owner = ffi.new("char[]", size)
        self.address = int(ffi.cast("uint64_t", self._owner))
        self.view = memoryview(ffi.buffer(self._owner, size))
        if isinstance(content, bytes):
            self.view[:] = content


def call(name: str, *args: int | Memory, subject: str = "") -> int:
    """A system call that takes memory as it is: the arguments live until the kernel has answered."""
    numbers = [arg.address if isinstance(arg, Memory) else arg for arg in args]
    return syscall(name, *numbers, subject=subject)


def at(address: int, size: int) -> memoryview:
    """Our own memory at an address."""
    return memoryview(ffi.buffer(ffi.cast("char *", address), size))


@contextmanager
def mapping(size: int = PAGE, prot: int = PROT_READ | PROT_WRITE, flags: int = MAP_PRIVATE) -> Iterator[int]:
    """The address of fresh anonymous memory."""
    address = syscall("mmap", 0, size, prot, flags | MAP_ANONYMOUS, -1, 0)
    try:
        yield address
    finally:
        syscall("munmap", address, size)
