from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestrator.triage.policy import STATES, sort_key
from orchestrator.triage.queue import QueueEntry, TriageQueue

NAMES = [f"T-{n}" for n in range(8)]
ENTRY = st.builds(
    QueueEntry,
    task_key=st.sampled_from(NAMES),
    seq=st.just(0),
    priority=st.integers(0, 9),
    enqueued_ms=st.integers(0, 10**9),
    depends_on=st.lists(st.sampled_from(NAMES), max_size=3).map(tuple),
    state=st.sampled_from(["pending"] * 6 + sorted(STATES)),
    hold=st.sampled_from([False, False, False, True]),
    not_before_ms=st.sampled_from([0, 0, 0, 5, 10]),
)


def entries(drawn: list[QueueEntry]) -> list[QueueEntry]:
    unique = {entry.task_key: entry for entry in drawn}
    return [
        QueueEntry(**{**{f: getattr(e, f) for f in e.__slots__}, "seq": n})
        for n, e in enumerate(unique.values())
    ]


def expected(tasks: list[QueueEntry], now_ms: int) -> list[str]:
    """The rule, written down a second time and as plainly as possible."""
    done = {task.task_key for task in tasks if task.state == "completed"}
    eligible = [
        task
        for task in tasks
        if task.state == "pending"
        and not task.hold
        and task.not_before_ms <= now_ms
        and set(task.depends_on) <= done
    ]
    eligible.sort(key=lambda task: (sort_key(task.priority, task.enqueued_ms), task.seq))
    return [task.task_key for task in eligible]


def drained(queue: TriageQueue, now_ms: int) -> list[str]:
    keys = []
    while (entry := queue.pick(now_ms)) is not None:
        keys.append(entry.task_key)
    return keys


@settings(max_examples=200)
@given(drawn=st.lists(ENTRY, max_size=8), now_ms=st.integers(0, 12))
def test_the_order_is_that_of_the_sorted_eligible_tasks(
    drawn: list[QueueEntry], now_ms: int
) -> None:
    tasks = entries(drawn)
    queue = TriageQueue(tasks)
    assert [entry.task_key for entry in queue.order(now_ms)] == expected(tasks, now_ms)
    assert drained(queue, now_ms) == expected(tasks, now_ms)


def test_picking_claims_and_a_claimed_task_is_not_picked_again() -> None:
    queue = TriageQueue([QueueEntry("T-1", 0)])
    assert queue.pick(0) is not None
    assert queue.entry("T-1").state == "claimed"
    assert queue.pick(0) is None
    queue.set_state("T-1", "pending")
    assert queue.pick(0) is not None


def test_a_parked_task_comes_back_in_its_old_place() -> None:
    queue = TriageQueue([QueueEntry("T-1", 0), QueueEntry("T-2", 1), QueueEntry("T-3", 2)])
    queue.set_state("T-1", "pending", not_before_ms=50)
    assert queue.next_wake_ms() == 50
    assert queue.why_waiting("T-1", 49) == ["not before 1970-01-01T00:00:01Z"]
    assert drained(queue, 49) == ["T-2", "T-3"]
    assert drained(queue, 50) == ["T-1"]
    assert queue.next_wake_ms() is None


def test_a_clock_that_goes_back_loses_no_task() -> None:
    queue = TriageQueue([QueueEntry("T-1", 0, not_before_ms=50)])
    assert queue.peek(60) is not None
    assert queue.peek(40) is None
    assert queue.next_wake_ms() == 50
    assert queue.pick(50) is not None


def test_completing_releases_dependents_and_failing_does_not() -> None:
    tasks = [
        QueueEntry("T-1", 0),
        QueueEntry("T-2", 1),
        QueueEntry("T-3", 2, depends_on=("T-1", "T-2", "T-1")),
    ]
    queue = TriageQueue(tasks)
    assert drained(queue, 0) == ["T-1", "T-2"]
    queue.set_state("T-1", "completed")
    queue.set_state("T-2", "failed")
    assert queue.pick(0) is None
    assert queue.why_waiting("T-3", 0) == ["waits for T-2, which failed"]
    queue.set_state("T-2", "pending")
    assert drained(queue, 0) == ["T-2"]
    queue.set_state("T-2", "completed")
    assert drained(queue, 0) == ["T-3"]


def test_a_dependency_that_comes_later_or_goes_away_is_waited_for() -> None:
    queue = TriageQueue([QueueEntry("T-1", 0, depends_on=("T-9",))])
    assert queue.why_waiting("T-1", 0) == ["waits for T-9, which is not in the queue"]
    queue.add(QueueEntry("T-9", 1, state="completed"))
    assert queue.peek(0) is not None
    queue.remove("T-9")
    assert queue.peek(0) is None
    assert "T-9" not in queue
    assert len(queue) == 1


def test_hold_and_priority_take_effect_at_once() -> None:
    queue = TriageQueue([QueueEntry("T-1", 0), QueueEntry("T-2", 1)])
    queue.set_hold("T-1", hold=True)
    assert [entry.task_key for entry in queue.order(0)] == ["T-2"]
    queue.set_hold("T-1", hold=False)
    queue.set_priority("T-2", 0)
    assert drained(queue, 0) == ["T-2", "T-1"]


def test_a_key_given_twice_or_a_priority_out_of_range_is_refused() -> None:
    queue = TriageQueue([QueueEntry("T-1", 0)])
    with pytest.raises(ValueError, match="has T-1 already"):
        queue.add(QueueEntry("T-1", 1))
    with pytest.raises(ValueError, match="0 to 9"):
        queue.add(QueueEntry("T-2", 1, priority=10))
    with pytest.raises(ValueError, match="0 to 9"):
        queue.set_priority("T-1", 10)
    assert len(queue) == 1


def test_moving_a_task_for_ever_keeps_the_heaps_small() -> None:
    queue = TriageQueue([QueueEntry("T-1", 0), QueueEntry("T-2", 1)])
    for moment in range(1, 5_000):
        queue.park("T-1", moment)
        queue.set_hold("T-2", hold=bool(moment % 2))
    assert len(queue._ready) + len(queue._parked) < 200


@pytest.mark.slow
def test_a_queue_of_100000_tasks_is_drained_in_order() -> None:
    tasks = [
        QueueEntry(f"T-{n}", n, n % 10, (n * 7919) % 10**9, (f"T-{n - 1}",) if n % 3 else ())
        for n in range(100_000)
    ]
    queue = TriageQueue(tasks)
    picked = 0
    while (entry := queue.pick(0)) is not None:
        queue.set_state(entry.task_key, "completed")
        picked += 1
    assert picked == 100_000


class QueueAgainstTheRule(RuleBasedStateMachine):
    """Any series of moves: the queue answers as the plain rule does."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = TriageQueue()
        self.now = 0
        self.seq = 0

    @rule(entry=ENTRY)
    def add(self, entry: QueueEntry) -> None:
        if entry.task_key not in self.queue:
            fields = {name: getattr(entry, name) for name in entry.__slots__}
            self.queue.add(QueueEntry(**{**fields, "seq": self.seq}))
            self.seq += 1

    @precondition(lambda self: len(self.queue))
    @rule(data=st.data(), state=st.sampled_from(sorted(STATES)), until=st.integers(0, 20))
    def move(self, data: st.DataObject, state: str, until: int) -> None:
        key = data.draw(st.sampled_from([entry.task_key for entry in self.queue]))
        self.queue.set_state(key, state, not_before_ms=until)

    @precondition(lambda self: len(self.queue))
    @rule(data=st.data(), what=st.sampled_from(["hold", "unhold", "park", "remove", "priority"]))
    def touch(self, data: st.DataObject, what: str) -> None:
        key = data.draw(st.sampled_from([entry.task_key for entry in self.queue]))
        match what:
            case "hold" | "unhold":
                self.queue.set_hold(key, hold=what == "hold")
            case "park":
                self.queue.park(key, self.now + 3)
            case "priority":
                self.queue.set_priority(key, data.draw(st.integers(0, 9)))
            case _:
                self.queue.remove(key)

    @rule(by=st.integers(-3, 6))
    def time_passes(self, by: int) -> None:
        self.now = max(0, self.now + by)

    @rule()
    def pick(self) -> None:
        want = expected(list(self.queue), self.now)
        entry = self.queue.pick(self.now)
        assert (entry.task_key if entry else None) == (want[0] if want else None)

    @invariant()
    def answers_as_the_rule(self) -> None:
        want = expected(list(self.queue), self.now)
        entry = self.queue.peek(self.now)
        assert (entry.task_key if entry else None) == (want[0] if want else None)
        for task in self.queue:
            waits = self.queue.why_waiting(task.task_key, self.now) != []
            assert waits == (task.task_key not in want)


QueueAgainstTheRule.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestQueueAgainstTheRule = pytest.mark.slow(QueueAgainstTheRule.TestCase)
