"""`Groups`: the sockets that workers share, each group at one address with a socket for each of them (SO_REUSEPORT).

Linux chooses the socket of a group by a hash of both addresses and ports, so that a client stays with its worker. It
counts the sockets of the group in the order in which they were bound: one that is closed moves the clients of others. So
all of them are opened at once, in the parent, which keeps them until it ends: a worker that is started again gets the
socket of the one before it, with what has waited there meanwhile, and the others notice nothing. It also opens ports that
the workers may not, once it has dropped its rights. Connections need not come to the same worker again: those of one that
is away for longer go to the others.
"""

from __future__ import annotations

import errno
import os
import socket
import stat

from rtcd.privileges import Owner
from rtcd.workers.frames import Open

BACKLOG = 1024
"""Connections that wait to be accepted at each socket; Linux has the last word (net.core.somaxconn)."""
MAX_GROUPS = 256
"""An address, a port and a transport each."""
PORT_TRIES = 20
"""Free ports that are looked at, until one is free for the whole group."""

Key = tuple[str, str, int, int]


class Groups:
    """What is open. ``count``: the workers. ``owner``: whom paths of unix sockets are to belong to."""

    def __init__(self, count: int, owner: Owner | None = None) -> None:
        self._count = count
        self._owner = owner
        self._open: dict[Key, list[socket.socket]] = {}
        self._paths: list[str] = []
        self._resting: set[socket.socket] = set()
        self._settled = False

    def take(self, wanted: Open, number: int) -> socket.socket:
        """That of worker ``number``, which stays ours. Opens the group if this is the first who asks. Raises OSError."""
        key = wanted.kind, wanted.host, wanted.port, wanted.nth
        group = self._open.get(key)
        if group is None:
            if len(self._open) >= MAX_GROUPS:
                raise OSError(errno.EMFILE, f"more than {MAX_GROUPS} addresses")
            if self._settled:
                raise OSError(errno.EPERM, "the other workers do not listen there; restart the daemon")
            group = self._open[key] = self._bind(wanted)
        found = group[number - 1] if wanted.kind != "unix" else group[0]
        if found in self._resting:
            self._resting.remove(found)
            found.listen(BACKLOG)
        return found

    def settle(self) -> None:
        """All have taken what there is: a group that is opened now would be nobody's but one worker's."""
        self._settled = True

    def rest(self, number: int) -> None:
        """Worker ``number`` is away for a while: no new connection is given to it until it takes its sockets again. UDP
        sockets stay as they are, since its clients are no concern of the others, and theirs would move."""
        for (kind, *_), group in self._open.items():
            sock = group[number - 1] if kind == "tcp" else None
            if sock is not None and sock not in self._resting:
                try:
                    sock.shutdown(socket.SHUT_RD)  # it listens no more, and stays bound
                except OSError:
                    continue
                self._resting.add(sock)

    def close(self) -> None:
        """Close everything."""
        groups, self._open = self._open, {}
        for group in groups.values():
            for one in group:
                one.close()
        for path in self._paths:
            try:
                os.unlink(path)
            except OSError:
                continue
        self._paths.clear()

    def _bind(self, wanted: Open) -> list[socket.socket]:
        if wanted.kind == "unix":
            return [self._unix(wanted.host, wanted.mode)]
        for left in reversed(range(PORT_TRIES)):
            group: list[socket.socket] = []
            try:
                # Whoever has it alone keeps it, and another daemon of this user is not joined unawares. This one chooses any
                # port, and is closed: a socket that rests keeps its port only if it was bound to that one by its number.
                with _made(wanted.kind, wanted.host, wanted.port, shared=False) as first:
                    port = first.getsockname()[1]
                for _ in range(self._count):
                    group.append(_made(wanted.kind, wanted.host, port, shared=True))
            except OSError as error:
                for one in group:
                    one.close()
                if wanted.port or not left or error.errno != errno.EADDRINUSE:
                    raise
            else:
                return group
        raise OSError(errno.EADDRINUSE, "no port is free")

    def _unix(self, path: str, mode: int) -> socket.socket:
        """One for all, who take its connections in turn. One that nobody listens at any more is replaced."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if os.path.exists(path) and stat.S_ISSOCK(os.lstat(path).st_mode):
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                    if probe.connect_ex(path) == errno.ECONNREFUSED:
                        os.unlink(path)
            before = os.umask(~mode & 0o777)
            try:
                sock.bind(path)
            finally:
                os.umask(before)
            self._paths.append(path)
            if self._owner is not None:
                os.chown(path, self._owner.uid, self._owner.gid, follow_symlinks=False)
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        return sock


def _made(kind: str, host: str, port: int, *, shared: bool) -> socket.socket:
    """Bound, and listening if it is a stream. Not ``shared``: refused where anybody is."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    try:
        if kind == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        elif family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        sock.setblocking(False)
        where = socket.getaddrinfo(host or "0.0.0.0", port, family, sock.type, 0, socket.AI_NUMERICHOST)[0][4]
        sock.bind(where)
        if kind == "tcp":
            sock.listen(BACKLOG)
    except socket.gaierror as error:
        sock.close()
        raise OSError(errno.EADDRNOTAVAIL, f"{host} is no address ({error.strerror})") from None
    except BaseException:
        sock.close()
        raise
    return sock
