"""What the steps of a request share: the request itself, errors, and the plane and rules they act by.

The steps are in rtcd.turn.allocate and rtcd.turn.server; each is a function that returns an `Error` or None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rtcd.allocations.allocation import UDP, Allocation, FiveTuple, Traffic
from rtcd.allocations.meter import Meter
from rtcd.auth.authenticator import Grant
from rtcd.stun.attributes import ERROR_CODE, Address, Family
from rtcd.stun.message import Message, Method

DEFAULT_LIFETIME_S = 600
"""What an allocation lasts when the client asks for less or nothing (RFC 8656 §3.2)."""

REASONS = {
    300: "Try Alternate",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 405: "Mobility Forbidden", 420: "Unknown Attribute",
    437: "Allocation Mismatch", 438: "Stale Nonce", 440: "Address Family not Supported", 441: "Wrong Credentials",
    442: "Unsupported Transport Protocol", 443: "Peer Address Family Mismatch", 446: "Connection Already Exists",
    447: "Connection Timeout or Failure", 486: "Allocation Quota Reached",
    508: "Insufficient Capacity",
}
"""Every error code of this server and its word, which never depends on the request."""

ERROR_ATTRIBUTES = {code: ERROR_CODE.encode((code, reason)) for code, reason in REASONS.items()}
BARE_ERROR_ATTRIBUTES = {code: ERROR_CODE.encode((code, "")) for code in REASONS}
"""The same without the word, for answers that would be too long with it."""


class Error(NamedTuple):
    """The request is answered with this error code and these encoded attributes."""

    code: int
    attributes: tuple[bytes, ...] = ()
    reason: str = ""
    """For the log: which limit it was."""


LATER = Error(0)
"""Not an error: the answer is sent when it is known."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decided; a reload brings another one. Times in seconds; a quota of 0 is no quota."""

    max_lifetime: int = 3600
    channel_lifetime: int = 600
    permission_lifetime: int = 300
    user_quota: int = 0
    address_quota: int = 0
    total_quota: int = 0
    fingerprint: bool = False
    software: str = ""
    rfc5766_channels: bool = False
    stun_only: bool = False
    stun: bool = True
    """Whether Bindings are answered."""
    udp_relay: bool = True
    legacy_mapped_address: bool = False
    default_family: Family | None = Family.IPV4
    """Of the relay of a client that names none; None is the client's own."""
    mobility: bool = False
    max_bps: int = 0
    """Bytes a second in each direction of one allocation, 0 for no limit ..."""
    max_bps_user: int = 0
    """... of all allocations of a user together ..."""
    bps_capacity: int = 0
    """... and of all allocations, each of which takes `max_bps` of it."""
    stun_auth: bool = False
    """Whether Binding needs credentials too."""


class Plane(Protocol):
    """The part of rtcd.interfaces.IRelayPlane that requests have effects on."""

    def respond(self, data: bytes, five_tuple: FiveTuple) -> None:
        """Send to a client, from the address of ours in ``five_tuple``."""

    def open(self, allocation: Allocation, host: str) -> Address:
        """Raises OSError."""

    def permit(self, allocation: Allocation, peer_host: str, expires_at: float, named: str) -> None:
        """Let datagrams of a host pass."""

    def bind(self, allocation: Allocation, channel: int, peer: Address, expires_at: float) -> None:
        """Forward between channel and peer."""

    def send(self, allocation: Allocation, peer: Address, data: bytes, dont_fragment: bool = False) -> None:
        """Send to a peer."""

    def move(self, allocation: Allocation, five_tuple: FiveTuple) -> None:
        """The client is there from now on. Raises OSError."""

    def meter(self, rate: float) -> Meter:
        """A new one of so many bytes a second."""

    def remeter(self, allocation: Allocation) -> None:
        """Its meters were replaced."""

    def traffic(self, allocation: Allocation) -> Traffic:
        """The totals so far of the open relays."""

    def close(self, allocation: Allocation, family: Family | None = None) -> Traffic:
        """Close the relays, or that of one family."""

    def release(self, token: bytes) -> None:
        """Let go of a held port."""


class Observer(Protocol):
    """Is told what happened, to count, log or account for it. Nothing that it does changes an answer."""

    def answered(self, method: Method, code: int) -> None:
        """A response went out: an error code, or 0 for success."""

    def dropped(self, reason: str) -> None:
        """A client's datagram got no answer, for one of a few fixed reasons."""

    def auth_failed(self, five_tuple: FiveTuple, username: str, now: float) -> None:
        """Somebody tried a name and a password that are not right."""

    def challenged(self, five_tuple: FiveTuple) -> None:
        """Somebody who wants an allocation was told to bring credentials."""

    def request_failed(self, user: str, method: Method, code: int, reason: str) -> None:
        """A user's request was answered with an error."""

    def refused(self, five_tuple: FiveTuple, user: str, code: int, reason: str) -> None:
        """A request went past a limit: 486 for a quota, 508 for capacity, and which one it was."""

    def peer_denied(self, allocation: Allocation, peer: Address, reason: str) -> None:
        """A client named a peer that the policy refuses."""

    def peer_unsignalled(self, allocation: Allocation, peer: Address, reason: str, refused: bool, now: float) -> None:
        """A client named a peer that nobody in its room has signalled; ``refused``: and therefore may not reach."""

    def allocation_created(self, allocation: Allocation) -> None:
        """An allocation began."""

    def allocation_refreshed(self, allocation: Allocation, lifetime_s: int) -> None:
        """A client wants its allocation for so long from now on."""

    def allocation_moved(self, allocation: Allocation, old: FiveTuple) -> None:
        """Its client has left the five-tuple ``old`` for another one."""

    def allocation_ended(self, allocation: Allocation, reason: str, traffic: Traffic) -> None:
        """An allocation is gone: ``refreshed to 0``, ``expired``, ``client left``, ``shut down``."""


class AllocateRequest:
    """An authenticated Allocate on its way through the steps, and what they have found out."""

    __slots__ = ("allocation", "attributes", "claims", "even_port", "failed", "five_tuple", "grant", "hosts", "lifetime_s",
                 "message", "mobile", "network", "now", "old_numbers", "reserves", "transport")

    def __init__(
        self, message: Message, five_tuple: FiveTuple, now: float, grant: Grant, allocation: Allocation | None
    ) -> None:
        self.message = message
        self.five_tuple = five_tuple
        self.now = now
        self.grant = grant
        self.allocation = allocation
        """What is on the five-tuple: before the steps a hindrance, after them their work."""
        self.lifetime_s = DEFAULT_LIFETIME_S
        self.even_port = False
        self.reserves = False
        """Whether the port above is to be held."""
        self.transport = UDP
        """What the relay speaks to its peers."""
        self.claims = b""
        """The token of the held port that it asks for."""
        self.mobile = False
        """Whether it asks for a ticket."""
        self.hosts: dict[Family, str] = {}
        """Where the relay of each family is to be bound."""
        self.failed: dict[Family, int] = {}
        """Why there is none of this family, an error code."""
        self.old_numbers = False
        """Whether the second family is asked for, and refused, by the attribute numbers of a draft."""
        self.network = ""
        self.attributes: list[bytes] = []
        """Of the success response, encoded."""


class Request:
    """An authenticated request about an allocation, on its way through the steps."""

    __slots__ = ("allocation", "attributes", "channel", "family", "five_tuple", "grant", "message", "named", "now", "peers")

    def __init__(
        self, message: Message, five_tuple: FiveTuple, now: float, grant: Grant, allocation: Allocation
    ) -> None:
        self.message = message
        self.five_tuple = five_tuple
        """Where it came from: the allocation's, unless it is a Refresh with a ticket."""
        self.now = now
        self.grant = grant
        self.allocation = allocation
        self.family: Family | None = None
        """Which of its relays a Refresh is about; None for all."""
        self.channel = 0
        self.named: list[Address] = []
        """Peers as the client named them."""
        self.peers: list[Address] = []
        """The same peers as our sockets reach them."""
        self.attributes: list[bytes] = []
        """Of the success response, encoded."""
