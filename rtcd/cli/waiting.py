"""``rtcd doctor --wait``: what phones find out at ``/check``, as they find it out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from rtcd.config import ConfigError
from rtcd.doctor.report import wrapped

EVERY_S = 1.0
"""The daemon is asked so often."""

LEVELS = {"good": 0, "fair": 1, "broken": 2}
"""The exit codes of what a check comes to, as the doctor has them for its findings."""

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {"open": "Now open {url} on a phone, best by mobile data: what it finds is told here for {seconds} s (Ctrl-C ends"
           " it).",
           "somewhere": "the page /check of this server", "unknown": "a device", "from": "{system} in {network}",
           "ms": "{ms} ms", "means": "means: ", "mend": "mend: ", "none": "Nobody opened it."},
    "zh": {"open": "现在用手机打开 {url}，最好用移动数据。等待检查结果 {seconds} 秒（按 Ctrl-C 结束）。",
           "somewhere": "本服务器的 /check 页面", "unknown": "某设备", "from": "{system}，位于 {network}", "ms": "{ms} 毫秒",
           "means": "影响：", "mend": "解决：", "none": "没有人打开它。"},
}


class Asked(Protocol):
    """The running daemon, as `rtcd.cli.control.Control` has it. Raises ConfigError."""

    def get(self, *parts: str, **query: object) -> Any:
        """The answer to a GET below ``/admin``."""

    def all(self, what: str) -> Iterator[Any]:
        """Every entry of a list."""


def wait(
    daemon: Asked, url: str, language: str, seconds: float, write: Callable[[str], object],
    monotonic: Callable[[], float], sleep: Callable[[float], object], *, as_json: bool = False,
) -> int:
    """Write down every check that comes to an end within so many seconds; the worst level of them as an exit code.

    ``url``: of the page, or nothing if there is no public address. ``as_json``: an object a line, as the daemon answers,
    and nothing else. A daemon that is started again meanwhile is waited for. Raises ConfigError if it is not there at first.
    """
    texts, worst, found = TEXTS[language], 0, False
    after, up = max((int(one["number"]) for one in daemon.all("checks")), default=0), 0.0
    until = monotonic() + seconds
    if not as_json:
        write(texts["open"].format(url=url or texts["somewhere"], seconds=round(seconds)) + "\n")
    try:
        while monotonic() < until:
            try:
                before, up = up, float(daemon.get("status")["uptime"])
                after = after if up >= before else 0  # another process, whose numbers begin anew
                checks = daemon.get("checks", after=after, limit=100, lang=language)["checks"]
            except ConfigError:
                checks = []
            for one in checks:
                after, found = max(after, int(one["number"])), True
                worst = max(worst, LEVELS.get(one["level"], 2))
                write(json.dumps(one, ensure_ascii=False) + "\n" if as_json else
                      "\n" + "".join(f"{line}\n" for line in told(one, language)))
            sleep(EVERY_S)
    except KeyboardInterrupt:
        write("" if as_json else "\n")
    if not (found or as_json):
        write(texts["none"] + "\n")
    return worst


def told(check: Mapping[str, Any], language: str) -> Iterator[str]:
    """A check in lines: who, what it comes to, and each path; for those that do not work why, and what mends it."""
    texts = TEXTS[language]
    system = str(check["system"]).capitalize() or texts["unknown"]
    who = texts["from"].format(system=system, network=check["network"]) if check["network"] else system
    yield from wrapped(f"{who}: ", check["title"])
    if check["text"]:
        yield from wrapped("    ", check["text"])
    for path in check["paths"]:
        took = f" ({texts['ms'].format(ms=path['ms'])})" if path["ms"] is not None else ""
        yield from wrapped(f"  - {path['name']}: ", f"{path['title']}{took}")
        for label in ("means", "mend"):
            text = path["meaning" if label == "means" else label]
            if text:
                yield from wrapped(f"        {texts[label]}", text)
