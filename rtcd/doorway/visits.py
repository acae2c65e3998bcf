"""`Visits`: what the doorway's own resources need to know of who asks: where he is to go, what he sees, what he is sent.

How a request sees us is `rtcd.front.front.Front`'s; here it meets our listeners and certificates.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IRequest

from rtcd.bucket import Buckets, network
from rtcd.doorway.directory import Directory, Listener
from rtcd.front.front import Front, host_of
from rtcd.front.origin import Authority, Base
from rtcd.tls.certificates import Certificates
from rtcd.tls.names import is_address

SERVICE = "web"
"""The name of the doorway's listeners in the directory."""

CODE_RATE, CODE_BURST = 0.5, 10.0
"""QR codes of /install that are drawn for one address, a second and at once: each takes some hundredths of a second."""


def tls_listeners(listeners: Iterable[Listener]) -> list[Listener]:
    """Those inside TLS at a port, which a unix socket has none of."""
    return [one for one in listeners if one.transport == "tls" and one.port]


class Visits:
    """Answers for one request after the other."""

    def __init__(self, clock: IReactorTime, front: Front, directory: Directory, certificates: Certificates) -> None:
        self._clock = clock
        self._front = front
        self._directory = directory
        self._certificates = certificates
        self._codes = Buckets(CODE_RATE, CODE_BURST)

    def https(self, request: IRequest) -> Base:
        """Where the site is by HTTPS for who has come without."""
        base = self._front.base(request)
        if base.scheme == "https":
            return base
        opened = [one.port for one in tls_listeners(self._directory.listeners(SERVICE))]
        return Base("https", Authority(base.authority.host, opened[0] if opened else None))

    def same_port(self, request: IRequest) -> Base:
        """Where it is for who has come to the port of HTTPS without TLS."""
        if self._front.public is not None:
            return self._front.public
        asked = host_of(request)
        return Base("https", Authority(asked.host, asked.port or getattr(request.getHost(), "port", None)))

    def local_authority(self, request: IRequest) -> bytes | None:
        """The local authority as PEM, if what this visitor sees is signed by it: a proxy in front shows its own."""
        chain = self._certificates.shown(self._front.base(request).authority.host)
        ours = chain is not None and not chain.origin and not self._front.told(request)
        return self._certificates.ca_pem if ours else None

    def trusted(self, request: IRequest) -> bool:
        """Whether everybody trusts what this visitor sees of us."""
        return not self._front.told(request) and self._certificates.trusted(self._front.base(request).authority.host)

    def may_draw(self, request: IRequest) -> bool:
        """Whether he may have another QR code now."""
        return self._codes.allow(network(self._front.client_host(request)), self._clock.seconds())

    def secure_headers(self, request: Any) -> dict[bytes, bytes]:
        """Headers that browsers complain of without HTTPS, or that hold for more than this site."""
        if not request.isSecure() and self._front.base(request).scheme != "https":
            return {}
        found = {b"Cross-Origin-Opener-Policy": b"same-origin"}
        if self._front.direct(request) and self._commands(request):
            found[b"Strict-Transport-Security"] = b"max-age=%d" % self._certificates.settings.hsts
        return found

    def _commands(self, request: IRequest) -> bool:
        """Whether this site has the name's own HTTPS port, and so may speak for every port of that name."""
        base = self._front.base(request)
        host = base.authority.host
        return bool(self._certificates.settings.hsts) and base.scheme == "https" and base.port == 443 and (
            not is_address(host) and self._certificates.trusted(host))
