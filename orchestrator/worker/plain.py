"""Bytes of an agent to text and JSON, strictly. Pure.

Refused: invalid UTF-8, control characters (colours are removed, anything that moves a cursor or
hides text is not), duplicate keys, NaN and Infinity, nesting that exhausts the parser, lone
surrogates. What a person would not see must not be what the program reads.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

MAX_STDOUT_BYTES = 16 * 1024 * 1024
MAX_RESULT_BYTES = 1024 * 1024
MAX_DEPTH = 64

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class AnswerError(ValueError):
    """The output is not one StepResult; the message says why. Becomes `parse_error`."""


def parse_text(data: bytes) -> str:
    r"""Decode stdout.

    Returns:
        Text without a byte order mark, without colours, with `\n` line ends.

    Raises:
        AnswerError: too large, not UTF-8, or with control characters.
    """
    if len(data) > MAX_STDOUT_BYTES:
        raise AnswerError(f"stdout has {len(data)} bytes, at most {MAX_STDOUT_BYTES} are read")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AnswerError(f"stdout is not UTF-8: byte {error.start}") from error
    return clean(text)


def clean(text: str) -> str:
    """Remove colours and normalise line ends; refuse every other control character."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    if found := _CONTROL.search(text) or _SURROGATE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise AnswerError(f"control character U+{ord(found[0]):04X} in line {line} of the answer")
    return text


def parse_json(text: str) -> Any:  # noqa: ANN401  JSON is anything
    """Parse one JSON value. Raises AnswerError; see the module for what is refused."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise AnswerError(f"not JSON: {error.msg} in line {error.lineno}") from error
    except RecursionError as error:
        raise AnswerError(f"JSON nested deeper than {MAX_DEPTH} levels") from error


def count_objects(text: str, *, at_most: int = 100) -> int:
    """Count JSON objects that follow each other with only white space between; 0 if not so."""
    position, count = 0, 0
    while position < len(text) and count < at_most:
        try:
            value, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            return 0
        if not isinstance(value, dict):
            return 0
        count += 1
        while position < len(text) and text[position] in " \t\r\n":
            position += 1
    return count


def require_clean_strings(value: object, *, depth: int = 0) -> None:
    """Refuse control characters and lone surrogates that JSON escapes smuggled in."""
    if depth > MAX_DEPTH:
        raise AnswerError(f"JSON nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        if found := _CONTROL.search(value) or _SURROGATE.search(value):
            raise AnswerError(f"a string holds the control character U+{ord(found[0]):04X}")
    elif isinstance(value, dict):
        for key, item in value.items():
            require_clean_strings(key, depth=depth + 1)
            require_clean_strings(item, depth=depth + 1)
    elif isinstance(value, list):
        for item in value:
            require_clean_strings(item, depth=depth + 1)


def _refuse_constant(name: str) -> NoReturn:
    raise AnswerError(f"JSON has no number {name}")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise AnswerError(f"JSON key {twice[0]!r} stands twice in one object")
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant, strict=True
)
