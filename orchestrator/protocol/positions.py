"""Where each value of a document stands: the tree that `json_text` and `yaml_text` build.

A tree is built only when there is something to report. Positions are offsets in characters;
lines and columns count from 1, a column counts characters (not bytes), a line ends with a line
feed.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from orchestrator.protocol.faults import KeyPath

Value = Any  # what json.loads returns: dict, list, str, int, float, bool or None


@dataclass(slots=True, eq=False)
class Node:
    """One value and its place; `keys` and `fields` of an object, `items` of an array."""

    at: int
    value: Value = None
    keys: dict[str, int] = field(default_factory=dict)
    fields: dict[str, Node] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    size: int = 1  # values in it, itself counted
    height: int = 1  # levels of it, itself counted

    def child(self, key: str | int) -> Node | None:
        """Return the value under `key`, or None."""
        if isinstance(key, str):
            return self.fields.get(key)
        return self.items[key] if 0 <= key < len(self.items) else None

    def adopt(self, child: Node) -> None:
        """Count a child's values and levels."""
        self.size += child.size
        self.height = max(self.height, child.height + 1)


@dataclass(frozen=True, slots=True)
class Mark:
    """A problem of the text itself, found while the tree was built."""

    at: int
    path: KeyPath
    what: str
    see: int | None = None  # the offset of the other place that `what` speaks of
    fatal: bool = False  # no use in reading the text at all


@dataclass(slots=True, eq=False)
class Tree:
    """A document as far as it could be read.

    `root` is None when a mark made the rest unreadable. `odd` holds the paths whose value is
    refused already (NaN, a number too large), so that the model says nothing more about them.
    """

    text: str
    root: Node | None = None
    end: int = 0
    marks: list[Mark] = field(default_factory=list)
    odd: set[KeyPath] = field(default_factory=set)

    def mark_value(self, at: int, path: KeyPath, what: str) -> None:
        """Refuse one value; the rest of the document is still read."""
        self.marks.append(Mark(at, path, what))
        self.odd.add(path)


class LineIndex:
    """Turns an offset into (line, column)."""

    def __init__(self, text: str) -> None:
        self._starts = [0]
        found = text.find("\n")
        while found != -1:
            self._starts.append(found + 1)
            found = text.find("\n", found + 1)

    def place(self, at: int) -> tuple[int, int]:
        """Return line and column of offset `at`, both from 1."""
        line = bisect_right(self._starts, at)
        return line, at - self._starts[line - 1] + 1
