# ruff: noqa: ANN401  conftest.py cannot be imported, so its fixtures have no type here
from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_logger import canonical
from workflow_logger.errors import CanonicalError

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-canonical.MAX_INT, canonical.MAX_INT) | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=12,
)


def test_the_example_of_rfc_8785_is_sorted_by_utf16_units() -> None:
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    names = list(json.loads(canonical.encode(value)))
    assert names == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_strings_are_escaped_as_rfc_8785_says() -> None:
    value = "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/\u007f\u0000\b\t\f\r"
    expected = '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u007f\\u0000\\b\\t\\f\\r"'
    assert canonical.encode(value) == expected.encode()


@given(_values)
@pytest.mark.slow
def test_any_value_reads_back_and_is_spelt_the_same_again(value: Any) -> None:
    data = canonical.encode(value)
    assert json.loads(data) == value
    assert canonical.encode(json.loads(data)) == data


@given(value=_values)
@pytest.mark.slow
def test_the_second_verifier_spells_every_value_alike(value: Any, second_verifier: Any) -> None:
    assert second_verifier.canonical(value).encode() == canonical.encode(value)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (1.0, "$"),
        ({"a": [0, float("nan")]}, "$.a[1]"),
        ({"a": {1: 2}}, "$.a"),
        ({"a": "\ud800"}, "$.a"),
        ({"\udfff": 1}, "$"),
        ([2**53], "$[0]"),
        (-(2**53), "$"),
        ((1, 2), "$"),
        (b"bytes", "$"),
        ({"a": {1, 2}}, "$.a"),
    ],
)
def test_a_value_outside_canonical_json_is_refused_by_its_path(value: Any, where: str) -> None:
    with pytest.raises(CanonicalError) as caught:
        canonical.encode(value)
    assert caught.value.where == where
    assert caught.value.exit_code == 2


def test_nesting_deeper_than_the_limit_is_refused() -> None:
    value: Any = 1
    for _ in range(canonical.MAX_DEPTH):
        value = [value]
    canonical.encode(value)
    with pytest.raises(CanonicalError, match="nested deeper than 64"):
        canonical.encode([value])


def test_the_largest_integers_are_kept() -> None:
    assert canonical.encode([2**53 - 1, -(2**53 - 1)]) == b"[9007199254740991,-9007199254740991]"
