"""`Inbox` and `Outbox`: what a busy listener gets and sends, many datagrams in one system call.

Part of the Python relay plane, rtcd.plane.relay. Packets are forwarded as by `Listener.read` and `Relay.reader`, which hand
over to these once there is a full share to be read; few packets are not worth a batch. Nothing waits here: a relay's
packets go out at the end of the poller's round, and before anything is passed up that could ask what became of them.
The system calls are rtcd.plane.mmsg's; without them, and for IP fields and meters of what goes to clients, all is as before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtcd.plane.errors import drain
from rtcd.plane.mmsg import MANY, VECTOR, Datagrams, Receiving, Sending, Sources, name_of
from rtcd.plane.routes import HEADROOM, Relay, Route
from rtcd.stun.channeldata import HEADER, HEADER_BYTES

if TYPE_CHECKING:
    from rtcd.plane.listener import Listener
    from rtcd.plane.poller import Read
    from rtcd.plane.relay import PythonRelayPlane

FEW = 4
"""So few packets of a relay are read one by one: many relays are busy then, and there is seldom more than one of each."""


class Inbox:
    """Reads for a listener."""

    def __init__(self, plane: PythonRelayPlane, listener: Listener) -> None:
        self._plane = plane
        self._listener = listener
        self._datagrams = Datagrams(0)
        self._receiving = Receiving(self._datagrams, listener.sock.family, split=True)
        self._sources = Sources()

    def read(self, now: float, most: int) -> bool:
        """As `Listener.read`, which gets the next ones if one of these was for somebody else than peers: those may be
        dear, and what has been received cannot be left for later."""
        plane, listener, most = self._plane, self._listener, min(most, MANY)
        try:
            sizes = self._receiving.receive(listener.sock.fileno(), 0, most)
        except BlockingIOError:
            return False
        except OSError:
            plane.receive_failed.value += 1
            return True
        clients, sources, others, over = listener.clients, self._sources, False, False
        parts = iter(self._receiving.read(0, len(sizes)))
        for size, body, name, channel, length in zip(sizes, self._datagrams.bodies, parts, parts, parts, strict=False):
            try:
                route = clients[sources[name]][channel]
            except KeyError:
                if not others:
                    others = True
                    plane.serve(listener.sock.fileno(), listener.read)
                data = HEADER.pack(channel, length)[:size] + body[: max(size - HEADER_BYTES, 0)]
                over = listener.other(data, sources[name]) or over
                continue
            if now < route.until and length <= size - HEADER_BYTES:
                payload = body[:length]
                try:
                    route.sendto(payload, route.peer)
                except OSError as error:
                    if not route.relay.went_out(error, payload, route.peer):
                        continue
                route.sent_packets += 1
                route.sent_bytes += length
            elif size < HEADER_BYTES:
                plane.no_protocol.value += 1
            elif now >= route.until:
                plane.no_permission.value += 1
            else:
                plane.truncated.value += 1
        return over or len(sizes) == most


class Outbox:
    """What relays have read for the clients of a listener, each with the header of ChannelData in front."""

    def __init__(self, plane: PythonRelayPlane, listener: Listener) -> None:
        self._plane = plane
        self._listener = listener
        self._datagrams = Datagrams(HEADROOM)
        self._sending = Sending(self._datagrams, listener.sock.family)
        self._receiving: dict[int, Receiving] = {}
        self._sources = Sources()
        self._used = 0
        """Rooms that hold something, sent or not."""
        self._routes: list[Route] = []
        """Of the packets that are to be sent, which are counted already."""

    def reader(self, relay: Relay) -> Read:
        """As `Relay.reader`, for one whose client comes by plain UDP."""
        plane, find, way = self._plane, relay.peers.get, relay.way
        client = name_of(way.address)
        receive, receiving, descriptor = relay.receive, self._into(relay.sock.family), relay.sock.fileno()
        bodies, offsets, memory = self._datagrams.bodies, self._datagrams.offsets, self._datagrams.memory
        vectors, places, begins = self._sending.vectors, self._sending.places, self._sending.begins
        routes, sources, put, pack = self._routes, self._sources, VECTOR.pack_into, HEADER.pack_into

        def read(now: float, most: int) -> bool:
            if most > FEW:
                return read_many(now, min(most, MANY))
            for _ in range(most):
                used = self._used
                if used >= MANY:
                    self.flush()
                    used = 0
                try:
                    size, source = receive(bodies[used])
                except BlockingIOError:
                    return False
                except OSError:
                    if not drain(plane, relay):
                        plane.receive_failed.value += 1
                    continue
                route = find(source)
                if route is not None and now < route.until:
                    pack(memory, offsets[used] - HEADER_BYTES, route.channel, size)
                    put(vectors, places[len(routes)], begins[used] - HEADER_BYTES, size + HEADER_BYTES, client)
                    routes.append(route)
                    self._used = used + 1
                    route.received_packets += 1
                    route.received_bytes += size
                else:
                    relay.indicate(bodies[used][:size], source, now)
            return True

        def read_many(now: float, most: int) -> bool:
            first = self._used
            if first + most > MANY:
                self.flush()
                first = 0
            try:
                sizes = receiving.receive(descriptor, first, most)
            except BlockingIOError:
                return False
            except OSError:
                if not drain(plane, relay):
                    plane.receive_failed.value += 1
                return True
            self._used = first + len(sizes)
            for used, (size, name) in enumerate(zip(sizes, receiving.read(first, len(sizes)), strict=False), first):
                source = sources[name]
                route = find(source)
                if route is not None and now < route.until:
                    pack(memory, offsets[used] - HEADER_BYTES, route.channel, size)
                    put(vectors, places[len(routes)], begins[used] - HEADER_BYTES, size + HEADER_BYTES, client)
                    routes.append(route)
                    route.received_packets += 1
                    route.received_bytes += size
                else:
                    relay.indicate(bodies[used][:size], source, now)
            return len(sizes) == most

        return read

    def flush(self) -> None:
        """Send what there is. One that cannot be sent is no packet that a client received."""
        routes, sending, sock, at = self._routes, self._sending, self._listener.sock, 0
        self._used = 0
        try:
            while at < len(routes):
                try:
                    if at < len(routes) - 1:
                        at = sending.send(sock.fileno(), at, len(routes))
                    else:
                        sock.sendto(sending.frame(at), routes[at].relay.way.address)
                        at += 1
                except OSError as error:
                    self._plane.lost(error)
                    routes[at].received_packets -= 1
                    routes[at].received_bytes -= len(sending.frame(at)) - HEADER_BYTES
                    at += 1
        finally:
            routes.clear()

    def _into(self, family: int) -> Receiving:
        """What relays of that family receive by."""
        if family not in self._receiving:
            self._receiving[family] = Receiving(self._datagrams, family)
        return self._receiving[family]
