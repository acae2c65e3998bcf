"""schemathesis reads the description of the API and tries to find an answer that it does not allow."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from requests.adapters import BaseAdapter
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth
from twisted.trial.unittest import SynchronousTestCase
from urllib3 import HTTPResponse

from rtcd.admin.openapi import describe
from tests.fakes_admin import TOKEN, AdminServer, account

EXAMPLES = 5
"""For each operation and kind of data; more find nothing more and take long."""


class Memory(BaseAdapter):
    """Takes what requests would send to the server in memory."""

    def __init__(self, server: AdminServer) -> None:
        super().__init__()
        self._server = server
        self.codes: set[int] = set()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """One request; the rooms and relays that an answer may be about are there again."""
        self._server.accounts = [account(number) for number in range(1, 8)]
        url = urlsplit(request.url or "")
        body: Any = request.body.encode() if isinstance(request.body, str) else request.body or b""
        headers: Mapping[str, str] = {str(name): _text(value) for name, value in request.headers.items()}
        answer = self._server.request(
            request.method or "", url.path + (f"?{url.query}" if url.query else ""), body, dict(headers))
        self._server.wait(0)
        self.codes.add(answer.code)
        found = requests.Response()
        found.status_code, found.request, found.url = answer.code, request, request.url or ""
        for name, values in answer.headers.getAllRawHeaders():
            found.headers[name.decode()] = values[-1].decode()
        found.raw = HTTPResponse(
            io.BytesIO(answer.body), headers=dict(found.headers), status=answer.code, preload_content=False)
        return found

    def close(self) -> None:
        """Nothing is open."""


class SchemaTests(SynchronousTestCase):
    def test_no_answer_is_other_than_described(self) -> None:
        """Statuses, media types and shapes; data that do not fit are refused, and those that fit are taken."""
        server = AdminServer(self).offer_relays_and_calls().start()
        server.api("POST", "/rooms", {"name": "team", "lifetime": 31536000})
        memory = Memory(server)
        session = requests.Session()
        session.mount("https://", memory)
        schema = schemathesis.openapi.from_dict(describe())
        tried = 0
        for found in schema.get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr] # it raises if it is not
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                self.attack(operation, mode, session)
                tried += 1
        self.assertEqual(tried, 44)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertTrue({200, 201, 202, 204, 400, 404} <= memory.codes, memory.codes)

    def attack(self, operation: Any, mode: GenerationMode, session: requests.Session) -> None:
        """Try one operation."""

        @seed(1)
        @settings(max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            response = case.call(
                base_url="https://192.0.2.1:8443", session=session, headers={"Authorization": f"Bearer {TOKEN}"})
            case.validate_response(response, excluded_checks=[ignored_auth])  # it would leave the session; test_admin_access

        run()


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
