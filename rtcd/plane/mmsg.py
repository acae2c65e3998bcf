"""recvmmsg and sendmmsg: many datagrams in one system call. Python has neither, so this is ctypes.

`Datagrams` is the memory, `Receiving` and `Sending` are the calls, each with the array of struct mmsghdr that the kernel
reads and writes; it is the kernel's own layout, from which the C libraries differ only in how they name the padding.
Where this is not to be had `supported` says so, and the rest is not used. What the packets are is rtcd.plane.batch's.
"""

from __future__ import annotations

import errno
import functools
import mmap
import os
import socket
import struct
import sys
from typing import Any

from rtcd.plane.sockets import SocketAddress

try:
    import ctypes

    _libc = ctypes.CDLL(None, use_errno=True)
    _recvmmsg: Any = _libc.recvmmsg
    _sendmmsg: Any = _libc.sendmmsg
    _known = sys.byteorder == "little" and ctypes.sizeof(ctypes.c_size_t) == 8
    """Where the layout is the one below: x86_64, aarch64 and their like."""
except (ImportError, OSError, AttributeError, MemoryError):  # a Python without libffi, a static one, a hardened kernel
    _known = False

MANY = 64
"""Datagrams at once: as many as one round of the poller has."""
MAX_BYTES = 0xFFFF
"""No UDP payload is longer, so none is ever cut."""
MAX_SOURCES = 4096
"""Addresses that are remembered in both forms. Then all are forgotten and remembered anew."""

_MMSGHDR = struct.Struct("=QI4xQQQQi4xI4x")
"""Of <linux/socket.h>: name, its bytes, iovecs, how many, control, its bytes, flags; what was received."""
_RECEIVED_AT = 56
_IOVEC = struct.Struct("=QQ")
VECTOR = struct.Struct("=QQ28s4x")
"""An iovec, and a socket address."""
_NAME4, _NAME6 = struct.Struct("!2xH4s"), struct.Struct("!2xHI16s4s")
_NAME_BYTES = 28
"""Of the longest socket address."""
_RECORD_BYTES = 32
"""A socket address, and a datagram's first bytes."""
_LINE_BYTES = 64
_DONTWAIT = int(socket.MSG_DONTWAIT)
_NAMES = {socket.AF_INET: (16, "8s24x", "8s20xHH"), socket.AF_INET6: (28, "28s4x", "28sHH")}
"""Bytes of a socket address; how a record is read without and with the first bytes. IPv4's last eight say nothing."""
_SIZES = (4, 16, MANY)
"""Records are read so many at a time, whatever is in the last ones."""


class Datagrams:
    """Room for `MANY` datagrams of any size. What none has needed yet takes no memory."""

    def __init__(self, headroom: int) -> None:
        """``headroom``: bytes in front of each."""
        lines = -(-(headroom + MAX_BYTES) // _LINE_BYTES)
        stride = (lines | 1) * _LINE_BYTES  # an odd number: else the first lines of all share few places in the cache
        self.memory = mmap.mmap(-1, stride * MANY)
        self.view = memoryview(self.memory)
        self.offsets = [stride * index + headroom for index in range(MANY)]
        """Where in the memory each begins."""
        self.bodies = [self.view[offset : offset + MAX_BYTES] for offset in self.offsets]
        self.address = _address(self.memory)


class Receiving:
    """Receives from sockets of one family into `Datagrams`."""

    def __init__(self, into: Datagrams, family: int, *, split: bool = False) -> None:
        """``split``: the first four bytes of each do not go there, but come as two numbers by `read`."""
        name_bytes, alone, parted = _NAMES[socket.AddressFamily(family)]
        self._into = into
        """Kept, for the kernel writes there."""
        self._records = bytearray(_RECORD_BYTES * 2 * MANY)
        self._vectors = bytearray(_IOVEC.size * 2 * MANY)
        self._headers = bytearray(_MMSGHDR.size * MANY)
        records, vectors = _address(self._records), _address(self._vectors)
        for index, offset in enumerate(into.offsets):
            name, vector = records + _RECORD_BYTES * index, _IOVEC.size * 2 * index
            _IOVEC.pack_into(self._vectors, vector, name + _NAME_BYTES, _RECORD_BYTES - _NAME_BYTES)
            _IOVEC.pack_into(self._vectors, vector + _IOVEC.size, into.address + offset, MAX_BYTES)
            start = vectors + vector + (0 if split else _IOVEC.size)
            _MMSGHDR.pack_into(self._headers, _MMSGHDR.size * index, name, name_bytes, start, 1 + split, 0, 0, 0, 0)
        self._at = _pointers(self._headers, _MMSGHDR.size)
        self._sizes = memoryview(self._headers).cast("I")[_RECEIVED_AT // 4 :: _MMSGHDR.size // 4]
        self._read = {size: struct.Struct("!" + (parted if split else alone) * size).unpack_from for size in _SIZES}

    def receive(self, descriptor: int, first: int, most: int) -> list[int]:
        """The sizes of the datagrams that were there, put from room ``first`` on. Raises OSError if there was none."""
        count = _recvmmsg(descriptor, self._at[first], most, _DONTWAIT, None)
        if count < 1:
            raise _error()
        return self._sizes[first : first + count].tolist()

    def read(self, first: int, count: int) -> tuple[Any, ...]:
        """The sources of what was received as keys of `Sources`, if split each followed by two numbers. Maybe some more."""
        for size in _SIZES:
            if count <= size:
                break
        return self._read[size](self._records, first * _RECORD_BYTES)


class Sending:
    """Sends from `Datagrams` by sockets of one family."""

    def __init__(self, source: Datagrams, family: int) -> None:
        name_bytes = _NAMES[socket.AddressFamily(family)][0]
        self._source = source
        self.vectors = bytearray(VECTOR.size * MANY)
        """A `VECTOR` for each that is to be sent: where it begins, its length, and the `name_of` its destination."""
        self.places = [VECTOR.size * index for index in range(MANY)]
        self.begins = [source.address + offset for offset in source.offsets]
        """Where the rooms of ``source`` are, as `VECTOR` has it."""
        self._headers = bytearray(_MMSGHDR.size * MANY)
        vectors = _address(self.vectors)
        for index, place in enumerate(self.places):
            name = vectors + place + _IOVEC.size
            _MMSGHDR.pack_into(self._headers, _MMSGHDR.size * index, name, name_bytes, vectors + place, 1, 0, 0, 0, 0)
        self._at = _pointers(self._headers, _MMSGHDR.size)

    def send(self, descriptor: int, first: int, end: int) -> int:
        """Send those of ``vectors`` from ``first`` to ``end``, or some; which one is next. Raises OSError if the first one
        could not be sent."""
        count = _sendmmsg(descriptor, self._at[first], end - first, _DONTWAIT)
        if count < 1:
            raise _error()
        return first + int(count)


    def frame(self, index: int) -> memoryview:
        """What one of ``vectors`` is about."""
        begin, size, _ = VECTOR.unpack_from(self.vectors, self.places[index])
        offset = begin - self._source.address
        return self._source.view[offset : offset + size]


class Sources(dict[bytes, SocketAddress]):
    """Addresses as the socket module has them, by what `Receiving.read` has for them; bounded."""

    def __missing__(self, name: bytes) -> SocketAddress:
        if len(self) >= MAX_SOURCES:
            self.clear()
        if len(name) == _NAME_BYTES:
            port, flow, host, scope = _NAME6.unpack(name)
            address: SocketAddress = (
                socket.inet_ntop(socket.AF_INET6, host), port, flow, int.from_bytes(scope, sys.byteorder))
        else:
            port, host = _NAME4.unpack(name)
            address = socket.inet_ntop(socket.AF_INET, host), port
        self[name] = address
        return address


@functools.cache
def supported() -> bool:
    """Whether it is known here, and allowed: a filter of system calls may let neither call through."""
    if not _known:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for call, rest in ((_recvmmsg, (None,)), (_sendmmsg, ())):
            ctypes.set_errno(0)
            if call(sock.fileno(), None, 0, _DONTWAIT, *rest) < 0 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS):
                return False
    return True


def name_of(address: SocketAddress) -> bytes:
    """The kernel's struct sockaddr. Raises OSError for a host that is not plainly a number."""
    if len(address) == 2:
        host, port = address
        return _family(socket.AF_INET) + _NAME4.pack(port, socket.inet_pton(socket.AF_INET, host))[2:] + bytes(8)
    host, port, flow, scope = address
    packed = _NAME6.pack(port, flow, socket.inet_pton(socket.AF_INET6, host), scope.to_bytes(4, sys.byteorder))
    return _family(socket.AF_INET6) + packed[2:]


def _family(family: int) -> bytes:
    return int(family).to_bytes(2, sys.byteorder)


def _address(memory: bytearray | mmap.mmap) -> int:
    """Where it is, and stays as long as somebody has it: it is never resized."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _pointers(memory: bytearray, step: int) -> list[Any]:
    """To each ``step`` bytes, as arguments for a C function."""
    whole = (ctypes.c_char * len(memory)).from_buffer(memory)
    return [ctypes.byref(whole, at) for at in range(0, len(memory), step)]


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
