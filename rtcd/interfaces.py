"""The three seams of rtcd, each of which a stranger may implement. Nothing else lives here."""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IServicePlugin(Interface):
    """Adds one service to the daemon. A section named `name` in the ini turns it on; no section, no service."""

    name: str = Attribute("Name of the ini section, the service and the prefix of its metrics.")
    description: str = Attribute("One line for people.")
    settings: type = Attribute("A frozen dataclass, its fields declared with rtcd.config.option.")

    def makeService(context, settings):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Return an IService. ``context`` is an rtcd.context.Context, ``settings`` an instance of `settings`.

        Sockets are opened in ``privilegedStartService`` or ``startService``, never here.
        May raise rtcd.config.ConfigError, which stops the start with one line.
        """


class IRoomStore(Interface):
    """Keeps rooms and reaches their clients' WebSockets, in this process or another.

    All rules are pure functions of rtcd.rooms.room, rtcd.rooms.mesh and rtcd.signaling.switchboard; a store applies them
    atomically.
    When a room's ``next_deadline`` has passed the store itself applies ``rtcd.rooms.room.expire``.
    """

    limits: object = Attribute("The rtcd.rooms.records.Limits in force, which callers give to their changes.")

    async def update(room, change, socket=None, lost=""):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Apply ``change(room: Room, now: float) -> Outcome`` to the room named ``room`` and return its result.

        An unknown room is an empty `Room`; a room left empty is forgotten. The change may be called more than once,
        so it must be pure. Its effects (attach, deliver, inform, close) are carried out in order, once, by whichever
        process holds the socket; ``socket``, an rtcd.rooms.outcome.Socket of this process, is what an `Attach` refers to.
        ``lost`` names a client whose socket was just detached: if it has another one by now, here or in another process,
        nothing is done and None is returned.
        Behind them come ``rtcd.rooms.snapshot.notices(before, outcome, limits)``, after each change whatever made it: so
        every page with a socket knows the room as it is. When the limits change, each is told
        ``rtcd.rooms.snapshot.announcement(room, limits)``. Between two updates of one room there is no third one.
        Raises StoreUnavailable when the store cannot be reached, and StoreFull when the change would open a room, take a
        seat or keep a text beyond the store's limits; nothing is changed then.
        """

    async def census(address):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Return `Census`: how many rooms there are, and how many seats clients of host ``address`` hold."""

    async def rooms(after, limit):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Return at most ``limit`` pairs of name and `Room`, of those whose name is greater than ``after``, by name.

        Each is as it was at some moment of the call. Raises StoreUnavailable.
        """

    def watch(watcher):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """From now on tell ``watcher``, an rtcd.rooms.outcome.Watcher, what happens in every room, until the process ends;
        and what is said, if it is a Listener.

        The news of an update are ``rtcd.rooms.outcome.news(before, outcome)`` of the outcome that was kept, be it a
        caller's update, an expiry or the end of a room. Every watcher of every process that shares the rooms is told
        each of them once, those of one room in their order; in the process of the update that is before its effects
        are carried out, so that what a text says is known here when the other client reads it. A watcher neither waits nor
        updates a room, and what it raises is logged and changes nothing. A store that was cut off
        from other processes may have lost news: watchers bound by number and age what they keep.
        """

    def detach(room, client, socket):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """The socket is closed: nothing more goes to it. Returns False if it was not the client's socket any more."""

    async def close():  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Tell every client whose socket is in this process that the daemon ends, and let go of everything. If its rooms go
        on in other processes, the sockets are closed without a word and their clients have lost them."""


class IClientPath(Interface):
    """How frames reach a client whose transport is not plain UDP: a stream, or DTLS. Neither method ever raises.

    A frame is one STUN message or one ChannelData message, padded as the client's transport wants it. It may be a view of
    a buffer that is used again: what is kept of it has to be copied.
    """

    def deliver(frame):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Send what was relayed; a client that does not keep up loses it, whole. False if it was dropped."""

    def respond(data):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Send a response or an indication of the server itself."""


class IRelayPlane(Interface):
    """Moves packets of TURN clients and peers; owns every UDP socket of the TURN service.

    Rules stay in rtcd.turn.server: a plane only forwards what it was told to and passes requests up. An accelerated
    plane may be faster than the Python one and nothing else. Hosts are canonical address texts, addresses are
    ``(host, port)``, moments are Unix seconds, at which what they bound ends without a call. An allocation is an
    rtcd.allocations.allocation.Allocation, which is its own key. Payloads pass unaltered or are dropped whole, never
    queued. ICMP errors about what was sent to a permitted peer become Data indications (RFC 8656 §11.5).
    """

    def start(receive):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Begin. ``receive(data: bytes, five_tuple: FiveTuple)`` is called for each client datagram whose first byte
        is 0 to 3, or where DTLS is served 20 to 63. ChannelData is forwarded or dropped here, all else is dropped; drops
        are counted by reason. With
        mobility on, ChannelData of a client that is not known here is passed up as well, since it may be the first packet
        on the new path of one that moved: after a `move` it is forwarded, else dropped."""

    def listen(host, port):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Open a client-facing UDP socket and return its ``(host, port)``. Raises OSError."""

    def adopt(descriptor):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Take over a bound UDP socket that was inherited and return its ``(host, port)``. Raises OSError."""

    def attach(five_tuple, path):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """A client that does not come by plain UDP: what is for it goes to ``path``, an `IClientPath`."""

    def detach(five_tuple):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Its connection is gone: what still comes for it is dropped, and who comes from there next is somebody else, until
        a `move` says otherwise."""

    def channel_data(data, five_tuple):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Forward or drop one ChannelData message, perhaps padded, of an attached client; or pass it up, see `start`."""

    def respond(data, five_tuple):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Send ``data`` to the client of ``five_tuple`` from the address that it asked. Never raises; drops are counted."""

    def open(allocation, host):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Open a relay socket on ``host`` and return the relayed transport address it is bound to.

        An allocation has at most one of each family; what follows is done by the one of the peer's family.
        At an even port if ``allocation.even_port``; if ``allocation.reserves`` is a token, the port above is held
        under it too, until `release` or until an allocation whose ``claims`` it is takes that socket over.
        Raises OSError when no port can be had; nothing is left behind then.

        What goes to peers is charged to the meters in ``allocation.upward``, what comes from them to those in
        ``allocation.downward``; a packet that one of them refuses is dropped and charged to none.
        """

    def meter(rate):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """A new rtcd.allocations.meter.Meter of ``rate`` bytes a second, as this plane charges them best."""

    def remeter(allocation):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Its ``upward`` and ``downward`` are other ones now, or none any more. One that is not open is no fault."""

    def move(allocation, five_tuple):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """The client is at ``five_tuple`` from now on (RFC 8016), which may be of another transport.

        What comes from the former one is no longer its; relays, permissions and channels stay. It does not matter
        whether ``allocation.five_tuple`` is changed before or after. Raises OSError, with nothing changed, if there is no
        such client.
        """

    def permit(allocation, peer_host, expires_at, named):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Let datagrams of ``peer_host`` through until ``expires_at`` (again: extend).

        ``named`` is the host as the client knows it, told in Data indications: another one than ``peer_host`` if that
        is the private address behind an external one of ours.
        """

    def bind(allocation, channel, peer, expires_at):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Forward between channel number ``channel`` and ``peer``, whose host is permitted, until ``expires_at`` or
        until the permission ends (again: extend). What either was bound to before is forgotten."""

    def send(allocation, peer, data, dont_fragment=False):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Send ``data`` from the relayed transport address to ``peer``. Never raises; drops are counted.

        With ``dont_fragment`` no router may fragment it, unless there is IPv6 on either side (RFC 8656 §14)."""

    def traffic(allocation):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """The `Traffic` totals so far of the relays that are open; zeros if none is."""

    def close(allocation, family=None):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Close the relay sockets, or that of one family, at once; forget permissions and channels with them. Returns the
        `Traffic` totals of what was closed. One that is not open is no fault."""

    def release(token):  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Let go of the port that is held under ``token`` and that no allocation has claimed."""

    def stop():  # type: ignore[no-untyped-def] # zope interfaces take no self
        """Close every socket, the last one opened first."""
