"""The program in the kernel: it is built from its source, its records are ours, and when it is refused we are told why."""

from __future__ import annotations

import errno
import json
import mmap
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

import rtcd.kernel
from rtcd.allocations.addresses import Ports
from rtcd.config import ConfigError
from rtcd.kernel import bpf, elf, records
from rtcd.kernel.choice import Unavailable, make_plane, missing_capabilities, use_kernel
from rtcd.kernel.plane import KernelRelayPlane
from rtcd.kernel.program import LICENSE, SECTION, RelayProgram, shipped
from rtcd.metrics import Counter
from rtcd.plane.drops import DROPS, PACKET_BYTES
from rtcd.plane.poller import Poller
from tests.shell.kernel import kept, require_kernel

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(rtcd.kernel.__file__).parent / "relay.bpf.c"

EXIT = b"\x95" + bytes(7)
CONTEXT_LOST = b"\xb7\x06" + bytes(6)
"""r6 = 0, in the place of r6 = r1: what was an address is a number from then on."""


def require(program: str) -> None:
    """Skip the test without it; fail where all tests have to run."""
    if shutil.which(program) is None:
        if os.environ.get("RTCD_REQUIRE_INTEROP") == "1":
            raise AssertionError(f"{program} is not installed")
        raise SkipTest(f"needs {program}")


def makefile(name: str) -> str:
    """The value of a variable there."""
    shown = f"include Makefile\nshow:\n\t@echo $({name})\n"
    done = subprocess.run(["make", "-s", "--no-print-directory", "-f", "-", "show"], cwd=ROOT, capture_output=True,
                          input=shown, text=True, check=True, timeout=30)
    return str(done.stdout).strip()


class Built(SynchronousTestCase):
    """With the compiler that the Makefile names."""

    def compile(self, *more: str) -> str:
        """The object file of the source as it is now."""
        require(makefile("CLANG"))
        path = f"{os.path.abspath(self.mktemp())}.o"
        subprocess.run([makefile("CLANG"), *makefile("BPF_FLAGS").split(), *more, "-c", str(SOURCE), "-o", path], check=True,
                       timeout=60)
        return path

    def test_what_is_shipped_is_what_the_source_gives(self) -> None:
        """Instruction by instruction, and every place of a map."""
        self.assertEqual(elf.read(Path(self.compile()).read_bytes(), SECTION), elf.read(shipped(), SECTION))

    def test_the_license_is_what_the_source_says(self) -> None:
        self.assertIn(f'_license[] SEC("license") = "{LICENSE}"', SOURCE.read_text())

    def test_records_are_as_the_source_lays_them_out(self) -> None:
        """By the types that the compiler has written down, which bpftool reads."""
        require("bpftool")
        done = subprocess.run(["bpftool", "-j", "btf", "dump", "file", self.compile("-g")], capture_output=True, text=True,
                              check=True, timeout=60)
        types = json.loads(done.stdout)["types"]
        structs = {one["name"]: one for one in types if one["kind"] == "STRUCT"}

        def at(struct: str, member: str) -> int:
            found: int = next(one["bits_offset"] for one in structs[struct]["members"] if one["name"] == member)
            return found // 8

        self.assertEqual([structs[one]["size"] for one in ("key", "flow", "meter")],
                         [records.KEY_BYTES, records.FLOW_BYTES, records.METER_BYTES])
        members = ("flags", "until", "interface", "room", "meter", "packets", "bytes", "refused")
        self.assertEqual([at("flow", one) for one in members],
                         [2 * records.FLAGS, 8 * records.UNTIL, 4 * records.INTERFACE, 2 * records.ROOM, 4 * records.METERS,
                          8 * records.PACKETS, 8 * records.BYTES, 4 * records.REFUSED])
        self.assertEqual([at("meter", one) for one in ("full_at", "rate", "depth")],
                         [8 * records.FULL_AT, 8 * records.RATE, 8 * records.DEPTH])
        flow = records.Flow(("1.1.1.1", 0x101), ("2.2.2.2", 0x202), 0x4001, ("3.3.3.3", 0x303), ("4.4.4.4", 0x404), 0x4002)
        record = flow.record(0, 0, 0, 0, (), 0x7700)
        for struct, member, expected in (
            ("key", "remote", bytes(10) + b"\xff\xff\1\1\1\1"), ("key", "local", bytes(10) + b"\xff\xff\2\2\2\2"),
            ("key", "remote_port", b"\1\1"), ("key", "local_port", b"\2\2"), ("key", "channel", b"\x40\1"),
            ("flow", "source", bytes(10) + b"\xff\xff\3\3\3\3"), ("flow", "destination", bytes(10) + b"\xff\xff\4\4\4\4"),
            ("flow", "source_port", b"\3\3"), ("flow", "destination_port", b"\4\4"), ("flow", "channel", b"\x40\2"),
            ("flow", "back", b"\0\x77"),
        ):
            self.assertEqual(record[at(struct, member) :][: len(expected)], expected, member)
        self.assertEqual(record[at("flow", "sum") :], record[-4:])

    def test_numbers_are_the_same_on_both_sides(self) -> None:
        """Those that are no layout, by the names that they have in the source."""
        text = SOURCE.read_text()
        for line in (f"#define LOOPBACK {records.LOOPBACK}\t", f"#define HEADERS_BYTES {PACKET_BYTES}\t",
                     f"#define SIX {records.SIX}\t", f"#define TO_SELF {records.TO_SELF}\t",
                     f"#define FROM_SELF {records.FROM_SELF}\t", f"#define CARRY {records.CARRY}\t",
                     f"MAX_FLOWS = {records.MAX_FLOWS}, MAX_METERS = {records.MAX_METERS} "):
            self.assertIn(line, text)


class Loading(SynchronousTestCase):
    def setUp(self) -> None:
        """Where it can be done."""
        require_kernel()

    def test_the_verifier_says_why_it_refuses(self) -> None:
        with self.assertRaises(bpf.Refused) as caught:
            bpf.load("test", EXIT, LICENSE)
        self.assertIn("R0 !read_ok", caught.exception.strerror)
        self.assertLess(len(caught.exception.strerror), 2000)

    def test_a_program_that_is_refused_is_no_reason_to_leave_anything_open(self) -> None:
        """Found out at the start, and told."""
        program = elf.read(shipped(), SECTION)
        at = shipped().index(program.instructions)
        broken = shipped()[:at] + CONTEXT_LOST + shipped()[at + 8 :]
        before = len(os.listdir("/proc/self/fd"))
        with self.assertRaises(Unavailable) as caught:
            use_kernel(lambda: broken)
        self.assertIn("verifier refuses the program", str(caught.exception))
        self.assertIn("invalid mem access 'scalar'", str(caught.exception))
        with self.assertRaises(Unavailable) as caught:
            use_kernel(lambda: b"nothing")
        self.assertIn("install rtcd anew", str(caught.exception))
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_it_runs_where_it_is_told_and_nowhere_else(self) -> None:
        program = kept()
        self.addCleanup(program.run_at, ())
        self.assertIsNone(program.run_at((1,)))
        self.assertIsNone(program.run_at((1, 1)))
        self.assertEqual(program.interfaces, {1})
        failed = program.run_at((2**31 - 1, 1))
        assert failed is not None
        self.assertEqual((failed.errno, program.interfaces), (errno.ENODEV, {1}))
        program.run_at(())
        self.assertEqual(program.interfaces, frozenset())

    def test_everything_ends_with_close(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        program = RelayProgram(shipped())
        program.run_at((1,))
        program.close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class Choosing(SynchronousTestCase):
    def test_a_python_that_cannot_make_system_calls_relays_by_sockets(self) -> None:
        """The numbers of a 64-bit kernel's calls are others for 32-bit programs."""
        require_kernel()
        self.patch(bpf, "_libc", None)
        self.assertIn("this Python cannot make its system calls", str(self.assertRaises(Unavailable, use_kernel)))
        self.assertRaises(OSError, bpf.Map, bpf.ARRAY, "none", 4, 4, 1)

    def test_tables_that_cannot_be_had_are_no_reason_not_to_start(self) -> None:
        """Unless it has to be the kernel; nothing is left open."""
        require_kernel()

        def refuse(of: bpf.Map) -> mmap.mmap:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

        self.patch(bpf.Map, "memory", refuse)
        clock: Any = MemoryReactorClock()
        before = len(os.listdir("/proc/self/fd"))
        arguments = (Poller(clock, clock), clock, lambda: Ports(range(50000, 50100), lambda below: 0),
                     {reason: Counter() for reason in DROPS})
        plane = make_plane("auto", use_kernel, Counter(), *arguments)
        self.assertNotIsInstance(plane, KernelRelayPlane)
        fault = self.assertRaises(ConfigError, make_plane, "kernel", use_kernel, Counter(), *arguments)
        self.assertEqual(str(fault), "[turn] relay-plane: the kernel cannot relay: its tables cannot be had (Cannot "
                         "allocate memory); set auto or python")
        plane.stop()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class Capabilities(SynchronousTestCase):
    def missing(self, mask: str) -> list[str]:
        """Of a process with these."""
        path = Path(self.mktemp())
        path.write_text(f"Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t{mask}\nCapBnd:\t000001ffffffffff\n")
        return missing_capabilities(path)

    def test_those_that_are_missing_are_named(self) -> None:
        self.assertEqual(self.missing("0000000000000000"), ["CAP_BPF", "CAP_NET_ADMIN"])
        self.assertEqual(self.missing("0000000000001000"), ["CAP_BPF"])
        self.assertEqual(self.missing("0000008000000000"), ["CAP_NET_ADMIN"])
        self.assertEqual(self.missing("0000008000001000"), [])

    def test_cap_sys_admin_is_as_good_as_cap_bpf(self) -> None:
        self.assertEqual(self.missing("0000000000201000"), [])
