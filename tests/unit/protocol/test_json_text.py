"""JSON that is refused before any model sees it, each with its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.protocol import json_text
from orchestrator.protocol.limits import MAX_JSON_BYTES, Limits
from orchestrator.protocol.positions import LineIndex
from tests.unit.protocol.documents import problems, sound


def only(text: str | bytes) -> str:
    return next(line for line in problems(text) if " required" not in line and "needs" not in line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"task_id": 1,\n "task_id": 2}', ":2:2: task_id: the key is there twice in one object"),
        ('{"x_a": NaN}', ":1:9: x_a: NaN is not a number that JSON has"),
        ('{"x_a": [1, -Infinity]}', ":1:13: x_a.1: -Infinity is not a number"),
        ('{"x_a": 1e999}', ":1:9: x_a: the number 1e999 is larger than any float"),
        ('{"x_a": 9007199254740992}', ":1:9: x_a: an integer beyond 2^53-1"),
        ('{"x_a": ' + "9" * 5_000 + "}", ":1:9: x_a: an integer beyond 2^53-1"),
        ('{"x_a": "\\ud800"}', ":1:9: x_a: a string with NUL or half a character"),
        ('{"x_a": "a\\u0000"}', ":1:9: x_a: a string with NUL or half a character"),
        ('{"x_\\ud800": 1}', ":1:2: 'x_\\ud800': a key of more than 1000 characters, or with NUL"),
        ("{'task_id': 1}", ":1:2: (top level): a key needs double quotes"),
        ("{\"x_a\": 'b'}", ":1:9: x_a: a string needs double quotes"),
        ('{"x_a": 1,}', ":1:10: x_a: a comma with nothing after it"),
        ('{"x_a": [1,]}', ":1:11: x_a.1: a comma with nothing after it"),
        ('{"x_a": True}', ":1:9: x_a: True is not JSON; write true"),
        ('{"x_a": // why\n1}', ":1:9: x_a: JSON has no comments"),
        ('{"x_a": 012}', ":1:9: x_a: a number must not start with 0"),
        ('{"x_a" 1}', ":1:8: x_a: expected ':' after the key, found '1'"),
        ('{"x_a": 1 "x_b": 2}', ":1:11: x_a: expected ',' or '}', found '\"'"),
        ('{"x_a": "b', ":1:9: x_a: the string never ends"),
        ('{"x_a": "b\tc"}', ":1:11: x_a: a raw control character inside a string"),
        ('{"x_a": "\\q"}', ":1:10: x_a: an escape that JSON does not know"),
        ('{"x_a": [1, 2', ":1:14: x_a.2: the file ends inside this array; is it cut off?"),
        ('{"x_a": ', ":1:9: x_a: the file ends where a value should stand"),
        ("", ":1:1: (top level): the file is empty"),
        (" \n ", ":2:2: (top level): the file is empty"),
        ("[1]", ":1:1: (top level): expected an object with keys, got a list"),
        ('"text"', ':1:1: (top level): expected an object with keys, got "text" (a string)'),
        ("{} {}", ":1:4: (top level): the document ended before this: '{'; remove it"),
        (b'{\n"x_a": "\xc3"}', ":2:9: (top level): the byte 0xc3 is not UTF-8"),
        ("{}".encode("utf-16"), ":1:1: (top level): the file is UTF-16; save it as UTF-8"),
    ],
)
def test_text_that_is_no_sound_json_is_refused_at_its_place(text: str | bytes, line: str) -> None:
    assert any(line in told for told in problems(text)), problems(text)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_a_hundred_thousand_levels_are_refused_without_recursion(opening: str) -> None:
    (line,) = problems(opening * 100_000)
    assert line.endswith(": nested deeper than 64 levels")


def test_sixty_four_levels_are_read_and_sixty_five_are_not() -> None:
    def nested(levels: int) -> str:
        return json.dumps(sound())[:-1] + ', "x_a": ' + "[" * levels + "]" * levels + "}"

    assert json_text.scan(nested(63)).root is not None
    json_text.decode_fast(nested(63))
    (line,) = problems(nested(64))
    assert "nested deeper than 64 levels" in line


def test_brackets_inside_strings_are_no_levels() -> None:
    assert json_text.decode_fast(json.dumps(["[" * 500])) == ["[" * 500]


def test_a_string_of_ten_megabytes_is_refused() -> None:
    (line,) = problems('{"x_a": "' + "a" * 10_000_000 + '"}')
    assert line == (
        f"pack.json:1:1: (top level): the file has 10000011 bytes; the most is {MAX_JSON_BYTES}"
    )


@pytest.mark.slow
def test_a_string_of_more_than_a_million_characters_is_refused_at_its_place() -> None:
    text = json.dumps(sound() | {"objective": "a" * 1_000_001})
    (line,) = problems(text)
    assert "objective: a string of 1000001 characters; the most is 1000000" in line


def test_more_values_than_the_limit_are_refused() -> None:
    limits = Limits(nodes=10)
    tree = json_text.scan(json.dumps(list(range(10))), limits=limits)
    assert tree.root is None
    assert tree.marks[0].what == "more than 10 values in one document"
    with pytest.raises(json_text.LookCloser):
        json_text.decode_fast(json.dumps(list(range(10))), limits)


def test_several_bad_bytes_are_told_one_by_one_and_the_rest_is_still_read() -> None:
    told = problems(b'{"x_a": "\xff", "x_b": "\xfe", "wrong": 1}')
    assert [line.split(":")[2] for line in told if "not UTF-8" in line] == ["10", "22"]
    assert any("unknown key 'wrong'" in line for line in told)


def test_columns_count_characters_and_not_bytes() -> None:
    (line,) = [one for one in problems('{"x_é😀": "ü", "wrong": 1}') if "wrong" in one]
    assert line.startswith("pack.json:1:15: wrong:")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)  # fmt: skip
PIECES = st.sampled_from(
    ['"', "\\", "\\u", "d800", "dc00", "0000", "{", "}", "[", "]", ",", ":", " ", "\n", "1", "-",
     "0", ".", "e9", "true", "null", "NaN", "Infinity", '"a"', '"a":', "é", "😀", "'", "9" * 17]
)  # fmt: skip


@pytest.mark.slow
@given(JSON, st.booleans())
def test_both_ways_of_reading_give_the_same_value(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    tree = json_text.scan(text)
    try:
        fast = json_text.decode_fast(text)
    except json_text.LookCloser:
        return
    assert tree.marks == []
    assert tree.root is not None
    assert json.dumps(tree.root.value) == json.dumps(fast) == json.dumps(value)


@pytest.mark.slow
@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_the_fast_way_lets_through_the_slow_way_reads_without_a_mark(text: str) -> None:
    tree = json_text.scan(text)
    try:
        fast = json_text.decode_fast(text)
    except json_text.LookCloser:
        return
    assert tree.marks == []
    assert tree.root is not None
    assert json.dumps(tree.root.value) == json.dumps(fast)


@pytest.mark.slow
@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_the_slow_way_reads_without_a_mark_is_json(text: str) -> None:
    tree = json_text.scan(text)
    if not tree.marks:
        assert tree.root is not None
        assert json.dumps(json.loads(text)) == json.dumps(tree.root.value)


@given(st.text(alphabet="a\n\r é", max_size=30), st.integers(0, 30))
def test_a_place_leads_back_to_its_offset(text: str, at: int) -> None:
    at = min(at, len(text))
    line, column = LineIndex(text).place(at)
    assert sum(len(one) + 1 for one in text.split("\n")[: line - 1]) + column - 1 == at
