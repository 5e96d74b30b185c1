from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.scoreboard.counters import Counters
from orchestrator.scoreboard.trends import (
    KEEP_FULL,
    KEEP_OLDER,
    Snapshot,
    append,
    is_kept,
    stride,
)


def snapshot(number: int) -> Snapshot:
    return Snapshot(number, "2026-11-20T10:00:00Z", Counters(cycles=number))


def test_the_list_is_what_the_rule_says_after_every_append() -> None:
    kept: tuple[Snapshot, ...] = ()
    for number in range(2_600):
        kept = append(kept, snapshot(number))
        if number % 97 == 0 or number > 2_590:
            assert [s.number for s in kept] == [n for n in range(number + 1) if is_kept(n, number)]
    assert len(kept) <= KEEP_FULL + KEEP_OLDER


@given(newest=st.integers(0, 10**9))
def test_the_file_never_grows_without_bound(newest: int) -> None:
    older = max(0, newest + 1 - KEEP_FULL)
    assert len(range(0, older, stride(newest))) <= KEEP_OLDER


@given(newest=st.integers(0, 10**7), later=st.integers(0, 10**7), number=st.integers(0, 10**7))
def test_what_is_kept_later_was_kept_all_along(newest: int, later: int, number: int) -> None:
    if number <= newest and is_kept(number, newest + later):
        assert is_kept(number, newest)


@given(newest=st.integers(0, 10**9))
def test_the_first_and_the_newest_are_always_kept(newest: int) -> None:
    assert is_kept(0, newest)
    assert is_kept(newest, newest)


def test_a_number_out_of_turn_is_refused() -> None:
    with pytest.raises(ValueError, match="expected snapshot 1, got 5"):
        append((snapshot(0),), snapshot(5))


def test_a_snapshot_tells_moment_and_cycle() -> None:
    content = snapshot(3).as_dict()
    assert (content["number"], content["cycle"], content["at"]) == (3, 3, "2026-11-20T10:00:00Z")
