"""Text that people and agents wrote, made inert before it stands in a document of ours.

A title is data. Whatever it holds (`# Acceptance`, a fence, an HTML comment, a pipe), it must not
become structure in a contract, a summary or a rework ticket.

    plain(text)    one line, without control signs and bidirectional overrides
    inline(text)   the same, escaped: any CommonMark reader shows exactly `plain(text)`
    code(text)     the same as a code span
    is_unfinished  the text only says that somebody still has to write it
    is_empty_word  the text is a word for nothing
"""

from __future__ import annotations

import re
from typing import Final

# What turns the reading order round (U+202A..E, U+2066..9), controls, and lone surrogates, which
# no UTF-8 file can hold.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# What needs no look: most titles. Single spaces, and no sign that means anything in Markdown.
_HARMLESS: Final = re.compile(r"[A-Za-z](?: ?[A-Za-z0-9,.;:'\"()/%@?-])*")
_ALWAYS: Final = re.compile(r"[\\`*\[\]<>|~&]")
_UNDERSCORE: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_HASH: Final = re.compile(r"(?:(?<=\s)|^)#")
_LEADING_SIGN: Final = re.compile(r"^[-+=:]")
_LEADING_NUMBER: Final = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")
_BACKTICKS: Final = re.compile("`+")

_UNFINISHED: Final = frozenset(
    {
        "tbd",
        "tba",
        "tbc",
        "todo",
        "to do",
        "fixme",
        "wip",
        "xxx",
        "placeholder",
        "lorem ipsum",
        "fill in",
        "fill me in",
        "to be defined",
        "to be determined",
        "to be decided",
        "to be done",
        "coming soon",
    }
)
_UNFINISHED_START: Final = re.compile(r"^(?:tbd|tba|todo|fixme|xxx)\s*[:(\-\u2013\u2014]")
_EMPTY_WORDS: Final = frozenset({"", "n/a", "na", "none", "nil", "null", "nothing", "undefined"})
_CRITERION_ID: Final = re.compile(r"^\s*AC[-_ ]?\d+\s*[:.)-]\s*", re.IGNORECASE)


def plain(text: str, limit: int | None = None) -> str:
    """Return `text` on one line, whitespace runs as one space, at most `limit` signs."""
    flat = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    if limit is not None and len(flat) > limit:
        return flat[: limit - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    return flat


def inline(text: str, limit: int | None = None) -> str:
    """Return `text` as one line of Markdown that is text and nothing else, wherever it stands."""
    flat = plain(text, limit)
    if _HARMLESS.fullmatch(flat):
        return flat
    flat = _ALWAYS.sub(r"\\\g<0>", flat)
    flat = _UNDERSCORE.sub(r"\\_", flat)
    flat = _HASH.sub(r"\\#", flat)
    flat = _LEADING_SIGN.sub(r"\\\g<0>", flat)
    return _LEADING_NUMBER.sub(r"\1\\\2", flat)


def code(text: str) -> str:
    """Return `text` as a code span; backticks inside make the fence of the span longer."""
    flat = plain(text)
    if not flat:
        return ""
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(flat)), default=0))
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def without_id(criterion: str) -> str:
    """Return a criterion without its `AC<n>:`, on one line."""
    return plain(_CRITERION_ID.sub("", criterion))


def is_unfinished(text: str) -> bool:
    """Say whether `text` only marks a gap (`TBD`, `...`, `to be defined`)."""
    folded = plain(text).casefold()
    core = folded.strip(" .,;:!?-_*#<>[](){}\"'\N{HORIZONTAL ELLIPSIS}")
    if folded and not core:
        return True
    return core in _UNFINISHED or _UNFINISHED_START.match(folded) is not None


def is_empty_word(text: str) -> bool:
    """Say whether `text` is blank or a word for nothing (`n/a`, `none`)."""
    return plain(text).casefold().strip(" .,;:!?-\"'()") in _EMPTY_WORDS
