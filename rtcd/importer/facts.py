"""What was read of all files of a call together, as plain records: some faults show only between two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rtcd.importer.report import Where
from rtcd.importer.turnserver import Option


@dataclass(frozen=True, slots=True)
class TurnFile:
    """A configuration of coturn; ``command``: it is a command line."""

    file: str
    options: tuple[Option, ...]
    command: bool = False

    def all(self, *names: str) -> list[Option]:
        """The options of these names, in order."""
        return [one for one in self.options if one.name in names]

    def last(self, name: str) -> Option | None:
        """The one that counts where coturn takes the last."""
        found = self.all(name)
        return found[-1] if found else None

    def at(self, option: Option) -> Where:
        """Where it stands."""
        return Where(self.file, option.line)

    @property
    def users(self) -> list[tuple[str, str, Option]]:
        """Name, password or key, and the option."""
        found = []
        for one in self.all("user"):
            name, _, password = one.value.partition(":")
            found.append((name, password, one))
        return found


@dataclass(frozen=True, slots=True)
class Url:
    """A STUN or TURN URL, and its line."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class IceServer:
    """One entry of a list of ICE servers; ``listed``: its URLs are a list and not one text."""

    urls: tuple[Url, ...]
    username: str
    credential: str
    line: int
    listed: bool = False


@dataclass(frozen=True, slots=True)
class IceFile:
    """What an ICE credentials service answers. ``secret`` is what it signs with, if the text tells; ``moment`` is the time
    of the request, if the text tells."""

    file: str
    url: Url | None
    servers: tuple[IceServer, ...]
    secret: str = ""
    secret_line: int = 0
    moment: int | None = None
    signs: bool = False


@dataclass(frozen=True, slots=True)
class Instance:
    """A Collider that AppRTC's room server knows."""

    host: str
    line: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A name that the file assigns; ``value`` is None if it is no plain value, or None."""

    value: object
    line: int
    plain: bool = True


@dataclass(frozen=True, slots=True)
class ConstantsFile:
    """AppRTC's constants.py. ``override`` is the line of the servers that replace the ICE service, 0 if there are none."""

    file: str
    names: dict[str, Constant]
    servers: tuple[IceServer, ...]
    override: int
    instances: tuple[Instance, ...]

    def text(self, name: str) -> Url | None:
        """A constant that is a text."""
        found = self.names.get(name)
        return Url(found.value, found.line) if found is not None and isinstance(found.value, str) and found.value else None


@dataclass(frozen=True, slots=True)
class Listen:
    """A port of nginx; ``host`` is empty for all addresses."""

    port: int
    tls: bool
    line: int
    host: str = ""


@dataclass(frozen=True, slots=True)
class Location:
    """A location of a server of nginx. ``host``: what it sends as Host; empty is nginx's own choice, the upstream's name."""

    path: str
    line: int
    upstream: str = ""
    upgrade: bool = False
    host: str = ""
    host_line: int = 0


@dataclass(frozen=True, slots=True)
class NginxServer:
    """A server block; ``sockets`` are the unix sockets that it listens on."""

    line: int
    listens: tuple[Listen, ...]
    names: tuple[str, ...]
    locations: tuple[Location, ...]
    redirects: tuple[Url, ...]
    cert: Url | None = None
    key: Url | None = None
    ciphers: Url | None = None
    sockets: tuple[Url, ...] = ()

    @property
    def upstreams(self) -> list[str]:
        """The hosts, or names of upstreams, that it passes requests on to."""
        passed = [one.upstream for one in self.locations if one.upstream]
        return [one.partition("://")[2].partition("/")[0].partition("$")[0] for one in passed]

    @property
    def tls(self) -> bool:
        """Whether it serves HTTPS."""
        return any(one.tls for one in self.listens)


@dataclass(frozen=True, slots=True)
class NginxFile:
    """A configuration of nginx, as far as sites go; ``others`` are directives that mean nothing to rtcd."""

    file: str
    servers: tuple[NginxServer, ...]
    upstreams: dict[str, tuple[str, ...]]
    others: tuple[Url, ...] = ()
    broken: tuple[Url, ...] = ()

    def site(self, ports: set[int]) -> list[NginxServer]:
        """The servers of the one site that leads to the room server, or to a Collider at one of these ports: whoever leads
        there, has its name, or sends all the world there. Others are none of ours."""

        def rank(server: NginxServer) -> tuple[bool, bool, bool]:
            targets = [target for one in server.upstreams for target in self.upstreams.get(one, (one,))]
            known = any(one.upgrade for one in server.locations) or bool({*map(port_of, targets)} & ports)
            return bool(targets), known, server.tls

        if not self.servers:
            return []
        main = max(self.servers, key=rank)
        return [one for one in self.servers if one is main or set(one.names) & set(main.names)
                or set(one.upstreams) & set(main.upstreams) or (one.redirects and not one.names and not one.upstreams)]

    @property
    def ports(self) -> set[int]:
        """All that it listens on."""
        return {one.port for server in self.servers for one in server.listens}


@dataclass(frozen=True, slots=True)
class Certificate:
    """``reason`` is why the files of a certificate are not good for rtcd; ``self_signed`` is None if nobody could look."""

    reason: str = ""
    self_signed: bool | None = False


@dataclass(frozen=True, slots=True)
class Machine:
    """What the importer is told of the world: addresses of this machine, the time, and a look at a certificate, which takes
    the paths of certificate and key, and the names that it has to be for."""

    addresses: frozenset[str]
    now: float
    look: Callable[[str, str, Iterable[str]], Certificate]


@dataclass(slots=True)
class Facts:
    """All files."""

    machine: Machine
    turn: list[TurnFile] = field(default_factory=list)
    ice: list[IceFile] = field(default_factory=list)
    constants: list[ConstantsFile] = field(default_factory=list)
    nginx: list[NginxFile] = field(default_factory=list)

    @property
    def signaling_ports(self) -> set[int]:
        """The ports of the Colliders that constants.py names."""
        return {port for one in self.constants for instance in one.instances if (port := port_of(instance.host))}


def port_of(host: str) -> int:
    """The port of ``host:port``, 0 if there is none."""
    port = host.rpartition(":")[2].partition("?")[0].partition("/")[0]
    return int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
