"""Asks the kernel, systemd, and the URL that the operator has named, about the time. Nobody else is asked."""

from __future__ import annotations

import ctypes
import email.utils
import http.client
import shutil
import ssl
import struct
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from rtcd.doctor.checks.clock import KEEP, Facts
from rtcd.doctor.facts.subject import Subject

SYSTEMD = Path("/run/systemd/system")
"""Is there where it runs."""
TIMEOUT_S = 5.0
_TIMEX_BYTES = 512
"""More than struct timex has anywhere."""
_STATUS_AT = 40
"""Where its ``status`` is, with longs of 8 bytes."""
_UNSYNC = 0x40
"""STA_UNSYNC, of <linux/timex.h>."""
MAX_FILES = 1000


def gather(subject: Subject) -> Facts:
    """All of them; the URL only if there is one."""
    now = subject.now()
    offset, fault = None, ""
    source = subject.options.time_from or ""
    if source:
        try:
            offset = _ask(source, subject)
        except (OSError, ValueError, http.client.HTTPException) as error:
            fault = str(getattr(error, "reason", None) or error) or type(error).__name__
    return Facts(_kernel(), _systemd(), offset, source, fault, _newest(subject.state, now) - now, mend())


def mend() -> str:
    """The command that has the clock kept. Where there is no systemd everybody has another way."""
    return KEEP if SYSTEMD.is_dir() and shutil.which("timedatectl") else ""


def _ask(url: str, subject: Subject) -> float:
    """Our clock less that of the server, from the middle of the question. Its certificate need not be good: with a clock
    that is wrong none is, and who lies about the time here changes nothing."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("it is no http or https URL")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    before = subject.now()
    try:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 # its scheme is looked at above
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            date = answer.headers["Date"]
    except urllib.error.HTTPError as error:
        with error:
            date = error.headers["Date"]
    after = subject.now()
    if not date:
        raise ValueError("the answer has no Date")
    return (before + after) / 2 - email.utils.parsedate_to_datetime(date).timestamp() - 0.5  # Date has whole seconds


def _kernel() -> bool | None:
    """adjtimex(2), which reads when asked to change nothing."""
    if struct.calcsize("l") != 8:
        return None
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    if adjtimex(buffer) < 0:
        return None
    return not struct.unpack_from("i", buffer, _STATUS_AT)[0] & _UNSYNC


def _systemd() -> bool | None:
    if not SYSTEMD.is_dir():
        return None
    try:
        done = subprocess.run(["timedatectl", "show", "-p", "NTPSynchronized", "--value"], capture_output=True, text=True,
                              timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())


def _newest(folder: Path | None, now: float) -> float:
    newest = now
    if folder is None:
        return now
    try:
        for number, one in enumerate(folder.iterdir()):
            if number >= MAX_FILES:
                break
            newest = max(newest, one.lstat().st_mtime)
    except OSError:
        pass
    return newest
