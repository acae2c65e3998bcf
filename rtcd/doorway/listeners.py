"""Opening stream listeners from endpoint strings, so that a fault is the operator's one clear line."""

from __future__ import annotations

import errno
import re
import socket
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from rtcd.config import ConfigError
from rtcd.privileges import PRIVILEGE

_BARE = re.compile(r"tcp:(?:port=)?([0-9]{1,5})", re.ASCII)
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
_ANY_IPV6 = r":interface=\:\:"
_BACKLOG = ":backlog=1024"
"""After a restart every client comes back at once; Twisted's own default is 50."""


def open_listeners(reactor: Any, key: str, text: str, factory: IProtocolFactory) -> list[IListeningPort]:
    """Open what one endpoint string names. Raises `ConfigError` for ``[doorway] key``.

    A bare ``tcp:8443`` takes IPv6 and IPv4, by one socket, or by two where the system keeps them apart
    (net.ipv6.bindv6only), or IPv4 alone where there is no IPv6. Anything longer is taken as it is written.
    """
    bare = _BARE.fullmatch(text)
    if bare is None:
        return [_open(reactor, key, text, text, factory)]
    port = bare[1]
    try:
        both: IListeningPort = _listen(reactor, key, text, f"tcp:{port}{_ANY_IPV6}{_BACKLOG}", factory)
    except CannotListenError as fault:
        if getattr(fault.socketError, "errno", None) not in _NO_IPV6:
            raise _explain(key, text, fault) from None
        return [_open(reactor, key, text, f"tcp:{port}{_BACKLOG}", factory)]
    if not _only_ipv6(both):
        return [both]
    try:
        return [both, _open(reactor, key, text, f"tcp:{_port_of(both)}{_BACKLOG}", factory)]
    except ConfigError:
        both.stopListening()
        raise


def _open(reactor: Any, key: str, text: str, endpoint: str, factory: IProtocolFactory) -> IListeningPort:
    try:
        opened: IListeningPort = _listen(reactor, key, text, endpoint, factory)
    except CannotListenError as fault:
        raise _explain(key, text, fault) from None
    return opened


def _listen(reactor: Any, key: str, text: str, endpoint: str, factory: IProtocolFactory) -> Any:
    outcome: list[Any] = []
    try:
        serverFromString(reactor, endpoint).listen(factory).addBoth(outcome.append)
    except (ValueError, TypeError, KeyError, OSError) as fault:
        raise ConfigError("doorway", key, f"{text!r} is no endpoint ({fault}); write it like tcp:8443") from None
    if not outcome:
        raise ConfigError("doorway", key, f"{text!r} does not open at once; only tcp, unix and systemd endpoints do")
    if hasattr(outcome[0], "getHost"):
        return outcome[0]
    reason = outcome[0].value
    if isinstance(reason, CannotListenError):
        raise reason
    raise ConfigError("doorway", key, f"{text!r} cannot be opened: {reason}; write it like tcp:8443")


def _only_ipv6(port: Any) -> bool:
    opened = getattr(port, "socket", None)
    return opened is not None and bool(opened.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))


def _port_of(port: Any) -> int:
    return int(port.getHost().port)


def _explain(key: str, text: str, fault: CannotListenError) -> ConfigError:
    what = f"tcp port {fault.port}" if isinstance(fault.port, int) else text
    number = getattr(fault.socketError, "errno", None)
    if number == errno.EADDRINUSE:
        return ConfigError("doorway", key, f"{what} is in use by another program; free it or choose another")
    if number == errno.EACCES:
        return ConfigError("doorway", key, f"{what} may not be opened by this user; {PRIVILEGE}")
    reason = getattr(fault.socketError, "strerror", None) or fault.socketError
    return ConfigError("doorway", key, f"{what} cannot be opened ({reason}); choose another address or port")
