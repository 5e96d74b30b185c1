"""The end of an output, fit to be quoted: printable, capped, without clocks and addresses.

Two runs that fail in the same way should give the same text, so times, durations, addresses and
temporary folders are masked. Pure.
"""

from __future__ import annotations

import re
from typing import Final

TAIL_CHARACTERS: Final = 2000

_ANSI: Final = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\))")
_UNPRINTABLE: Final = re.compile(r"[^\n\t\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MASKS: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\d([.,]\d+)?\b"), "<time>"),
    (
        re.compile(r"\b\d+(\.\d+)? ?(seconds|secs?|s|ms|us|\u00b5s|ns|minutes?|mins?)\b"),
        "<duration>",
    ),
    (re.compile(r"\b0x[0-9a-fA-F]{4,}\b"), "<address>"),
    (re.compile(r"(/[\w.-]+)*/chk-[\w-]{6,}"), "<tmp>"),
    (re.compile(r"/tmp/[\w.-]+"), "<tmp>"),  # noqa: S108  a pattern
)


def quotable_tail(text: str, cap: int = TAIL_CHARACTERS) -> str:
    """Give the last characters of an output, from the start of a line where one is near."""
    text = text[-4 * cap :]
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    text = _UNPRINTABLE.sub("?", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    if len(text) <= cap:
        return text
    text = text[-cap:]
    first, newline, rest = text.partition("\n")
    return rest if newline and len(first) < cap // 2 else text
