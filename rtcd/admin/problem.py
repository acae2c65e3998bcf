"""`Problem`: why a request is not answered as it wishes, as RFC 9457 has it (``application/problem+json``)."""

from __future__ import annotations

from collections.abc import Mapping

MEDIA_TYPE = "application/problem+json"

TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
    413: "Content Too Large", 415: "Unsupported Media Type", 429: "Too Many Requests", 500: "Internal Server Error",
    501: "Not Implemented", 503: "Service Unavailable",
}
"""Of every status that a problem may have."""


def plain(text: str) -> str:
    """A text as JSON in UTF-8 can have it: half a character, which other JSON may hold, is shown as a question mark."""
    return text.encode("utf-8", "replace").decode()


class Problem(Exception):
    """Raised by whoever cannot go on; ``detail`` is a sentence for the person who asked, ``headers`` go with the answer."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, object]:
        """The members of the object that is sent; the type is that of a plain HTTP status. Whatever text the detail is made
        of, it can be sent."""
        return {"type": "about:blank", "title": TITLES[self.status], "status": self.status, "detail": plain(self.detail)}
