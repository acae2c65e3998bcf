"""Which relay plane it is to be: the one with the short cut through the kernel if that can be had, and why not if not."""

from __future__ import annotations

import errno
import os
import platform
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from twisted.logger import Logger

from rtcd.config import ConfigError
from rtcd.kernel.bpf import SYSCALL, Refused, supported
from rtcd.kernel.network import Network
from rtcd.kernel.plane import KernelRelayPlane
from rtcd.kernel.program import RelayProgram, shipped
from rtcd.kernel.records import LOOPBACK
from rtcd.metrics import Counter
from rtcd.plane.relay import PythonRelayPlane

MIN_LINUX = (6, 6)
"""The first with TCX, by which the program is attached and detached with the process."""

STATUS = Path("/proc/self/status")
OFFSETS = Path("/proc/self/timens_offsets")
_NET_ADMIN, _SYS_ADMIN, _BPF = 12, 21, 39
"""Numbers of capabilities, of <linux/capability.h>."""

_log = Logger()


class Unavailable(Exception):
    """The kernel cannot relay for us; the text says why, and what would mend it."""


def make_plane(
    wanted: str, use: Callable[[], Kernel], shortcut: Counter, *arguments: Any, **options: Any
) -> PythonRelayPlane:
    """The plane that ``[turn] relay-plane`` wants, and a line that says which it is and why; if it is empty, nothing is
    relayed, and sockets are enough.

    ``use``: `use_kernel`. ``shortcut``: see `KernelRelayPlane`; the rest is for either plane. Raises ConfigError if the
    kernel is wanted and cannot.
    """
    if wanted in ("python", ""):
        if wanted:
            _log.info("calls are relayed by sockets, as [turn] relay-plane says")
        return PythonRelayPlane(*arguments, **options)
    try:
        kernel = use()
        plane = _plane_of(kernel, *arguments, shortcut=shortcut, **options)
    except Unavailable as error:
        if wanted == "kernel":
            raise ConfigError("turn", "relay-plane", f"the kernel cannot relay: {error}; set auto or python") from None
        _log.info("calls are relayed by sockets; the kernel, which would take less processor, cannot: {reason}",
                  reason=str(error))
        return PythonRelayPlane(*arguments, **options)
    _log.info("calls are relayed in the kernel, at {here}{elsewhere}", here=kernel.at(), elsewhere=kernel.not_at())
    return plane


def _plane_of(kernel: Kernel, *arguments: Any, **options: Any) -> KernelRelayPlane:
    try:
        return KernelRelayPlane(*arguments, program=kernel.program, network=kernel.network, **options)
    except BaseException as error:
        kernel.close()
        if isinstance(error, OSError):
            raise Unavailable(f"its tables cannot be had ({error.strerror})") from None
        raise


class Kernel(NamedTuple):
    """What the plane needs of it."""

    program: RelayProgram
    network: Network

    def at(self) -> str:
        """Where the program runs, for people."""
        return self.network.names(self.program.interfaces)

    def not_at(self) -> str:
        """Where it does not although there are addresses."""
        names = self.network.names({*self.network.usable, *self.network.others} - self.program.interfaces)
        return f"; by sockets what comes by {names}" if names else ""

    def close(self) -> None:
        """Without it."""
        self.program.close()
        self.network.close()


def use_kernel(built: Callable[[], bytes] = shipped) -> Kernel:
    """Load the program and run it at every interface that it can run at. Raises `Unavailable`, with nothing left behind.

    ``built()``: the object file.
    """
    check_machine()
    missing = missing_capabilities()
    if missing:
        raise Unavailable(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; systemd/rtcd.service "
                          "grants what it takes")
    try:
        data = built()
    except OSError as error:
        raise Unavailable(f"its program cannot be read ({error.strerror}); install rtcd anew") from None
    try:
        program = RelayProgram(data)
    except ValueError as error:
        raise Unavailable(f"its program is not as it was shipped ({error}); install rtcd anew") from None
    except Refused as error:
        raise Unavailable(
            f"the kernel's verifier refuses the program; please report what it says: {error.strerror}") from None
    except OSError as error:
        raise Unavailable(_reason(error)) from None
    network, failed = None, None
    try:
        network = Network()
        network.look()
        failed = program.run_at(network.usable)
    except OSError as error:
        failed = error
    except struct.error:
        failed = OSError(errno.EPROTO, "the kernel's answers about the network are not understood")
    if network is not None and _worth_it(program, network):
        return Kernel(program, network)
    program.close()
    if network is not None:
        network.close()
    where = network.names({*network.usable, *network.others} - {LOOPBACK}) if network is not None else ""
    raise Unavailable(f"it cannot be done at {where or 'any interface'}" + (f" ({failed.strerror})" if failed else ""))


def _worth_it(program: RelayProgram, network: Network) -> bool:
    """Whether it runs at an interface that leads somewhere, if there is any."""
    leading = (network.usable | network.others) - {LOOPBACK}
    return bool(program.interfaces - {LOOPBACK}) or bool(program.interfaces and not leading)


def missing_capabilities(status: Path = STATUS) -> list[str]:
    """Of those that it takes."""
    try:
        found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status.read_text(), re.MULTILINE)
    except OSError:
        return []
    held = int(found[1], 16) if found is not None else -1
    return [name for name, numbers in (("CAP_BPF", (_BPF, _SYS_ADMIN)), ("CAP_NET_ADMIN", (_NET_ADMIN,)))
            if not any(held >> number & 1 for number in numbers)]


def check_machine() -> None:
    """Raises `Unavailable` where it cannot work for what the machine is."""
    system, release = platform.system(), os.uname().release
    version = tuple(map(int, re.findall(r"\d+", release)[:2]))
    if system != "Linux" or version < MIN_LINUX:
        raise Unavailable(f"it takes Linux {'.'.join(map(str, MIN_LINUX))}, and this is {system} {release}")
    if platform.machine() not in SYSCALL:
        raise Unavailable(f"it is not made for {platform.machine()}")
    if not supported():
        raise Unavailable("this Python cannot make its system calls, or is one of 32 bits")
    if not _same_time():
        raise Unavailable("this is a time namespace, whose clock is not the kernel's")


def _same_time(offsets: Path = OFFSETS) -> bool:
    """Whether our CLOCK_MONOTONIC is the kernel's own."""
    try:
        return re.search(r"^monotonic\s+0\s+0$", offsets.read_text(), re.MULTILINE) is not None
    except OSError:
        return True


def _reason(error: OSError) -> str:
    if error.errno == errno.EPERM:
        return "bpf(2) is not permitted here, perhaps by a filter of system calls, or in a user namespace"
    if error.errno == errno.ENOSYS:
        return "this kernel was built without bpf(2)"
    return f"the kernel does not take the program ({error.strerror})"
