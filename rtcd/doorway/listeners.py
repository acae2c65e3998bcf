"""Opening stream listeners from endpoint strings, so that a fault is the operator's one clear line."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterable
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from rtcd.config import ConfigError
from rtcd.doorway.immediate import at_once
from rtcd.endpoints import MAX_PORT, place_of
from rtcd.privileges import PRIVILEGE

_FAMILY = re.compile(r"systemd:(?:domain=)?(\w+)(?=:|$)")
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
_ANY_IPV6 = r":interface=\:\:"
_BACKLOG = ":backlog=1024"
"""After a restart every client comes back at once; Twisted's own default is 50."""


def open_listeners(
    reactor: Any, key: str, text: str, factory: IProtocolFactory, *, section: str = "doorway"
) -> list[IListeningPort]:
    """Open what one endpoint string names. Raises `ConfigError` for ``key`` of this section.

    A bare ``tcp:8443`` takes IPv6 and IPv4, by one socket, or by two where the system keeps them apart
    (net.ipv6.bindv6only), or IPv4 alone where there is no IPv6. Anything longer is taken as it is written.
    """
    where = section, key
    place = place_of(text)
    if place is None or place.host:
        return [_open(reactor, where, text, text, factory)]
    port = place.port
    try:
        both: IListeningPort = _listen(reactor, where, text, f"tcp:{port}{_ANY_IPV6}{_BACKLOG}", factory)
    except CannotListenError as fault:
        if getattr(fault.socketError, "errno", None) not in _NO_IPV6:
            raise _explain(where, text, fault) from None
        return [_open(reactor, where, text, f"tcp:{port}{_BACKLOG}", factory)]
    if not _only_ipv6(both):
        return [both]
    try:
        return [both, _open(reactor, where, text, f"tcp:{_port_of(both)}{_BACKLOG}", factory)]
    except ConfigError:
        both.stopListening()
        raise


def faults(section: str, key: str, texts: Iterable[str]) -> list[ConfigError]:
    """The endpoints of a key that are none, as far as that can be told without opening them: what others would have to
    hand over or to have written, such as sockets and files, is not looked for."""
    found = []
    for text in texts:
        try:
            _worded(text)
            if not (text.startswith("ssl:") and ":privateKey=" in text):  # whose file is perhaps not for us
                serverFromString(None, text)
        except (ValueError, TypeError, KeyError, IndexError, OSError) as fault:
            if not (isinstance(fault, LookupError) and text.startswith("systemd:")):  # whose socket is not here
                found.append(_no_endpoint((section, key), text, fault))
    return found


def _worded(text: str) -> None:
    """Raises ValueError for a number that is no port, and a family that there is none of."""
    place, family = place_of(text), _FAMILY.match(text)
    if place is not None and place.port > MAX_PORT:
        raise ValueError(f"a port is no more than {MAX_PORT}")
    if family is not None and not hasattr(socket, f"AF_{family[1]}"):
        raise ValueError(f"there is no family {family[1]}")


def _no_endpoint(where: tuple[str, str], text: str, fault: Exception) -> ConfigError:
    return ConfigError(*where, f"{text!r} is no endpoint ({fault}); write it like tcp:8443")


def _open(reactor: Any, where: tuple[str, str], text: str, endpoint: str, factory: IProtocolFactory) -> IListeningPort:
    try:
        opened: IListeningPort = _listen(reactor, where, text, endpoint, factory)
    except CannotListenError as fault:
        raise _explain(where, text, fault) from None
    return opened


def _listen(reactor: Any, where: tuple[str, str], text: str, endpoint: str, factory: IProtocolFactory) -> Any:
    outcome: list[Any] = []
    try:
        serverFromString(reactor, endpoint).listen(factory).addBoth(outcome.append)
    except (ValueError, TypeError, KeyError, OSError) as fault:
        raise _no_endpoint(where, text, fault) from None
    if not outcome:
        raise ConfigError(*where, f"{text!r} does not open at once; only tcp, unix and systemd endpoints do")
    if hasattr(outcome[0], "getHost"):
        return at_once(outcome[0])
    reason = outcome[0].value
    if isinstance(reason, CannotListenError):
        raise reason
    raise ConfigError(*where, f"{text!r} cannot be opened: {reason}; write it like tcp:8443")


def _only_ipv6(port: Any) -> bool:
    opened = getattr(port, "socket", None)
    return opened is not None and bool(opened.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))


def _port_of(port: Any) -> int:
    return int(port.getHost().port)


def _explain(where: tuple[str, str], text: str, fault: CannotListenError) -> ConfigError:
    what = f"tcp port {fault.port}" if isinstance(fault.port, int) else text
    number = getattr(fault.socketError, "errno", None)
    if number == errno.EADDRINUSE:
        return ConfigError(*where, f"{what} is in use by another program; free it or choose another")
    if number == errno.EACCES:
        return ConfigError(*where, f"{what} may not be opened by this user; {PRIVILEGE}")
    reason = getattr(fault.socketError, "strerror", None) or fault.socketError
    return ConfigError(*where, f"{what} cannot be opened ({reason}); choose another address or port")
