# ruff: noqa: ANN401  conftest.py cannot be imported, so its fixtures have no type here
from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_logger import canonical
from workflow_logger.entry import (
    FIELDS,
    MAX_LINE_BYTES,
    ChainHead,
    Entry,
    genesis,
    make_entry,
    parse_line,
    read_frame,
)
from workflow_logger.errors import EntryError, UsageError

AT = "2026-01-31T23:59:59.123Z"


def make(**changes: Any) -> Entry:
    start = genesis("demo")
    fields: dict[str, Any] = {
        "project_id": "demo",
        "task_id": "T-1",
        "kind": "attempt",
        "at": AT,
        "body": {"r": 0, "s": 0, "text": "naïve — ok"},
    }
    heads = [changes.pop("project_head", start), changes.pop("task_head", start)]
    return make_entry(*heads, **{**fields, **changes})


def test_an_entry_is_one_line_of_canonical_json() -> None:
    entry = make()
    value = json.loads(entry.line)
    assert entry.line == canonical.encode(value) + b"\n"
    assert tuple(value) == FIELDS
    assert entry.line.count(b"\n") == 1


def test_an_entry_reads_back_equal() -> None:
    entry = make()
    assert parse_line(entry.line) == entry
    assert read_frame(entry.line).hash == entry.hash


def test_heads_after_an_entry_continue_both_chains() -> None:
    first = make()
    project, task = first.heads
    second = make(project_head=project, task_head=genesis("demo"), task_id="T-2")
    assert (project, task) == (ChainHead(1, first.hash), ChainHead(1, first.hash))
    assert (second.seq, second.task_seq, second.prev_hash) == (1, 0, first.hash)
    assert second.prev_event_hash == genesis("demo").last_hash


def test_genesis_differs_between_projects() -> None:
    assert genesis("a") != genesis("b")


@pytest.mark.parametrize(
    "changes",
    [
        {"project_id": "../x"},
        {"project_id": ""},
        {"task_id": "a/b"},
        {"task_id": ".."},
        {"task_id": "-x"},
        {"task_id": "x" * 129},
        {"task_id": "x\n"},
        {"kind": "Attempt"},
        {"kind": ""},
        {"kind": 'x"'},
        {"at": "2026-01-31T23:59:59Z"},
        {"at": "2026-13-31T23:59:59.123Z"},
        {"at": "2026-01-31T23:59:60.123Z"},
        {"at": "2026-01-31T23:59:59.123+00:00"},
        {"at": "٢026-01-31T23:59:59.123Z"},
        {"project_head": ChainHead(0, "0" * 64)},
        {"task_head": ChainHead(1, "xyz")},
        {"task_head": ChainHead(-1, "0" * 64)},
        {"body": ["a list"]},
    ],
)
def test_an_entry_with_a_malformed_part_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        make(**changes)


def test_an_entry_that_is_too_long_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 4194304"):
        make(body={"text": "x" * MAX_LINE_BYTES})


def test_a_body_that_mimics_the_frame_is_read_as_body() -> None:
    inner = {"event_hash": "0" * 64, "kind": "close", "seq": 9, "task_id": "T-9", "v": 1}
    entry = make(body={"a": inner, "b": ',"event_hash":"' + "0" * 64 + '","kind":"x"'})
    assert parse_line(entry.line) == entry
    assert read_frame(entry.line).task_id == "T-1"


_bodies = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.booleans()
    | st.none(),
    max_size=5,
)


@given(_bodies)
@pytest.mark.slow
def test_any_body_survives(body: dict[str, Any]) -> None:
    entry = make(body=body)
    assert parse_line(entry.line) == entry


@given(st.data())
@pytest.mark.slow
def test_any_changed_byte_is_found(data: Any) -> None:
    line = make().line
    index = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != line[index]))
    changed = line[:index] + bytes([byte]) + line[index + 1 :]
    with pytest.raises(EntryError):
        parse_line(changed)


@pytest.mark.parametrize("number", ["9007199254740992", "-9007199254740992", "1" * 5000])
def test_an_integer_out_of_range_in_a_line_is_refused(number: str) -> None:
    line = make(body={"n": 1}).line.replace(b'"n":1', f'"n":{number}'.encode())
    with pytest.raises(EntryError):
        parse_line(line)
