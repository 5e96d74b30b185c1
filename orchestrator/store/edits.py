"""Applies a person's edit of the queue to the store: one transaction, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from orchestrator.kernel.journey import Journey
from orchestrator.kernel.life import Event, State
from orchestrator.kernel.records import Moment, Move
from orchestrator.protocol.task import Task
from orchestrator.store.store import SqlStore, journey_dict
from orchestrator.triage.edits import Edits, Known, Remark, spec_of
from orchestrator.triage.policy import sort_key

_BATCH = 1000
_LISTED = 1000  # names in a ledger entry; the counts are always there
_PUTS_BACK = {State.BLOCKED: Event.UNBLOCK, State.AWAITING_APPROVAL: Event.APPROVE}


class KnownTasks(Mapping[str, Known]):
    """The store's tasks as `triage.edits` wants them; a row is read when it is asked for.

    A task that a person removed from the file is not known, though its record stays. One that
    was completed cannot come back: its log is closed. `closed` collects what was asked for.
    """

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._db = store.database
        self.row = 0  # of the file: which one is being compared
        self.closed: list[tuple[int, str]] = []

    def __getitem__(self, key: str) -> Known:
        row = self._db.one(
            "SELECT spec, state, updated_at, listed FROM task WHERE task_key = ?", (key,)
        )
        if row is None:
            raise KeyError(key)
        if not row[3]:
            if row[1] == State.COMPLETED:
                self.closed.append((self.row, key))
            raise KeyError(key)
        # The stored text is what `_spec_json` wrote; a field that it lacks has its default.
        return Known(json.loads(row[0]), row[1], row[2])

    def counted(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """Pass the rows of the file on, and remember which one it is."""
        for self.row, task in enumerate(tasks):
            yield task

    def remarks(self) -> list[Remark]:
        """Return a refusal for each completed task that the file brings back."""
        return [
            Remark(
                "queue.closed_key",
                key,
                ("tasks", row, "task_key"),
                f"{key} was completed and removed; its record is closed",
                "give new work a new task_key",
            )
            for row, key in self.closed
        ]

    def up_to(self, seq: int) -> Container[str]:
        """Return the keys of the tasks that were added up to number `seq`."""
        return _UpTo(self._store, seq)

    def last_seq(self) -> int:
        """Return the number of the task that was added last."""
        row = self._db.one("SELECT COALESCE(MAX(seq), 0) FROM task")
        return int(row[0]) if row else 0

    def __iter__(self) -> Iterator[str]:
        for (key,) in self._db.all("SELECT task_key FROM task WHERE listed = 1 ORDER BY seq"):
            yield key

    def __len__(self) -> int:
        row = self._db.one("SELECT COUNT(*) FROM task WHERE listed = 1")
        return int(row[0]) if row else 0


class PackedTasks:
    """New tasks as the text that the store keeps: a tenth of the memory that models take."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._specs: list[str] = []

    def append(self, task: Task, /) -> None:
        """Take one more."""
        self.keys.append(task.task_key)
        self._specs.append(_spec_json(task))

    def __iter__(self) -> Iterator[Task]:
        return map(Task.model_validate_json, self._specs)

    def __len__(self) -> int:
        return len(self.keys)


class _UpTo(Container[str]):
    """The keys of the tasks that were added up to a certain one."""

    def __init__(self, store: SqlStore, seq: int) -> None:
        self._db, self._seq = store.database, seq

    def __contains__(self, key: object) -> bool:
        row = self._db.one("SELECT seq FROM task WHERE task_key = ?", (key,))
        return row is not None and bool(row[0] <= self._seq)


def apply_edits(
    store: SqlStore, edits: Edits, moment: Moment, *, run_id: str | None, note: Mapping[str, Any]
) -> None:
    """Carry out an edit that nothing refuses; `note` goes into its ledger entry."""
    with store.transaction():
        apply_in_transaction(store, edits, moment, run_id=run_id, note=note)


def apply_in_transaction(
    store: SqlStore, edits: Edits, moment: Moment, *, run_id: str | None, note: Mapping[str, Any]
) -> None:
    """Do what `apply_edits` does inside a transaction of the caller."""
    returned = _add(store, edits.added, moment)
    for change in edits.changed:
        _change(store, change.task, moment)
    store.ledger.append(
        task_id="",
        kind="queue_edit",
        at=moment.at,
        run_id=run_id,
        body={**note, **_body(edits)},
    )
    for key in edits.removed:
        _remove(store, key, moment, run_id)
    for key in returned:
        _person_moves(store, key, Event.REVIVE, moment, run_id)
    for key in edits.cancelled:
        _person_moves(store, key, Event.CANCEL, moment, run_id)
    for key in edits.requeued:
        _revive(store, key, moment, run_id)


def _body(edits: Edits) -> dict[str, Any]:
    return {
        "added": [task.task_key for task in islice(edits.added, _LISTED)],
        "added_count": len(edits.added),
        "changed": {
            change.task.task_key: [one.name for one in change.fields]
            for change in edits.changed[:_LISTED]
        },
        "changed_count": len(edits.changed),
        "removed": edits.removed[:_LISTED],
        "removed_count": len(edits.removed),
        "cancelled": edits.cancelled[:_LISTED],
        "requeued": edits.requeued[:_LISTED],
    }


def _revive(store: SqlStore, key: str, moment: Moment, run_id: str | None) -> None:
    event = _PUTS_BACK.get(store.task(key).state, Event.REVIVE)
    _person_moves(store, key, event, moment, run_id)


def _person_moves(
    store: SqlStore, key: str, event: Event, moment: Moment, run_id: str | None
) -> None:
    fresh = None if event is Event.CANCEL else Journey()
    store.move_in_transaction(
        Move(
            task_key=key,
            event=event,
            moment=moment,
            run_id=run_id,
            token=None,
            reason="by a person, in the queue file",
            journey=fresh,
        )
    )


def _add(store: SqlStore, tasks: Iterable[Task], moment: Moment) -> list[str]:
    """Add tasks; return the keys that were there before, cancelled and not listed."""
    row = store.database.one("SELECT COALESCE(MAX(seq), 0) FROM task")
    seq = (row[0] if row else 0) + 1
    returned: list[str] = []
    rest = iter(tasks)
    while batch := list(islice(rest, _BATCH)):
        returned += _add_batch(store, batch, seq, moment)
        seq += len(batch)
    return returned


def _add_batch(store: SqlStore, tasks: list[Task], first: int, moment: Moment) -> list[str]:
    db = store.database
    journey = json.dumps(journey_dict(Journey()))
    # What is new is not completed yet, so counting before the rows are there is right.
    unmet = {task.task_key: _unmet(store, task.depends_on) for task in tasks if task.depends_on}
    # `ON CONFLICT` keeps the record of a task that comes back; _change writes what is new.
    db.many(
        "INSERT INTO task (task_key, seq, state, sort_key, enqueued_ms, hold, unmet, parked,"
        " not_before_ms, listed, spec, journey, reason, revision, attempt, lease_token,"
        " lease_until_ms, updated_at)"
        " VALUES (?, ?, 'pending', ?, ?, ?, ?, 0, 0, 1, ?, ?, '', 0, -1, 0, 0, ?)"
        " ON CONFLICT (task_key) DO UPDATE SET seq = excluded.seq, listed = 2,"
        " enqueued_ms = excluded.enqueued_ms",
        (
            (
                task.task_key,
                seq,
                sort_key(task.priority, moment.ms),
                moment.ms,
                int(task.hold),
                unmet.get(task.task_key, 0),
                _spec_json(task),
                journey,
                moment.at,
            )
            for seq, task in enumerate(tasks, first)
        ),
    )
    returned = _returned(store, tasks, moment)
    db.many(
        "INSERT INTO dependency (task_key, needs) VALUES (?, ?)",
        (
            (task.task_key, needs)
            for task in tasks
            if task.task_key not in returned
            for needs in dict.fromkeys(task.depends_on)
        ),
    )
    store.count("state.pending", len(tasks) - len(returned))
    return returned


def _returned(store: SqlStore, tasks: list[Task], moment: Moment) -> list[str]:
    """Bring back the tasks of a batch that had a row; return their keys."""
    found = store.database.all("SELECT task_key FROM task WHERE listed = 2 AND listed <> 1")
    returned = [key for (key,) in found]
    for task in tasks if returned else ():
        if task.task_key in returned:
            _change(store, task, moment)
            store.database.run("UPDATE task SET listed = 1 WHERE task_key = ?", (task.task_key,))
    return returned


def _unmet(store: SqlStore, needs: tuple[str, ...]) -> int:
    count = 0
    for name in dict.fromkeys(needs):
        row = store.database.one("SELECT state FROM task WHERE task_key = ?", (name,))
        count += row is None or row[0] != State.COMPLETED
    return count


def _change(store: SqlStore, task: Task, moment: Moment) -> None:
    db = store.database
    db.run("DELETE FROM dependency WHERE task_key = ?", (task.task_key,))
    db.many(
        "INSERT INTO dependency (task_key, needs) VALUES (?, ?)",
        ((task.task_key, needs) for needs in dict.fromkeys(task.depends_on)),
    )
    db.run(
        "UPDATE task SET spec = ?, hold = ?, unmet = ?, sort_key = enqueued_ms + ?,"
        " updated_at = ? WHERE task_key = ?",
        (
            _spec_json(task),
            int(task.hold),
            _unmet(store, task.depends_on),
            sort_key(task.priority, 0),
            moment.at,
            task.task_key,
        ),
    )


def _remove(store: SqlStore, key: str, moment: Moment, run_id: str | None) -> None:
    db = store.database
    row = db.one(
        "SELECT t.state, h.size FROM task t LEFT JOIN task_head h ON h.task_id = t.task_key"
        " WHERE t.task_key = ?",
        (key,),
    )
    if row is None:
        return
    state, entries = row
    if entries:
        if state not in {State.COMPLETED, State.CANCELLED}:
            _person_moves(store, key, Event.CANCEL, moment, run_id)
        db.run("UPDATE task SET listed = 0 WHERE task_key = ?", (key,))
        return
    db.run("DELETE FROM task WHERE task_key = ?", (key,))
    db.run("DELETE FROM dependency WHERE task_key = ?", (key,))
    store.count(f"state.{state}", -1)


def _spec_json(task: Task) -> str:
    spec = {name: value for name, value in spec_of(task).items() if value not in (None, [], "")}
    return json.dumps(
        {"task_key": task.task_key, **spec}, ensure_ascii=False, separators=(",", ":")
    )
