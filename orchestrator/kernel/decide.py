"""Verdict and journey in, next event out. Pure; the engine records the answer, then acts.

accepted                            -> accept
unknown                             -> quarantine     (nothing proved, nothing charged)
worker says BLOCKED                 -> ask            (a person answers)
refused, round left, converging     -> order_rework   (same session, same scope)
refused, attempt left, retryable    -> requeue        (roll back, back off, start afresh)
refused otherwise                   -> fail           (roll back)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from orchestrator.kernel.journey import Journey, Limits, backoff_ms
from orchestrator.kernel.life import Event
from orchestrator.protocol.verdict import Colour, Severity, Verdict

# Refusals after which the same session is not trusted with another round: the agent did not end
# by itself, did not speak the protocol, or reached for what is not its own.
NO_REWORK_RULES: Final = frozenset(
    {
        "worker.timeout",
        "worker.silent",
        "worker.memory",
        "worker.flooded",
        "worker.died",
        "worker.exit_code",
        "worker.unparseable",
        "worker.no_answer",
        "work.control_files",
        "protected.controller",
        "scope.git_internals",
    }
)
# What is true of any work that stopped half-way: not held against a worker that says so itself.
_BLOCKED_IS_ENOUGH: Final = ("worker.says_blocked", "work.nothing_changed", "check.", "claims.")


@dataclass(frozen=True, slots=True)
class NextStep:
    """What happens to the task now."""

    event: Event
    reason: str
    journey: Journey
    delay_ms: int = 0
    roll_back: bool = False


def after_review(
    verdict: Verdict,
    journey: Journey,
    limits: Limits,
    *,
    can_resume: bool,
    retry_on: tuple[str, ...] = (),
) -> NextStep:
    """Decide what follows a review.

    Args:
        verdict: of the attempt that just ended.
        journey: before this verdict is counted.
        limits: of the task.
        can_resume: the worker gave a thread id, so that a rework can reach the same session.
        retry_on: reason codes that may be retried; empty means all.
    """
    if verdict.colour is Colour.ACCEPTED:
        return NextStep(Event.ACCEPT, verdict.reason_code, journey)
    if verdict.colour is Colour.UNKNOWN:
        counted = replace(journey, unknowns=journey.unknowns + 1)
        return NextStep(Event.QUARANTINE, verdict.reason_code, counted, roll_back=True)
    journey = count_failure(verdict.signature, journey)
    if verdict.worker_result == "BLOCKED" and _only_claim(verdict):
        return NextStep(Event.ASK, "WORKER_BLOCKED", journey, roll_back=True)
    if _may_rework(verdict, journey, limits, can_resume=can_resume):
        counted = replace(journey, rework_rounds=journey.rework_rounds + 1)
        return NextStep(Event.ORDER_REWORK, verdict.reason_code, counted)
    charged = replace(journey, attempts=journey.attempts + 1, rework_rounds=0)
    reason = _why_no_retry(verdict, charged, limits, retry_on)
    if reason is None:
        wait = backoff_ms(charged.attempts, limits)
        return NextStep(Event.REQUEUE, verdict.reason_code, charged, delay_ms=wait, roll_back=True)
    return NextStep(Event.FAIL, reason, charged, roll_back=True)


def after_interruption(journey: Journey, limits: Limits) -> NextStep:
    """Decide what follows a dead controller or a graceful stop: back to the queue, not charged.

    The work starts afresh from its checkpoint, so a failure that comes again is no stagnation.
    """
    counted = replace(
        journey,
        interruptions=journey.interruptions + 1,
        rework_rounds=0,
        identical_failures=0,
        last_signature="",
    )
    if counted.interruptions > limits.max_interruptions:
        return NextStep(Event.QUARANTINE, "INTERRUPTED_TOO_OFTEN", counted, roll_back=True)
    return NextStep(Event.INTERRUPT, "INTERRUPTED", counted, roll_back=True)


def count_failure(signature: str, journey: Journey) -> Journey:
    """Count equal failures in a row; another signature starts again at one."""
    same = bool(signature) and signature == journey.last_signature
    return replace(
        journey,
        identical_failures=journey.identical_failures + 1 if same else 1,
        last_signature=signature,
    )


def _only_claim(verdict: Verdict) -> bool:
    """Whether nothing is held against the worker but that it could not go on."""
    return all(
        finding.rule.startswith(_BLOCKED_IS_ENOUGH)
        for finding in verdict.findings
        if finding.severity is Severity.REFUSAL
    )


def _may_rework(verdict: Verdict, journey: Journey, limits: Limits, *, can_resume: bool) -> bool:
    return (
        can_resume
        and journey.rework_rounds < limits.max_rework_rounds
        and journey.dispatches < limits.max_dispatches
        and journey.identical_failures < limits.max_identical_failures
        and not any(
            finding.rule in NO_REWORK_RULES
            for finding in verdict.findings
            if finding.severity is Severity.REFUSAL
        )
    )


def _why_no_retry(
    verdict: Verdict, journey: Journey, limits: Limits, retry_on: tuple[str, ...]
) -> str | None:
    if journey.dispatches >= limits.max_dispatches:
        return "DISPATCHES_EXHAUSTED"
    if journey.attempts >= limits.max_attempts:
        return verdict.reason_code
    if retry_on and verdict.reason_code not in retry_on:
        return verdict.reason_code
    return None
