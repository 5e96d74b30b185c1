"""YAML means what YAML 1.2 says; what could surprise or explode is refused."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.protocol import yaml_text
from orchestrator.protocol.limits import Limits
from orchestrator.protocol.reading import read_step_pack
from tests.unit.protocol.documents import problems, sound


def value_of(text: str) -> object:
    tree = yaml_text.scan(text)
    assert tree.marks == []
    assert tree.root is not None
    return tree.root.value


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers of PyYAML: a machine may lack libyaml."""
    monkeypatch.setattr(yaml_text, "_LOADER", getattr(yaml, request.param))


pytestmark = pytest.mark.usefixtures("_loader")


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "y", "N", "12:30:00", "2026-01-01", "0b1"]
)
def test_words_that_yaml_1_1_turns_into_something_else_are_strings(word: str) -> None:
    assert value_of(f"a: {word}\n{word}: 1\n") == {"a": word, word: 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-7", -7), ("+3", 3), ("0x1F", 31), ("0o17", 15), ("017", 17), ("1.5", 1.5),
        (".5", 0.5), ("1e3", 1000.0), ("true", True), ("False", False), ("null", None),
        ("~", None), ("", None), ("'1'", "1"), ('"true"', "true"), ("1_000", "1_000"),
        ("|\n  1", "1"), ("1.2.3", "1.2.3"),
    ],
)  # fmt: skip
def test_plain_words_mean_what_the_core_schema_says(text: str, value: object) -> None:
    assert value_of(f"a: {text}") == {"a": value}


def test_a_pack_may_be_written_in_yaml() -> None:
    text = yaml.safe_dump(sound(), sort_keys=False)
    assert read_step_pack(text.encode(), "pack.yaml").task_id == "T-1"


def test_a_number_where_a_text_should_stand_is_told_to_be_quoted() -> None:
    text = yaml.safe_dump(sound() | {"objective": 1.0}, sort_keys=False)
    (line,) = problems(text, "pack.yaml")
    assert line == (
        "pack.yaml:2:12: objective: expected a string, got 1.0 (a number); put it in quotes"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3:1: a: the key is there twice in one mapping"),
        ("a: {b: 1, b: 2}", ":1:11: a.b: the key is there twice in one mapping"),
        ("a: !!python/object:os.system ls", ":1:4: a: the tag !!python/object:os.system is not"),
        ("a: !!str 1", ":1:4: a: the tag !!str is not read"),
        ("a: !local 1", ":1:4: a: the tag !local is not read"),
        ("a: 1\n---\nb: 2\n", ":2:1: (top level): a second document"),
        ("a:\n\tb: 1\n", ":2:1: a: a tab; YAML wants spaces here"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", ":3:3: c.'<<': merge keys (<<) are not read"),
        ("a: *nobody", ":1:4: a: the alias *nobody has no anchor &nobody before it"),
        ("a: &x [*x]", ":1:8: a.0: the alias *x stands inside its own anchor"),
        ("[a]: 1", ":1:1: (top level): a key has to be plain text"),
        ("? {a: 1}\n: 2", ":1:3: (top level): a key has to be plain text"),
        ("a: .inf", ":1:4: a: .inf is not a number that we read"),
        ("a: .nan", ":1:4: a: .nan is not a number that we read"),
        ("a: 1e999", ":1:4: a: 1e999 is not a number that we read"),
        ("a: 9007199254740992", ":1:4: a: an integer beyond 2^53-1"),
        ("a: " + "9" * 5000, ":1:4: a: an integer beyond 2^53-1"),
        ('a: "\\0"', ":1:4: a: a string with NUL"),
        ("", ":1:1: (top level): the file is empty"),
        ("# only a comment\n", ":1:1: (top level): the file is empty"),
        ("- 1\n", ":1:1: (top level): expected an object with keys, got a list"),
        ("a: b: c", ":1:5: (top level): a second ':' in this line"),
        ("a: 'b", "the file ends inside a quoted text"),
        ("a: [1, 2", "expected ',' or the closing bracket"),
        ("a: @b", ":1:4: a: a text cannot start with '@'"),
        ("? \n: 1", "'': a key that is missing"),
        ("a: \x07", ":1:4: (top level): the character U+0007 is not text"),
    ],
)
def test_yaml_that_surprises_is_refused_at_its_place(text: str, line: str) -> None:
    assert any(line in told for told in problems(text, "pack.yaml")), problems(text, "pack.yaml")


@pytest.mark.slow
def test_a_hundred_thousand_levels_are_refused_without_recursion() -> None:
    (line,) = problems("[" * 100_000, "pack.yaml")
    assert line.endswith(": nested deeper than 64 levels")
    (line,) = problems("- " * 100_000, "pack.yaml")
    assert line.endswith(": nested deeper than 64 levels")


def test_an_alias_is_read_as_if_it_were_written_out() -> None:
    assert value_of("a: &x [1, {b: 2}]\nc: *x\n") == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


def test_a_bomb_of_aliases_is_refused_before_it_unfolds() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (line,) = problems("\n".join(lines), "pack.yaml")
    assert "more than 200000 values in one document, aliases unfolded" in line


def test_aliases_cannot_nest_beyond_the_depth() -> None:
    lines = ["a0: &a0 [1]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 70)]
    (line,) = problems("\n".join(lines), "pack.yaml")
    assert "nested deeper than 64 levels" in line


def test_a_file_larger_than_a_mebibyte_is_refused() -> None:
    (line,) = problems("a: " + "b" * 1_100_000, "pack.yaml")
    assert "(top level): the file has 1100003 bytes; the most is 1048576" in line


def test_more_values_than_the_limit_are_refused() -> None:
    tree = yaml_text.scan("[1, 2, 3, 4]", limits=Limits(nodes=4))
    assert tree.marks[0].what.startswith("more than 4 values")


def test_places_count_characters_also_beyond_the_basic_plane() -> None:
    told = problems("x_😀: é\n# 😀\n😀: 1\n", "pack.yaml")
    assert any(line.startswith("pack.yaml:3:1: ") for line in told)


KEYS = st.text(min_size=1, max_size=8)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=12)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner), max_leaves=12
)


@pytest.mark.slow
@given(VALUES.filter(lambda value: "\\u0000" not in json.dumps(value)))
@pytest.mark.filterwarnings("ignore")
def test_json_is_yaml_and_means_the_same(value: object) -> None:
    text = json.dumps(value)
    if "\\ud" in text:  # a pair of escapes is one character in JSON and two in YAML
        return
    assert value_of(text) == value
