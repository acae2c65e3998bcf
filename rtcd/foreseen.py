"""What would stop the start, and can be told without opening a port, looking at our certificate, or asking the network:
words of endpoints and ciphers, files and packages that are not there, addresses that do not go together, users that there
are none of.

A file that may not be read by whoever asks is no fault: the daemon is perhaps somebody else.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from typing import Any

from rtcd.allocations.addresses import RelayAddresses
from rtcd.auth.userfile import Users
from rtcd.cluster.address import LIBRARY
from rtcd.cluster.trust import authority
from rtcd.doorway.listeners import faults
from rtcd.endpoints import listening
from rtcd.fault import ConfigError
from rtcd.ice.places import read_places
from rtcd.outside.external import Findings
from rtcd.privileges import known
from rtcd.tls.contexts import First
from rtcd.together import no_package, no_relay_address


def foreseen(settings: Mapping[str, Any]) -> list[ConfigError]:
    """The faults. ``settings``: section to settings, of those that have no fault of their own."""
    found = [fault for section, key, text in listening(settings) for fault in faults(section, key, [text])]
    for section, look in _LOOKS:
        if section in settings:
            try:
                look(settings[section])
            except ConfigError as fault:
                found.append(fault)
    return found


def _users(turn: Any) -> None:
    if turn.users_file and not _is_others(turn.users_file):
        Users(None, lambda _: None).load(turn)


def _keys(admin: Any) -> None:
    if admin.keys_file and not _is_others(admin.keys_file):
        admin.keys()


def _regions(ice: Any) -> None:
    if not any(one and _is_others(one) for one in (ice.regions, ice.geoip)):
        read_places(ice).close()


def _package(rooms: Any) -> None:
    if rooms.redis and importlib.util.find_spec(LIBRARY) is None:
        raise no_package(LIBRARY)


def _authority(rooms: Any) -> None:
    if rooms.store_ca and not _is_others(rooms.store_ca):
        authority(rooms.store_ca)


def _outside(turn: Any) -> None:
    """The addresses of this machine are not asked for: it is perhaps another one."""
    places = turn.places()
    hosts = turn.relay_hosts() or tuple(one.host for one in places)
    if not hosts or {"", "0.0.0.0", "::"} & set(hosts):  # named to be compared
        return
    try:
        RelayAddresses(hosts, Findings(turn.outside(), hosts).mapping())
    except ValueError as error:
        raise no_relay_address(error) from None


def _is_others(path: str) -> bool:
    """Whether the file is there, or may be there, and is not for us to read."""
    try:
        os.stat(path)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return not os.access(path, os.R_OK)


_LOOKS: tuple[tuple[str, Callable[[Any], object]], ...] = (
    ("daemon", lambda daemon: known(daemon.user, daemon.group)), ("tls", First), ("turn", _users), ("turn", _outside),
    ("admin", _keys), ("ice", _regions), ("rooms", _package), ("rooms", _authority))
