"""`Tree`: the resource tree of the web site, to which services add theirs by absolute path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.web import pages
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource


class Tree(Resource):
    """A root that finds the resource with the longest registered path; every other path is the fallback's.

    A resource at ``/sig`` gets ``/sig`` and all below it, except what was added below it by its own full path.
    What is left of the path is in ``request.postpath``, as always in twisted.web. The fallback is what was added
    as ``/``: it sees the whole path in ``postpath``. Until there is one, unknown paths are 404.
    """

    def __init__(self) -> None:
        super().__init__()
        self._added: dict[tuple[bytes, ...], IResource] = {}
        self._longest = 0
        self._lengths: dict[bytes, tuple[int, ...]] = {}
        """How long the paths are that begin with a segment, from long to short."""
        self._fallback: IResource | None = None
        self._nothing: IResource = pages.notFound()

    def add(self, path: str, resource: IResource) -> None:
        """Serve ``resource`` at an absolute path such as ``/v1alpha/iceconfig``, or as the fallback at ``/``.

        Raises `ValueError` if the path is not absolute, or is taken.
        """
        if not path.startswith("/"):
            raise ValueError(f"{path!r} does not start with a slash")
        key = tuple(part.encode() for part in path.split("/") if part)
        if key in self._added or (not key and self._fallback is not None):
            raise ValueError(f"the path {path} is served by another service already; choose another")
        if not key:
            self._fallback = resource
            return
        self._added[key] = resource
        self._longest = max(self._longest, len(key))
        self._lengths[key[0]] = tuple(sorted({len(key), *self._lengths.get(key[0], ())}, reverse=True))

    def knows(self, path: str) -> bool:
        """Whether a registered path begins with the same segment as this one."""
        first = next((part.encode() for part in path.split("/") if part), b"")
        return first in self._lengths

    def getChildWithDefault(self, path: bytes, request: IRequest) -> IResource:
        """Twisted asks for the child of the first segment; this takes as many segments as are registered."""
        asked: Any = request
        found, length = self.find((path, *asked.postpath[: self._longest - 1]))
        if found is None:
            asked.postpath.insert(0, asked.prepath.pop())
            return self._fallback or self._nothing
        asked.prepath.extend(asked.postpath[: length - 1])
        del asked.postpath[: length - 1]
        return found

    def find(self, segments: Sequence[bytes]) -> tuple[IResource | None, int]:
        """The resource of the longest registered path that these begin with, and how many that takes; or None."""
        for length in self._lengths.get(segments[0], ()):
            found = self._added.get(tuple(segments[:length])) if length <= len(segments) else None
            if found is not None:
                return found, length
        return None, 0
