"""`Inbox`: carries out what comes for a node, and keeps the sockets that it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from twisted.logger import Logger

from rtcd.cluster.backend import Entry
from rtcd.cluster.codec import decode_effects, decode_news
from rtcd.rooms.outcome import Attach, Came, Close, Deliver, Effect, Inform, Said, Socket, StoreUnavailable
from rtcd.rooms.watchers import Watchers

MAX_LATE = 256
"""So many texts for a socket that is gone are kept until the store knows that it is; later ones are lost."""

MAX_LATE_CHARACTERS = 262144
"""So long they may be in sum."""


class Inbox:
    """Sockets of clients, and watchers. ``orphaned`` is told a room in which the store now takes us for the holder of a
    socket that we do not have."""

    _log = Logger()

    def __init__(self, orphaned: Callable[[str], object]) -> None:
        self.watchers = Watchers()
        self.sockets: dict[tuple[str, str], Socket] = {}
        """By room and client."""
        self.held: dict[str, set[str]] = {}
        """By room: clients whose socket we hold."""
        self.owed: dict[str, dict[str, list[Said]]] = {}
        """By room: clients whose socket is gone, which the store may not know yet; and what has come for it since then, with
        who has said it as far as that is known."""
        self._orphaned = orphaned

    def take(self, entry: Entry, attached: Socket | None, *, here: bool) -> None:
        """An entry: the news first, then what is for our sockets. ``attached``: the socket that an `Attach` is about;
        ``here``: this daemon has committed."""
        try:
            owed = self.owed.get(entry.name, {})
            news = decode_news(entry.news) if entry.news and (owed or self.watchers) else []
            if news and self.watchers:
                self.watchers.tell(entry.name, news, here=here)
            for one in news:
                if isinstance(one, Came) and one.registered and one.client in owed:
                    owed[one.client] = []  # it has its next socket, and is perhaps told newer things by now
            if entry.effects:
                said = {one.text: one.client for one in news if isinstance(one, Said)} if owed else {}
                self._carry_out(entry.name, decode_effects(entry.effects), attached, said)
        except StoreUnavailable as fault:
            self._log.error("{reason}", reason=str(fault))

    def drop(self, name: str, client: str) -> Socket:
        """Nothing more goes to a socket; the store is owed to be told so."""
        socket = self.sockets.pop((name, client))
        self.held[name].discard(client)
        if not self.held[name]:
            del self.held[name]
        self.owe(name, client)
        return socket

    def owe(self, name: str, client: str, late: list[Said] | None = None) -> None:
        """The store has to be told that a client's socket is not ours any more, and given what came late for it."""
        self.owed.setdefault(name, {}).setdefault(client, late or [])

    def quit(self, name: str, client: str) -> list[Said]:
        """The store knows, or need not. Returns what came for the socket when it was gone."""
        clients = self.owed.get(name, {})
        late = clients.pop(client, [])
        if name in self.owed and not clients:
            del self.owed[name]
        return late

    def deliver(self, name: str, client: str, text: str, sender: str = "") -> None:
        """Hand a text to a client's socket, if it is here. If it is gone, and the store may not know yet, the text waits."""
        socket = self.sockets.get((name, client))
        if socket is not None:
            try:
                socket.deliver(text)
            except Exception:
                self._log.failure("a socket did not take {effect}", effect=Deliver.__name__)
            return
        late = self.owed.get(name, {}).get(client)
        if late is not None and len(late) < MAX_LATE and (
                sum(len(one.text) for one in late) + len(text) <= MAX_LATE_CHARACTERS):
            late.append(Said(sender, text))

    def _carry_out(
        self, name: str, effects: Iterable[Effect], attached: Socket | None, said: Mapping[str, str]
    ) -> None:
        for effect in effects:
            if isinstance(effect, Deliver):
                self.deliver(name, effect.client, effect.text, said.get(effect.text, ""))
            elif not isinstance(effect, Attach):
                self._perform(name, effect)
            elif attached is not None:
                self.held.setdefault(name, set()).add(effect.client)
                self.sockets[name, effect.client] = attached
                self.quit(name, effect.client)
            else:  # whoever wanted it was told that the store was away
                self.owe(name, effect.client)
                self._orphaned(name)

    def _perform(self, name: str, effect: Inform | Close) -> None:
        socket = self.sockets.get((name, effect.client))
        if socket is None:
            return
        try:
            if isinstance(effect, Inform):
                socket.inform(effect.text)
            else:
                socket.close()
        except Exception:
            self._log.failure("a socket did not take {effect}", effect=type(effect).__name__)
