"""Who does what, among the workers: all serve calls, the first one does what there has to be one of.

That is the administration, checks of a network, records of calls, and certificates. The others
hand requests on to it, and go by what it tells them.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.logger import Logger

from rtcd.cluster.local import SocketBackend
from rtcd.cluster.shared import SharedRooms
from rtcd.context import Context
from rtcd.doorway.connections import Connections
from rtcd.doorway.immediate import ConnectingAtOnce
from rtcd.doorway.layers import PlainFactory
from rtcd.doorway.renewal import Renewal
from rtcd.doorway.settings import DoorwaySettings
from rtcd.metrics import Metrics
from rtcd.rooms.settings import RoomsSettings
from rtcd.state import StateDirectory
from rtcd.tls.certificates import Certificates
from rtcd.unix import SocketPath
from rtcd.workers.family import FIRST, FOLDER, ROOMS
from rtcd.workers.forward import First, Forward, inner
from rtcd.workers.frames import EVERYBODY, decode
from rtcd.workers.topics import WorkerDesk
from rtcd.workers.worker import Worker

FORWARDED = {"admin": "/admin", "check": "/check"}
"""Services that only the first worker runs, and where they are."""
MAX_CONNECTIONS = 1024
"""Of other workers, at the first one's unix socket."""
NONCE_KEY_BYTES = 32

_log = Logger()


class Shown(NamedTuple):
    """The challenges of an authority, as `rtcd.acme.challenges.Challenges.shown` has them."""

    http: dict[str, str]
    alpn: dict[str, bytes]


def share_work(
    context: Context, worker: Worker, state: StateDirectory, settings: Mapping[str, Any], chosen: Iterable[str]
) -> list[str]:
    """Prepare for the work of this worker; returns the services of ``chosen`` that it runs."""
    desk, doorway = context.desk, context.doorway
    assert isinstance(desk, WorkerDesk)
    folder = StateDirectory(state.path(FOLDER))
    path = SocketPath(str(folder.path(FIRST))).path
    _share_certificates(context, worker)
    if worker.place.first:
        bounds = DoorwaySettings(max_connections=MAX_CONNECTIONS, max_connections_per_address=MAX_CONNECTIONS)
        doorway.take_inner(path, lambda site: PlainFactory(
            context.reactor, Connections(context.reactor, bounds, Metrics()), inner(site)))
        return list(chosen)
    services = list(chosen)
    if {"web", "signaling"} & set(services):
        desk.report_to_first()
    first = First(context.reactor, path)
    for name, below in FORWARDED.items():
        if name in services and getattr(settings[name], "public", True):
            doorway.add_child(below, Forward(first))
    return [one for one in services if one not in FORWARDED]


def _share_certificates(context: Context, worker: Worker) -> None:
    """The first worker gets certificates, of which the others are told; what an authority wants to see, all show."""
    renewal, certificates = context.doorway.renewal, context.doorway.certificates
    challenges = renewal.challenges
    if worker.place.first:
        challenges.changed = lambda: worker.tell(EVERYBODY, "acme.show", challenges.shown())
        challenges.everywhere = lambda: worker.ask_all("acme.show", challenges.shown())
        renewal.issued = lambda: worker.tell(EVERYBODY, "tls.issued", None)
        worker.offer("acme.shown", type(None), lambda _: challenges.shown())
        context.reactor.callWhenRunning(_tell_again, renewal, certificates)
        return

    async def catch_up() -> None:
        try:
            found = await worker.ask(1, "acme.shown")
            if found is not None:
                challenges.show(*decode(found, Shown))
            certificates.reload()
        finally:
            worker.go_on()

    def begin() -> None:
        worker.hold()  # an authority may be among those who wait to be accepted
        Deferred.fromCoroutine(catch_up()).addErrback(lambda failure: _log.failure("what others show is not known", failure))

    renewal.leads = False
    worker.offer("acme.show", Shown, lambda shown: challenges.show(*shown))
    worker.offer("tls.issued", type(None), lambda _: certificates.take_issued())
    context.reactor.callWhenRunning(begin)


def _tell_again(renewal: Renewal, certificates: Certificates) -> None:
    """The first worker before this one may have ended before the others heard of what it had done."""
    renewal.challenges.changed()
    if certificates.issued:
        renewal.issued()


def shared_rooms(
    reactor: Any, settings: RoomsSettings, metrics: Metrics, state: StateDirectory, worker: Worker
) -> SharedRooms:
    """The rooms that the parent keeps."""
    path = SocketPath(str(StateDirectory(state.path(FOLDER)).path(ROOMS))).path
    backend = SocketBackend(reactor, UNIXClientEndpoint(ConnectingAtOnce(reactor), path, timeout=2))
    worker.ending = backend.end  # what the hub says may come later
    return SharedRooms(reactor, settings, metrics, backend, totals=False)  # the parent tells them


def nonce_key(state: StateDirectory) -> bytes:
    """What the nonces of all workers are made with: a client may bring to one what another has given to it."""
    return state.secret("nonce-key", lambda: secrets.token_urlsafe(NONCE_KEY_BYTES)).encode()


def daemon_name(state: StateDirectory) -> str:
    """What the names of all workers begin with where rooms are shared with other daemons: those have other keys."""
    return hashlib.sha256(b"daemon " + nonce_key(state)).hexdigest()[:16]


class Opening(Service):
    """Opens the store when the reactor runs, and then tells the parent that this worker is ready. The daemon closes it, when
    all services have stopped."""

    name = "store"
    _log = Logger()

    def __init__(self, reactor: Any, rooms: Any, worker: Worker) -> None:
        self._reactor = reactor
        self._rooms = rooms
        self._worker = worker

    def startService(self) -> None:
        """It goes on trying by itself."""
        super().startService()
        self._reactor.callWhenRunning(lambda: Deferred.fromCoroutine(self._open()))

    async def _open(self) -> None:
        try:
            await self._rooms.start()
        except Exception:
            self._log.failure("the store of rooms cannot be opened")
        if self.running:
            self._worker.say("ready")
