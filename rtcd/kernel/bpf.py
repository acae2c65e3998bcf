"""What we ask of the kernel by ``bpf(2)``: maps, one program, and links that tie it to interfaces. By ctypes, no library.

Everything is a descriptor and ends with the process, however that ends: when the last descriptor of a link is closed, the
kernel takes the program off the interface, and nothing is left behind. Sources: bpf(2), <linux/bpf.h>.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import platform
import struct
from typing import Any, Final

try:
    import ctypes

    _libc: Any = ctypes.CDLL(None, use_errno=True)
except (ImportError, OSError, MemoryError):  # a Python without libffi, a static one, a hardened kernel
    _libc = None

SYSCALL: Final = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "ppc64le": 361}
"""The number of bpf(2), on machines that are little endian as our program is."""

_MAP_CREATE, _UPDATE, _DELETE, _PROG_LOAD, _LINK_CREATE = 0, 2, 3, 5, 28
HASH, ARRAY = 1, 2
MMAPABLE = 1 << 10
_SCHED_CLS = 3
_TCX_INGRESS = 46
_NO_EXIST = 1
_NAME_BYTES = 15
_ATTR_BYTES = 144
"""Of union bpf_attr, as long as any field of it that we set; what is behind is 0 for the kernel."""

_MAP = struct.Struct("=IIIII8x16s")
_ELEMENT = struct.Struct("=IxxxxQQQ")
_KEY = struct.Struct("=IxxxxQ")
_PROGRAM = struct.Struct("=IIQQIIQII16sII")
_LINK = struct.Struct("=IIII")

LOG_BYTES = 1 << 24
"""For what the verifier says, which is long when it refuses."""
INTERRUPTED = 5
"""So often a load is begun again that a signal has interrupted."""
TAIL_LINES = 6
"""So much of it reaches our log: the reason is at the end."""



class Refused(OSError):
    """The verifier did not accept the program; the text is the end of what it says."""


class Map:
    """A map with keys and values of fixed size."""

    def __init__(self, kind: int, name: str, key_bytes: int, value_bytes: int, entries: int, flags: int = 0) -> None:
        """Raises OSError."""
        self.value_bytes = value_bytes
        self.entries = entries
        self.descriptor = _bpf(_MAP_CREATE, _MAP.pack(kind, key_bytes, value_bytes, entries, flags, _name(name)))
        self._key = ctypes.create_string_buffer(key_bytes)
        self._value = ctypes.create_string_buffer(value_bytes)
        self._memory: mmap.mmap | None = None

    def put(self, key: bytes, value: bytes) -> None:
        """A new element. Raises OSError, with EEXIST if there is one."""
        self._key.raw, self._value.raw = key, value
        _bpf(_UPDATE, _ELEMENT.pack(
            self.descriptor, ctypes.addressof(self._key), ctypes.addressof(self._value), _NO_EXIST))

    def delete(self, key: bytes) -> None:
        """Take an element away; one that is not there is no fault."""
        self._key.raw = key
        with contextlib.suppress(FileNotFoundError):
            _bpf(_DELETE, _KEY.pack(self.descriptor, ctypes.addressof(self._key)))

    def memory(self) -> mmap.mmap:
        """The values of an array that was made with `MMAPABLE`, as the kernel sees them."""
        if self._memory is None:
            size = -(-self.value_bytes * self.entries // mmap.PAGESIZE) * mmap.PAGESIZE
            self._memory = mmap.mmap(self.descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        return self._memory

    def close(self) -> None:
        """Let go of it; the kernel keeps it as long as a program uses it or its memory is mapped."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def supported() -> bool:
    """Whether this Python can call bpf(2) on this machine, as far as can be said without a call."""
    return _libc is not None and platform.machine() in SYSCALL and struct.calcsize("P") == 8


def load(name: str, instructions: bytes, license_: str) -> int:
    """Load a TC program and return its descriptor. Raises `Refused`, and OSError for anything else."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    terms = ctypes.create_string_buffer(license_.encode())

    def attempt(log: int, size: int) -> int:
        return _bpf(_PROG_LOAD, _PROGRAM.pack(
            _SCHED_CLS, len(instructions) // 8, ctypes.addressof(code), ctypes.addressof(terms), int(bool(log)), size, log,
            0, 0, _name(name), 0, _TCX_INGRESS))

    try:
        for _ in range(INTERRUPTED):
            with contextlib.suppress(BlockingIOError):
                return attempt(0, 0)
        return attempt(0, 0)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.ENOMEM, errno.EAGAIN):
            raise
        said = ctypes.create_string_buffer(LOG_BYTES)
        try:
            return attempt(ctypes.addressof(said), LOG_BYTES)
        except OSError as again:
            lines = said.value.decode("ascii", "replace").strip().splitlines()
            if not lines:
                raise
            raise Refused(again.errno, " | ".join(lines[-TAIL_LINES:])) from None


def attach(program: int, interface: int) -> int:
    """Run the program on what comes in by the interface of this index; the descriptor of the link, to be closed by
    `os.close`, which detaches it. Raises OSError."""
    return _bpf(_LINK_CREATE, _LINK.pack(program, interface, _TCX_INGRESS, 0))


def _bpf(command: int, attributes: bytes) -> int:
    if not supported():
        raise OSError(errno.ENOSYS, f"bpf(2) cannot be called on {platform.machine()} by this Python")
    number = SYSCALL[platform.machine()]
    buffer = ctypes.create_string_buffer(attributes, _ATTR_BYTES)
    result: int = _libc.syscall(number, command, buffer, _ATTR_BYTES)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _name(name: str) -> bytes:
    return name.encode()[:_NAME_BYTES]
