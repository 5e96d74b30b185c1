"""Path patterns with the meaning of .gitignore, compiled once.

`**`, anchoring and folders mean what they mean in .gitignore; `#` is a plain character here, and
a leading `!` takes back what an earlier pattern of the same list gave. Names are compared in NFC,
so a pattern that a person typed finds the file that another machine wrote.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from orchestrator.errors import ContractError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_STAND_IN: Final = "zz"  # stands for what a wildcard may be


class Globs:
    """An ordered list of patterns.

    >>> Globs(("src/**", "!src/frozen.py")).match("src/a/b.py")
    True
    """

    __slots__ = ("_spec", "patterns")

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self.patterns = patterns
        self._spec = _compiled(patterns) if patterns else None

    def match(self, path: str) -> bool:
        """Say whether the list gives this path."""
        return self._spec is not None and self._spec.match_file(_nfc(path))


@lru_cache(maxsize=256)
def globs(patterns: tuple[str, ...]) -> Globs:
    """Give the compiled form of a list of patterns; equal lists share it."""
    return Globs(patterns)


@lru_cache(maxsize=1024)
def representatives(pattern: str) -> tuple[str, ...]:
    """Give typical paths that a pattern matches, with plain letters where it has wildcards.

    They show what a pattern names: `tests/**` gives `tests/zz`, which is a test's path; `src/**`
    gives `src/zz`, which is not, though it matches `src/test_a.py` too.
    """
    text = _nfc(pattern).strip().lstrip("/").rstrip("/")
    if not text or text.startswith("!"):
        return ()
    found = []
    for inside in (_STAND_IN, ""):
        segments = [_without_wildcards(segment, inside) for segment in text.split("/")]
        path = "/".join(segment for segment in segments if segment)
        if path:
            found += [path, f"{path}/{_STAND_IN}"]
    return tuple(dict.fromkeys(found))


def has_wildcard(pattern: str) -> bool:
    """Say whether a pattern stands for more than one name."""
    return any(mark in pattern for mark in "*?[")


def _without_wildcards(segment: str, inside: str) -> str:
    if segment == "**":
        return _STAND_IN
    text = segment.replace("**", "*").replace("*", inside).replace("?", "z")
    while "[" in text and "]" in text[text.index("[") :]:
        start = text.index("[")
        text = text[:start] + "z" + text[text.index("]", start) + 1 :]
    return text


def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  30 ms that only a review needs

    try:
        return GitIgnoreSpec.from_lines(_nfc(_escaped(pattern)) for pattern in patterns)
    except ValueError as error:
        raise ContractError(
            f"a path pattern is not valid: {error}",
            where=f"patterns {list(patterns)}",
            mend="write patterns as in .gitignore",
        ) from error


def _escaped(pattern: str) -> str:
    return "\\" + pattern if pattern.startswith("#") else pattern


def _nfc(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
