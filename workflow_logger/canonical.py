"""RFC 8785 canonical JSON for values that have exactly one spelling (FORMAT.md 2).

A value is a str, an int with |n| <= 2**53 - 1, a bool, None, a list of values, or a dict from str
to values, nested at most `MAX_DEPTH` deep. Floats are refused because JSON libraries disagree on
their spelling. Strings must be encodable as UTF-8, so a lone surrogate is refused. Pure.
"""

from __future__ import annotations

import json
from typing import Final

from workflow_logger.errors import CanonicalError

MAX_INT: Final = 2**53 - 1
MAX_DEPTH: Final = 64

_MEND: Final = "record a string instead, or leave the value out"
# The C encoder's output equals RFC 8785 for these values when every key is ASCII: same escapes,
# raw UTF-8, and code point order is UTF-16 order there.
sorted_json = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
).encode
_plain_json = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, check_circular=False
).encode


def encode(value: object) -> bytes:
    """Return the canonical bytes of `value`, without a newline.

    Raises:
        CanonicalError: the value has no canonical form; `where` is its path, such as `$.a[3]`.
    """
    try:
        ascii_keys = _check(value, MAX_DEPTH)
        text = sorted_json(value) if ascii_keys else _plain_json(_in_utf16_order(value))
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        what, where = _locate(value, "$", MAX_DEPTH) or ("a lone surrogate", "$")
        raise CanonicalError(what, where=where, mend=_MEND) from error
    except _Refused as error:
        what, where = _locate(value, "$", MAX_DEPTH) or (str(error), "$")
        raise CanonicalError(what, where=where, mend=_MEND) from None


class _Refused(Exception):  # noqa: N818  a private signal, found again with its path by _locate
    pass


def _check(value: object, depth: int) -> bool:  # noqa: C901, PLR0912  one branch a type, hot
    """Raise _Refused for what canonical JSON lacks; return whether every key is ASCII."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        if not -MAX_INT <= value <= MAX_INT:  # type: ignore[operator]  # it is an int
            raise _Refused("integer out of range")
        return True
    if depth <= 0:
        raise _Refused("nested too deep")
    if kind is dict:
        ascii_keys = True
        for key, item in value.items():  # type: ignore[attr-defined]  # it is a dict
            if not isinstance(key, str):
                raise _Refused("a key that is no string")
            if not key.isascii():
                ascii_keys = False
            item_kind = type(item)  # most values are strings: save the call
            if item_kind is not str and item_kind is not bool and not _check(item, depth - 1):
                ascii_keys = False
        return ascii_keys
    if kind is list:
        ascii_keys = True
        for item in value:  # type: ignore[attr-defined]  # it is a list
            if type(item) is not str and not _check(item, depth - 1):
                ascii_keys = False
        return ascii_keys
    if isinstance(value, str):  # an enum of strings is spelt as its string
        return True
    raise _Refused("not a JSON value that can be recorded")


def _in_utf16_order(value: object) -> object:
    if isinstance(value, dict):
        ordered = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return {key: _in_utf16_order(item) for key, item in ordered}
    if isinstance(value, list):
        return [_in_utf16_order(item) for item in value]
    return value


def _locate(  # noqa: C901, PLR0911  one branch a type
    value: object, path: str, depth: int
) -> tuple[str, str] | None:
    """Return (what, path) of the first thing that is refused; only walked after a refusal."""
    if isinstance(value, str):
        return None if _is_utf8(value) else ("the string holds a lone surrogate", path)
    if value is None or type(value) is bool:
        return None
    if type(value) is int:
        fits = -MAX_INT <= value <= MAX_INT
        return None if fits else (f"the integer has {value.bit_length()} bits, at most 53", path)
    if depth <= 0:
        return f"nested deeper than {MAX_DEPTH}", path
    if type(value) is dict:
        for key, item in value.items():
            if not isinstance(key, str):
                return f"the key {key!r} is a {type(key).__name__}, not a string", path
            if not _is_utf8(key):
                return "a key holds a lone surrogate", path
            if found := _locate(item, f"{path}.{key}", depth - 1):
                return found
        return None
    if type(value) is list:
        for index, item in enumerate(value):
            if found := _locate(item, f"{path}[{index}]", depth - 1):
                return found
        return None
    return f"a {type(value).__name__} has no canonical form", path


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
