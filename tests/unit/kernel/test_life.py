from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import TransitionError
from orchestrator.kernel.life import IN_FLIGHT, RESTING, TRANSITIONS, Event, State, TaskLife

PAIRS = list(itertools.product(State, Event))


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_a_pair_of_the_table_moves_and_any_other_is_refused_by_name(
    state: State, event: Event
) -> None:
    life = TaskLife()
    if event in TRANSITIONS[state]:
        assert life.advance(state, event) is TRANSITIONS[state][event]
        return
    allowed = ", ".join(sorted(TRANSITIONS[state])) or "nothing, it is the end"
    with pytest.raises(TransitionError) as refused:
        life.advance(state, event, task_key="T-1")
    assert refused.value.what == f"{event} is not allowed while {state}; allowed: {allowed}"
    assert "T-1" in refused.value.where
    assert refused.value.exit_code == 6


@given(st.lists(st.sampled_from(Event), max_size=60))
def test_a_refused_event_changes_nothing(events: list[Event]) -> None:
    life, state = TaskLife(), State.PENDING
    for event in events:
        if event in TRANSITIONS[state]:
            state = life.advance(state, event)
        else:
            with pytest.raises(TransitionError):
                life.advance(state, event)
    # The machine keeps nothing between two questions: another one answers the same.
    for event in Event:
        if event in TRANSITIONS[state]:
            assert life.advance(state, event) is TaskLife().advance(state, event)


def reachable(start: State) -> set[State]:
    found, line = {start}, [start]
    while line:
        for target in TRANSITIONS[line.pop()].values():
            if target not in found:
                found.add(target)
                line.append(target)
    return found


def test_every_state_is_in_the_table_and_reachable_from_pending() -> None:
    assert set(TRANSITIONS) == set(State)
    assert reachable(State.PENDING) == set(State)


def test_nothing_leads_out_of_completed_and_out_of_every_other_state_something_does() -> None:
    assert [state for state, moves in TRANSITIONS.items() if not moves] == [State.COMPLETED]


@pytest.mark.parametrize("state", sorted(set(State) - {State.COMPLETED}))
def test_completed_can_be_reached_from_every_other_state(state: State) -> None:
    assert State.COMPLETED in reachable(state)


def test_every_event_moves_something_and_none_leads_back_to_where_it_began() -> None:
    used = {event for moves in TRANSITIONS.values() for event in moves}
    assert used == set(Event)
    for state, moves in TRANSITIONS.items():
        assert state not in moves.values()


@pytest.mark.parametrize("state", sorted(IN_FLIGHT))
def test_what_is_in_flight_can_be_interrupted_and_quarantined(state: State) -> None:
    assert TRANSITIONS[state][Event.INTERRUPT] is State.PENDING
    assert TRANSITIONS[state][Event.QUARANTINE] is State.QUARANTINED


@pytest.mark.parametrize("state", sorted(IN_FLIGHT))
def test_nobody_cancels_or_claims_what_is_in_flight(state: State) -> None:
    assert not {Event.CANCEL, Event.CLAIM, Event.REVIVE} & set(TRANSITIONS[state])


@pytest.mark.parametrize("state", sorted(RESTING - {State.COMPLETED, State.CANCELLED}))
def test_a_person_can_cancel_whatever_rests(state: State) -> None:
    assert TRANSITIONS[state][Event.CANCEL] is State.CANCELLED


def test_only_a_review_accepts_and_only_the_queue_is_claimed() -> None:
    def sources(event: Event) -> set[State]:
        return {state for state, moves in TRANSITIONS.items() if event in moves}

    assert sources(Event.ACCEPT) == {State.IN_REVIEW}
    assert sources(Event.CLAIM) == {State.PENDING}
    assert sources(Event.DISPATCH) == {State.PREPARED, State.REWORK}


def test_the_states_are_parted_into_pending_in_flight_and_resting() -> None:
    assert {State.PENDING} | IN_FLIGHT | RESTING == set(State)
    assert not IN_FLIGHT & RESTING
    assert State.PENDING not in IN_FLIGHT | RESTING
