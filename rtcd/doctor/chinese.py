"""The doctor's Chinese: its texts are in the two modules beside. See `rtcd.doctor.words`."""

from __future__ import annotations

from rtcd.doctor import chinese_machine, chinese_network
from rtcd.doctor.finding import Level
from rtcd.doctor.words import Language

LANGUAGE = Language(
    {**chinese_machine.TEXTS, **chinese_network.TEXTS},
    {Level.BROKEN: "故障", Level.DEGRADED: "受限", Level.NOTE: "提示", Level.OK: "正常"},
    evidence="依据", means="影响", mend="解决", separator="，", colon="：", stop="。")
