r"""Paths and foreign text: normalised for comparison, made safe for showing.

A path of ours is relative to the project root, with `/` between segments, as git writes it. A
path that a worker writes may be `./a`, `a/`, `a\b`, in another Unicode form, quoted, or a line
copied from `git status`; honest forms are understood, and nothing else is guessed.
"""

from __future__ import annotations

import json
import posixpath
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

QUOTE_CAP: Final = 300  # characters of foreign text in one message

# Left-to-right and right-to-left marks, embeddings, overrides and isolates.
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE: Final = frozenset(
    "\u00ad\u034f\u115f\u1160\u180e\u200b\u2060\u2061\u2062\u2063\u2064\u3164\ufeff\uffa0"
)
# Emoji sequences, Persian and Indic scripts need these between letters that are not ASCII.
_JOINERS: Final = frozenset("\u200c\u200d")
_STATUS_LINE: Final = re.compile(r"^(?:[MADRCTU?!]{1,2}|[RC][0-9]{1,3})(?:\t| {1,3})(?=\S)")


def quoted(text: str, cap: int = QUOTE_CAP) -> str:
    """Show foreign text as one JSON string of ASCII: data on one line, never an instruction.

    Longer text loses its middle; how much is said.
    """
    if len(text) > cap:
        head, tail = cap * 2 // 3, cap // 3
        text = f"{text[:head]} [{len(text) - head - tail} characters left out] {text[-tail:]}"
    return json.dumps(text, ensure_ascii=True)


def shown(path: str) -> str:
    """Show a path as it is when it reads as it is written, else escaped and in quotes."""
    if len(path) <= QUOTE_CAP and path.isprintable() and not hidden_characters(path):
        return path
    return quoted(path)


def hidden_characters(path: str) -> tuple[str, ...]:
    """Name the characters (`U+202E`) that make a name read otherwise than it is written."""
    if path.isascii() and path.isprintable():
        return ()
    return tuple(
        dict.fromkeys(
            f"U+{ord(char):04X}" for place, char in enumerate(path) if _hides(path, place, char)
        )
    )


def _hides(path: str, place: int, char: str) -> bool:
    if char in _BIDI or char in _INVISIBLE:
        return True
    if char in _JOINERS:
        around = path[max(place - 1, 0) : place] + path[place + 1 : place + 2]
        return len(around) < 2 or any(near.isascii() for near in around)  # noqa: PLR2004  both sides
    category = unicodedata.category(char)
    return category in {"Cc", "Zl", "Zp"} or (category == "Zs" and char not in {" ", "\u3000"})


def is_trick(path: str) -> bool:
    """Say whether a path is not a plain path below the root: absolute, `..`, empty, in .git.

    `.git` is compared as the file systems of other machines would: without case, without the
    characters they ignore, and under its short name on Windows.
    """
    segments = path.split("/")
    return path.startswith("/") or any(
        segment in {"", ".", ".."} or _is_git_folder(segment) for segment in segments
    )


def _is_git_folder(segment: str) -> bool:
    if "g" not in segment and "G" not in segment:
        return False
    plain = "".join(char for char in segment if char not in _JOINERS | _INVISIBLE | _BIDI)
    return plain.rstrip(". ").lower() in {".git", "git~1"}


def folded(path: str) -> str:
    """Give the form in which two names collide on some file system: NFC, without case."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def collisions(new: Iterable[str], tree: Iterable[str]) -> tuple[str, ...]:
    """Find new paths that differ from another path of the tree only by case or Unicode form.

    Args:
        new: paths that were added or are the new end of a rename.
        tree: all paths of the tree; may hold the new ones.
    """
    wanted: dict[str, set[str]] = {}
    fresh = sorted(set(new))
    for path in fresh:
        wanted.setdefault(folded(path), set()).add(path)
    for path in tree:
        if (key := folded(path)) in wanted:
            wanted[key].add(path)
    return tuple(path for path in fresh if len(wanted[folded(path)]) > 1)


def link_escapes(path: str, target: str) -> bool:
    """Say whether a symbolic link at `path` leads out of the tree or into .git, by its text.

    A link through another link is not followed: each link of the chain is judged by itself.
    """
    if not target or target.startswith(("/", "\\")) or re.match(r"^[A-Za-z]:", target):
        return True
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if joined == ".." or joined.startswith("../"):
        return True
    return any(_is_git_folder(segment) for segment in joined.split("/"))


def link_target_path(path: str, target: str) -> str:
    """Give the path, relative to the root, at which a link that does not escape points."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def plain(path: str) -> str:
    """Give the form in which two spellings of one path are equal: NFC, `/`, no `./`, no end `/`."""
    text = path if path.isascii() else unicodedata.normalize("NFC", path)
    if "\\" in text:
        text = text.replace("\\", "/")
    while text.startswith("./"):
        text = text[2:].lstrip("/")
    return text.rstrip("/") if len(text) > 1 else text


def claimed_paths(entry: str) -> tuple[str, ...]:
    """Read one entry of a worker's file list as the paths it may mean, the likeliest first.

    Understood: the path itself, in quotes or backticks, a line of `git status --short`, and
    `old -> new` (both ends).
    """
    text = entry.strip()
    found = [text]
    text = _STATUS_LINE.sub("", text)
    if " -> " in text:
        found += [_unquoted(part) for part in text.split(" -> ", 1)]
    elif "\t" in text:
        found += [_unquoted(part) for part in text.split("\t")]
    else:
        found.append(_unquoted(text))
    return tuple(dict.fromkeys(plain(part) for part in found if part))


def _unquoted(text: str) -> str:
    text = text.strip()
    for mark in ("`", '"', "'"):
        if len(text) > 1 and text.startswith(mark) and text.endswith(mark):
            text = text[1:-1]
            return _git_unescaped(text) if mark == '"' and "\\" in text else text
    return text


_ESCAPE: Final = re.compile(rb'\\([0-7]{3}|[abtnvfr"\\])')
_LETTERS: Final = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13}


def _git_unescaped(text: str) -> str:
    """Undo git's quoting of names: octal bytes of UTF-8 and C escapes."""

    def byte(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        if code.isdigit():
            return bytes([int(code, 8) & 0xFF])
        return bytes([_LETTERS[code]]) if code in _LETTERS else code

    return _ESCAPE.sub(byte, text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
