from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.protocol.task import Task
from orchestrator.triage.edits import FREE_FIELDS, Edits, FieldChange, Known, compare, spec_of
from orchestrator.triage.policy import CANCELLABLE, IN_FLIGHT, REVIVABLE, STATES

FROZEN_STATES = sorted(IN_FLIGHT | {"completed", "awaiting_approval"})


def task(key: str, **fields: object) -> Task:
    return Task.model_validate({"task_key": key, **fields})


def store(**states: str) -> dict[str, Known]:
    """T1="failed" and so on: tasks without more to them."""
    return {
        key: Known.of(task(key), state, "2026-01-01T00:00:00Z") for key, state in states.items()
    }


def refused(edits: Edits) -> list[tuple[str, str, str]]:
    assert edits.is_applicable == (not edits.refused)
    return [(r.rule.removeprefix("queue."), r.task_key, r.where) for r in edits.refused]


def test_a_file_that_says_what_is_known_asks_for_nothing() -> None:
    known = store(a="pending", b="dispatched", c="completed")
    rows = [task("a", status="pending"), task("b", status="dispatched"), task("c")]
    assert compare(rows, known).is_empty


def test_new_changed_and_missing_rows_are_told_apart() -> None:
    known = store(a="pending", b="pending")
    edits = compare([task("b", priority=0, title="B", x_team="core"), task("n")], known)
    assert [t.task_key for t in edits.added] == ["n"]
    assert edits.removed == ["a"]
    (change,) = edits.changed
    assert change.task.task_key == "b"
    assert change.fields == (
        FieldChange("title", "", "B"),
        FieldChange("priority", 2, 0),
        FieldChange("x_team", None, "core"),
    )
    assert edits.is_applicable


def test_what_spec_of_gives_reads_back_as_the_same_task() -> None:
    row = task("a", depends_on=["b"], acceptance_criteria=["c"], risk="low", x_note={"k": 1})
    assert Task.model_validate({"task_key": "a", **spec_of(row)}) == row


def test_a_spec_stored_before_a_field_existed_is_not_a_change() -> None:
    assert compare([task("a")], {"a": Known({}, "dispatched")}).is_empty


@pytest.mark.parametrize("state", FROZEN_STATES)
@pytest.mark.parametrize(
    "change",
    [
        {"depends_on": ["b"]},
        {"step_pack": "p.json"},
        {"acceptance_criteria": ["x"]},
        {"risk": "low"},
    ],
)
def test_changing_a_frozen_field_in_flight_or_after_completion_is_refused(
    state: str, change: dict
) -> None:
    edits = compare([task("a", **change), task("b")], store(a=state, b="pending"))
    assert refused(edits) == [("frozen_field", "a", f"tasks[0].{next(iter(change))}")]
    assert edits.changed == []


@pytest.mark.parametrize("state", FROZEN_STATES)
def test_free_fields_may_change_at_any_time(state: str) -> None:
    edits = compare([task("a", title="t", priority=1, hold=True, max_attempts=3)], store(a=state))
    assert {field.name for field in edits.changed[0].fields} == FREE_FIELDS
    assert edits.is_applicable


@pytest.mark.parametrize("state", sorted(STATES))
def test_a_task_in_flight_is_refused_its_removal_and_any_other_goes(state: str) -> None:
    edits = compare([], store(a=state))
    if state in IN_FLIGHT:
        assert refused(edits) == [("removed_in_flight", "a", "tasks")]
    else:
        assert edits.removed == ["a"]


@pytest.mark.parametrize("state", sorted(STATES))
def test_only_a_task_that_does_not_run_can_be_cancelled_by_its_row(state: str) -> None:
    edits = compare([task("a", status="cancelled")], store(a=state))
    if state == "cancelled":
        assert edits.is_empty
    elif state in CANCELLABLE:
        assert edits.cancelled == ["a"]
    else:
        assert refused(edits) == [("cannot_cancel", "a", "tasks[0].status")]


@pytest.mark.parametrize("state", sorted(STATES))
def test_pending_requeues_what_ended_without_success_and_nothing_else(state: str) -> None:
    edits = compare([task("a", status="pending")], store(a=state))
    assert edits.requeued == (["a"] if state in REVIVABLE else [])
    assert edits.is_applicable


@pytest.mark.parametrize("wish", ["completed", "failed", "dispatched", "anything"])
def test_a_status_that_would_fake_an_ending_is_ignored(wish: str) -> None:
    assert compare([task("a", status=wish, reason="done", attempts=9)], store(a="pending")).is_empty


@pytest.mark.parametrize(("wish", "state"), [("pending", "failed"), ("cancelled", "pending")])
def test_a_status_from_an_old_view_is_not_taken_for_a_wish(wish: str, state: str) -> None:
    row = task("a", status=wish, updated_at="2025-12-31T00:00:00Z")
    edits = compare([row], store(a=state))
    assert edits.is_empty
    assert [note.rule for note in edits.notes] == ["queue.status_is_old"]
    current = row.model_copy(update={"updated_at": "2026-01-01T00:00:00Z"})
    assert not compare([current], store(a=state)).is_empty


def test_a_pending_of_an_old_view_that_could_move_nothing_is_not_worth_a_note() -> None:
    row = task("a", status="pending", updated_at="2025-12-31T00:00:00Z")
    assert not compare([row], store(a="completed")).notes


def test_a_new_row_that_claims_to_be_completed_is_added_as_pending_and_told() -> None:
    edits = compare([task("a", status="completed"), task("b", status="cancelled")], {})
    assert [t.task_key for t in edits.added] == ["a", "b"]
    assert edits.cancelled == ["b"]
    assert [note.rule for note in edits.notes] == ["queue.status_without_record"]


def test_a_key_given_twice_is_refused() -> None:
    edits = compare([task("a"), task("a", title="again")], store(a="pending"))
    assert refused(edits) == [("duplicate_key", "a", "tasks[1].task_key")]


def test_an_unknown_dependency_is_refused_with_its_row() -> None:
    edits = compare([task("b"), task("a", depends_on=["nobody"])], {})
    assert refused(edits) == [("unknown_dependency", "a", "tasks[1].depends_on")]


def test_removing_what_others_wait_for_is_refused() -> None:
    known = {
        "a": Known.of(task("a"), "pending"),
        "b": Known.of(task("b", depends_on=["a"]), "pending"),
    }
    edits = compare([task("b", depends_on=["a"])], known)
    assert refused(edits) == [("unknown_dependency", "b", "tasks[0].depends_on")]
    assert "the same edit removes" in edits.refused[0].what


def test_a_completed_task_does_not_need_its_dependencies_any_more() -> None:
    known = {
        "a": Known.of(task("a"), "completed"),
        "b": Known.of(task("b", depends_on=["a"]), "completed"),
    }
    edits = compare([task("b", depends_on=["a"])], known)
    assert edits.removed == ["a"]
    assert edits.is_applicable


def test_a_cycle_made_by_an_edit_is_refused_by_name() -> None:
    known = {
        "a": Known.of(task("a", depends_on=["b"]), "pending"),
        "b": Known.of(task("b"), "pending"),
    }
    edits = compare([task("a", depends_on=["b"]), task("b", depends_on=["a"])], known)
    assert refused(edits) == [("cycle", "a", "tasks[0].depends_on")]
    assert "a -> b -> a" in edits.refused[0].what


def test_a_task_that_waits_for_itself_is_refused() -> None:
    row = task("a").model_copy(update={"depends_on": ("a",)})  # the file's reader refuses it too
    assert refused(compare([row], {})) == [("own_dependency", "a", "tasks[0].depends_on")]


def test_a_task_the_person_never_saw_is_not_removed_and_can_be_depended_on() -> None:
    known = store(a="pending") | {"new": Known.of(task("new", depends_on=["a"]), "pending")}
    edits = compare([task("a"), task("b", depends_on=["new"])], known, shown={"a"})
    assert edits.removed == []
    assert edits.is_applicable
    wrong = compare([task("a", depends_on=["new"])], known, shown={"a"})
    assert "a -> new -> a" in wrong.refused[0].what


@given(
    states=st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(sorted(STATES))),
    keys=st.lists(st.sampled_from("abcdefgh"), unique=True),
)
def test_applying_the_decisions_gives_the_file(states: dict[str, str], keys: list[str]) -> None:
    edits = compare([task(key) for key in keys], store(**states))
    after = (set(states) | {t.task_key for t in edits.added}) - set(edits.removed)
    kept = {r.task_key for r in edits.refused}
    assert after - kept == set(keys) - kept
    assert all(states[key] in IN_FLIGHT for key in kept)


class Counting(Mapping[str, Known]):
    """A store that counts how often it is asked for a row."""

    def __init__(self, rows: dict[str, Known]) -> None:
        self.rows, self.asked = rows, 0

    def __getitem__(self, key: str) -> Known:
        self.asked += 1
        return self.rows[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@pytest.mark.slow
def test_an_edit_of_one_row_in_100000_asks_for_each_row_once() -> None:
    size = 100_000
    plain = task("any")
    rows = {
        f"T-{n}": Known.of(
            plain.model_copy(update={"depends_on": (f"T-{n - 1}",)} if n else {}), "pending"
        )
        for n in range(size)
    }
    known = Counting(rows)

    def file() -> Iterator[Task]:
        for n in range(size):
            fields = {"task_key": f"T-{n}", "depends_on": (f"T-{n - 1}",) if n else ()}
            if n == 7:
                fields["priority"] = 0
            if n == 9:
                fields["depends_on"] = ("T-99999",)
            yield plain.model_copy(update=fields)

    edits = compare(file(), known)
    assert known.asked == size
    assert [change.task.task_key for change in edits.changed] == ["T-7", "T-9"]
    (cycle,) = edits.refused
    assert cycle.rule == "queue.cycle"
    assert len(cycle.what) < 200
