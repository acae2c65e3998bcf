"""`LocalAuthority`: our own certificate authority in the state directory, and the server certificate that it signs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from twisted.logger import Logger

from rtcd.state import StateDirectory
from rtcd.tls.authority import Pair, fits, issue, make_authority, permits, permitted, read_pair, wanted_names
from rtcd.tls.chain import Chain
from rtcd.tls.names import canonical, is_address

_AUTHORITY = ("ca.crt", "ca.key")
_SERVER = ("server.crt", "server.key")

class Machine(NamedTuple):
    """How this machine can be known."""

    name: str
    addresses: Sequence[str]
    primary: str = ""
    """The IPv4 address by which it goes out, if it does."""


MachineNames = Callable[[], Machine]


@dataclass(frozen=True, slots=True)
class Local:
    """What the local authority gives."""

    chain: Chain
    ca_pem: bytes
    """Its own certificate, which devices are to trust."""


class LocalAuthority:
    """Makes what is missing, and keeps it. Each pair is two files in the state directory."""

    _log = Logger()

    def __init__(self, state: StateDirectory, machine_names: MachineNames) -> None:
        self._state = state
        self._machine_names = machine_names

    def load(self, configured: Iterable[str], now: float) -> Local:
        """A certificate for this machine by all its names and for those configured. Raises `ConfigError`.

        An authority may sign only for the names that it was made for, so a new name needs a new authority, and devices
        have to trust that one again. Of the addresses only the one by which the machine goes out is worth that: the others
        are those of bridges for containers, and of IPv6, which nobody types.
        """
        machine = self._machine_names()
        configured = [canonical(one) for one in configured]
        names = wanted_names(machine.name, machine.addresses, configured)
        needed = [one for one in names if one in configured or one == machine.primary or not is_address(one)]
        with self._state.locked():
            return self._load(machine, names, needed, now)

    def _load(self, machine: Machine, names: Sequence[str], needed: Sequence[str], now: float) -> Local:
        authority = self._pair(_AUTHORITY)
        if authority is None or authority.days_left(now) < 1 or not permits(authority, needed):
            authority = self._make(authority, machine.name, tuple(names), now)
        names = tuple(one for one in names if permits(authority, [one]))
        server = self._pair(_SERVER)
        if server is None or not fits(server, authority, names, now):
            server = issue(authority, names, now)
            self._keep(_SERVER, server)
            self._log.info("made a local certificate for {names}", names=", ".join(names))
        return Local(Chain((server.certificate,), server.key), authority.certificate_pem())

    def _make(self, before: Pair | None, host_name: str, names: tuple[str, ...], now: float) -> Pair:
        """The new one may sign for what the one before might too: a machine that comes and goes needs no third one."""
        authority = make_authority(host_name, [*names, *(permitted(before) if before is not None else ())], now)
        self._keep(_AUTHORITY, authority)
        path = str(self._state.path(_AUTHORITY[0]))
        if before is None:
            self._log.info("made a local certificate authority: {path}", path=path)
        else:
            self._log.warn("made a new local certificate authority: {path}; this machine has a name or address that the "
                           "one before was not made for, and devices have to trust it again: see /install", path=path)
        return authority

    def _pair(self, names: tuple[str, str]) -> Pair | None:
        held = [self._state.read(name) for name in names]
        if held[0] is None or held[1] is None:
            return None
        try:
            return read_pair(held[0], held[1])
        except (ValueError, TypeError) as error:
            self._log.warn("{path} is made again: {reason}", path=str(self._state.path(names[0])), reason=str(error))
            return None

    def _keep(self, names: tuple[str, str], pair: Pair) -> None:
        self._state.write(names[1], pair.key_pem())
        self._state.write(names[0], pair.certificate_pem())
