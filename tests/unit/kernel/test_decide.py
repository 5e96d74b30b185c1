from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kernel.decide import (
    _BLOCKED_IS_ENOUGH,
    NO_REWORK_RULES,
    NextStep,
    after_interruption,
    after_review,
    count_failure,
)
from orchestrator.kernel.journey import Journey, Limits, backoff_ms
from orchestrator.kernel.life import TRANSITIONS, Event, State
from orchestrator.protocol.verdict import Colour, Finding, Severity, Verdict
from orchestrator.qa.rules import RULES

LIMITS = Limits()
START = Journey(dispatches=1)


def verdict(
    colour: Colour,
    *rules: str,
    reason: str = "CHECK_FAILED",
    signature: str = "s1",
    says: str = "PASS",
) -> Verdict:
    findings = [
        Finding(rule=rule, where="-", what="-", mend="-", severity=Severity.REFUSAL)
        for rule in rules
    ]
    return Verdict.model_validate(
        {
            "colour": colour,
            "reason_code": reason,
            "findings": findings,
            "signature": signature,
            "worker_result": says,
        }
    )


def refused(*rules: str, **more: str) -> Verdict:
    return verdict(Colour.REFUSED, *(rules or ("check.failed",)), **more)


def review(
    given_verdict: Verdict, journey: Journey = START, limits: Limits = LIMITS, **more: object
) -> NextStep:
    options = {"can_resume": True, **more}
    return after_review(given_verdict, journey, limits, **options)  # type: ignore[arg-type]


def test_accepted_is_accepted_and_charges_nothing() -> None:
    step = review(verdict(Colour.ACCEPTED))
    assert (step.event, step.journey, step.roll_back) == (Event.ACCEPT, START, False)


def test_unknown_is_quarantined_and_never_charged() -> None:
    step = review(verdict(Colour.UNKNOWN, reason="CHECK_DID_NOT_RUN"))
    assert step.event is Event.QUARANTINE
    assert step.roll_back
    assert step.journey == replace(START, unknowns=1)


def test_a_refusal_with_a_round_left_is_reworked_in_the_same_tree() -> None:
    step = review(refused())
    assert (step.event, step.roll_back, step.delay_ms) == (Event.ORDER_REWORK, False, 0)
    assert step.journey.rework_rounds == 1
    assert step.journey.attempts == 0


def test_without_a_session_to_resume_there_is_no_rework_but_a_new_attempt() -> None:
    step = review(refused(), can_resume=False)
    assert (step.event, step.roll_back) == (Event.REQUEUE, True)
    assert step.delay_ms == LIMITS.backoff_base_ms
    assert step.journey.attempts == 1


def test_the_last_attempt_fails_with_the_reason_of_its_verdict() -> None:
    step = review(refused(reason="SCOPE_VIOLATION"), replace(START, attempts=1, rework_rounds=1))
    assert (step.event, step.reason, step.roll_back) == (Event.FAIL, "SCOPE_VIOLATION", True)


def test_identical_failures_stop_rework_and_another_failure_does_not() -> None:
    limits = Limits(max_rework_rounds=10, max_identical_failures=2)
    first = review(refused(signature="a"), START, limits)
    assert first.event is Event.ORDER_REWORK
    again = review(refused(signature="a"), first.journey, limits)
    assert again.event is Event.REQUEUE
    other = review(refused(signature="b"), first.journey, limits)
    assert other.event is Event.ORDER_REWORK
    assert other.journey.identical_failures == 1


def test_failures_without_a_signature_are_never_called_identical() -> None:
    journey = count_failure("", count_failure("", START))
    assert journey.identical_failures == 1


def test_only_a_reason_that_the_pack_names_is_retried() -> None:
    named = {"can_resume": False, "retry_on": ("WORKER_TIMEOUT",)}
    assert review(refused(reason="WORKER_TIMEOUT"), **named).event is Event.REQUEUE
    other = review(refused(reason="SCOPE_VIOLATION"), **named)
    assert (other.event, other.reason) == (Event.FAIL, "SCOPE_VIOLATION")


def test_the_dispatches_of_a_whole_life_are_bounded() -> None:
    used_up = Journey(dispatches=LIMITS.max_dispatches)
    step = review(refused(), used_up)
    assert (step.event, step.reason) == (Event.FAIL, "DISPATCHES_EXHAUSTED")


@pytest.mark.parametrize("rule", sorted(NO_REWORK_RULES))
def test_a_breach_gets_no_further_round_in_the_same_session(rule: str) -> None:
    assert review(refused("check.failed", rule)).event is Event.REQUEUE


def test_a_worker_that_says_fail_itself_gets_its_round() -> None:
    assert review(refused("worker.says_fail", says="FAIL")).event is Event.ORDER_REWORK


def test_a_blocked_worker_is_answered_by_a_person() -> None:
    blocked = refused("worker.says_blocked", "check.failed", says="BLOCKED")
    step = review(blocked)
    assert (step.event, step.reason, step.roll_back) == (Event.ASK, "WORKER_BLOCKED", True)
    assert step.journey.attempts == 0


@pytest.mark.parametrize("rule", ["scope.forbidden", "work.control_files", "protected.tests"])
def test_saying_blocked_does_not_excuse_a_breach(rule: str) -> None:
    blocked = refused("worker.says_blocked", rule, says="BLOCKED")
    assert review(blocked, can_resume=False).event is Event.REQUEUE


def test_the_rules_that_decide_are_rules_of_the_reviewer() -> None:
    assert set(RULES) >= NO_REWORK_RULES
    for prefix in _BLOCKED_IS_ENOUGH:
        assert any(rule.startswith(prefix) for rule in RULES), prefix


def test_an_interruption_is_not_charged_as_an_attempt() -> None:
    step = after_interruption(replace(START, rework_rounds=1), LIMITS)
    assert step.event is Event.INTERRUPT
    assert step.journey == replace(START, interruptions=1)


def test_too_many_interruptions_are_put_before_a_person() -> None:
    step = after_interruption(Journey(interruptions=LIMITS.max_interruptions), LIMITS)
    assert (step.event, step.reason) == (Event.QUARANTINE, "INTERRUPTED_TOO_OFTEN")


limits_of = st.builds(
    Limits,
    max_attempts=st.integers(1, 5),
    max_rework_rounds=st.integers(0, 4),
    max_identical_failures=st.integers(1, 4),
    max_interruptions=st.integers(0, 4),
    max_dispatches=st.integers(1, 12),
)
happenings = st.one_of(
    st.just("died"),
    st.tuples(
        st.sampled_from(["check.failed", "worker.timeout", "worker.says_fail"]),
        st.sampled_from(["", "a", "b"]),
        st.booleans(),
    ),
)


@given(limits_of, st.data())
def test_every_journey_ends_within_its_bounds(limits: Limits, data: st.DataObject) -> None:
    state, journey, dispatches = State.PREPARED, Journey(), 0
    bound = min(limits.max_dispatches, limits.max_attempts * (1 + limits.max_rework_rounds))
    bound += limits.max_interruptions + limits.max_interruptions * limits.max_rework_rounds + 1
    while state in {State.PREPARED, State.REWORK}:
        dispatches += 1
        assert dispatches <= bound
        journey = replace(journey, dispatches=journey.dispatches + 1)
        happening = data.draw(happenings)
        if happening == "died":
            step = after_interruption(journey, limits)
        else:
            rule, signature, can_resume = happening
            step = review(
                refused(rule, signature=signature), journey, limits, can_resume=can_resume
            )
        state, journey = TRANSITIONS[State.IN_REVIEW][step.event], step.journey
        assert journey.attempts <= limits.max_attempts
        assert journey.rework_rounds <= limits.max_rework_rounds
        assert journey.interruptions <= limits.max_interruptions + 1
        if state is State.PENDING:
            state = State.PREPARED  # claimed again
    assert state in {State.FAILED, State.QUARANTINED}


@given(limits_of, st.integers(0, 5), st.sampled_from(["unknown", "died"]))
def test_what_is_not_the_agents_fault_never_changes_what_it_is_charged(
    limits: Limits, attempts: int, what: str
) -> None:
    journey = Journey(attempts=attempts, dispatches=3, identical_failures=1, last_signature="s")
    if what == "died":
        after = after_interruption(journey, limits).journey
    else:
        after = review(verdict(Colour.UNKNOWN), journey, limits).journey
    assert after.attempts == attempts
    # After a dead controller the work starts afresh: the same first failure is no stagnation.
    kept = (0, "") if what == "died" else (1, "s")
    assert (after.identical_failures, after.last_signature) == kept


@given(st.integers(0, 10_000), st.integers(0, 100_000), st.integers(0, 1_000_000))
def test_backoff_never_falls_and_never_passes_its_cap(attempts: int, base: int, cap: int) -> None:
    limits = Limits(backoff_base_ms=base, backoff_max_ms=cap)
    waits = [backoff_ms(attempts, limits), backoff_ms(attempts + 1, limits)]
    assert waits == sorted(waits)
    assert 0 <= waits[0] <= waits[1] <= cap


def test_backoff_doubles_from_its_base() -> None:
    assert [backoff_ms(n, LIMITS) for n in (0, 1, 2, 3, 8, 9)] == [
        0, 5_000, 10_000, 20_000, 600_000, 600_000,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"max_identical_failures": 0},
        {"max_dispatches": 0},
        {"max_rework_rounds": -1},
        {"max_interruptions": -1},
        {"backoff_base_ms": -1},
        {"backoff_max_ms": -1},
    ],
)
def test_limits_that_never_start_or_never_stop_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)
