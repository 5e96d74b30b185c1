"""The queue in memory: the same order and the same waiting as the store, without a store.

The model that tests hold the store against, pick by pick. Picking, parking, moving
and releasing cost O(log n) each (plus one step for each dependent that is told). An entry of a
heap that no longer holds is left in place and skipped when it comes up; when such entries
outnumber the tasks, the heaps are built anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from orchestrator.triage.policy import (
    COMPLETED,
    DEFAULT_POLICY,
    PENDING,
    TaskFacts,
    TriagePolicy,
    is_eligible,
    why_waiting,
)

_SLACK = 64  # dead entries that are borne before the heaps are built anew


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One task as the queue sees it; `seq` is its place in order of arrival, unique."""

    task_key: str
    seq: int
    priority: int = 2
    enqueued_ms: int = 0
    depends_on: tuple[str, ...] = ()
    state: str = PENDING
    hold: bool = False
    not_before_ms: int = 0


class TriageQueue:
    """Tasks in the order of the policy. Not thread-safe."""

    def __init__(
        self, entries: Iterable[QueueEntry] = (), *, policy: TriagePolicy = DEFAULT_POLICY
    ) -> None:
        self._policy = policy
        self._entries: dict[str, QueueEntry] = {}
        self._dependents: dict[str, dict[str, None]] = {}
        self._unmet: dict[str, int] = {}
        # (sort key, seq, task key) and (not_before, seq, task key)
        self._ready: list[tuple[int, int, str]] = []
        self._parked: list[tuple[int, int, str]] = []
        for entry in entries:
            self.add(entry)

    def __len__(self) -> int:
        """Count the tasks, whatever their state."""
        return len(self._entries)

    def __contains__(self, task_key: object) -> bool:
        """Say whether the queue has the task."""
        return task_key in self._entries

    def __iter__(self) -> Iterator[QueueEntry]:
        """Iterate over the tasks in the order in which they were added."""
        return iter(self._entries.values())

    def entry(self, task_key: str) -> QueueEntry:
        """Return the task. Raises KeyError for one that the queue does not have."""
        return self._entries[task_key]

    def add(self, entry: QueueEntry) -> None:
        """Add a task; what it depends on may come later, and holds it until it is completed.

        Raises:
            ValueError: the queue has the key already, or the priority is outside 0..9.
        """
        key = entry.task_key
        if key in self._entries:
            msg = f"the queue has {key} already"
            raise ValueError(msg)
        self._policy.sort_key(entry.priority, entry.enqueued_ms)
        self._entries[key] = entry
        needs = dict.fromkeys(entry.depends_on)
        self._unmet[key] = sum(1 for name in needs if not self._is_completed(name))
        for name in needs:
            self._dependents.setdefault(name, {})[key] = None
        if entry.state == COMPLETED:
            self._tell_dependents(key, -1)
        self._offer(key)

    def remove(self, task_key: str) -> None:
        """Take a task out; whoever depends on it waits for a name that the queue lacks."""
        entry = self._entries.pop(task_key)
        del self._unmet[task_key]
        for name in dict.fromkeys(entry.depends_on):
            self._dependents[name].pop(task_key)
            if not self._dependents[name]:
                del self._dependents[name]
        if entry.state == COMPLETED:
            self._tell_dependents(task_key, +1)
        self._sweep()

    def set_state(self, task_key: str, state: str, *, not_before_ms: int = 0) -> None:
        """Move a task; `completed` releases its dependents, `pending` puts it back in line."""
        before = self._entries[task_key]
        self._entries[task_key] = replace(before, state=state, not_before_ms=not_before_ms)
        if state == COMPLETED and before.state != COMPLETED:
            self._tell_dependents(task_key, -1)
        elif before.state == COMPLETED and state != COMPLETED:
            self._tell_dependents(task_key, +1)
        self._offer(task_key)

    def park(self, task_key: str, until_ms: int) -> None:
        """Keep a task from being picked before `until_ms`."""
        self._entries[task_key] = replace(self._entries[task_key], not_before_ms=until_ms)
        self._offer(task_key)

    def set_hold(self, task_key: str, *, hold: bool) -> None:
        """Hold a task, or let it go."""
        self._entries[task_key] = replace(self._entries[task_key], hold=hold)
        self._offer(task_key)

    def set_priority(self, task_key: str, priority: int) -> None:
        """Give a task another priority; its age stays."""
        entry = self._entries[task_key]
        self._policy.sort_key(priority, entry.enqueued_ms)
        self._entries[task_key] = replace(entry, priority=priority)
        self._offer(task_key)

    def peek(self, now_ms: int) -> QueueEntry | None:
        """Return the task that `pick` would take, or None."""
        self._wake(now_ms)
        while self._ready:
            place, seq, key = self._ready[0]
            entry = self._entries.get(key)
            if entry is not None and (place, seq) == (self._sort_key(entry), entry.seq):
                if self._is_eligible(entry, now_ms):
                    return entry
                if self._is_eligible(entry, entry.not_before_ms):  # the clock went back
                    heapq.heappush(self._parked, (entry.not_before_ms, entry.seq, key))
            heapq.heappop(self._ready)
        return None

    def pick(self, now_ms: int) -> QueueEntry | None:
        """Claim the first eligible task and return it as it was; None when there is none."""
        entry = self.peek(now_ms)
        if entry is not None:
            heapq.heappop(self._ready)
            self._entries[entry.task_key] = replace(entry, state="claimed", not_before_ms=0)
        return entry

    def order(self, now_ms: int) -> list[QueueEntry]:
        """Return every eligible task in the order of picking, O(n log n)."""
        eligible = (entry for entry in self if self._is_eligible(entry, now_ms))
        return sorted(eligible, key=lambda entry: (self._sort_key(entry), entry.seq))

    def next_wake_ms(self) -> int | None:
        """Return the moment at which the first parked task becomes eligible, or None."""
        while self._parked:
            until_ms, _, key = self._parked[0]
            entry = self._entries.get(key)
            if entry and entry.not_before_ms == until_ms and self._is_eligible(entry, until_ms):
                return until_ms
            heapq.heappop(self._parked)
        return None

    def facts(self, task_key: str) -> TaskFacts:
        """Return what decides about a task, with every dependency that is not completed."""
        entry = self._entries[task_key]
        needs = [name for name in dict.fromkeys(entry.depends_on) if not self._is_completed(name)]
        states = tuple((name, self._state_of(name)) for name in needs)
        return TaskFacts(entry.state, entry.hold, entry.not_before_ms, states)

    def why_waiting(self, task_key: str, now_ms: int) -> list[str]:
        """Return every reason why the task cannot be picked now; empty when it can."""
        return why_waiting(self.facts(task_key), now_ms)

    def _sort_key(self, entry: QueueEntry) -> int:
        return self._policy.sort_key(entry.priority, entry.enqueued_ms)

    def _state_of(self, task_key: str) -> str | None:
        entry = self._entries.get(task_key)
        return entry.state if entry is not None else None

    def _is_completed(self, task_key: str) -> bool:
        return self._state_of(task_key) == COMPLETED

    def _is_eligible(self, entry: QueueEntry, now_ms: int) -> bool:
        if self._unmet[entry.task_key]:
            return False
        return is_eligible(TaskFacts(entry.state, entry.hold, entry.not_before_ms), now_ms)

    def _offer(self, task_key: str) -> None:
        """Put a task that only time keeps back where `_wake` or `peek` will find it."""
        entry = self._entries[task_key]
        if not self._is_eligible(entry, entry.not_before_ms):
            return
        if entry.not_before_ms > 0:
            heapq.heappush(self._parked, (entry.not_before_ms, entry.seq, task_key))
        else:
            heapq.heappush(self._ready, (self._sort_key(entry), entry.seq, task_key))
        self._sweep()

    def _tell_dependents(self, task_key: str, change: int) -> None:
        for name in self._dependents.get(task_key, ()):
            self._unmet[name] += change
            if change < 0:
                self._offer(name)

    def _wake(self, now_ms: int) -> None:
        while self._parked and self._parked[0][0] <= now_ms:
            until_ms, seq, key = heapq.heappop(self._parked)
            entry = self._entries.get(key)
            if entry is not None and (entry.not_before_ms, entry.seq) == (until_ms, seq):
                heapq.heappush(self._ready, (self._sort_key(entry), seq, key))

    def _sweep(self) -> None:
        if len(self._ready) + len(self._parked) <= 2 * len(self._entries) + _SLACK:
            return
        self._ready.clear()
        self._parked.clear()
        for key, entry in self._entries.items():
            if self._is_eligible(entry, entry.not_before_ms):
                if entry.not_before_ms > 0:
                    self._parked.append((entry.not_before_ms, entry.seq, key))
                else:
                    self._ready.append((self._sort_key(entry), entry.seq, key))
        heapq.heapify(self._ready)
        heapq.heapify(self._parked)
