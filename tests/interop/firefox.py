"""Firefox, with as much of Playwright's interface for pages as tests of the call page use: Playwright drives no Firefox of
Debian's. It is driven by firefox.mjs, over WebDriver BiDi."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tests.daemon.process import DEADLINE_S
from tests.interop import nss, require_npm, require_program

LOOK_AGAIN_S = 0.1
"""How often a page is asked for what is waited for."""


class Firefox:
    """A Firefox with a profile of its own, in a folder that is to be made. Certificates of pages are taken as they are;
    those of ``turns:`` are believed by ``authority`` alone, a file."""

    def __init__(self, folder: Path, complain: Callable[[str], None], authority: Path | None = None) -> None:
        modules = require_npm("puppeteer-core")
        node, firefox = map(require_program, ("node", "firefox-esr"))
        profile = folder / "profile"
        profile.mkdir(parents=True)
        if authority is not None:
            nss.believe(authority, profile)
        self._complain = complain
        self._last = 0
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._errors = open(folder / "stderr", "w+")  # noqa: SIM115 # closed in close
        self._process = subprocess.Popen(
            [node, str(Path(__file__).with_suffix(".mjs")), str(modules), firefox, str(profile)],
            env={**os.environ, "HOME": str(folder)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            text=True, encoding="utf-8")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._pid: int | None = None
        try:
            self._pid = self._next()["pid"]
        except BaseException:
            self.close()
            raise

    def open(self, url: str, viewport: dict[str, int] | None = None) -> FirefoxPage:
        """A page of a person of their own."""
        page = FirefoxPage(self, self.ask("open", **({"viewport": viewport} if viewport else {})))
        page.goto(url)
        return page

    def ask(self, what: str, **more: Any) -> Any:
        """Have something done, and wait for what comes of it."""
        self._last += 1
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": self._last, "do": what, **more}) + "\n")
        self._process.stdin.flush()
        while (answer := self._next()).get("id") != self._last:
            pass
        if "error" in answer:
            raise AssertionError(f"Firefox, {what} {more}: {answer['error']}")
        return answer["value"]

    def close(self) -> None:
        """End it, and all that it started."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE_S)
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
        self._reader.join(DEADLINE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def _next(self) -> dict[str, Any]:
        try:
            found = self._answers.get(timeout=DEADLINE_S)
        except queue.Empty:
            found = None
        if found is None:
            raise AssertionError(f"Firefox says nothing more: {Path(self._errors.name).read_text()}")
        return found

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "complaint" in message:
                self._complain(f"Firefox: {message['complaint']}")
            else:
                self._answers.put(message)
        self._answers.put(None)


class AnyPage(Protocol):
    """What pages have in common, Playwright's and Firefox's."""

    def click(self, selector: str) -> None:
        """Wait until something is there to click on, and click."""

    def evaluate(self, expression: str, arg: Any = None) -> Any:
        """The value of an expression, or what the function that it is returns for ``arg``."""

    def wait_for_function(self, expression: str, *, arg: Any = None) -> object:
        """Wait until an expression or function has a true value."""

    def wait_for_timeout(self, timeout: float) -> None:
        """Wait so many milliseconds."""

    def close(self) -> None:
        """Close it."""


class FirefoxPage:
    """One page of it."""

    def __init__(self, firefox: Firefox, number: int) -> None:
        self._firefox = firefox
        self._number = number

    def goto(self, url: str) -> None:
        """Go to a page, and wait until its text is there."""
        self._firefox.ask("goto", page=self._number, url=url)

    def click(self, selector: str) -> None:
        """See `AnyPage`."""
        self._firefox.ask("click", page=self._number, selector=selector)

    def evaluate(self, expression: str, arg: Any = None) -> Any:
        """See `AnyPage`."""
        return self._firefox.ask("evaluate", page=self._number, code=expression, arg=arg)

    def wait_for_function(self, expression: str, *, arg: Any = None) -> None:
        """See `AnyPage`."""
        deadline = time.monotonic() + DEADLINE_S
        while not self.evaluate(expression, arg):
            if time.monotonic() > deadline:
                text = self.evaluate("document.body.innerText")
                raise AssertionError(f"not to be seen in Firefox: {expression} {arg}:\n{text}")
            time.sleep(LOOK_AGAIN_S)

    def wait_for_timeout(self, timeout: float) -> None:
        """See `AnyPage`."""
        time.sleep(timeout / 1000)

    def close(self) -> None:
        """See `AnyPage`."""
        self._firefox.ask("close", page=self._number)
