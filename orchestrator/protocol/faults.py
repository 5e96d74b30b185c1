"""A fault: what is wrong in a document, at which key; the reader finds the line."""

from __future__ import annotations

from dataclasses import dataclass

KeyPath = tuple[str | int, ...]  # ("gates", 2, "command_index")

_LONGEST_KEY = 60  # characters of a key that a message repeats


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why a document is refused; `other` is a second place that belongs to it."""

    path: KeyPath
    what: str
    other: KeyPath | None = None

    def told(self) -> str:
        """Say it in one line, without positions."""
        beside = f" (see {render_path(self.other)})" if self.other is not None else ""
        return f"{render_path(self.path)}: {self.what}{beside}"


def render_path(path: KeyPath) -> str:
    """Write a path with dots (`gates.2.command_index`); odd keys are quoted and cut."""
    return ".".join(_render_key(key) for key in path) or "(top level)"


def _render_key(key: str | int) -> str:
    text = str(key)
    if text and len(text) <= _LONGEST_KEY and text.replace("_", "a").replace("-", "a").isalnum():
        return text
    return one_line(text, _LONGEST_KEY, quote="'")


def one_line(text: str, longest: int, *, quote: str = "") -> str:
    """Cut and escape `text`, so that it stands in one line of a message."""
    cut = text if len(text) <= longest else text[: longest - 3] + "..."
    shown = "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in cut)
    return f"{quote}{shown}{quote}"
