"""`RelayProgram`: the program in the kernel with its maps, and the interfaces at which it runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import resources

from twisted.logger import Logger

from rtcd.kernel import bpf, elf
from rtcd.kernel.records import FLOW_BYTES, KEY_BYTES, MAX_FLOWS, MAX_METERS, METER_BYTES, SLOT

OBJECT = "relay.bpf.o"
SECTION = "tcx/ingress"
NAME = "rtcd_relay"
LICENSE = "Dual BSD/GPL"

MAX_INTERFACES = 256
"""At so many of them it runs; what comes in by others is relayed by the daemon."""


def shipped() -> bytes:
    """The object file that `make bpf` has built."""
    return resources.files(__package__).joinpath(OBJECT).read_bytes()


class RelayProgram:
    """All of it ends with this process, or before that with `close`."""

    _log = Logger()

    def __init__(self, built: bytes) -> None:
        """Load it. Raises ValueError for an object file that is broken, `rtcd.kernel.bpf.Refused` with what the verifier
        said, and other OSErrors."""
        program = elf.read(built, SECTION)
        self._maps: dict[str, bpf.Map] = {}
        self._links: dict[int, int] = {}
        self._program = -1
        try:
            self.slots = self._map("slots", bpf.HASH, KEY_BYTES, SLOT.size, MAX_FLOWS)
            self.flows = self._map("flows", bpf.ARRAY, 4, FLOW_BYTES, MAX_FLOWS, bpf.MMAPABLE)
            self.meters = self._map("meters", bpf.ARRAY, 4, METER_BYTES, MAX_METERS, bpf.MMAPABLE)
            descriptors = {name: one.descriptor for name, one in self._maps.items()}
            self._program = bpf.load(NAME, program.with_maps(descriptors), LICENSE)
        except BaseException:
            self.close()
            raise

    @property
    def interfaces(self) -> frozenset[int]:
        """Where it runs, by index."""
        return frozenset(self._links)

    def run_at(self, interfaces: Iterable[int]) -> OSError | None:
        """Run at these interfaces and no others; the last reason if it cannot at one of them."""
        wanted = sorted(set(interfaces))[:MAX_INTERFACES]
        for gone in self._links.keys() - set(wanted):
            os.close(self._links.pop(gone))
        failed = None
        for one in wanted:
            if one not in self._links:
                try:
                    self._links[one] = bpf.attach(self._program, one)
                except OSError as error:
                    failed = error
        return failed

    def close(self) -> None:
        """Nothing runs any more."""
        self.run_at(())
        if self._program >= 0:
            os.close(self._program)
            self._program = -1
        for one in self._maps.values():
            one.close()

    def _map(self, name: str, kind: int, key_bytes: int, value_bytes: int, entries: int, flags: int = 0) -> bpf.Map:
        made = self._maps[name] = bpf.Map(kind, name, key_bytes, value_bytes, entries, flags)
        return made
