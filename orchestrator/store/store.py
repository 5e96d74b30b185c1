"""Tasks, leases, ledger and outbox, moved together: one transaction for each decision.

Only the holder of a task's lease may move it while it is in flight. Every claim raises the
task's fencing token; a move that carries an older token is refused, whatever the clock says.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

from orchestrator.errors import LeaseHeld, NothingToDo, PolicyError, StoreError
from orchestrator.kernel.journey import Journey
from orchestrator.kernel.life import IN_FLIGHT, Event, State, TaskLife
from orchestrator.kernel.records import (
    Effect,
    Moment,
    Move,
    Moved,
    PendingEffect,
    RunRecord,
    TaskRecord,
)
from orchestrator.protocol.task import Task
from orchestrator.store import conditions
from orchestrator.store.ledger import StoredLedger
from orchestrator.store.sql import Database, Row

_TASK_COLUMNS = (
    "task_key, state, spec, journey, reason, revision, attempt, attempt_id, checkpoint_id,"
    " thread_id, run_id, lease_token, lease_until_ms, not_before_ms, unmet, updated_at,"
    " sort_key, seq"
)
# After these, another task may become free to run.
_RELEASING = frozenset({State.COMPLETED})
_STATE_COUNTER = {state: f"state.{state}" for state in State}
_EVENT_COUNTER = {event: f"event.{event}" for event in Event}
_JOURNEY_FIELDS = tuple(field.name for field in fields(Journey))


class _Held(NamedTuple):
    """What a decision needs to know of the task that it is about."""

    state: State
    journey: Journey
    token: int


class SqlStore:
    """The store over any `Database`. Not for use by several threads at once."""

    def __init__(self, database: Database, project_id: str) -> None:
        self.database = database
        self.ledger = StoredLedger(database, project_id)
        self._life = TaskLife()

    # reading

    def task(self, key: str) -> TaskRecord:
        """Return one task. Raises NothingToDo when the queue does not have it."""
        row = self.database.one(f"SELECT {_TASK_COLUMNS} FROM task WHERE task_key = ?", (key,))  # noqa: S608
        if row is None:
            raise _no_such_task(key)
        return _record(row)

    def tasks_in_flight(self) -> list[TaskRecord]:
        """Return what a controller holds or held when it died: few rows."""
        rows = self.database.all(
            f"SELECT {_TASK_COLUMNS} FROM task WHERE {conditions.IN_FLIGHT}"  # noqa: S608
        )
        return [_record(row) for row in rows]

    def tasks(self) -> Iterator[TaskRecord]:
        """Iterate over all tasks in the order they were added."""
        for row in self.database.all(f"SELECT {_TASK_COLUMNS} FROM task ORDER BY seq"):  # noqa: S608
            yield _record(row)

    def counters(self) -> dict[str, int]:
        """Return counts by state (`state.pending`) and totals (`event.accept`)."""
        return dict(self.database.all("SELECT name, value FROM counter"))

    def next_wake_ms(self) -> int | None:
        """When the next task becomes eligible by waiting alone, or None."""
        row = self.database.one(
            "SELECT not_before_ms FROM task WHERE parked = 1 AND state = 'pending'"
            " AND unmet = 0 AND hold = 0 ORDER BY not_before_ms LIMIT 1"
        )
        return None if row is None else int(row[0])

    # claiming

    def peek(self, moment: Moment) -> TaskRecord | None:
        """Return what `claim_next` would take, without taking it; nothing is written."""
        waking = self.database.one(
            f"SELECT {_TASK_COLUMNS} FROM task WHERE parked = 1 AND not_before_ms <= ?"  # noqa: S608
            " AND state = 'pending' AND unmet = 0 AND hold = 0 ORDER BY sort_key, seq LIMIT 1",
            (moment.ms,),
        )
        rows = [row for row in (self._first(), waking) if row is not None]
        return _record(min(rows, key=lambda row: row[-2:])) if rows else None

    def claim_next(
        self, *, run_id: str, moment: Moment, lease_until_ms: int, key: str | None = None
    ) -> TaskRecord | None:
        """Take the first eligible task (or `key`, if it is eligible); None when there is none.

        The pick and the claim are one transaction, so no two controllers get the same task.
        """
        with self.transaction():
            self._unpark(moment)
            row = self._first(key)
            if row is None:
                return None
            task = _record(row)
            token = task.lease_token + 1
            move = Move(
                task_key=task.key,
                event=Event.CLAIM,
                moment=moment,
                run_id=run_id,
                token=None,
                lease_until_ms=lease_until_ms,
                body={"lease_token": token},
            )
            moved = self._apply(_Held(task.state, task.journey, task.lease_token), move, token)
            return replace(
                task,
                state=moved.state,
                reason="",
                run_id=run_id,
                lease_token=token,
                lease_until_ms=lease_until_ms,
                not_before_ms=0,
                updated_at=moment.at,
            )

    def _first(self, key: str | None = None) -> Row | None:
        where = conditions.READY + (" AND task_key = ?" if key is not None else "")
        return self.database.one(
            f"SELECT {_TASK_COLUMNS} FROM task WHERE {where} ORDER BY sort_key, seq LIMIT 1",  # noqa: S608
            () if key is None else (key,),
        )

    def _unpark(self, moment: Moment) -> None:
        ready = self.database.one(
            "SELECT 1 FROM task WHERE parked = 1 AND not_before_ms <= ? LIMIT 1", (moment.ms,)
        )
        if ready is not None:
            self.database.run(
                "UPDATE task SET parked = 0 WHERE parked = 1 AND not_before_ms <= ?", (moment.ms,)
            )

    # deciding

    def move(self, move: Move) -> Moved:
        """Carry out one decision: state, ledger entries and outbox rows, all or nothing.

        Raises:
            TransitionError: the table does not allow the event now; nothing changed.
            LeaseHeld: the task is in flight and `move.token` is not its current token.
        """
        with self.transaction():
            moved = self.move_in_transaction(move)
        if move.event is Event.DISPATCH:  # a worker's time begins, and it can reach the file
            self.database.expect_no_other_writer()
        return moved

    def move_in_transaction(self, move: Move) -> Moved:
        """Do what `move` does inside a transaction of the caller."""
        if move.event is Event.CLAIM:
            msg = "a claim raises the fencing token: use claim_next"
            raise ValueError(msg)
        held = self._held(move.task_key)
        if held.state in IN_FLIGHT:
            self._check_token(move, held.token)
        elif move.token is not None:
            raise LeaseHeld(
                f"token {move.token} is over: the task is {held.state}, nobody holds it",
                where=f"task {move.task_key}",
                mend="another controller took the task back; nothing was written",
            )
        return self._apply(held, move, held.token)

    @staticmethod
    def _check_token(move: Move, current: int) -> None:
        if move.token != current:
            raise LeaseHeld(
                f"token {move.token} is not the current one ({current}):"
                " another controller took the task",
                where=f"task {move.task_key}",
                mend="let the other controller finish; nothing was written",
            )

    def _held(self, key: str) -> _Held:
        row = self.database.one(
            "SELECT state, journey, lease_token FROM task WHERE task_key = ?", (key,)
        )
        if row is None:
            raise _no_such_task(key)
        return _Held(State(row[0]), _journey(key, row[1]), row[2])

    def note(
        self,
        *,
        moment: Moment,
        run_id: str | None,
        kind: str,
        body: Mapping[str, Any],
        task_id: str = "",
    ) -> str:
        """Record something that moves no task. Returns the entry's hash."""
        with self.transaction():
            return self.ledger.append(
                task_id=task_id, kind=kind, at=moment.at, run_id=run_id, body=body
            ).hash

    def _apply(self, held: _Held, move: Move, token: int) -> Moved:
        key = move.task_key
        target = self._life.advance(held.state, move.event, task_key=key)
        journey = move.journey or held.journey
        entry = self.ledger.append(
            task_id=key,
            kind=move.kind,
            at=move.moment.at,
            run_id=move.run_id,
            body={
                "event": move.event.value,
                "from": held.state.value,
                "to": target.value,
                "reason": move.reason,
                "run_id": move.run_id or "",
                "journey": journey_dict(journey),
                **move.body,
            },
        )
        for draft in move.also:
            self.ledger.append(
                task_id=key,
                kind=draft.kind,
                at=move.moment.at,
                run_id=move.run_id,
                body=draft.body,
            )
        self._write_task(move, target, journey, token)
        self._count(held.state, target, move.event)
        if target in _RELEASING:
            self.database.run(
                "UPDATE task SET unmet = unmet - 1 WHERE task_key IN"
                " (SELECT task_key FROM dependency WHERE needs = ?)",
                (key,),
            )
        for effect in move.effects:
            self._enqueue(key, effect)
        return Moved(target, entry.hash, entry.seq)

    def _write_task(self, move: Move, target: State, journey: Journey, token: int) -> None:
        """Write the row; a field that the move leaves None stays what it is."""
        not_before = (move.not_before_ms or 0) if target is State.PENDING else 0
        self.database.run(
            "UPDATE task SET state = ?, journey = ?, reason = ?,"
            " revision = COALESCE(?, revision), attempt = COALESCE(?, attempt),"
            " attempt_id = COALESCE(?, attempt_id), checkpoint_id = COALESCE(?, checkpoint_id),"
            " thread_id = COALESCE(?, thread_id), run_id = COALESCE(?, run_id), lease_token = ?,"
            " lease_until_ms = COALESCE(?, lease_until_ms), not_before_ms = ?, parked = ?,"
            " updated_at = ? WHERE task_key = ?",
            (
                target.value,
                _journey_json(journey),
                move.reason,
                move.revision,
                move.attempt,
                move.attempt_id,
                move.checkpoint_id,
                move.thread_id,
                move.run_id,
                token,
                move.lease_until_ms if target in IN_FLIGHT else 0,
                not_before,
                1 if not_before > move.moment.ms else 0,
                move.moment.at,
                move.task_key,
            ),
        )

    def _count(self, source: State, target: State, event: Event) -> None:
        self.database.run(  # no event leads back to the state it came from: three names
            "INSERT INTO counter (name, value) VALUES (?, -1), (?, 1), (?, 1)"
            " ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value",
            (_STATE_COUNTER[source], _STATE_COUNTER[target], _EVENT_COUNTER[event]),
        )

    def count(self, name: str, change: int) -> None:
        """Change a counter; the caller holds the transaction."""
        self.database.run(
            "INSERT INTO counter (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value",
            (name, change),
        )

    # outbox

    def _enqueue(self, task_key: str, effect: Effect) -> None:
        self.database.run(
            "INSERT INTO outbox (number, kind, effect_key, task_key, payload, attempts)"
            " VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM outbox), ?, ?, ?, ?, 0)"
            " ON CONFLICT (effect_key) DO NOTHING",
            (
                effect.kind,
                effect.key,
                task_key,
                json.dumps(dict(effect.payload), sort_keys=True),
            ),
        )

    def pending_effects(self) -> list[PendingEffect]:
        """Return what is decided and not yet done, oldest first."""
        rows = self.database.all(
            "SELECT number, kind, effect_key, task_key, payload FROM outbox ORDER BY number"
        )
        return [
            PendingEffect(number, kind, key, task_key, json.loads(payload))
            for number, kind, key, task_key, payload in rows
        ]

    def effect_done(self, effect: PendingEffect) -> None:
        """Forget an effect: it is done, and what it left behind shows it."""
        with self.transaction():
            if self.database.run("DELETE FROM outbox WHERE effect_key = ?", (effect.key,)):
                self.count(f"effect.{effect.kind}", 1)

    def effect_failed(self, effect: PendingEffect, error: str) -> None:
        """Keep an effect for the next try, with the reason."""
        self.database.run(
            "UPDATE outbox SET attempts = attempts + 1, last_error = ? WHERE effect_key = ?",
            (error[:2000], effect.key),
        )

    # runs and settings

    def start_run(self, run: RunRecord) -> None:
        """Remember which process moves tasks, so that a later one can tell whether it died.

        Raises:
            PolicyError: there was a run of this id.
        """
        made = self.database.run(
            "INSERT INTO run (run_id, kind, pid, start_ticks, boot_id, host, started_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id) DO NOTHING",
            (
                run.run_id,
                run.kind,
                run.pid,
                run.start_ticks,
                run.boot_id,
                run.host,
                run.started_at,
            ),
        )
        if not made:
            raise PolicyError(
                f"there was a run {run.run_id} already",
                where="--run-id",
                mend="give new work a new id, or leave the option out",
            )

    def end_run(self, run_id: str, *, at: str, outcome: str) -> None:
        """Close a run."""
        self.database.run(
            "UPDATE run SET ended_at = ?, outcome = ? WHERE run_id = ?", (at, outcome, run_id)
        )

    def open_runs(self) -> list[RunRecord]:
        """Return the runs that never said that they ended."""
        rows = self.database.all(
            "SELECT run_id, kind, pid, start_ticks, boot_id, host, started_at, ended_at, outcome"
            " FROM run WHERE ended_at IS NULL ORDER BY started_at"
        )
        return [RunRecord(*row) for row in rows]

    def runs(self, limit: int = 20) -> list[RunRecord]:
        """Return the newest runs first."""
        rows = self.database.all(
            "SELECT run_id, kind, pid, start_ticks, boot_id, host, started_at, ended_at, outcome"
            " FROM run ORDER BY started_at DESC, run_id DESC LIMIT ?",
            (limit,),
        )
        return [RunRecord(*row) for row in rows]

    def setting(self, name: str) -> str | None:
        """Return a remembered value."""
        row = self.database.one("SELECT value FROM setting WHERE name = ?", (name,))
        return None if row is None else str(row[0])

    def entries(
        self, *, run_id: str | None = None, task_id: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Iterate over ledger entries, of one run, one task, or all."""
        return self.ledger.entries(run_id=run_id, task_id=task_id)

    def set_setting(self, name: str, value: str) -> None:
        """Remember a value."""
        self.database.run(
            "INSERT INTO setting (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """One decision: durable when the block ends, undone when it raises."""
        try:
            with self.database.transaction():
                yield
        except BaseException:
            self.ledger.forget_cache()
            raise


def journey_dict(journey: Journey) -> dict[str, Any]:
    """Return a journey as plain values, in the order of its fields."""
    return {name: getattr(journey, name) for name in _JOURNEY_FIELDS}


def _journey_json(journey: Journey) -> str:
    return json.dumps(journey_dict(journey))


def _journey(key: str, text: str) -> Journey:
    try:
        return Journey(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise _unreadable(key, error) from error


def _no_such_task(key: str) -> NothingToDo:
    return NothingToDo(
        f"there is no task {key!r}", where="the queue", mend="python -m orchestrator status"
    )


def _unreadable(key: str, error: Exception) -> StoreError:
    return StoreError(
        f"the row of task {key} cannot be read: {error}",
        where="task",
        mend="the store was edited from outside; restore it",
    )


def _record(row: Row) -> TaskRecord:
    try:
        spec = Task.model_validate_json(row[2])
    except ValueError as error:
        raise _unreadable(row[0], error) from error
    return TaskRecord(
        key=row[0],
        state=State(row[1]),
        spec=spec,
        journey=_journey(row[0], row[3]),
        reason=row[4],
        revision=row[5],
        attempt=row[6],
        attempt_id=row[7],
        checkpoint_id=row[8],
        thread_id=row[9],
        run_id=row[10],
        lease_token=row[11],
        lease_until_ms=row[12],
        not_before_ms=row[13],
        unmet=row[14],
        updated_at=row[15],
    )
