"""What the tests of the store share: a clock that is a number, tasks, and a project's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.kernel.life import Event, State
from orchestrator.kernel.records import Effect, Moment, Move, Moved, TaskRecord
from orchestrator.protocol.task import Task
from orchestrator.store.edits import apply_edits
from orchestrator.store.projection import LedgerFiles
from orchestrator.store.queuefile import QueueFile
from orchestrator.store.sql import SqliteDatabase, migrate
from orchestrator.store.store import SqlStore
from orchestrator.triage.edits import Edits
from workflow_logger.checkpoint import SigningKey, origin_of
from workflow_logger.keys import create_private_key, load_private_key
from workflow_logger.layout import Home
from workflow_logger.report import Report
from workflow_logger.verify import verify_project

PROJECT = "shop"
START_MS = 1_800_000_000_000


def moment(ms: int) -> Moment:
    """`ms` after the start, in both forms."""
    at = datetime.fromtimestamp((START_MS + ms) / 1000, tz=UTC)
    return Moment(
        START_MS + ms, at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{(START_MS + ms) % 1000:03d}Z"
    )


def open_store(folder: Path) -> SqlStore:
    database = SqliteDatabase(folder / "state.db")
    try:
        migrate(database)
        return SqlStore(database, PROJECT)
    except BaseException:
        database.close()
        raise


def add(store: SqlStore, *tasks: Task | str, ms: int = 0) -> None:
    edits = Edits()
    edits.added = [
        task if isinstance(task, Task) else Task(task_key=task, title=f"about {task}")
        for task in tasks
    ]
    apply_edits(store, edits, moment(ms), run_id=None, note={"file": "test"})


def claim(
    store: SqlStore, ms: int = 1, *, run: str = "run-1", key: str | None = None
) -> TaskRecord:
    task = store.claim_next(
        run_id=run, moment=moment(ms), lease_until_ms=START_MS + 60_000, key=key
    )
    assert task is not None
    return task


def step(store: SqlStore, task: TaskRecord, event: Event, ms: int = 2, **more: Any) -> Moved:  # noqa: ANN401  fields of Move
    options = {"token": task.lease_token, **more}
    return store.move(Move(task.key, event, moment(ms), "run-1", **options))


def to_review(store: SqlStore, task: TaskRecord, ms: int = 2, *, s: int = 0) -> None:
    step(store, task, Event.PREPARE, ms, checkpoint_id="c-1")
    step(store, task, Event.DISPATCH, ms, attempt_id=f"A_{task.key}_{s}", revision=0, attempt=s)
    step(store, task, Event.RECEIVE, ms)


def attempt_body(task_id: str, r: int, s: int, result: str = "refused") -> dict[str, Any]:
    """The least that the R/S protocol asks of an attempt's entry."""
    return {"r": r, "s": s, "attempt_id": f"A_{task_id}_{r}_{s}", "result": result}


def complete(store: SqlStore, key: str, ms: int = 2) -> None:
    task = claim(store, ms, key=key)
    to_review(store, task, ms)
    step(
        store,
        task,
        Event.ACCEPT,
        ms,
        effects=(Effect("keep", f"keep:{key}", {"tree": "t"}),),
    )


def recount(store: SqlStore) -> dict[str, int]:
    rows = store.database.all("SELECT state, COUNT(*) FROM task GROUP BY state")
    return {f"state.{state}": count for state, count in rows}


def assert_counters_agree(store: SqlStore) -> None:
    kept = {
        name: value
        for name, value in store.counters().items()
        if name.startswith("state.") and value
    }
    assert kept == recount(store)


@dataclass
class Shop:
    """One project's folder with its store, its queue file and its ledger's files."""

    folder: Path
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = Home(self.folder / "home")
        self.queue_path = self.folder / "task_queue.json"
        self.ledger_root = self.folder / "workflow"
        self.open()

    def open(self) -> None:
        self.store = open_store(self.folder)
        self.queue = QueueFile(self.store, self.queue_path)
        self.files = LedgerFiles(
            self.store.ledger,
            self.ledger_root,
            key=self.key,
            home=self.home,
            told=self.told.append,
        )

    def close(self) -> None:
        self.files.close()
        self.store.close()

    def reopen(self) -> None:
        self.close()
        self.open()

    def key(self) -> SigningKey:
        path = self.home.key(PROJECT)
        if path.exists():
            return load_private_key(path)
        return create_private_key(path, origin_of(PROJECT))

    @property
    def events(self) -> Path:
        return self.ledger_root / PROJECT / "events.jsonl"

    def stored_bytes(self) -> bytes:
        return b"".join(self.store.ledger.lines())

    def verify(self) -> Report:
        return verify_project(
            self.ledger_root,
            PROJECT,
            public_key=self.key().public,
            anchor=self.home.anchor(PROJECT),
        )

    def write_queue(self, tasks: Iterable[Mapping[str, Any]]) -> None:
        document = {"schema_version": 1, "kind": "task_queue", "tasks": list(tasks)}
        self.queue_path.write_text(json.dumps(document, indent=1), encoding="utf-8")

    def shown(self) -> dict[str, dict[str, Any]]:
        tasks = json.loads(self.queue_path.read_bytes())["tasks"]
        return {task["task_key"]: task for task in tasks}

    def states(self) -> dict[str, State]:
        return {task.key: task.state for task in self.store.tasks()}
