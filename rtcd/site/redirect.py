"""The resources that the doorway serves itself: redirects to HTTPS, and the local CA as a file and as a profile."""

from __future__ import annotations

import plistlib
import uuid
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from rtcd.front.origin import Base

CA_PATH = "/ca.crt"
PROFILE_PATH = "/ca.mobileconfig"
INSTALL_PATH = "/install"
"""Beside it: the page says how to use the file."""


def moved(request: Any, base: Base) -> bytes:
    """Where the resource of this request is below another base."""
    route, mark, query = bytes(request.uri).partition(b"?")
    path = base.inside(route.decode("latin-1")) if route.startswith(b"/") else "/"
    return base.url.encode("ascii") + path.encode("latin-1") + mark + query


class AuthorityFile(Resource):
    """``/ca.crt``: the local CA, to be installed on a phone. 404 when the operator has a certificate of his own."""

    isLeaf = True

    def __init__(self, read: Callable[[], bytes | None]) -> None:
        super().__init__()
        self._read = read

    def render_GET(self, request: Any) -> bytes:
        """Answer GET and HEAD."""
        pem = self._read()
        if pem is None:
            request.setResponseCode(404)
            request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
            return b"There is no local CA: this server has a certificate of its own, and nothing needs to be installed.\n"
        request.setHeader(b"Content-Type", b"application/x-x509-ca-cert")
        request.setHeader(b"Content-Disposition", b'attachment; filename="rtcd-ca.crt"')
        request.setHeader(b"Cache-Control", b"no-cache")
        return pem


class AuthorityProfile(AuthorityFile):
    """``/ca.mobileconfig``: the same as a profile of Apple's, which Safari installs where it would only save a file."""

    def render_GET(self, request: Any) -> bytes:
        """Answer GET and HEAD."""
        pem = self._read()
        if pem is None:
            return super().render_GET(request)
        request.setHeader(b"Content-Type", b"application/x-apple-aspen-config")
        request.setHeader(b"Content-Disposition", b'attachment; filename="rtcd-ca.mobileconfig"')
        request.setHeader(b"Cache-Control", b"no-cache")
        return profile(pem)


def profile(pem: bytes) -> bytes:
    """A configuration profile that holds one root certificate; not signed, which iOS tells its user."""
    certificate = x509.load_pem_x509_certificate(pem)
    subject = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(subject[0].value) if subject else "rtcd"
    mark = certificate.fingerprint(hashes.SHA256()).hex()
    common = {"PayloadVersion": 1, "PayloadDisplayName": name}
    root = {
        "PayloadType": "com.apple.security.root", "PayloadIdentifier": f"rtcd.{mark[:16]}.root",
        "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{mark} root")), "PayloadCertificateFileName": "rtcd-ca.crt",
        "PayloadContent": certificate.public_bytes(Encoding.DER),
    }
    return plistlib.dumps({
        "PayloadType": "Configuration", "PayloadIdentifier": f"rtcd.{mark[:16]}",
        "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_OID, mark)), "PayloadContent": [common | root], **common,
    })


class Redirect(Resource):
    """Sends every request to the same path below the HTTPS base: 301 for GET and HEAD, else 308. Serves nothing."""

    isLeaf = True

    def __init__(self, target: Callable[[IRequest], Base]) -> None:
        super().__init__()
        self._target = target

    def render(self, request: Any) -> bytes:
        """Answer any method."""
        request.setResponseCode(301 if request.method in (b"GET", b"HEAD") else 308)
        request.setHeader(b"Location", moved(request, self._target(request)))
        request.setHeader(b"Content-Length", b"0")
        return b""
