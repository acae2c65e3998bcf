"""Planes that mind being asked for what the real ones could not do."""

from __future__ import annotations

from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.stun.attributes import Address, Family, family_of
from tests.fakes_turn import FakePlane


class StrictPlane(FakePlane):
    """Of UDP relays."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[Allocation, FiveTuple] = {}
        self.gone: set[FiveTuple] = set()

    def open(self, allocation: Allocation, host: str) -> Address:
        assert (allocation, family_of(host)) not in self.open_relays
        assert allocation.five_tuple not in self.gone
        address = super().open(allocation, host)
        self.places[allocation] = allocation.five_tuple
        return address

    def permit(self, allocation: Allocation, peer_host: str, expires_at: float, named: str) -> None:
        assert (allocation, family_of(peer_host)) in self.open_relays

    def bind(self, allocation: Allocation, channel: int, peer: Address, expires_at: float) -> None:
        assert (allocation, family_of(peer[0])) in self.open_relays

    def send(self, allocation: Allocation, peer: Address, data: bytes, dont_fragment: bool = False) -> None:
        assert (allocation, family_of(peer[0])) in self.open_relays
        self.calls.append(("send", peer))

    def move(self, allocation: Allocation, five_tuple: FiveTuple) -> None:
        assert allocation in self.places
        assert five_tuple not in self.places.values()
        if five_tuple in self.gone:
            raise OSError("no such client")
        self.places[allocation] = five_tuple

    def close(self, allocation: Allocation, family: int | None = None) -> Traffic:
        traffic = super().close(allocation, family)
        if all(one is not allocation for one, _ in self.open_relays):
            self.places.pop(allocation, None)
        return traffic


class StrictTcp:
    """Of TCP relays; `links` are the connections to peers, by number."""

    def __init__(self) -> None:
        self.open_relays: set[tuple[Allocation, int]] = set()
        self.links: dict[int, tuple[Allocation, int]] = {}
        self.pipes: dict[int, FiveTuple] = {}
        self.fault: OSError | None = None
        self.streams = True

    def open(self, allocation: Allocation, host: str) -> Address:
        """Raises the `fault`."""
        if self.fault is not None:
            raise self.fault
        relay = (allocation, family_of(host))
        assert allocation.five_tuple.transport in ("tcp", "tls")
        assert relay not in self.open_relays
        self.open_relays.add(relay)
        return host, 50001

    def connect(self, number: int, allocation: Allocation, peer: Address) -> None:
        """A link that is to be."""
        assert (allocation, family_of(peer[0])) in self.open_relays
        assert number not in self.links
        self.links[number] = allocation, family_of(peer[0])

    def bind(self, number: int, five_tuple: FiveTuple) -> bool:
        """As `streams` says."""
        assert number in self.links
        assert number not in self.pipes
        assert five_tuple not in self.pipes.values()
        if self.streams:
            self.pipes[number] = five_tuple
        return self.streams

    def drop(self, number: int) -> None:
        """The link is no more."""
        self.links.pop(number, None)
        self.pipes.pop(number, None)

    def move(self, allocation: Allocation, five_tuple: FiveTuple) -> None:
        """Streams do not depend on where the control connection is, but it is a stream."""
        assert five_tuple.transport in ("tcp", "tls")

    def traffic(self, allocation: Allocation) -> Traffic:
        """None."""
        return Traffic()

    def close(self, allocation: Allocation, family: Family | None = None) -> Traffic:
        """And every link."""
        gone = {one for one in self.open_relays if one[0] is allocation and family in (None, one[1])}
        self.open_relays -= gone
        for number in [number for number, relay in self.links.items() if relay in gone]:
            self.drop(number)
        return Traffic()
