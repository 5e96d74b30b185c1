from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import LeaseHeld, NothingToDo, StoreError, TransitionError
from orchestrator.kernel.journey import Journey
from orchestrator.kernel.life import IN_FLIGHT, TRANSITIONS, Event, State
from orchestrator.kernel.records import Effect, EntryDraft, Move
from orchestrator.protocol.task import Task
from orchestrator.store.store import SqlStore
from tests.integration.store.shop import (
    START_MS,
    add,
    assert_counters_agree,
    claim,
    complete,
    moment,
    step,
    to_review,
)


def everything(store: SqlStore) -> list[object]:
    """Return every row of every table."""
    names = ("task", "ledger", "ledger_head", "task_head", "outbox", "counter", "dependency")
    return [list(store.database.all(f"SELECT * FROM {name} ORDER BY 1, 2")) for name in names]


def entries(store: SqlStore, key: str) -> list[tuple[str, str, str]]:
    bodies = [entry["body"] for entry in store.entries(task_id=key)]
    return [(body["event"], body["from"], body["to"]) for body in bodies if "event" in body]


def test_one_decision_writes_state_entry_counters_and_effects_together(store: SqlStore) -> None:
    add(store, "T-1")
    task = claim(store)
    to_review(store, task)
    moved = step(
        store,
        task,
        Event.REQUEUE,
        3,
        reason="CHECK_FAILED",
        kind="attempt",
        body={"r": 0, "s": 0},
        also=(EntryDraft("note", {"text": "more"}),),
        effects=(Effect("rollback", "rollback:A", {"checkpoint_id": "c-1"}),),
        journey=Journey(attempts=1),
        not_before_ms=START_MS + 500,
    )
    after = store.task("T-1")
    assert (moved.state, after.state, after.reason) == ("pending", "pending", "CHECK_FAILED")
    assert (after.journey, after.not_before_ms) == (Journey(attempts=1), START_MS + 500)
    kinds = [entry["kind"] for entry in store.entries(task_id="T-1")]
    assert kinds == ["decision"] * 4 + ["attempt", "note"]
    (effect,) = store.pending_effects()
    assert (effect.kind, effect.task_key) == ("rollback", "T-1")
    assert effect.payload == {"checkpoint_id": "c-1"}
    assert store.counters()["event.requeue"] == 1
    assert_counters_agree(store)


@pytest.mark.parametrize("table", ["ledger", "task", "counter", "outbox"])
def test_a_decision_that_breaks_off_anywhere_leaves_nothing(store: SqlStore, table: str) -> None:
    add(store, "T-1")
    task = claim(store)
    to_review(store, task)
    before = everything(store)
    store.database.run(
        f"CREATE TEMP TRIGGER broken BEFORE {'UPDATE' if table == 'task' else 'INSERT'} ON {table}"
        " BEGIN SELECT RAISE(ABORT, 'broken off'); END"
    )
    effects = (Effect("keep", "keep:A", {}),)
    with pytest.raises(StoreError, match="broken off"):
        step(store, task, Event.ACCEPT, effects=effects)
    store.database.run("DROP TRIGGER broken")
    assert everything(store) == before
    step(store, task, Event.ACCEPT, effects=effects)
    assert list(store.ledger.lines())[-1].startswith(b'{"at":')
    assert_counters_agree(store)


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.sampled_from(sorted(set(Event) - {Event.CLAIM})), max_size=12))
def test_whatever_is_asked_state_entries_and_counters_agree(
    store: SqlStore, events: list[Event]
) -> None:
    key = f"T-{store.ledger.size()}"
    add(store, key)
    for event in events:
        task = store.task(key)
        if task.state is State.PENDING:
            task = claim(store, 10**6, key=key)
        before = everything(store)
        move = Move(
            key, event, moment(5), "r", task.lease_token if task.state in IN_FLIGHT else None
        )
        if event in TRANSITIONS[task.state]:
            assert store.move(move).state is TRANSITIONS[task.state][event]
        else:
            with pytest.raises(TransitionError):
                store.move(move)
            assert everything(store) == before
        assert_counters_agree(store)
        state = State.PENDING
        for told, start, end in entries(store, key):
            assert (start, TRANSITIONS[state][Event(told)]) == (state, end)
            state = State(end)
        assert state is store.task(key).state


def test_a_token_of_an_earlier_claim_moves_nothing_while_another_holds_the_task(
    store: SqlStore,
) -> None:
    add(store, "T-1")
    old = claim(store)
    step(store, old, Event.INTERRUPT)
    new = claim(store, 5, run="run-2")
    assert new.lease_token == old.lease_token + 1
    for event in Event:
        if event is not Event.CLAIM:
            with pytest.raises(LeaseHeld, match="not the current one"):
                step(store, old, event)
    assert store.task("T-1").run_id == "run-2"
    step(store, new, Event.PREPARE)


@pytest.mark.parametrize("event", [Event.BLOCK, Event.CANCEL, Event.RECEIVE, Event.ACCEPT])
def test_a_controller_that_lost_its_task_cannot_move_it_in_the_queue(
    store: SqlStore, event: Event
) -> None:
    add(store, "T-1")
    old = claim(store)
    step(store, old, Event.INTERRUPT)
    with pytest.raises(LeaseHeld, match="is over"):
        step(store, old, event)
    assert store.task("T-1").state is State.PENDING


def test_a_person_moves_nothing_that_is_in_flight(store: SqlStore) -> None:
    add(store, "T-1")
    task = claim(store)
    with pytest.raises(LeaseHeld):
        step(store, task, Event.BLOCK, token=None)


def test_a_claim_without_a_new_token_is_a_mistake_of_the_caller(store: SqlStore) -> None:
    add(store, "T-1")
    with pytest.raises(ValueError, match="claim_next"):
        store.move(Move("T-1", Event.CLAIM, moment(1), "run-1", None))


def test_what_a_claim_returns_is_what_the_store_holds(store: SqlStore) -> None:
    add(store, Task(task_key="T-1", priority=1, title="ü", depends_on=()))
    assert claim(store) == store.task("T-1")


def test_a_task_that_is_not_there_is_named(store: SqlStore) -> None:
    with pytest.raises(NothingToDo, match="'T-9'"):
        store.task("T-9")
    with pytest.raises(NothingToDo, match="'T-9'"):
        store.move(Move("T-9", Event.CANCEL, moment(1), None, None))


def test_a_field_that_a_move_leaves_out_stays(store: SqlStore) -> None:
    add(store, "T-1")
    task = claim(store)
    step(store, task, Event.PREPARE, checkpoint_id="c-1", thread_id="th", revision=2, attempt=3)
    step(store, task, Event.DISPATCH, attempt_id="A-1")
    held = store.task("T-1")
    assert (held.checkpoint_id, held.thread_id, held.attempt_id) == ("c-1", "th", "A-1")
    assert (held.revision, held.attempt, held.lease_until_ms) == (2, 3, START_MS + 60_000)
    step(store, task, Event.RECEIVE, thread_id="")
    assert store.task("T-1").thread_id == ""


# picking


def test_dependencies_release_exactly_once(store: SqlStore) -> None:
    add(
        store,
        "A",
        "B",
        Task(task_key="C", depends_on=("A", "B", "A")),
        Task(task_key="D", depends_on=("C",)),
    )
    assert [store.task(key).unmet for key in "ABCD"] == [0, 0, 2, 1]
    complete(store, "A")
    assert [store.task(key).unmet for key in "ABCD"] == [0, 0, 1, 1]
    assert store.claim_next(run_id="r", moment=moment(9), lease_until_ms=0, key="C") is None
    complete(store, "B")
    complete(store, "C")
    assert [store.task(key).unmet for key in "ABCD"] == [0, 0, 0, 0]
    complete(store, "D")


def test_a_failed_dependency_releases_nobody(store: SqlStore) -> None:
    add(store, "A", Task(task_key="B", depends_on=("A",)))
    task = claim(store, key="A")
    to_review(store, task)
    step(store, task, Event.FAIL)
    assert store.peek(moment(9)) is None
    step(store, task, Event.REVIVE, token=None)
    complete(store, "A")
    assert claim(store).key == "B"


def park(store: SqlStore, key: str, until_ms: int) -> None:
    task = claim(store, key=key)
    to_review(store, task)
    step(store, task, Event.REQUEUE, not_before_ms=START_MS + until_ms)


def test_a_parked_task_comes_back_when_its_time_has_come(store: SqlStore) -> None:
    add(store, "A")
    park(store, "A", 100)
    assert store.next_wake_ms() == START_MS + 100
    assert store.peek(moment(99)) is None
    assert store.claim_next(run_id="r", moment=moment(99), lease_until_ms=0) is None
    before = everything(store)
    woken = store.peek(moment(100))
    assert woken is not None
    assert woken.key == "A"
    assert everything(store) == before, "to look is not to write"
    assert claim(store, 100).key == "A"
    assert store.next_wake_ms() is None


def test_looking_names_the_task_that_the_claim_takes_whether_it_was_parked_or_not(
    store: SqlStore,
) -> None:
    add(store, Task(task_key="A", priority=0), "B")
    park(store, "A", 100)
    for ms, expected in ((50, "B"), (100, "A")):
        looked = store.peek(moment(ms))
        assert looked is not None
        assert looked.key == expected
    assert claim(store, 100).key == "A"


def test_nobody_waits_for_a_parked_task_that_something_else_keeps_back(store: SqlStore) -> None:
    add(store, "A")
    park(store, "A", 100)
    store.database.run("UPDATE task SET hold = 1")
    assert store.next_wake_ms() is None


# effects, runs


def test_an_effect_is_kept_until_it_is_done_and_counted_once(store: SqlStore) -> None:
    add(store, "A", "B")
    for key in "AB":
        task = claim(store, key=key)
        to_review(store, task)
        effects = (Effect("rollback", "rollback:same", {"n": key}), Effect("keep", key, {}))
        step(store, task, Event.FAIL, effects=effects)
    assert [effect.key for effect in store.pending_effects()] == ["rollback:same", "A", "B"]
    first = store.pending_effects()[0]
    assert first.payload == {"n": "A"}, "the second decision did not do it twice"
    store.effect_failed(first, "no space " * 1000)
    assert store.pending_effects()[0] == first
    row = store.database.one("SELECT attempts, LENGTH(last_error) FROM outbox WHERE number = 1")
    assert row == (1, 2000)
    store.effect_done(first)
    store.effect_done(first)
    assert store.counters()["effect.rollback"] == 1
    assert [effect.key for effect in store.pending_effects()] == ["A", "B"]


def test_a_note_moves_nobody_and_stands_in_its_chain(store: SqlStore) -> None:
    digest = store.note(moment=moment(1), run_id="r", kind="recovery", body={"n": 1})
    (entry,) = store.entries(run_id="r")
    assert (entry["event_hash"], entry["body"], entry["task_id"]) == (digest, {"n": 1}, "")
    assert json.loads(next(store.ledger.lines())) == entry
