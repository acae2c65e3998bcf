"""`Client`: the connection to an authority and the account there. Blocking, and imported only when an order begins.

The ``acme`` library, josepy and requests stay here and in rtcd.acme.network, which bounds what an authority may answer; what
goes wrong in them becomes an `AcmeError`. What is said in which order is rtcd.acme.order's.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from typing import Any

import requests
from acme import challenges, errors, messages
from acme.client import ClientV2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.b64 import b64encode
from josepy.errors import DeserializationError
from josepy.jwk import JWK, JWKEC

from rtcd.acme.kept import ACCOUNT, ACCOUNT_KEY, new_key
from rtcd.acme.network import TIMEOUT_S, Network
from rtcd.acme.request import Account, AcmeError, Request, one_line
from rtcd.tls.names import is_address


@challenges.ChallengeResponse.register
class TlsAlpn01Response(challenges.KeyAuthorizationChallengeResponse):
    """That our handshake is ready: the library knows HTTP and DNS only."""

    typ = "tls-alpn-01"


@challenges.Challenge.register
class TlsAlpn01(challenges.KeyAuthorizationChallenge):
    """RFC 8737."""

    response_cls = TlsAlpn01Response
    typ = TlsAlpn01Response.typ

    def validation(self, account_key: JWK, **kwargs: Any) -> bytes:
        """What the certificate of the handshake holds."""
        return hashlib.sha256(self.key_authorization(account_key).encode("ascii")).digest()


class Client:
    """One authority, as one account. `open` first, then `enter`; `close` in any case."""

    def __init__(self, request: Request, stop: threading.Event) -> None:
        """Makes the account's key if there is none. Raises `AcmeError` if the one there is cannot be used.

        When ``stop`` is set, what is under way fails.
        """
        self._request = request
        self.account: Account | None = None
        self._key_pem = request.account_key_pem or new_key()
        self.key = JWKEC(key=_account_key(self._key_pem))
        if request.trust:
            _check_trust(request.trust)
        self._network = Network(self.key, request, stop)
        self.acme: ClientV2
        """The library's client, once `open` has been called."""

    def open(self) -> None:
        """Get the directory."""
        directory = ClientV2.get_directory(self._request.directory, self._network)
        for name in ("newNonce", "newAccount", "newOrder"):
            if not isinstance(directory.to_partial_json().get(name), str):
                raise AcmeError(f"{self._request.directory} is no ACME directory: it names no {name}; correct the URL")
        self.acme = ClientV2(directory, self._network)

    @property
    def profiles(self) -> tuple[str, ...]:
        """The certificate profiles that the authority offers."""
        return tuple(self.acme.directory.meta.profiles or ())

    def enter(self, *, anew: bool = False) -> None:
        """Use the account that was kept, or register one; ``anew``: do not trust what was kept."""
        asked = self._request
        thumbprint = b64encode(self.key.thumbprint()).decode()
        kept = None if anew else _kept(asked, thumbprint)
        url, is_new = (kept["url"], False) if kept is not None else self._register()
        self._network.account = messages.RegistrationResource(body=messages.Registration(), uri=url)
        if asked.email != kept.get("email") if kept is not None else asked.email and not is_new:
            contact = (f"mailto:{asked.email}",) if asked.email else ()
            self._post(url, messages.UpdateRegistration(contact=contact))
        told = json.dumps({"directory": asked.directory, "url": url, "key": thumbprint, "email": asked.email})
        self.account = Account(self._key_pem, told, self.acme.directory.meta.terms_of_service, is_new)

    def new_order(self, csr_pem: bytes, profile: str | None) -> messages.OrderResource:
        """Order a certificate, and fetch what has to be proved for it: as much as was asked for, while the library would
        fetch whatever it is told of."""
        asked = self._request
        kinds = {True: messages.IDENTIFIER_IP, False: messages.IDENTIFIER_FQDN}
        wanted = [messages.Identifier(typ=kinds[is_address(name)], value=name) for name in asked.names]
        answer = self._post(self.acme.directory.newOrder, messages.NewOrder(identifiers=wanted, profile=profile or ""))
        body = messages.Order.from_json(answer.json())
        urls = body.authorizations or ()
        if len(urls) > len(wanted):
            raise AcmeError(f"{asked.directory} wants more proved than was asked for")
        found = [messages.AuthorizationResource(body=messages.Authorization.from_json(self.ask(url).json()), uri=url)
                 for url in urls]
        return messages.OrderResource(
            body=body, uri=_url_in(answer.headers, asked.directory), authorizations=found, csr_pem=csr_pem)

    def ask(self, url: str) -> requests.Response:
        """POST-as-GET (RFC 8555 §6.3)."""
        return self._post(url, None)

    def retry_after(self) -> float | None:
        """What the last answer asks for, in seconds."""
        return self._network.retry_after()

    def close(self) -> None:
        """Close the connections."""
        self._network.close()

    def told(self, error: Exception) -> AcmeError:
        """Any failure of this work, for the operator."""
        if isinstance(error, AcmeError):
            return error
        where = self._request.directory
        if isinstance(error, messages.Error):
            mend = ""
            if error.code == "unauthorized" and (self.account is not None or self._request.eab_kid is None):
                mend = (f"; if the account was deactivated, remove {ACCOUNT_KEY} and {ACCOUNT} from the state directory to "
                        "register anew")
            return AcmeError(f"{where} refuses: {problem(error)}{mend}", self.retry_after())
        if isinstance(error, requests.exceptions.SSLError):
            text = f"the certificate of {where} is not trusted ({_root(error)})"
            return AcmeError(f"{text}; if its authority is a private one, name that one's PEM file as [acme] trust")
        if isinstance(error, requests.exceptions.Timeout):
            return AcmeError(f"{where} does not answer within {TIMEOUT_S} seconds")
        if isinstance(error, requests.exceptions.JSONDecodeError | DeserializationError):
            return AcmeError(f"{where} gave an answer that is not ACME's; is it the URL of a directory?", self.retry_after())
        if isinstance(error, requests.exceptions.RequestException):
            return AcmeError(f"{where} cannot be reached: {_root(error)}")
        if isinstance(error, errors.ClientError) and error.args and isinstance(error.args[0], requests.Response):
            return AcmeError(f"{where} answers with status {error.args[0].status_code}", self.retry_after())
        return AcmeError(f"{where} gave an answer that is not understood ({type(error).__name__}: {error})")

    def _register(self) -> tuple[str, bool]:
        """The URL of our account, and whether it was made now. To register is to agree to the terms."""
        asked, directory = self._request, self.acme.directory
        if asked.eab_kid is None and self.acme.external_account_required():
            raise AcmeError(f"{asked.directory} gives certificates to its customers only; set [acme] eab-kid and eab-key to "
                            "what it has given you")
        binding = None
        if asked.eab_kid is not None and asked.eab_key is not None:
            binding = messages.ExternalAccountBinding.from_data(
                self.key.public_key(), asked.eab_kid, asked.eab_key.strip(), directory)
        wanted = messages.NewRegistration.from_data(
            email=asked.email, external_account_binding=binding, terms_of_service_agreed=True)
        self._network.account = None
        try:
            made = self.acme.new_account(wanted)
        except errors.ConflictError as known:  # this key has an account: an earlier order that was not finished
            return _url_in({"Location": known.location}, asked.directory), False
        return _url_in({"Location": made.uri}, asked.directory), True

    def _post(self, url: str, body: Any) -> requests.Response:
        return self._network.post(url, body, new_nonce_url=self.acme.directory.newNonce)


def problem(error: messages.Error) -> str:
    """What an authority gives as its reason (RFC 8555 §6.7), on one line."""
    kind = str(error.typ).removeprefix(messages.ERROR_PREFIX)
    parts = [f"{kind}: {error.detail or error.title or 'no reason given'}"]
    for one in error.subproblems or ():
        name = f"{one.identifier.value}: " if one.identifier else ""
        parts.append(f"{name}{one.detail or one.typ}")
    return one_line("; ".join(parts))


def _check_trust(path: str) -> None:
    """Requests would say of a bad file that the directory is not trusted."""
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # of which ssl's are a kind
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise AcmeError(f"[acme] trust: {path} cannot be used ({reason}); name a PEM file that can be read") from None


def _account_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise AcmeError("acme-account.key in the state directory holds no P-256 key; remove it to have one made")
    return key


def _kept(request: Request, thumbprint: str) -> dict[str, Any] | None:
    """The account that was kept, if it is at this directory and of this key."""
    try:
        kept = json.loads(request.account_json or "{}")
        if kept["directory"] == request.directory and kept["key"] == thumbprint and isinstance(kept["url"], str):
            return dict(kept)
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _url_in(headers: Any, directory: str) -> str:
    """The URL of what an answer says was made. Without one there is nothing to go on with."""
    url = headers.get("Location")
    if not isinstance(url, str) or not url.startswith("https://"):
        raise AcmeError(f"{directory} does not say where the account or the order is that it has made")
    return url


def _root(error: BaseException) -> str:
    """The innermost reason of an error of requests, which wraps several."""
    for _ in range(8):
        inner = next((one for one in (*error.args, getattr(error, "reason", None), error.__cause__, error.__context__)
                      if isinstance(one, BaseException)), None)
        if inner is None:
            break
        error = inner
    return getattr(error, "verify_message", "") or getattr(error, "strerror", None) or str(error) or type(error).__name__
