"""`Front`: what a request sees of us, and who it is that asks; both as a proxy in front tells them, if one is trusted."""

from __future__ import annotations

import functools
from typing import Any

from twisted.web.iweb import IRequest

from rtcd.doorway.settings import DoorwaySettings
from rtcd.front.forwarded import Asked, Header, read
from rtcd.front.origin import Authority, Base, is_loopback, parse_authority, parse_public_url, unmapped
from rtcd.ranges import parse_ranges, within

CACHED_HOSTS = 4096
"""Hosts of which it is remembered whether they are trusted."""

CACHED_BASES = 1024

_TELLING = (b"forwarded", *(b"x-forwarded-" + one for one in (b"for", b"host", b"proto", b"port", b"prefix")))
"""The headers in which proxies tell for whom they speak, as `rtcd.front.forwarded.read` reads them."""


class Front:
    """Answers from the settings and a request's headers. What was found out is kept with the request, since it is asked for
    several times: as ``asked`` and ``base``, which are None at first."""

    def __init__(self, settings: DoorwaySettings) -> None:
        self.public: Base | None = parse_public_url(settings.public_url) if settings.public_url else None
        trusted = parse_ranges(settings.trusted_proxies)
        self._trusts = functools.lru_cache(CACHED_HOSTS)(lambda host: within(host, trusted) or (not host and bool(trusted)))

    def base(self, request: Any) -> Base:
        """Where the site begins for who asks: as configured, else as the proxy says, else as the browser does."""
        if self.public is not None:
            return self.public
        if request.base is None:
            told = self._asked(request)
            request.base = _base(self._scheme(request), told.authority or host_of(request), told.prefix or "")
        found: Base = request.base
        return found

    def secure(self, request: Any) -> bool:
        """Whether this very request has come by HTTPS, which a public URL does not tell: to us, or as the proxy says."""
        return self._scheme(request) == "https"

    def told(self, request: IRequest) -> bool:
        """Whether a proxy for HTTP has told us anything of this request."""
        return self._asked(request) != Asked(_peer(request))

    def direct(self, request: IRequest) -> bool:
        """Whether a client has come to our own TLS, and not to a proxy's."""
        return request.isSecure() and not self.told(request)

    def client_host(self, request: IRequest) -> str:
        """The host that a request comes from."""
        return self._asked(request).client

    def client_of(self, peer: str, secure: bool, header: Header) -> str:
        """The same for what has the headers of a request and is none. ``peer``: where the connection comes from."""
        return self._read(peer, secure, header).client

    def _scheme(self, request: Any) -> str:
        return self._asked(request).scheme or ("https" if request.isSecure() else "http")

    def _asked(self, request: Any) -> Asked:
        if request.asked is None:
            headers, peer = request.requestHeaders, _peer(request)
            if self._trusts(peer) and any(map(headers.hasHeader, _TELLING)):
                request.asked = self._read(
                    peer, request.isSecure(),
                    lambda name: b", ".join(headers.getRawHeaders(name.encode(), ())).decode("latin-1"))
            else:
                request.asked = Asked(peer)
        found: Asked = request.asked
        return found

    def _read(self, peer: str, secure: bool, header: Header) -> Asked:
        """What comes from this machine inside our TLS has passed a proxy for TCP at most, which writes no headers."""
        if not self._trusts(peer) or (secure and is_loopback(peer)):
            return Asked(peer)
        return read(peer, header, self._trusts)


@functools.lru_cache(CACHED_BASES)
def _base(scheme: str, authority: Authority, prefix: str) -> Base:
    return Base(scheme, authority, prefix)


def host_of(request: Any) -> Authority:
    """What the browser says that it asked, if it says so properly; otherwise the address it came to."""
    try:
        return parse_authority((request.getHeader(b"host") or b"").decode("ascii"))
    except ValueError:
        here = request.getHost()
        return Authority(unmapped(getattr(here, "host", "localhost")), getattr(here, "port", None))


def _peer(request: Any) -> str:
    return str(getattr(request.getClientAddress(), "host", "") or "")
