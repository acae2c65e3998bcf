"""Reads what we need of a BPF object file: instructions, and where in them a map is meant.

The object is our own, built from relay.bpf.c; this is no general reader. Source: the ELF-64 object file format, and
"BPF ELF relocation types" of the kernel's documentation (one kind, R_BPF_64_64, which is the address of a map here).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

INSTRUCTION_BYTES = 8

_MAGIC = b"\x7fELF\x02\x01\x01"
"""64 bit, little endian, version 1."""
_HEADER = struct.Struct("<16xHHI8x8xQI6xHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQ")
_MACHINE_BPF = 247
_SYMBOLS, _RELOCATIONS = 2, 9
_MAP_ADDRESS = 1
_PSEUDO_MAP_FD = 1
_LOAD_64 = 0x18
"""The instruction that loads a 64-bit constant; where the kernel finds a map's descriptor there, it puts its address."""


class Program(NamedTuple):
    """A program whose maps do not exist yet."""

    instructions: bytes
    maps: tuple[tuple[int, str], ...]
    """Offsets of instructions that load the address of a map, and the map's name."""

    def with_maps(self, descriptors: dict[str, int]) -> bytes:
        """The instructions for maps with these descriptors. Raises ValueError for one that is not among them."""
        made = bytearray(self.instructions)
        for offset, name in self.maps:
            if name not in descriptors:
                raise ValueError(f"there is no map {name}")
            made[offset + 1] = made[offset + 1] & 0x0F | _PSEUDO_MAP_FD << 4
            struct.pack_into("<i", made, offset + 4, descriptors[name])
        return bytes(made)


def read(data: bytes, section: str) -> Program:
    """The program in the section of this name. Raises ValueError if this is not such a file."""
    try:
        return _read(data, section)
    except (struct.error, IndexError) as error:
        raise ValueError(f"the object file is cut off: {error}") from None


def _read(data: bytes, section: str) -> Program:
    if data[: len(_MAGIC)] != _MAGIC:
        raise ValueError("this is no 64-bit little-endian object file")
    _, machine, _, table, _, size, count, names_at = _HEADER.unpack_from(data)
    if machine != _MACHINE_BPF or size != _SECTION.size:
        raise ValueError("the object file is not for BPF")
    sections = [_SECTION.unpack_from(data, table + number * size) for number in range(count)]
    names = [_text(data, sections[names_at][4] + one[0]) for one in sections]
    if section not in names:
        raise ValueError(f"there is no section {section}")
    number = names.index(section)
    _, _, _, _, at, length, *_ = sections[number]
    instructions = data[at : at + length]
    if len(instructions) != length or length % INSTRUCTION_BYTES or not length:
        raise ValueError("the object file is cut off")
    maps = []
    for _, kind, _, _, offset, bytes_of, link, target, _, _ in sections:
        if kind != _RELOCATIONS or target != number:
            continue
        symbols = sections[link]
        for one in range(offset, offset + bytes_of, _RELOCATION.size):
            where, what = _RELOCATION.unpack_from(data, one)
            name_at, *_ = _SYMBOL.unpack_from(data, symbols[4] + (what >> 32) * _SYMBOL.size)
            if what & 0xFFFFFFFF != _MAP_ADDRESS or instructions[where] != _LOAD_64:
                raise ValueError(f"relocation {what & 0xFFFFFFFF} at {where} is none of a map")
            maps.append((where, _text(data, sections[symbols[6]][4] + name_at)))
    return Program(instructions, tuple(maps))


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode("ascii")
