from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kernel.life import IN_FLIGHT as KERNEL_IN_FLIGHT
from orchestrator.kernel.life import TRANSITIONS, Event, State
from orchestrator.triage.policy import (
    AGING_MS_PER_PRIORITY,
    CANCELLABLE,
    IN_FLIGHT,
    REVIVABLE,
    STATES,
    TaskFacts,
    TriagePolicy,
    is_eligible,
    sort_key,
    utc,
    why_waiting,
)

PRIORITY = st.integers(0, 9)
MS = st.integers(0, 10**13)


def test_of_two_tasks_of_one_age_the_more_urgent_goes_first() -> None:
    assert sort_key(0, 1000) < sort_key(1, 1000) < sort_key(9, 1000)


def test_of_two_tasks_of_one_priority_the_older_goes_first() -> None:
    assert sort_key(3, 1000) < sort_key(3, 1001)


@given(priority=st.integers(1, 9), enqueued=MS)
def test_a_low_task_overtakes_what_is_urgent_and_arrives_later_than_its_handicap(
    priority: int, enqueued: int
) -> None:
    handicap = priority * AGING_MS_PER_PRIORITY
    assert sort_key(priority, enqueued) < sort_key(0, enqueued + handicap + 1)
    assert sort_key(priority, enqueued) > sort_key(0, enqueued + handicap - 1)


@given(a=st.tuples(PRIORITY, MS), b=st.tuples(PRIORITY, MS), now=MS, aging=st.integers(1, 10**9))
def test_the_static_key_orders_as_aged_priorities_do_at_any_moment(
    a: tuple[int, int], b: tuple[int, int], now: int, aging: int
) -> None:
    policy = TriagePolicy(aging_ms_per_priority=aging)

    def aged_times_aging(task: tuple[int, int]) -> int:  # exact: no division
        return task[0] * aging - (now - task[1])

    assert (policy.sort_key(*a) < policy.sort_key(*b)) == (
        aged_times_aging(a) < aged_times_aging(b)
    )


@given(priority=PRIORITY, enqueued=MS)
def test_the_key_fits_a_64_bit_column(priority: int, enqueued: int) -> None:
    assert 0 <= sort_key(priority, enqueued) < 2**63


@pytest.mark.parametrize("priority", [-1, 10])
def test_a_priority_out_of_range_is_refused(priority: int) -> None:
    with pytest.raises(ValueError, match="0 to 9"):
        sort_key(priority, 0)


def test_a_weight_that_turns_the_order_round_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TriagePolicy(aging_ms_per_priority=0)


def test_every_reason_for_waiting_is_told() -> None:
    facts = TaskFacts(
        hold=True,
        not_before_ms=1_500,
        waits_for=(("T-1", "failed"), ("T-2", None), ("T-3", "in_review")),
    )
    assert why_waiting(facts, 1_000) == [
        "held: a person set hold",
        "waits for T-1, which failed",
        "waits for T-2, which is not in the queue",
        "waits for T-3, which is in review",
        "not before 1970-01-01T00:00:02Z",
    ]
    assert why_waiting(TaskFacts(waits_for=(("T-1", "cancelled"),)), 0) == [
        "waits for T-1, which was cancelled"
    ]


def test_a_task_that_is_not_pending_says_where_it_is() -> None:
    assert why_waiting(TaskFacts(state="awaiting_approval", hold=True), 0) == [
        "is awaiting approval"
    ]


@given(
    facts=st.builds(
        TaskFacts,
        state=st.sampled_from(sorted(STATES)),
        hold=st.booleans(),
        not_before_ms=st.integers(0, 20),
        waits_for=st.lists(st.tuples(st.just("T"), st.sampled_from(["failed", None])), max_size=2),
    ),
    now=st.integers(0, 20),
)
def test_a_task_is_eligible_exactly_when_it_has_no_reason_to_wait(
    facts: TaskFacts, now: int
) -> None:
    assert is_eligible(facts, now) == (why_waiting(facts, now) == [])


def test_the_moment_told_is_never_too_early() -> None:
    assert utc(1_000) == "1970-01-01T00:00:01Z"
    assert utc(1_001) == "1970-01-01T00:00:02Z"


def test_the_states_are_the_kernels() -> None:
    assert {state.value for state in State} == STATES
    assert {state.value for state in KERNEL_IN_FLIGHT} == IN_FLIGHT
    leads = {
        event: {s.value for s, moves in TRANSITIONS.items() if event in moves} for event in Event
    }
    assert leads[Event.CANCEL] == CANCELLABLE
    assert leads[Event.REVIVE] | leads[Event.UNBLOCK] | leads[Event.APPROVE] == REVIVABLE
