"""The ``[admin]`` section."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rtcd.admin.keys import MAX_FILE_BYTES, Key, parse
from rtcd.admin.password import checked_hash
from rtcd.admin.signature import secret_of
from rtcd.admin.tokens import ALGORITHMS, Tokens
from rtcd.config import ConfigError, option
from rtcd.front.origin import parse_authority

MIN_TOKEN_CHARS = 32
_URL = re.compile(r"https?://([^/]+)(?:/[!\"$-~]*)?")


@dataclass(frozen=True, slots=True)
class Settings:
    """Lets people and programs look after the daemon: by a unix socket, and by HTTPS at /admin if a password, a token, keys
    or a key for JSON Web Tokens is set."""

    socket: str = option(
        "admin.sock", "Unix socket, relative to the state directory; the command rtcd uses it. Whoever may write to it may "
        "do everything: its owner, and root.")
    password: str | None = option(
        None, "For the page at /admin: what the command rtcd admin-password makes of a password.", secret=True)
    token: str | None = option(
        None, "Bearer token of a program that may do everything, at least 32 characters.", secret=True)
    keys_file: str | None = option(
        None, "File of keys of programs that may do some of it; rtcd admin-key makes them. SIGHUP reads it again.",
        path=True)
    jwt_key: tuple[str, ...] = option(
        (), "Key of an identity provider whose JSON Web Tokens are accepted: a public key in PEM, or for HS256 the shared "
        "secret.", secret=True)
    jwt_algorithm: str = option("HS256", "How they are signed.", choices=ALGORITHMS)
    jwt_audience: str = option("rtcd", "What has to be among their audiences.")
    webhook_url: str | None = option(
        None, "Where to POST events to, signed as by Standard Webhooks: rooms that open and close, clients that come and "
        "go, relays that end.", secret=True, from_file=False)
    webhook_secret: str | None = option(
        None, "What they are signed with, 24 to 64 bytes in base64: openssl rand -base64 32", secret=True)

    def __post_init__(self) -> None:
        checks: tuple[tuple[str, str | None, Callable[[str], object]], ...] = (
            ("password", self.password, checked_hash), ("webhook-secret", self.webhook_secret, secret_of),
            ("webhook-url", self.webhook_url, _checked_url),
            ("jwt-key", "".join(self.jwt_key), lambda _: self.tokens()))
        for key, value, check in checks:
            try:
                if value:
                    check(value)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        if self.token is not None and len(self.token) < MIN_TOKEN_CHARS:
            raise ValueError(f"token: is shorter than {MIN_TOKEN_CHARS} characters; make one with: openssl rand -hex 32")
        if self.token is not None and not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", self.token):
            raise ValueError("token: has characters that no Authorization header can have; make one with: "
                             "openssl rand -hex 32")
        if not self.jwt_audience:
            raise ValueError("jwt-audience: is empty; write what the provider puts into aud")
        if not self.socket or "\0" in self.socket:
            raise ValueError("socket: is no path; write one, like admin.sock")
        if self.webhook_url is not None and self.webhook_secret is None:
            raise ValueError("webhook-secret: is not set, and events are not sent without a signature; make one with: "
                             "openssl rand -base64 32")

    @property
    def public(self) -> bool:
        """Whether there is any way in by HTTPS."""
        return bool(self.password or self.token or self.keys_file or self.jwt_key)

    def tokens(self) -> Tokens | None:
        """What checks JSON Web Tokens, if any are accepted. Raises ValueError for a key that does not fit."""
        return Tokens("\n".join(self.jwt_key), self.jwt_algorithm, self.jwt_audience) if self.jwt_key else None

    def keys(self) -> tuple[Key, ...]:
        """Reads the file of keys. Raises ConfigError."""
        if self.keys_file is None:
            return ()
        try:
            with Path(self.keys_file).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                raise ValueError(f"is longer than {MAX_FILE_BYTES} bytes")
            return parse(data.decode("utf-8-sig"))
        except OSError as error:
            raise ConfigError("admin", "keys-file", f"{self.keys_file} cannot be read ({error.strerror}); check the path "
                              "and its rights, or make it with: rtcd admin-key NAME --scopes read") from None
        except UnicodeDecodeError:
            raise ConfigError("admin", "keys-file", f"{self.keys_file} is no UTF-8 text") from None
        except ValueError as error:
            raise ConfigError("admin", "keys-file", f"{self.keys_file}: {error}") from None


def _checked_url(text: str) -> None:
    """Raises ValueError for what nobody could be asked at."""
    found = _URL.fullmatch(text)
    try:
        parse_authority(found[1] if found is not None else "")
    except ValueError:
        raise ValueError("is no absolute URL; write it like https://hooks.example.org/rtcd") from None
