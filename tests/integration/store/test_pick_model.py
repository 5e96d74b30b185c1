"""The store against the queue in memory: the same order, the same waiting, whatever happens."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from orchestrator.kernel.life import TRANSITIONS, Event, State
from orchestrator.kernel.records import Moment, Move
from orchestrator.protocol.task import Task
from orchestrator.store.edits import apply_edits
from orchestrator.triage.edits import Change, Edits, FieldChange
from orchestrator.triage.policy import AGING_MS_PER_PRIORITY
from orchestrator.triage.queue import QueueEntry, TriageQueue
from tests.integration.store.shop import assert_counters_agree, moment, open_store

STEP_MS = AGING_MS_PER_PRIORITY // 3  # so that age and priority compete


class StoreAgainstQueue(RuleBasedStateMachine):
    """Rules are what people, controllers and time do; both sides must pick the same."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.store = open_store(Path(folder))
        self.store.database.run("PRAGMA synchronous=OFF")  # the order is what is tested
        self.stack.callback(self.store.close)
        self.queue = TriageQueue()
        self.ms = 0
        self.count = 0

    def teardown(self) -> None:
        self.stack.close()

    @property
    def now(self) -> Moment:
        return moment(self.ms)

    def edit(self, edits: Edits) -> None:
        apply_edits(self.store, edits, self.now, run_id=None, note={})

    @initialize(target=keys, count=st.integers(1, 3))
    def begin(self, count: int) -> object:
        return multiple(*(self._add(2, (), hold=False) for _ in range(count)))

    @rule(
        target=keys,
        priority=st.integers(0, 9),
        hold=st.booleans(),
        needs=st.lists(keys, max_size=2),
    )
    def add(self, priority: int, hold: bool, needs: list[str]) -> str:
        there = tuple(key for key in needs if key in self.queue)
        return self._add(priority, there, hold=hold and priority > 6)

    def _add(self, priority: int, needs: tuple[str, ...], *, hold: bool) -> str:
        self.count += 1
        key = f"T-{self.count}"
        edits = Edits()
        edits.added = [Task(task_key=key, priority=priority, depends_on=needs, hold=hold)]
        self.edit(edits)
        self.queue.add(
            QueueEntry(
                key,
                self.count,
                priority=priority,
                enqueued_ms=self.now.ms,
                depends_on=needs,
                hold=hold,
            )
        )
        return key

    @rule(steps=st.integers(0, 7))
    def wait(self, steps: int) -> None:
        self.ms += steps * STEP_MS + 1

    @rule(
        steps=st.sampled_from([0, 0, 1, 3]),
        end=st.sampled_from(
            [Event.ACCEPT, Event.ACCEPT, Event.REQUEUE, Event.FAIL, Event.INTERRUPT, Event.BLOCK]
        ),
    )
    def work(self, steps: int, end: Event) -> None:
        """Pick, and let the attempt end in some way."""
        task = self.store.claim_next(run_id="r", moment=self.now, lease_until_ms=self.now.ms + 1)
        picked = self.queue.pick(self.now.ms)
        assert (task.key if task else None) == (picked.task_key if picked else None)
        if task is None:
            return
        state = State.CLAIMED
        for event in (Event.PREPARE, Event.DISPATCH, Event.RECEIVE):
            if end not in TRANSITIONS[state]:
                move = Move(task.key, event, self.now, "r", task.lease_token)
                state = self.store.move(move).state
        until = self.now.ms + steps * STEP_MS if end is Event.REQUEUE and steps else None
        moved = self.store.move(
            Move(task.key, end, self.now, "r", task.lease_token, not_before_ms=until)
        )
        self.queue.set_state(task.key, moved.state, not_before_ms=until or 0)

    @rule(key=keys, hold=st.booleans())
    def hold(self, key: str, hold: bool) -> None:
        if key in self.queue:
            self._change(key, "hold", hold)
            self.queue.set_hold(key, hold=hold)

    @rule(key=keys, priority=st.integers(0, 9))
    def reorder(self, key: str, priority: int) -> None:
        if key in self.queue:
            self._change(key, "priority", priority)
            self.queue.set_priority(key, priority)

    def _change(self, key: str, name: str, value: object) -> None:
        spec = self.store.task(key).spec
        edits = Edits()
        change = FieldChange(name, None, None)
        edits.changed = [Change(spec.model_copy(update={name: value}), (change,))]
        self.edit(edits)

    @rule(key=keys)
    def revive(self, key: str) -> None:
        if key in self.queue and self.queue.entry(key).state in {State.FAILED, State.BLOCKED}:
            edits = Edits()
            edits.requeued = [key]
            self.edit(edits)
            self.queue.set_state(key, State.PENDING)

    @rule(key=consumes(keys))
    def remove(self, key: str) -> None:
        """Only what nobody depends on: the rest is refused before it gets here."""
        if key not in self.queue:
            return
        needed = {name for entry in self.queue for name in entry.depends_on}
        if (
            key in needed
            or self.store.task(key).attempt_id
            or self.queue.entry(key).state != "pending"
        ):
            return
        edits = Edits()
        edits.removed = [key]
        self.edit(edits)
        self.queue.remove(key)

    @precondition(lambda self: self.count)
    @invariant()
    def both_would_pick_the_same(self) -> None:
        looked, expected = self.store.peek(self.now), self.queue.peek(self.now.ms)
        assert (looked.key if looked else None) == (expected.task_key if expected else None)
        if looked is None:
            assert self.store.next_wake_ms() == self.queue.next_wake_ms()

    @invariant()
    def states_and_counters_agree(self) -> None:
        assert_counters_agree(self.store)
        for entry in self.queue:
            assert self.store.task(entry.task_key).state == entry.state

    @invariant()
    def nothing_waits_for_what_is_completed(self) -> None:
        for entry in self.queue:
            needs = dict.fromkeys(entry.depends_on)
            unmet = sum(self.queue.entry(name).state != State.COMPLETED for name in needs)
            assert self.store.task(entry.task_key).unmet == unmet


StoreAgainstQueue.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None
)
TestStoreAgainstQueue = pytest.mark.slow(StoreAgainstQueue.TestCase)
