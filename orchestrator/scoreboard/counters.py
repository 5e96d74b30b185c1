"""Counters: tasks by state, attempts by outcome. An update is a delta; nothing is ever recounted.

The cost of an update does not grow with the length of the queue: the store keeps the counters in
the transaction that moves the task.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

STATES: Final = (
    "pending",
    "claimed",
    "prepared",
    "dispatched",
    "in_review",
    "rework",
    "awaiting_approval",
    "quarantined",
    "completed",
    "failed",
    "blocked",
    "cancelled",
)
OUTCOMES: Final = (
    "accepted",  # attempts whose work landed
    "reworked",  # rounds that were sent back with a ReworkPack
    "refused",  # attempts that ended refused
    "unknown",  # attempts that nobody could judge
    "rolled_back",  # trees put back to their checkpoint
    "interrupted",  # attempts that the controller's death or a person ended
)

_ZERO_STATES: Final[Mapping[str, int]] = MappingProxyType(dict.fromkeys(STATES, 0))
_ZERO_OUTCOMES: Final[Mapping[str, int]] = MappingProxyType(dict.fromkeys(OUTCOMES, 0))


@dataclass(frozen=True, slots=True)
class Counters:
    """tasks: state -> count; outcomes: outcome -> count since the project began; cycles run."""

    tasks: Mapping[str, int] = field(default_factory=lambda: _ZERO_STATES)
    outcomes: Mapping[str, int] = field(default_factory=lambda: _ZERO_OUTCOMES)
    cycles: int = 0

    @property
    def total(self) -> int:
        """How many tasks there are."""
        return sum(self.tasks.values())

    def as_dict(self) -> dict[str, object]:
        """Return the counters for JSON, states and outcomes in their fixed order."""
        return {
            "total": self.total,
            "cycles": self.cycles,
            "tasks": {name: self.tasks.get(name, 0) for name in STATES},
            "outcomes": {name: self.outcomes.get(name, 0) for name in OUTCOMES},
        }


@dataclass(frozen=True, slots=True)
class Delta:
    """What one decision changes.

    moved: (from, to) for each task; None as `from` for a new one, as `to` for a removed one.
    outcomes: how often each happened. cycles: how many cycles ended.
    """

    moved: tuple[tuple[str | None, str | None], ...] = ()
    outcomes: Mapping[str, int] = field(default_factory=dict)
    cycles: int = 0


def apply(counters: Counters, delta: Delta) -> Counters:
    """Return the counters after `delta`.

    Raises:
        ValueError: an unknown state or outcome, or a count that would fall below zero.
    """
    tasks, outcomes = dict(counters.tasks), dict(counters.outcomes)
    for source, target in delta.moved:
        if source is not None:
            _add(tasks, STATES, source, -1)
        if target is not None:
            _add(tasks, STATES, target, 1)
    for name, count in delta.outcomes.items():
        _add(outcomes, OUTCOMES, name, count)
    return Counters(tasks, outcomes, counters.cycles + delta.cycles)


def count_states(states: Iterable[str]) -> Counters:
    """Return the counters of tasks in these states, with no outcome yet."""
    tasks = dict(_ZERO_STATES)
    for state in states:
        _add(tasks, STATES, state, 1)
    return Counters(tasks)


def _add(counts: dict[str, int], known: tuple[str, ...], name: str, change: int) -> None:
    if name not in known:
        msg = f"{name!r} is not counted; known: {', '.join(known)}"
        raise ValueError(msg)
    after = counts.get(name, 0) + change
    if after < 0:
        msg = f"the count of {name} would fall to {after}"
        raise ValueError(msg)
    counts[name] = after
