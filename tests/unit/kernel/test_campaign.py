from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kernel.campaign import (
    CampaignLimits,
    CampaignState,
    Stop,
    after_cycle,
    why_stop,
)
from orchestrator.kernel.life import State

OPEN = CampaignLimits(max_identical_failures=None)


def run(*cycles: tuple[State, str]) -> CampaignState:
    state = CampaignState()
    for ended_in, signature in cycles:
        state = after_cycle(state, ended_in=ended_in, signature=signature)
    return state


def test_a_campaign_without_bounds_never_stops_by_itself() -> None:
    assert why_stop(run(*[(State.FAILED, "s")] * 100), OPEN) is None


def test_it_stops_after_its_cycles() -> None:
    limits = CampaignLimits(max_cycles=2)
    assert why_stop(run((State.COMPLETED, "")), limits) is None
    assert why_stop(run((State.COMPLETED, ""), (State.FAILED, "s")), limits) is Stop.MAX_CYCLES


def test_cycles_that_complete_nothing_are_stagnant_and_one_that_does_starts_anew() -> None:
    limits = CampaignLimits(max_stagnant_cycles=2)
    assert why_stop(run((State.FAILED, "a"), (State.QUARANTINED, "")), limits) is Stop.STAGNANT
    state = run((State.FAILED, "a"), (State.COMPLETED, ""), (State.PENDING, "b"))
    assert why_stop(state, limits) is None


def test_the_same_refusal_in_a_row_stops_it() -> None:
    limits = CampaignLimits(max_identical_failures=3)
    assert why_stop(run(*[(State.FAILED, "s")] * 2), limits) is None
    assert why_stop(run(*[(State.FAILED, "s")] * 3), limits) is Stop.IDENTICAL_FAILURES
    mixed = run((State.FAILED, "s"), (State.FAILED, "t"), (State.FAILED, "s"))
    assert why_stop(mixed, limits) is None


def test_a_cycle_that_refuses_nothing_breaks_the_row() -> None:
    state = run((State.FAILED, "s"), (State.COMPLETED, ""), (State.FAILED, "s"))
    assert state.identical == 1


@given(
    st.lists(st.tuples(st.sampled_from(State), st.sampled_from(["", "a", "b"]))),
    st.integers(1, 5),
)
def test_the_counters_are_what_a_recount_gives(cycles: list[tuple[State, str]], bound: int) -> None:
    state = run(*cycles)
    tail = 0
    for ended_in, _ in reversed(cycles):
        if ended_in is State.COMPLETED:
            break
        tail += 1
    same = 0
    for _, signature in reversed(cycles):
        if not signature or signature != cycles[-1][1]:
            break
        same += 1
    assert (state.cycles, state.stagnant, state.identical) == (len(cycles), tail, same)
    stopped = why_stop(
        state, CampaignLimits(max_stagnant_cycles=bound, max_identical_failures=None)
    )
    assert (stopped is Stop.STAGNANT) == (tail >= bound)


@pytest.mark.parametrize("name", ["max_cycles", "max_stagnant_cycles", "max_identical_failures"])
def test_a_bound_under_which_nothing_can_begin_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        CampaignLimits(**{name: 0})
