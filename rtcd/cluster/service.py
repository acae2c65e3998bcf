"""Rooms on Redis as ``[rooms]`` has them: the store, and the service that connects it."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from rtcd.cluster.node import new_node
from rtcd.cluster.redis import RedisBackend
from rtcd.cluster.shards import ShardedRooms
from rtcd.cluster.shared import SharedRooms
from rtcd.cluster.strangers import Signer, Strangers
from rtcd.cluster.trust import authority
from rtcd.cluster.wire import Wire
from rtcd.metrics import Metrics
from rtcd.rooms.settings import RoomsSettings

DAY_S = 86400.0


class StoreService(Service):
    """Connects a store when the daemon starts; it is closed by whoever uses it last (`rtcd.daemon.Daemon`)."""

    name = "store"
    _log = Logger()

    def __init__(self, rooms: SharedRooms | ShardedRooms) -> None:
        self._rooms = rooms

    def startService(self) -> None:
        """Connect; while that does not succeed we go on trying."""
        super().startService()
        Deferred.fromCoroutine(self._rooms.start()).addErrback(
            lambda failure: self._log.failure("the store of rooms did not start", failure))


def redis_rooms(
    reactor: Any, settings: RoomsSettings, metrics: Metrics, signer: Signer, daemon: str = ""
) -> SharedRooms | ShardedRooms:
    """The store that the settings name; connects nowhere yet. ``signer``: what is signed with here. ``daemon``: what the
    names of this daemon's processes begin with, if there are several. Raises ConfigError."""
    ca = authority(settings.store_ca)
    stores, names = [], []
    for number, address in enumerate(settings.redis):
        backend = RedisBackend(reactor, Wire(reactor, address, ca), settings.store_prefix, settings.lifetime + DAY_S,
                               new_node(daemon), Strangers(signer))
        several = len(settings.redis) > 1
        stores.append(SharedRooms(reactor, settings, metrics, backend, shard=str(number) if several else "",
                                  daemon=daemon or backend.node))
        names.append(address.shown)
    return stores[0] if len(stores) == 1 else ShardedRooms(names, stores)
