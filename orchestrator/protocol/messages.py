"""What pydantic found, said in plain words: what was expected, and what stands there."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, get_args

from pydantic_core import ErrorDetails

from orchestrator.protocol.base import Wire
from orchestrator.protocol.faults import KeyPath, one_line
from orchestrator.vocabulary import ID_PATTERN

_LONGEST_VALUE = 60  # characters of a value that a message repeats
_MOST_NAMES = 14  # known keys that a message lists
_FREE_KEYS: Final = "keys starting with x_ are free"
_FREE_PATTERN: Final = "^x_"
_PATTERNS: Final = {
    ID_PATTERN: "letters, digits, '.', '_' and '-', at most 128, the first a letter or a digit",
    r"^G[0-9]+$": "G and a number, such as G1",
}
_EXPECTED: Final = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "string_sub_type": "a string",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "an object with keys",
    "model_type": "an object with keys",
    "model_attributes_type": "an object with keys",
    "none_required": "null",
}


def is_unknown_key(error: ErrorDetails) -> bool:
    """Say whether the error is about a key that the model does not name."""
    return (
        error["type"] == "string_pattern_mismatch"
        and error.get("ctx", {}).get("pattern") == _FREE_PATTERN
    )


def explain(error: ErrorDetails, model: type[Wire], *, quotes_help: bool) -> str:
    """Say in one line what is wrong; `quotes_help` where the text is YAML."""
    if is_unknown_key(error):
        return _unknown_key(str(error["input"]), known_keys(model, tuple(error["loc"][:-1])))
    kind, given = error["type"], error["input"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if kind in _EXPECTED:
        told = f"expected {_EXPECTED[kind]}, got {show(given)}"
        plain = quotes_help and (given is None or isinstance(given, (int, float)))
        return f"{told}; put it in quotes" if plain and kind == "string_type" else told
    if kind in {"literal_error", "enum"}:
        told = f"expected {context['expected']}, got {show(given)}"
        return told + _meant(given, str(context["expected"]).split("'")[1::2])
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        return f"expected {_PATTERNS.get(pattern, f'a text like {pattern}')}, got {show(given)}"
    if kind in _BOUNDS:
        return _BOUNDS[kind](context, given)
    message = error["msg"]
    return one_line(message[:1].lower() + message[1:], 2_000)


_BOUNDS: Final[Mapping[str, Callable[[Mapping[str, Any], Any], str]]] = {
    "missing": lambda _, __: "this key is required and is not there",
    "greater_than": lambda ctx, given: f"must be more than {ctx['gt']}, got {show(given)}",
    "greater_than_equal": lambda ctx, given: f"must be at least {ctx['ge']}, got {show(given)}",
    "less_than": lambda ctx, given: f"must be less than {ctx['lt']}, got {show(given)}",
    "less_than_equal": lambda ctx, given: f"must be at most {ctx['le']}, got {show(given)}",
    "string_too_short": lambda ctx, given: (
        "must not be empty"
        if ctx["min_length"] == 1
        else f"needs at least {ctx['min_length']} characters, got {len(given)}"
    ),
    "string_too_long": lambda ctx, given: (
        f"may have at most {ctx['max_length']} characters, got {len(given)}"
    ),
    "too_short": lambda ctx, _: (
        f"needs at least {ctx['min_length']} entries, got {ctx['actual_length']}"
    ),
    "too_long": lambda ctx, _: (
        f"may have at most {ctx['max_length']} entries, got {ctx['actual_length']}"
    ),
}


def show(value: Any) -> str:  # noqa: ANN401  any value of a document
    """Show a value and its kind, short and in one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"{str(value).lower()} (a boolean)"
    if isinstance(value, str):
        return f"{one_line(json.dumps(value, ensure_ascii=False), _LONGEST_VALUE)} (a string)"
    if isinstance(value, int):
        return f"{value} (an integer)"
    if isinstance(value, float):
        return f"{value} (a number)"
    return "a list" if isinstance(value, (list, tuple)) else "an object"


def _unknown_key(key: str, known: Iterable[str]) -> str:
    names = sorted(known)
    shown = one_line(key, _LONGEST_VALUE, quote="'")
    if close := difflib.get_close_matches(key[:200], names, n=1, cutoff=0.7):
        return f"unknown key {shown}, did you mean '{close[0]}'? ({_FREE_KEYS})"
    listed = f"known here: {', '.join(names)}; " if 0 < len(names) <= _MOST_NAMES else ""
    return f"unknown key {shown} ({listed}{_FREE_KEYS})"


def _meant(given: Any, names: list[str]) -> str:  # noqa: ANN401
    if not isinstance(given, str):
        return ""
    close = difflib.get_close_matches(given[:200], names, n=1, cutoff=0.7)
    return f"; did you mean '{close[0]}'?" if close else ""


def known_keys(model: type[Wire], path: KeyPath) -> set[str]:
    """Return the keys that may stand in the object at `path` of a document of `model`."""
    here: type[Wire] | None = model
    for key in path:
        here = model_under(here, key)
    if here is None:
        return set()
    return {field.alias or name for name, field in here.model_fields.items()} | {*here.other_names}


def model_under(model: type[Wire] | None, key: str | int) -> type[Wire] | None:
    """Return the model of the value under `key`; an index stays with the model of its list."""
    if model is None or isinstance(key, int):
        return model
    return _wire_in(_annotation(model, model.other_names.get(key, key)))


def _annotation(model: type[Wire], key: str) -> Any:  # noqa: ANN401  a type expression
    for name, field in model.model_fields.items():
        if key in {name, field.alias}:
            return field.annotation
    return None


def _wire_in(annotation: Any) -> type[Wire] | None:  # noqa: ANN401  a type expression
    if isinstance(annotation, type) and issubclass(annotation, Wire):
        return annotation
    found = (_wire_in(part) for part in get_args(annotation))
    return next((wire for wire in found if wire is not None), None)
