"""JSON text to values, strictly; two ways that agree.

`decode_fast` is the C decoder with hooks: it either gives the value or says "look closer".
`scan` is our own reader: slower, never recursive, and it knows where everything stands. Whatever
`decode_fast` lets through, `scan` reads without a mark and with the same value (a property test
holds them to it).

Refused beyond the grammar of RFC 8259: a key twice in one object, NaN and Infinity, integers
beyond 2^53-1, floats beyond a double, strings with NUL or a lone surrogate, and what exceeds
`limits`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from json import decoder as _decoder
from typing import Any, Final

from orchestrator.protocol.faults import KeyPath, one_line
from orchestrator.protocol.limits import MAX_INTEGER, MAX_KEY, USUAL, Limits
from orchestrator.protocol.positions import Mark, Node, Tree

# The C function behind json.loads: (text, offset after the quote, strict) -> (string, end).
_SCAN_STRING: Final[Callable[[str, int, bool], tuple[str, int]]] = vars(_decoder)["scanstring"]
_SAFE_DIGITS: Final = 15  # an integer this long cannot exceed 2^53-1
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_NUMBER: Final = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD: Final = re.compile(r"-?\w+")
_LITERALS: Final = {"true": True, "false": False, "null": None}
_PYTHON: Final = {"True": "true", "False": "false", "None": "null", "undefined": "null"}
_NO_NUMBER: Final = ("NaN", "Infinity", "-Infinity", "-NaN")
# Escapes that may give a lone surrogate or a NUL.
_ODD_ESCAPE: Final = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
_ODD_SIGN: Final = re.compile("[\ud800-\udfff\x00]")


class LookCloser(ValueError):  # noqa: N818  a request, not a fault
    """The fast way will not answer; `scan` says why, or reads it after all."""


def _integer(digits: str) -> int:
    if len(digits) > _SAFE_DIGITS and (
        len(digits) > _SAFE_DIGITS + 5 or abs(int(digits)) > MAX_INTEGER
    ):
        raise LookCloser
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise LookCloser
    return value


def _constant(_: str) -> float:
    raise LookCloser


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise LookCloser
    return read


_DECODER: Final = json.JSONDecoder(
    parse_int=_integer, parse_float=_float, parse_constant=_constant, object_pairs_hook=_object
)


def decode_fast(text: str, limits: Limits = USUAL) -> Any:  # noqa: ANN401  any JSON value
    """Decode a whole document, or raise `LookCloser`."""
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise LookCloser from None
    _within(value, text, 0, len(text), limits)
    return value


def decode_fast_at(text: str, at: int, limits: Limits = USUAL) -> tuple[Any, int]:
    """Decode the value that starts at `at`; return it and its end, or raise `LookCloser`."""
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        raise LookCloser from None
    _within(value, text, at, end, limits)
    return value, end


def _within(value: Any, text: str, start: int, end: int, limits: Limits) -> None:  # noqa: ANN401
    """Raise `LookCloser` where the value may exceed a limit or hold an odd character."""
    if end - start > limits.string:
        raise LookCloser
    if text.find("\\u", start, end) != -1 and _ODD_ESCAPE.search(text, start, end):
        raise LookCloser
    # n characters hold fewer than n values, so a small text need not be counted.
    if (
        end - start > limits.nodes
        and _openers(text, start, end) + text.count(",", start, end) >= limits.nodes
    ):
        raise LookCloser
    if _openers(text, start, end) > limits.depth and not _shallow(value, limits.depth):
        raise LookCloser


def _openers(text: str, start: int, end: int) -> int:
    return text.count("[", start, end) + text.count("{", start, end)


def _shallow(value: Any, depth: int) -> bool:  # noqa: ANN401
    level = [value] if type(value) is dict or type(value) is list else []
    for _ in range(depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
    return not level


def skip_space(text: str, at: int) -> int:
    """Return the offset of the next sign that is not white space."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def scan(text: str, *, limits: Limits = USUAL) -> Tree:
    """Read a whole document with the place of everything."""
    tree = scan_at(text, 0, limits=limits)
    if tree.root is None:
        return tree
    rest = skip_space(text, tree.end)
    if rest < len(text):
        what = f"the document ended before this: {_near(text, rest)}; remove it"
        tree.marks.append(Mark(rest, (), what))
    return tree


def scan_at(text: str, at: int, *, path: KeyPath = (), limits: Limits = USUAL) -> Tree:
    """Read the value at `at` with the place of everything; `path` is the value's own path."""
    return _Scanner(text, path, limits).run(at)


class _UnreadableError(Exception):
    """The text makes no sense from `at` on."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at, self.what = at, what


@dataclass(slots=True)
class _Frame:
    """An object or array that is still open; `key` is where its next value goes."""

    node: Node
    is_object: bool
    key: str | int = 0
    key_at: int = 0
    again: bool = False  # the key was there before: its value is read and dropped


class _Scanner:
    """One pass over one value; its stack is a list, so depth costs no recursion."""

    def __init__(self, text: str, path: KeyPath, limits: Limits) -> None:
        self._text, self._prefix, self._limits = text, path, limits
        self._tree = Tree(text)
        self._open: list[_Frame] = []
        self._nodes = 0

    def run(self, at: int) -> Tree:
        try:
            node, at = self._value(at)
            while node is None or self._open:
                node, at = self._value(at) if node is None else self._after(node, at)
        except _UnreadableError as error:
            self._tree.marks.append(Mark(error.at, self._path(), error.what))
        else:
            self._tree.root, self._tree.end = node, at
        return self._tree

    def _path(self) -> KeyPath:
        return (*self._prefix, *(frame.key for frame in self._open))

    def _value(self, at: int) -> tuple[Node | None, int]:
        """Read a scalar or an empty container, or open a container (then None)."""
        at = skip_space(self._text, at)
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise _UnreadableError(at, f"more than {self._limits.nodes} values in one document")
        sign = self._text[at : at + 1]
        if sign in {"{", "["}:
            return self._begin(at, is_object=sign == "{")
        if sign == '"':
            return self._string(at)
        if sign and sign in "-0123456789" and (found := _NUMBER.match(self._text, at)):
            return self._number(found)
        return self._word(at)

    def _begin(self, at: int, *, is_object: bool) -> tuple[Node | None, int]:
        if len(self._open) >= self._limits.depth:
            what = f"nested deeper than {self._limits.depth} levels"
            raise _UnreadableError(at, what)
        frame = _Frame(Node(at, {} if is_object else []), is_object)
        following = skip_space(self._text, at + 1)
        if self._text[following : following + 1] == ("}" if is_object else "]"):
            return frame.node, following + 1
        self._open.append(frame)
        return None, self._key(frame, following) if is_object else following

    def _after(self, node: Node, at: int) -> tuple[Node | None, int]:
        """Put a finished value into its container, then read the comma or the end."""
        frame = self._open[-1]
        self._keep(frame, node)
        at = skip_space(self._text, at)
        sign = self._text[at : at + 1]
        if sign == ",":
            following = skip_space(self._text, at + 1)
            if self._text[following : following + 1] in {"}", "]"}:
                raise _UnreadableError(at, "a comma with nothing after it; remove the comma")
            if not frame.is_object:
                return None, following
            return None, self._key(frame, following)
        if sign == ("}" if frame.is_object else "]"):
            self._open.pop()
            return frame.node, at + 1
        if not sign:
            opened = "object" if frame.is_object else "array"
            raise _UnreadableError(at, f"the file ends inside this {opened}; is it cut off?")
        closer = "}" if frame.is_object else "]"
        what = f"expected ',' or '{closer}', found {_near(self._text, at)}"
        raise _UnreadableError(at, what)

    def _keep(self, frame: _Frame, node: Node) -> None:
        parent, key = frame.node, frame.key
        if isinstance(key, int):
            parent.items.append(node)
            parent.value.append(node.value)
            frame.key = key + 1
        elif not frame.again:
            parent.keys[key], parent.fields[key] = frame.key_at, node
            parent.value[key] = node.value
        parent.adopt(node)

    def _key(self, frame: _Frame, at: int) -> int:
        self._open.pop()  # until the key is read, a problem belongs to the object itself
        if self._text[at : at + 1] != '"':
            raise _UnreadableError(at, self._no_key(at))
        key, end = self._scan_string(at)
        self._open.append(frame)
        frame.key, frame.key_at = key, at
        frame.again = key in frame.node.keys
        if frame.again:
            what = "the key is there twice in one object; keep one of the two"
            self._tree.marks.append(Mark(at, self._path(), what, see=frame.node.keys[key]))
        if len(key) > MAX_KEY or _ODD_SIGN.search(key):
            what = f"a key of more than {MAX_KEY} characters, or with NUL or half a character"
            self._tree.mark_value(at, self._path(), what)
        at = skip_space(self._text, end)
        if self._text[at : at + 1] != ":":
            raise _UnreadableError(at, f"expected ':' after the key, found {_near(self._text, at)}")
        return at + 1

    def _no_key(self, at: int) -> str:
        sign = self._text[at : at + 1]
        if sign == "'":
            return "a key needs double quotes, not single ones"
        if not sign:
            return "the file ends inside this object; is it cut off?"
        return f"expected a key in double quotes, found {_near(self._text, at)}"

    def _string(self, at: int) -> tuple[Node, int]:
        value, end = self._scan_string(at)
        if len(value) > self._limits.string:
            what = f"a string of {len(value)} characters; the most is {self._limits.string}"
            self._tree.mark_value(at, self._path(), what)
        elif _ODD_SIGN.search(value):
            what = "a string with NUL or half a character (a lone surrogate such as \\ud800)"
            self._tree.mark_value(at, self._path(), what)
        return Node(at, value), end

    def _scan_string(self, at: int) -> tuple[str, int]:
        try:
            return _SCAN_STRING(self._text, at + 1, True)
        except json.JSONDecodeError as error:
            raise _UnreadableError(*_explain_string(error, at)) from None

    def _number(self, found: re.Match[str]) -> tuple[Node, int]:
        at, digits = found.start(), found[0]
        node = Node(at, 0)
        if found[2] is None and found[3] is None:
            if len(digits) > _SAFE_DIGITS + 5 or abs(int(digits)) > MAX_INTEGER:
                what = "an integer beyond 2^53-1, which JSON readers disagree on; use a string"
                self._tree.mark_value(at, self._path(), what)
            else:
                node.value = int(digits)
        elif math.isinf(value := float(digits)):
            what = f"the number {one_line(digits, 30)} is larger than any float"
            self._tree.mark_value(at, self._path(), what)
        else:
            node.value = value
        if self._text[found.end() : found.end() + 1].isdecimal():
            raise _UnreadableError(at, "a number must not start with 0; write it without the zero")
        return node, found.end()

    def _word(self, at: int) -> tuple[Node, int]:
        found = _WORD.match(self._text, at)
        word = found[0] if found else ""
        if word in _LITERALS:
            return Node(at, _LITERALS[word]), at + len(word)
        if word in _NO_NUMBER:
            self._tree.mark_value(at, self._path(), f"{word} is not a number that JSON has")
            return Node(at, 0), at + len(word)
        raise _UnreadableError(at, _explain_value(self._text, at, word, nested=bool(self._open)))


def _explain_value(text: str, at: int, word: str, *, nested: bool) -> str:
    sign = text[at : at + 1]
    if not sign:
        ends = "the file ends where a value should stand; is it cut off?"
        return ends if nested or text.strip() else "the file is empty"
    if word in _PYTHON:
        return f"{word} is not JSON; write {_PYTHON[word]}"
    if sign == "'":
        return "a string needs double quotes, not single ones"
    if sign in "/#":
        return "JSON has no comments; use a key that starts with x_"
    return f"expected a value, found {_near(text, at)}"


def _explain_string(error: json.JSONDecodeError, at: int) -> tuple[int, str]:
    if error.msg.startswith("Unterminated"):
        return at, "the string never ends; a closing quote is missing"
    if error.msg.startswith("Invalid control character"):
        return error.pos, "a raw control character inside a string; write \\n, \\t or \\u00xx"
    return error.pos, "an escape that JSON does not know; write \\\\ for a backslash"


def _near(text: str, at: int) -> str:
    found = _WORD.match(text, at)
    word = found[0] if found else text[at : at + 1]
    return one_line(word, 30, quote="'") if word else "the end of the file"
