"""One relay plane in a network of three, with its clients and peers: what is sent in, and all that comes out."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from rtcd.allocations.addresses import Ports
from rtcd.allocations.allocation import Allocation, FiveTuple
from rtcd.kernel.plane import KernelRelayPlane
from rtcd.metrics import Counter
from rtcd.plane.drops import DROPS
from rtcd.plane.poller import Poller
from rtcd.plane.relay import PythonRelayPlane
from rtcd.stun.attributes import DATA, XOR_PEER_ADDRESS, Address, family_of
from rtcd.stun.message import decode
from tests.shell.kernel import KernelClock, use_kept
from tests.three_networks import CLIENT, HOSTS, PEER, SERVER, ThreeNetworks

DEADLINE_S = 5.0
MARK = b"\xffmark"
"""Begins with a byte that is neither STUN nor ChannelData."""
IP_RECVTOS, IP_RECVTTL = 13, 12
SO_RCVBUFFORCE = 33



class Got(NamedTuple):
    """A datagram as it came out."""

    where: str
    source: Address
    data: object
    fields: tuple[int, int]
    """DSCP with ECN, and hop count."""


class World:
    """One plane, its clients and peers, each in its own network."""

    def __init__(
        self, networks: ThreeNetworks, version: int, plane: Callable[..., PythonRelayPlane], fields: bool, *,
        port: int = 3478, clients: int = 4000,
    ) -> None:
        self.networks = networks
        self.hosts = HOSTS[version]
        self.family = socket.AF_INET6 if version == 6 else socket.AF_INET
        self.sockets: dict[str, socket.socket] = {}
        self.passed_up: list[tuple[bytes, FiveTuple]] = []
        self.drops = {reason: Counter() for reason in DROPS}
        reactor: Any = MemoryReactorClock()
        self.clock = KernelClock()
        self.poller = Poller(reactor, self.clock)
        with networks.inside(SERVER):
            self.plane = plane(
                self, self.poller, self.clock, lambda: Ports(range(50000, 50100), lambda below: 0), self.drops, fields)
            self.server = self.plane.listen(self.hosts["server"], port)
            self.plane.start(lambda data, five_tuple: self.passed_up.append((data, five_tuple)))
            self.helper = self.open_socket("relay", clients)
        self.wires = {name: self.tap(which) for name, which in (("client", CLIENT), ("peer", PEER))}
        for number in range(3):
            self.add(CLIENT, f"client{number}", clients + number)
            self.add(PEER, f"peer{number}", clients + 1000 + number)

    def add(self, which: str, name: str, port: int) -> None:
        with self.networks.inside(which):
            self.sockets[name] = self.open_socket(which, port)

    def open_socket(self, host: str, port: int) -> socket.socket:
        sock = socket.socket(self.family, socket.SOCK_DGRAM)
        sock.bind((self.hosts[host], port))
        sock.settimeout(DEADLINE_S)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 2**21)
        if self.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        return sock

    def tap(self, which: str) -> socket.socket:
        """All that comes in by a wire."""
        with self.networks.inside(which):
            protocol = 0x86DD if self.family == socket.AF_INET6 else 0x800
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
            sock.bind(("eth0", 0))
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 2**22)
        sock.setblocking(False)
        return sock

    def checksums(self) -> dict[str, int]:
        """Of whole UDP datagrams that have come to clients and peers since: how many were right, wrong and not there."""
        found = {"right": 0, "wrong": 0, "none": 0}
        for one in self.wires.values():
            while True:
                try:
                    frame, (_, _, kind, *_) = one.recvfrom(70000)
                except BlockingIOError:
                    break
                if kind == socket.PACKET_HOST and (known := _checked(frame[14:])):
                    found[known] += 1
        return found

    def close(self) -> None:
        self.plane.stop()
        for one in (*self.sockets.values(), *self.wires.values(), self.helper):
            one.close()

    def address(self, name: str) -> Address:
        host, port, *_ = self.sockets[name].getsockname()
        return host, port

    def allocate(self, client: str, upward: tuple[float, ...] = (), downward: tuple[float, ...] = ()) -> Allocation:
        allocation = Allocation(FiveTuple("udp", self.address(client), self.server), "u", "u", b"", "", bytes(12))
        allocation.upward = tuple(self.plane.meter(rate) for rate in upward)
        allocation.downward = tuple(self.plane.meter(rate) for rate in downward)
        with self.networks.inside(SERVER):
            allocation.relayed[family_of(self.hosts["relay"])] = self.plane.open(allocation, self.hosts["relay"])
        return allocation

    def relayed(self, allocation: Allocation) -> Address:
        return next(iter(allocation.relayed.values()))

    def step(self, name: str, to: Address, data: bytes, options: tuple[tuple[int, int, Any], ...]) -> list[Got]:
        """One datagram is sent; what came out of it anywhere."""
        self.clock.settle()
        sock = self.sockets[name]
        before = [(level, option, sock.getsockopt(level, option)) if not isinstance(value, bytes) else (level, option, b"")
                  for level, option, value in options]
        for level, option, value in options:
            sock.setsockopt(level, option, value)
        sock.sendto(data, to)
        for level, option, value in before:
            sock.setsockopt(level, option, value)
        sock.sendto(MARK, self.helper.getsockname())  # behind it, by the same way
        self.wait(self.helper, "helper")
        self.read_all()
        found = []
        for one in self.sockets:
            self.helper.sendto(MARK, self.address(one))
            found += self.wait(self.sockets[one], one)
        return found

    def read_all(self) -> None:
        """Let the plane read what there is."""
        while select.select([self.poller], (), (), 0)[0]:
            self.poller.doRead()

    def wait(self, sock: socket.socket, where: str) -> list[Got]:
        """What comes before the mark."""
        found: list[Got] = []
        while True:
            data, ancillary, _, source = sock.recvmsg(70000, 256)
            if data == MARK:
                return found
            fields = {kind: raw for _, kind, raw in ancillary}
            six = self.family == socket.AF_INET6
            tos = fields[socket.IPV6_TCLASS if six else socket.IP_TOS][0]
            hops = struct.unpack("=i", fields[socket.IPV6_HOPLIMIT if six else socket.IP_TTL])[0]
            found.append(Got(where, source[:2], _shown(data), (tos, hops)))


def _checked(packet: bytes) -> str:
    """How the checksum of a UDP datagram is; nothing if it is none, or a part of one."""
    if packet[0] >> 4 == 4:
        if packet[9] != 17 or int.from_bytes(packet[6:8], "big") & 0x3FFF:
            return ""
        head = (packet[0] & 15) * 4
        ends, udp = packet[12:20], packet[head : int.from_bytes(packet[2:4], "big")]
    else:
        if packet[6] != 17:
            return ""
        ends, udp = packet[8:40], packet[40 : 40 + int.from_bytes(packet[4:6], "big")]
    if udp[6:8] == b"\0\0":
        return "none"
    data = ends + struct.pack("!HH", 17, len(udp)) + udp + bytes(len(udp) & 1)
    return "right" if sum(struct.unpack(f"!{len(data) // 2}H", data)) % 0xFFFF == 0 else "wrong"


def _shown(data: bytes) -> object:
    """Of an indication what is the same every time."""
    if not data or data[0] != 0:
        return data
    try:
        message = decode(data)
    except ValueError:
        return data
    return message.method, message.get(XOR_PEER_ADDRESS), message.get(DATA)


def python_plane(world: World, poller: Poller, clock: Clock, ports: Any, drops: Any, fields: bool) -> PythonRelayPlane:
    return PythonRelayPlane(poller, clock, ports, drops, ip_fields=fields)


def kernel_plane(world: World, poller: Poller, clock: Clock, ports: Any, drops: Any, fields: bool) -> PythonRelayPlane:
    kernel = use_kept()
    plane = KernelRelayPlane(poller, clock, ports, drops, program=kernel.program, network=kernel.network, shortcut=Counter(),
                             ip_fields=fields)
    world.clock.plane = plane
    return plane
