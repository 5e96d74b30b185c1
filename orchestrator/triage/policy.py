"""The order of the queue, and the reasons why a task waits.

**Order.** The smallest `(sort_key, seq)` is picked first, where

    sort_key = enqueued_ms + priority * AGING_MS_PER_PRIORITY

and `seq` is the task's place in order of arrival. The key never changes while a task waits, so an
index answers "which is next" in O(log n), and no clock is read.

**Why a static key ages.** Let a task lose one step of priority number for each A milliseconds
that it waits; at moment t its aged priority is

    aged(t) = priority - (t - enqueued) / A = (enqueued + priority * A - t) / A = (sort_key - t) / A

At any one moment t is the same for all tasks and A is positive, so comparing `aged(t)` is
comparing `sort_key`; and since t cancels out, the answer is the same at every moment. Hence
ageing costs nothing, and no task starves: one of priority p goes before every task of priority 0
that arrives more than p * A later.

**Eligible** is a task that is pending, not held by a person, with every dependency completed, and
whose `not_before` has passed. The backoff that sets `not_before` is the kernel's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

AGING_MS_PER_PRIORITY: Final = 6 * 3600 * 1000
"""Six hours of waiting are worth one step of priority."""

HIGHEST_PRIORITY: Final = 0
LOWEST_PRIORITY: Final = 9

# The states of a task (the kernel's table), by what they mean for the queue.
PENDING: Final = "pending"
COMPLETED: Final = "completed"
IN_FLIGHT: Final = frozenset({"claimed", "prepared", "dispatched", "in_review", "rework"})
CANCELLABLE: Final = frozenset({"pending", "awaiting_approval", "quarantined", "failed", "blocked"})
REVIVABLE: Final = frozenset({"awaiting_approval", "quarantined", "failed", "blocked", "cancelled"})
STATES: Final = IN_FLIGHT | CANCELLABLE | REVIVABLE | {COMPLETED}


@dataclass(frozen=True, slots=True)
class TriagePolicy:
    """The weights of the order.

    aging_ms_per_priority: milliseconds of waiting that are worth one step of priority. A large
    value orders by priority first; a small one by age first. At least 1.
    """

    aging_ms_per_priority: int = AGING_MS_PER_PRIORITY

    def __post_init__(self) -> None:
        """Refuse a weight that would turn the order round."""
        if self.aging_ms_per_priority < 1:
            msg = f"aging_ms_per_priority must be at least 1, got {self.aging_ms_per_priority}"
            raise ValueError(msg)

    def sort_key(self, priority: int, enqueued_ms: int) -> int:
        """Return the place of a task in the order; the smallest is picked first.

        Raises:
            ValueError: `priority` is outside 0..9.
        """
        if not HIGHEST_PRIORITY <= priority <= LOWEST_PRIORITY:
            msg = f"priority must be 0 to 9, got {priority}"
            raise ValueError(msg)
        return enqueued_ms + priority * self.aging_ms_per_priority


DEFAULT_POLICY: Final = TriagePolicy()


def sort_key(priority: int, enqueued_ms: int) -> int:
    """Return the place of a task under the default policy; the smallest is picked first."""
    return DEFAULT_POLICY.sort_key(priority, enqueued_ms)


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What decides whether a task can be picked.

    waits_for: (key, state) of each dependency that is not completed; the state is None when the
    queue has no such task. May be cut short: one entry is enough to wait.
    """

    state: str = PENDING
    hold: bool = False
    not_before_ms: int = 0
    waits_for: Sequence[tuple[str, str | None]] = ()


def is_eligible(facts: TaskFacts, now_ms: int) -> bool:
    """Say whether the task can be picked at `now_ms`."""
    return (
        facts.state == PENDING
        and not facts.hold
        and not facts.waits_for
        and facts.not_before_ms <= now_ms
    )


def why_waiting(facts: TaskFacts, now_ms: int) -> list[str]:
    """Return every reason why the task cannot be picked at `now_ms`; empty when it can."""
    if facts.state != PENDING:
        return [f"is {spoken(facts.state)}"]
    reasons = ["held: a person set hold"] if facts.hold else []
    reasons += [waits_for(key, state) for key, state in facts.waits_for]
    if facts.not_before_ms > now_ms:
        reasons.append(f"not before {utc(facts.not_before_ms)}")
    return reasons


def waits_for(key: str, state: str | None) -> str:
    """Say in words that a task waits for `key`, which is in `state` (None: not in the queue)."""
    if state is None:
        return f"waits for {key}, which is not in the queue"
    if state == "failed":
        return f"waits for {key}, which failed"
    if state == "cancelled":
        return f"waits for {key}, which was cancelled"
    return f"waits for {key}, which is {spoken(state)}"


def spoken(state: str) -> str:
    """Return a state as a person says it: `in_review` is `in review`."""
    return state.replace("_", " ")


def utc(ms: int) -> str:
    """Return milliseconds since 1970 as `2026-11-20T10:00:00Z`, rounded up to the second."""
    return datetime.fromtimestamp(-(-ms // 1000), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
