"""The object file of the program in the kernel, and what is refused in its place."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import rtcd.kernel
from rtcd.kernel import elf

BUILT = (Path(rtcd.kernel.__file__).parent / "relay.bpf.o").read_bytes()
SECTION = "tcx/ingress"


class ElfTests(SynchronousTestCase):
    def test_every_place_of_a_map_gets_its_descriptor(self) -> None:
        program = elf.read(BUILT, SECTION)
        self.assertEqual({name for _, name in program.maps}, {"slots", "flows", "meters"})
        made = program.with_maps({"slots": 3, "flows": 4, "meters": 5})
        self.assertEqual(len(made), len(program.instructions))
        for offset, name in program.maps:
            self.assertEqual((made[offset], made[offset + 1] >> 4), (0x18, 1))
            self.assertEqual(made[offset + 4], {"slots": 3, "flows": 4, "meters": 5}[name])
        with self.assertRaises(ValueError):
            program.with_maps({"slots": 3})

    def test_a_section_that_is_not_there(self) -> None:
        self.assertRaises(ValueError, elf.read, BUILT, "xdp")

    def test_other_files(self) -> None:
        for data in (b"", b"\x7fELF", BUILT[:4] + b"\x01" + BUILT[5:], BUILT[:18] + b"\x3e\0" + BUILT[20:], bytes(4096)):
            self.assertRaises(ValueError, elf.read, data, SECTION)

    @given(st.integers(0, len(BUILT) - 1))
    def test_one_that_is_cut_off(self, size: int) -> None:
        """It is refused, or all that is needed is there."""
        try:
            program = elf.read(BUILT[:size], SECTION)
        except ValueError:
            return
        self.assertEqual(program, elf.read(BUILT, SECTION))
