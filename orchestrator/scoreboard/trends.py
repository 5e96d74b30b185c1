"""Snapshots of the counters over time, thinned so that `trends.json` never grows without bound.

The rule: snapshots are numbered 0, 1, 2, ...; with `newest` as the last number,

- the last `KEEP_FULL` are all kept;
- of the older ones, those whose number is a multiple of `stride(newest)` are kept: the smallest
  power of two that leaves at most `KEEP_OLDER` of them. The first snapshot is always kept.

What a larger stride keeps, every smaller one has kept before. So the list depends on `newest`
alone, not on how it came about, and holds at most `KEEP_FULL + KEEP_OLDER` snapshots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.scoreboard.counters import Counters

KEEP_FULL: Final = 500
KEEP_OLDER: Final = 500


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counters at a moment. `number` counts snapshots from 0; `at` is UTC, ISO 8601."""

    number: int
    at: str
    counters: Counters

    def as_dict(self) -> dict[str, object]:
        """Return the snapshot for JSON."""
        counters = self.counters.as_dict()
        return {"number": self.number, "at": self.at, "cycle": self.counters.cycles, **counters}


def stride(newest: int) -> int:
    """Return how far apart the older snapshots are when `newest` is the last number."""
    older = max(0, newest + 1 - KEEP_FULL)  # they are numbered 0 .. older - 1
    step = 1
    while -(-older // step) > KEEP_OLDER:
        step *= 2
    return step


def is_kept(number: int, newest: int) -> bool:
    """Say whether snapshot `number` is kept when `newest` is the last one."""
    return number > newest - KEEP_FULL or number % stride(newest) == 0


def append(snapshots: Sequence[Snapshot], snapshot: Snapshot) -> tuple[Snapshot, ...]:
    """Return the snapshots with one more at the end, thinned by the rule.

    Raises:
        ValueError: the number does not follow the last one.
    """
    expected = snapshots[-1].number + 1 if snapshots else 0
    if snapshot.number != expected:
        msg = f"expected snapshot {expected}, got {snapshot.number}"
        raise ValueError(msg)
    newest, step = snapshot.number, stride(snapshot.number)
    horizon = newest - KEEP_FULL
    kept = [old for old in snapshots if old.number > horizon or old.number % step == 0]
    return (*kept, snapshot)
