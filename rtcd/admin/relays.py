"""What the API does with relays: TURN allocations, credentials for other services, records of calls and of checks."""

from __future__ import annotations

import re
from typing import Any

from rtcd.admin import shapes
from rtcd.admin.problem import Problem, plain
from rtcd.admin.resource import Exchange
from rtcd.allocations.account import Account
from rtcd.check.results import Result
from rtcd.check.texts import LANGUAGES, in_words
from rtcd.context import Context

_TAG = re.compile(shapes.CLIENT_ID)


class RelayOperations:
    """Those of the table of routes that other services answer over the desk."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ask = context.desk.ask
        self._answer = context.desk.answer

    async def list_allocations(self, exchange: Exchange) -> shapes.Relays:
        """A page of them."""
        asked: shapes.NumberedPage = exchange.query
        found: list[Account] = await self._answer("turn.allocations", asked.after, asked.limit)
        return shapes.Relays([shown(one) for one in found], found[-1].number if len(found) == asked.limit else None)

    async def end_allocation(self, exchange: Exchange) -> None:
        """End one."""
        if not await self._answer("turn.end", int(exchange.path["allocation"])):
            raise Problem(404, "There is no allocation of this number.")

    async def issue_credential(self, exchange: Exchange) -> shapes.Credential:
        """Make one out to a user of another service, who is bound to no room."""
        asked: shapes.CredentialOrder = exchange.body
        if _TAG.fullmatch(asked.user):
            raise Problem(400, "This user would be taken for a client of a room; choose another name.")
        credentials, now = self._context.credentials, self._context.reactor.seconds()
        uris = self._ask("ice.uris", exchange.request, asked.user)
        made = credentials.issue(asked.user, now, None if asked.lifetime is None else int(asked.lifetime))
        return shapes.Credential(made.username, made.password, made.expires_at - int(now), uris)

    async def list_calls(self, exchange: Exchange) -> shapes.Calls:
        """Summaries."""
        asked: shapes.CallQuery = exchange.query
        found: list[dict[str, Any]] = self._ask("calls.list", asked.room, asked.since, asked.limit, asked.after)
        return shapes.Calls(found, found[-1]["id"] if len(found) == asked.limit else None)

    async def show_call(self, exchange: Exchange) -> dict[str, Any]:
        """All that is known of one."""
        found: dict[str, Any] | None = self._ask("calls.show", exchange.path["call"])
        if found is None:
            raise Problem(404, "There is no record of this call; they are kept for a day or so.")
        return found

    async def list_checks(self, exchange: Exchange) -> shapes.Checks:
        """A page of them."""
        asked: shapes.CheckQuery = exchange.query
        found: list[Result] = self._ask("check.results", asked.after, asked.limit)
        language = LANGUAGES[asked.lang]
        checks = [shapes.Check(one.number, one.at, one.network, one.system, **in_words(language, one.verdict))
                  for one in found]
        return shapes.Checks(checks, found[-1].number if len(found) == asked.limit else None)


def shown(one: Account) -> shapes.Relay:
    """An allocation as the API shows it."""
    return shapes.Relay(
        one.number, plain(one.user), one.transport, list(one.relayed), one.peers, one.channels,
        one.expires_at, **one.traffic._asdict())
