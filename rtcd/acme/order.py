"""`obtain`: one order at an ACME authority (RFC 8555 §7.4), from the directory to the certificate.

It blocks, and is to be run in a thread of its own. The libraries are imported when it begins (rtcd.acme.client), so that
a daemon that does not ask for certificates does not load them. There is no clock: what is bounded is the time waited.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rtcd.acme.kept import chain_of, held_of, new_key
from rtcd.acme.request import Account, AcmeError, Issued, Proof, Request
from rtcd.acme.schedule import is_for
from rtcd.tls.names import canonical, is_address

if TYPE_CHECKING:
    from rtcd.acme.client import Client

VALIDATION_S = 90.0
"""How long is waited for the authority to have looked at all names."""
ISSUANCE_S = 90.0
"""How long is waited for the certificate after that."""
FIRST_POLL_S = 0.25
LONGEST_POLL_S = 10.0
"""The waits between two looks double; an authority that asks for more gets it within the bounds above."""
SHORTLIVED = "shortlived"
"""The profile of certificates of six days; the only one that Let's Encrypt gives to addresses."""

Prove = Callable[[Sequence[Proof]], None]
"""Puts proofs up where the authority looks, and returns when they are there. Raises `AcmeError`."""


def obtain(request: Request, prove: Prove, stop: threading.Event) -> Issued:
    """Get a certificate with a new key. Raises `AcmeError` and nothing else; soon, when ``stop`` is set. Whether it is valid
    now is for the caller to see, who has a clock."""
    client: Client | None = None
    try:
        client = _client(request, stop)
        client.open()
        return _entered(client, request, prove, stop)
    except Exception as error:  # whatever an authority answers, here it is one line
        if stop.is_set():
            told = AcmeError("stopped")
        elif client is not None:
            told = client.told(error)
        else:
            told = error if isinstance(error, AcmeError) else AcmeError(
                f"the ACME client does not work here ({type(error).__name__}: {error}); install rtcd anew")
        told.account = client.account if client is not None else None
        raise told from None
    finally:
        if client is not None:
            client.close()


def _client(request: Request, stop: threading.Event) -> Client:
    from rtcd.acme.client import Client

    return Client(request, stop)


def _entered(client: Client, request: Request, prove: Prove, stop: threading.Event) -> Issued:
    from acme import messages

    profile = _profile(client, request)
    try:
        client.enter()
        return _Order(client, request, prove, stop).run(profile)
    except messages.Error as error:
        if error.code != "accountDoesNotExist" or (client.account is not None and client.account.is_new):
            raise
    client.enter(anew=True)
    return _Order(client, request, prove, stop).run(profile)


def _profile(client: Client, request: Request) -> str | None:
    offered = client.profiles
    if request.profile is None:
        return SHORTLIVED if SHORTLIVED in offered and any(map(is_address, request.names)) else None
    if request.profile not in offered:
        known = f"it offers {', '.join(sorted(offered))}" if offered else "it offers none: leave it empty"
        raise AcmeError(f"[acme] profile: {request.directory} has no profile {request.profile}; {known}")
    return request.profile


class _Order:
    """The steps of one order."""

    def __init__(self, client: Client, request: Request, prove: Prove, stop: threading.Event) -> None:
        self._client = client
        self._request = request
        self._prove = prove
        self._stop = stop

    def run(self, profile: str | None) -> Issued:
        """All of them."""
        from acme import crypto_util

        key_pem = new_key()
        names = [name for name in self._request.names if not is_address(name)]
        addresses = [ipaddress.ip_address(name) for name in self._request.names if is_address(name)]
        csr = crypto_util.make_csr(key_pem, names, ipaddrs=addresses)
        self._go_on()
        order = self._client.new_order(csr, profile)
        self._validate(order.authorizations)
        answer = self._issue(order)
        assert self._client.account is not None  # entered before
        return self._checked(answer, key_pem, self._client.account)

    def _validate(self, authorizations: Sequence[Any]) -> None:
        """Prove every name that the authority does not hold proved already."""
        from acme.messages import STATUS_VALID

        open_ones = [(one, self._pick(one)) for one in authorizations if one.body.status != STATUS_VALID]
        if not open_ones:
            return
        self._prove([
            Proof(challenge.chall.typ, one.body.identifier.value, challenge.chall.encode("token"),
                  challenge.chall.key_authorization(self._client.key))
            for one, challenge in open_ones])
        for _, challenge in open_ones:
            self._go_on()
            self._client.acme.answer_challenge(challenge, challenge.chall.response(self._client.key))
        patience = _Patience(self._stop, VALIDATION_S)
        pending = [one for one, _ in open_ones]
        while pending:
            named = pending[0].body.identifier.value
            patience.wait(self._client.retry_after(),
                          f"{named} is not looked at by the authority within {VALIDATION_S:.0f} seconds", in_validation=True)
            pending = [one for one in pending if not self._is_valid(one)]

    def _pick(self, authorization: Any) -> Any:
        """The challenge of the wanted kind."""
        from acme.messages import STATUS_PENDING

        name = authorization.body.identifier.value
        if canonical(name) not in {canonical(one.removeprefix("*.")) for one in self._request.names}:
            raise AcmeError(f"{self._request.directory} wants {name} proved, which was not asked for")
        if authorization.body.status != STATUS_PENDING:
            raise AcmeError(f"{name}: its authorization is {authorization.body.status.name} from the beginning",
                            in_validation=True)
        for one in authorization.body.challenges:
            if getattr(one.chall, "typ", None) == self._request.challenge:
                return one
        raise AcmeError(f"{name} cannot be proved by {self._request.challenge} at this authority", in_validation=True)

    def _is_valid(self, authorization: Any) -> bool:
        """Look again at an authorization. Raises `AcmeError` when it has failed."""
        from acme.messages import STATUS_PENDING, STATUS_PROCESSING, STATUS_VALID

        from rtcd.acme.client import problem

        self._go_on()
        body = self._client.acme.poll(authorization)[0].body
        if body.status in (STATUS_PENDING, STATUS_PROCESSING):
            return False
        if body.status == STATUS_VALID:
            return True
        reasons = [problem(one.error) for one in body.challenges if one.error is not None]
        reason = reasons[0] if reasons else f"the authorization is {body.status.name}"
        raise AcmeError(f"{body.identifier.value} was not proved by {self._request.challenge}: {reason}", in_validation=True)

    def _issue(self, order: Any) -> bytes:
        """Have the certificate made, and fetch it."""
        from acme import messages

        from rtcd.acme.client import problem

        patience = _Patience(self._stop, ISSUANCE_S)
        finalized = False
        while True:
            self._go_on()
            body = messages.Order.from_json(self._client.ask(order.uri).json())
            if body.status == messages.STATUS_VALID and body.certificate:
                return self._client.ask(body.certificate).content
            if body.status == messages.STATUS_INVALID:
                reason = problem(body.error) if body.error is not None else "no reason given"
                raise AcmeError(f"{self._request.directory} made no certificate: {reason}")
            if body.status == messages.STATUS_READY and not finalized:
                finalized = True
                self._client.acme.begin_finalization(order.update(body=body))
            patience.wait(self._client.retry_after(),
                          f"{self._request.directory} made no certificate within {ISSUANCE_S:.0f} seconds")

    def _checked(self, answer: bytes, key_pem: bytes, account: Account) -> Issued:
        """What came, if it is a certificate for our key and the names."""
        directory = self._request.directory
        try:
            issued = Issued(chain_of(answer), key_pem, account, directory)
            held = held_of(issued.pem)
        except ValueError as error:
            raise AcmeError(f"{directory} gave a certificate that is of no use: {error}") from None
        if not is_for(held.names, self._request.names):
            raise AcmeError(f"{directory} gave a certificate for {', '.join(held.names)} instead")
        return issued

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise AcmeError("stopped")


class _Patience:
    """So many seconds to wait in all, in growing steps."""

    def __init__(self, stop: threading.Event, seconds: float) -> None:
        self._stop = stop
        self._left = seconds
        self._next = FIRST_POLL_S

    def wait(self, asked: float | None, text: str, *, in_validation: bool = False) -> None:
        """Wait for the next look, or as long as the authority ``asked``; `AcmeError` of the ``text`` when all is used up."""
        if self._left <= 0:
            raise AcmeError(text, in_validation=in_validation)
        step = min(self._left, max(self._next, asked or 0.0))
        self._left -= step
        self._next = min(LONGEST_POLL_S, self._next * 2)
        if self._stop.wait(step):
            raise AcmeError("stopped")
