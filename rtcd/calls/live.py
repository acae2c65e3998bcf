"""The calls that are on, and which TURN users and addresses are whose in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from rtcd.calls.changes import MAX_PEOPLE, counted, repeats
from rtcd.calls.record import Call, letter_of
from rtcd.peers.candidates import Described

MAX_CLIENTS = 2 * MAX_PEOPLE
"""Of one call whose names, users and addresses are known; those who went first are forgotten."""
MAX_SHARING = 8
"""Where more clients have one address, what comes from there says nothing of any."""


class Tagger(Protocol):
    """Makes users of clients' names, as rtcd.ice.credentials does."""

    @property
    def generation(self) -> int:
        """Another number whenever `users_of` may answer otherwise than before."""

    def users_of(self, room: str, client: str) -> tuple[str, ...]:
        """Every user that a name of this client may be made out to: ``<room tag>-<client tag>``."""


class Client:
    """One of a call."""

    __slots__ = ("address", "here", "letter", "live", "texts", "users")

    def __init__(self, live: Live, letter: str, address: str, users: tuple[str, ...]) -> None:
        self.live = live
        self.letter = letter
        self.address = address
        """The network that it comes from."""
        self.users = users
        """Of its TURN credentials."""
        self.here = True
        self.texts = 0
        """How many of its texts were read."""


class Live:
    """A call that is on, or was until a moment ago."""

    __slots__ = ("_call", "_more", "clients", "number", "pages", "room", "until")

    def __init__(self, room: str, call: Call) -> None:
        self.room = room
        self._call = call
        self._more: dict[str, dict[str, int]] = {}
        """Messages and candidates that are not in the record yet, by letter and kind: they are many, and only counted."""
        self.number = 0
        """How many have come."""
        self.clients: dict[str, Client] = {}
        """By their names, which are secret and therefore in no record."""
        self.pages: dict[str, str] = {}
        """Letters by the tags that pages know each other by."""
        self.until = 0.0
        """When nothing more is taken."""

    @property
    def call(self) -> Call:
        """The record."""
        if self._more:
            self._call, self._more = counted(self._call, self._more), {}
        return self._call

    @call.setter
    def call(self, call: Call) -> None:
        self._call = call

    def repeats(self, letter: str, said: Described) -> bool:
        """Whether what somebody said is like something that was there before. Then it waits here to be counted; any other is
        `rtcd.calls.changes.said`'s."""
        more = self._more.get(letter)
        if more is not None and said.settled:  # what comes most
            for key in said.counted:
                if key not in more:
                    break
            else:
                for key in said.counted:
                    more[key] += 1
                return True
        if not repeats(self._call, letter, said.message, said.candidates):
            return False
        more = self._more.setdefault(letter, {})
        for key in said.counted:
            more[key] = more.get(key, 0) + 1
        return True

    @property
    def empty(self) -> bool:
        """Whether nobody is there."""
        return not any(one.here for one in self.clients.values())


class Whose:
    """Finds clients of calls by what TURN knows of them."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self._generation = tagger.generation
        self._users: dict[str, Client] = {}
        self._addresses: dict[str, dict[str, Client]] = {}
        """By network and name: whose requests come from there as long as they do not say whose they are."""

    def __len__(self) -> int:
        return len(self._users)

    def add(self, live: Live, name: str, address: str, users: tuple[str, ...] | None = None) -> Client:
        """A client that has come to a call; ``users``: of its credentials, if it came a while ago."""
        client = live.clients[name] = Client(
            live, letter_of(live.number), address, self._tagger.users_of(live.room, name) if users is None else users)
        live.number += 1
        for user in client.users:
            self._users[user] = client
        if address:
            self._addresses.setdefault(address, {})[name] = client
        if len(live.clients) > MAX_CLIENTS:
            self._forget_gone(live)
        return client

    def forget(self, live: Live) -> None:
        """All of a call."""
        for name in list(live.clients):
            self._drop(live, name)

    def of_user(self, user: str) -> Client | None:
        """Whose credentials these are."""
        return self._users.get(user)

    def at(self, network: str) -> tuple[Client, ...]:
        """Who comes from there; of more than `MAX_SHARING` nobody can tell whose a request is."""
        return tuple(self._addresses.get(network, {}).values())

    def catch_up(self, calls: Callable[[], Iterable[Live]]) -> None:
        """Learn the users that clients of these calls have under new secrets, if there are any."""
        if self._generation == self._tagger.generation:
            return
        self._generation = self._tagger.generation
        for live in calls():
            for name, client in live.clients.items():
                client.users = tuple(dict.fromkeys((*client.users, *self._tagger.users_of(live.room, name))))
                for user in client.users:
                    self._users[user] = client

    def _forget_gone(self, live: Live) -> None:
        for name in [name for name, one in live.clients.items() if not one.here][:MAX_PEOPLE]:
            letter = self._drop(live, name).letter
            live.pages = {tag: one for tag, one in live.pages.items() if one != letter}

    def _drop(self, live: Live, name: str) -> Client:
        client = live.clients.pop(name)
        for user in client.users:
            self._users.pop(user, None)
        there = self._addresses.get(client.address, {})
        there.pop(name, None)
        if not there:
            self._addresses.pop(client.address, None)
        return client
