"""YAML text to the same tree as JSON: the YAML 1.2 core schema, and nothing that surprises.

PyYAML only cuts the text into events (libyaml where it is there); what they mean is decided here,
so that `on`, `no`, `yes` and `12:30:00` are strings, as YAML 1.2 says. There is no recursion and
no object construction at all.

Refused: a key twice in one mapping, tags, merge keys, keys that are not plain text, more than one
document, aliases that would unfold beyond `limits`, and what `json_text` refuses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from orchestrator.protocol.faults import KeyPath, one_line
from orchestrator.protocol.limits import MAX_INTEGER, MAX_KEY, USUAL, Limits
from orchestrator.protocol.positions import Mark, Node, Tree, Value

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MOST_DIGITS: Final = 20
_ODD_SIGN: Final = re.compile("[\ud800-\udfff\x00]")

# What libyaml says, and what we say instead.
_PLAINER: Final = {
    "mapping values are not allowed": "a second ':' in this line; quote the text that holds it",
    "could not find expected ':'": "expected ':' after the key",
    "did not find expected key": "expected a key here; is the indentation right?",
    "did not find expected '-' indicator": "expected '- ' here; is the indentation right?",
    "expected <block end>": "this does not belong here; is the indentation right?",
    "found unexpected end of stream": "the file ends inside a quoted text",
    "did not find expected ',' or": "expected ',' or the closing bracket",
    "expected ',' or": "expected ',' or the closing bracket",
    "did not find expected node content": "expected a value here",
    "expected the node content": "expected a value here",
    "found duplicate anchor": "the anchor is there twice",
}


class _UnreadableError(Exception):
    """The text makes no sense from `at` on."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at, self.what = at, what


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence that is still open."""

    node: Node
    is_mapping: bool
    anchor: str | None
    key: str | int | None = None  # of a mapping: None while a key is expected
    key_at: int = 0
    again: bool = False


def scan(text: str, *, limits: Limits = USUAL) -> Tree:
    """Read a whole document with the place of everything."""
    return _Builder(text, limits).run()


class _Builder:
    """Puts the events of one document together."""

    def __init__(self, text: str, limits: Limits) -> None:
        self._text, self._limits = text, limits
        self._tree = Tree(text, end=len(text))
        self._open: list[_Frame] = []
        self._anchors: dict[str, Node | None] = {}  # None: still open
        self._nodes = 0

    def run(self) -> Tree:
        try:
            for event in self._events():
                self._take(event)
        except _UnreadableError as error:
            at = min(error.at, len(self._text))
            self._tree.marks.append(Mark(at, self._path(), error.what))
            self._tree.root = None
        else:
            if self._tree.root is None:
                self._tree.marks.append(Mark(0, (), "the file is empty"))
        return self._tree

    def _events(self) -> Iterator[Any]:
        try:
            yield from yaml.parse(self._text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            at = error.problem_mark.index if error.problem_mark else 0
            raise _UnreadableError(at, self._plainly(error, at)) from None
        except yaml.reader.ReaderError as error:
            code = error.character if isinstance(error.character, int) else 0
            at = max(self._text.find(chr(code)), 0)
            raise _UnreadableError(at, f"the character U+{code:04X} is not text") from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            what = f"not readable as YAML: {one_line(str(error), 80)}"
            raise _UnreadableError(0, what) from None

    def _plainly(self, error: yaml.MarkedYAMLError, at: int) -> str:
        problem = str(error.problem)
        if self._text[at : at + 1] == "\t":
            return "a tab; YAML wants spaces here"
        if "cannot start any token" in problem:
            sign = one_line(self._text[at : at + 1], 1, quote="'")
            return f"a text cannot start with {sign}; put it in quotes"
        for known, plain in _PLAINER.items():
            if problem.startswith(known):
                return plain
        return f"not readable as YAML: {one_line(problem, 80)}"

    def _take(self, event: Any) -> None:  # noqa: ANN401  PyYAML's events have no types
        at = event.start_mark.index
        if isinstance(event, yaml.DocumentStartEvent):
            if self._tree.root is not None:
                raise _UnreadableError(at, "a second document; one file holds one")
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, at)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), at)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event, at)
        elif isinstance(event, yaml.CollectionEndEvent):
            frame = self._open.pop()
            self._finish(frame.node, frame.anchor)

    def _path(self) -> KeyPath:
        return tuple(frame.key for frame in self._open if frame.key is not None)

    def _count(self, at: int, size: int, height: int) -> None:
        self._nodes += size
        if self._nodes > self._limits.nodes:
            what = f"more than {self._limits.nodes} values in one document, aliases unfolded"
            raise _UnreadableError(at, what)
        if len(self._open) + height > self._limits.depth + 1:
            raise _UnreadableError(at, f"nested deeper than {self._limits.depth} levels")

    def _begin(self, event: Any, at: int) -> None:  # noqa: ANN401
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if self._wants_key():
            raise _UnreadableError(at, "a key has to be plain text, not a list or a mapping")
        self._count(at, 1, 2)
        self._refuse_tag(event, at)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        key = None if is_mapping else 0
        node = Node(at, {} if is_mapping else [])
        self._open.append(_Frame(node, is_mapping, event.anchor, key))

    def _alias(self, name: str, at: int) -> None:
        if self._wants_key():
            raise _UnreadableError(at, "a key has to be plain text, not an alias")
        shown = one_line(name, 40)
        if name not in self._anchors:
            raise _UnreadableError(at, f"the alias *{shown} has no anchor &{shown} before it")
        target = self._anchors[name]
        if target is None:
            raise _UnreadableError(at, f"the alias *{shown} stands inside its own anchor")
        self._count(at, target.size, target.height)
        self._finish(target, None)

    def _scalar(self, event: Any, at: int) -> None:  # noqa: ANN401
        self._refuse_tag(event, at)
        text = str(event.value)
        if self._wants_key():
            self._take_key(text, at, plain=not event.style)
            return
        self._count(at, 1, 1)
        node = Node(at, text)
        if not event.style and event.tag is None:
            node.value = self._resolve(text, at)
        if len(text) > self._limits.string:
            what = f"a string of {len(text)} characters; the most is {self._limits.string}"
            self._tree.mark_value(at, self._path(), what)
        elif _ODD_SIGN.search(text):
            what = "a string with NUL or half a character (a lone surrogate such as \\ud800)"
            self._tree.mark_value(at, self._path(), what)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._finish(node, None)

    def _wants_key(self) -> bool:
        return bool(self._open) and self._open[-1].is_mapping and self._open[-1].key is None

    def _take_key(self, key: str, at: int, *, plain: bool) -> None:
        frame = self._open[-1]
        frame.key, frame.key_at, frame.again = key, at, key in frame.node.keys
        if frame.again:
            what = "the key is there twice in one mapping; keep one of the two"
            self._tree.marks.append(Mark(at, self._path(), what, see=frame.node.keys[key]))
        elif plain and key == "<<":
            what = "merge keys (<<) are not read; write the keys out"
            self._tree.mark_value(at, self._path(), what)
        elif (plain and not key) or len(key) > MAX_KEY or _ODD_SIGN.search(key):
            what = f"a key that is missing, longer than {MAX_KEY} characters, or holds NUL"
            self._tree.mark_value(at, self._path(), what)

    def _refuse_tag(self, event: Any, at: int) -> None:  # noqa: ANN401
        if event.tag is not None:
            shown = one_line(event.tag.replace("tag:yaml.org,2002:", "!!"), 60)
            what = f"the tag {shown} is not read; tags could build objects. Remove it"
            self._tree.mark_value(at, self._path(), what)

    def _finish(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self._tree.root = node
            return
        frame = self._open[-1]
        parent, key = frame.node, frame.key
        if isinstance(key, int):
            parent.items.append(node)
            parent.value.append(node.value)
            frame.key = key + 1
        elif isinstance(key, str):
            if not frame.again:
                parent.keys[key], parent.fields[key] = frame.key_at, node
                parent.value[key] = node.value
            frame.key = None
        parent.adopt(node)

    def _resolve(self, text: str, at: int) -> Value:
        """Give a plain scalar its meaning under the core schema of YAML 1.2."""
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return self._integer(text, at)
        if _FLOAT.fullmatch(text) and not math.isinf(float(text)):
            return float(text)
        if _FLOAT.fullmatch(text) or _NO_NUMBER.fullmatch(text):
            shown = one_line(text, 30)
            what = f"{shown} is not a number that we read; quote it if it is a text"
            self._tree.mark_value(at, self._path(), what)
            return 0
        return text

    def _integer(self, text: str, at: int) -> int:
        if len(text) <= _MOST_DIGITS:
            value = int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
            if abs(value) <= MAX_INTEGER:
                return value
        what = "an integer beyond 2^53-1, which readers disagree on; quote it if it is a text"
        self._tree.mark_value(at, self._path(), what)
        return 0
