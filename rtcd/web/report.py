"""``POST /report/{room}/{client}``: what a page tells about its connections, for the record of its call.

What a report may hold is said in rtcd.calls.report; whoever keeps records takes it from the desk.
"""

from __future__ import annotations

from twisted.web.server import Request

from rtcd.bucket import Buckets
from rtcd.calls.report import MAX_REPORT_BYTES, read
from rtcd.web.resources import Action, Answer, Rooms, body_of

REPORTS_PER_S = 0.5
"""That one client may send in the long run; a page sends one in five seconds at most."""
REPORTS_AT_ONCE = 10


class Report(Action):
    """As ``/message`` does, it answers 200 and says in the result whether it was any good."""

    names = 2

    def __init__(self, rooms: Rooms) -> None:
        super().__init__(rooms)
        self._buckets = Buckets(REPORTS_PER_S, REPORTS_AT_ONCE)

    async def act(self, request: Request, *names: str) -> Answer:
        """Hand the report over, if it is of somebody in the room."""
        name, client = names
        data = body_of(request, MAX_REPORT_BYTES + 1)
        if len(data) > MAX_REPORT_BYTES:
            return self._refuse(413, "ERROR")
        if not self._buckets.allow((name, client), self.rooms.context.reactor.seconds()):
            request.setHeader(b"retry-after", b"10")
            return self._refuse(429, "ERROR")
        report, desk = read(data), self.rooms.context.desk
        if report is None:
            return self._refuse(200, "INVALID_REQUEST")
        if not desk.offers("calls.report"):
            return 200, {"result": "SUCCESS"}
        if await desk.answer("calls.report", name, client, report):
            return 200, {"result": "SUCCESS"}
        if not self.rooms.allow(request):  # guessing at rooms and clients is slow
            request.setHeader(b"retry-after", b"10")
            return self._refuse(429, "ERROR")
        return self._refuse(200, "UNKNOWN_CLIENT")

    def _refuse(self, code: int, result: str) -> Answer:
        self.rooms.refused.value += 1
        return code, {"result": result}
