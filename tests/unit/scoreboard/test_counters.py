from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kernel.life import State
from orchestrator.scoreboard.counters import (
    OUTCOMES,
    STATES,
    Counters,
    Delta,
    apply,
    count_states,
)


def test_the_states_counted_are_the_kernels() -> None:
    assert set(STATES) == {state.value for state in State}


def test_a_cycle_moves_a_task_and_counts_its_outcome() -> None:
    before = count_states(["pending", "in_review"])
    after = apply(
        before, Delta(moved=(("in_review", "completed"),), outcomes={"accepted": 1}, cycles=1)
    )
    assert (after.tasks["in_review"], after.tasks["completed"], after.cycles) == (0, 1, 1)
    assert after.outcomes["accepted"] == 1
    assert before.outcomes["accepted"] == 0


def test_new_and_removed_tasks_change_the_total() -> None:
    counters = apply(Counters(), Delta(moved=((None, "pending"), (None, "pending"))))
    assert counters.total == 2
    assert apply(counters, Delta(moved=(("pending", None),))).total == 1


@pytest.mark.parametrize(
    "delta",
    [
        Delta(moved=(("completed", "pending"),)),
        Delta(moved=((None, "asleep"),)),
        Delta(outcomes={"won": 1}),
        Delta(outcomes={"accepted": -1}),
    ],
)
def test_a_delta_that_cannot_be_is_refused(delta: Delta) -> None:
    with pytest.raises(ValueError, match="count"):
        apply(Counters(), delta)


@given(
    start=st.lists(st.sampled_from(STATES), min_size=1, max_size=6),
    moves=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(STATES)), max_size=20),
)
def test_deltas_give_what_a_recount_gives(start: list[str], moves: list[tuple[int, str]]) -> None:
    states, counters = list(start), count_states(start)
    for index, target in moves:
        at = index % len(states)
        counters = apply(counters, Delta(moved=((states[at], target),)))
        states[at] = target
    assert counters == count_states(states)


def test_the_dict_has_every_name_in_a_fixed_order() -> None:
    content = Counters({"failed": 1}, {}, 3).as_dict()
    assert list(content["tasks"]) == list(STATES)
    assert list(content["outcomes"]) == list(OUTCOMES)
    assert (content["total"], content["cycles"]) == (1, 3)
