"""`Access`: who is asking. A program shows a bearer token, a key or a JSON Web Token; a person logs in and has a cookie.

Tokens and keys are compared in constant time and are too long to be guessed; the password is not, so tries at it are few
for each network and in all. What fails is logged, a line a second for each network, in a form that programs can read.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from rtcd.admin.guesses import Guesses, Origin
from rtcd.admin.keys import ALL, Caller, Key, digest, find
from rtcd.admin.password import verify
from rtcd.admin.problem import Problem
from rtcd.admin.sessions import Sessions
from rtcd.admin.settings import Settings
from rtcd.admin.tokens import Tokens, looks_like_one
from rtcd.bucket import Buckets, masked, network
from rtcd.metrics import Metrics

COOKIE = "__Host-rtcd-admin"
TOKEN_BYTES = 32
MISSES_PER_S = 0.1
"""Wrong tokens and keys after which one network is told to wait; right ones are taken all the same."""
MISSES_AT_ONCE = 10
LINES_PER_S = 20.0
"""Lines about what failed, whoever it comes from."""

InThread: TypeAlias = Callable[[Callable[[], bool]], "Deferred[bool]"]
"""``in_thread(work)`` runs ``work()`` beside the reactor and fires with what it returns."""

_UNKNOWN = {"WWW-Authenticate": 'Bearer realm="rtcd"'}
_LATER = {"Retry-After": "10"}


class Access:
    """Checks callers by the settings in force."""

    _log = Logger()

    def __init__(self, clock: Any, settings: Settings, keys: tuple[Key, ...], metrics: Metrics, in_thread: InThread) -> None:
        """``keys``: what `Settings.keys` has read."""
        self._clock = clock
        self._in_thread = in_thread
        self._sessions = Sessions()
        self._guesses = Guesses()
        self._misses = Buckets(MISSES_PER_S, MISSES_AT_ONCE)
        self._lines = Buckets(1.0, 1.0)
        self._all_lines = Buckets(LINES_PER_S, LINES_PER_S, 1)
        self._refused = metrics.counter("admin", "refused", "Requests without a right to what they asked for.")
        self._password: str | None = None
        self.use(settings, keys)

    def use(self, settings: Settings, keys: tuple[Key, ...]) -> None:
        """Go by these from now on; who has logged in with another password has not any more."""
        if settings.password != self._password:
            self._sessions.clear()
        self._password = settings.password
        self._token = None if settings.token is None else digest(settings.token)
        self._keys = keys
        self._tokens: Tokens | None = settings.tokens()

    def caller(self, authorization: str, cookie: str, host: str) -> Caller:
        """Who shows this; ``host`` is where he comes from. Raises `Problem`."""
        now = self._clock.seconds()
        kind, _, shown = authorization.partition(" ")
        if kind.lower() == "bearer":  # what else a browser shows is meant for a proxy in front
            found = self._bearer(shown.strip(), now)
            if found is None:
                raise self._unknown(host, "token", now)
            return found
        if cookie and self._sessions.find(cookie, now):
            return Caller("password", ALL, session=True)
        self._refused.value += 1
        raise Problem(401, "Show a bearer token, or log in.", _UNKNOWN)

    async def log_in(self, password: str, host: str) -> str:
        """A new session's cookie. Raises `Problem`."""
        now, hashed = self._clock.seconds(), self._password
        if hashed is None:
            raise Problem(403, "There is no password here; write what rtcd admin-password makes as [admin] password, or "
                          "show a bearer token.")
        origin = Origin(network(host), masked(host))
        if not self._guesses.take(origin, now):
            self._refused.value += 1
            raise Problem(429, "Too many tries; wait a little.", _LATER)
        if not self._guesses.begin(origin):
            raise Problem(503, "Others are logging in; try again.", _LATER)
        try:
            right = await self._in_thread(lambda: verify(hashed, password))
        finally:
            self._guesses.end()
        if not right or hashed != self._password:
            self._tell(host, "password", now)
            raise Problem(401, "The password is wrong.", _UNKNOWN)
        self._guesses.right(origin)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._sessions.begin(token, self._clock.seconds())
        return token

    def log_out(self, cookie: str) -> None:
        """The session is over."""
        self._sessions.end(cookie)

    def forbidden(self, caller: Caller, scope: str) -> Problem:
        """What to answer to a caller without this scope."""
        self._refused.value += 1
        return Problem(403, f"This needs the scope {scope}, which {caller.name} does not have.")

    def _bearer(self, shown: str, now: float) -> Caller | None:
        key = find(self._keys, shown)
        whole = self._token is not None and hmac.compare_digest(self._token, digest(shown))
        if whole:
            return Caller("token", ALL)
        if key is not None:
            return Caller(f"key:{key.name}", key.scopes)
        return self._tokens.check(shown, now) if self._tokens is not None and looks_like_one(shown) else None

    def _unknown(self, host: str, what: str, now: float) -> Problem:
        self._tell(host, what, now)
        if not self._misses.allow(network(host), now):
            return Problem(429, "Too many tries; wait a little.", _LATER)
        return Problem(401, "The token is wrong, or it has expired.", {
            "WWW-Authenticate": 'Bearer realm="rtcd", error="invalid_token"'})

    def _tell(self, host: str, what: str, now: float) -> None:
        self._refused.value += 1
        if self._lines.allow(network(host), now) and self._all_lines.allow("", now):
            self._log.info("admin_auth_fail address={address} what={what}", address=host or "-", what=what)
