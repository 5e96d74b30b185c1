"""What `status` tells: a quick look at a store, read-only, at constant cost.

It opens the database itself and reads rows as they are: models, settings and the ledger's files
would cost five times the look.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from orchestrator.errors import NothingToDo, StoreError
from orchestrator.kernel.records import RunRecord
from orchestrator.scoreboard.counters import STATES
from orchestrator.store.conditions import IN_FLIGHT, READY, WAITING
from orchestrator.triage.policy import TaskFacts, why_waiting
from orchestrator.vocabulary import PROGRESS_DIR
from orchestrator.wiring.places import STORE_FILE, find_root
from orchestrator.wiring.system import SystemProcesses

_ROWS = 20
_NOT_READABLE = "the store cannot be read"

Rows = Sequence[tuple[Any, ...]]


def status_data(project_dir: str | None, progress_dir: str | None) -> dict[str, Any]:
    """Counts, and the first rows of each kind.

    Raises:
        NothingToDo: there is no store here.
        StoreError: it cannot be read.
    """
    root = find_root(project_dir)
    path = (Path(progress_dir).absolute() if progress_dir else root / PROGRESS_DIR) / STORE_FILE
    if not path.exists():
        raise NothingToDo(
            "there is no store here yet",
            where=str(path),
            mend="python -m orchestrator init, or name the folder with --project",
        )
    try:
        with closing(sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True)) as database:
            return {"root": str(root), **_Look(database).data()}
    except sqlite3.Error as error:
        raise StoreError(
            f"{_NOT_READABLE}: {error}", where=str(path), mend="python -m orchestrator doctor"
        ) from error


def _quoted(path: Path) -> str:
    from urllib.parse import quote  # noqa: PLC0415  one call

    return quote(str(path))


class _Look:
    """One connection's look."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def data(self) -> dict[str, Any]:
        """Everything that `status` shows."""
        counters: dict[str, int] = dict(self._all("SELECT name, value FROM counter"))
        head = self._all("SELECT project_id, size FROM ledger_head WHERE id = 1")
        return {
            "project_id": head[0][0] if head else "",
            "tasks": {state: int(counters.get(f"state.{state}", 0)) for state in STATES},
            "open_runs": self._open_runs(),
            "in_flight": [
                {"task": key, "title": _title(spec), "why": state}
                for key, spec, state in self._all(
                    f"SELECT task_key, spec, state FROM task WHERE {IN_FLIGHT}"  # noqa: S608
                )
            ],
            "refused": self._newest("failed"),
            "undecided": [*self._newest("awaiting_approval"), *self._newest("quarantined")][:_ROWS],
            "waiting": [*self._newest("blocked"), *self._waiting()][:_ROWS],
            "ready": self._rows(f"{READY} ORDER BY sort_key, seq"),
            "pending_effects": self._all("SELECT COUNT(*) FROM outbox")[0][0],
            "ledger_entries": head[0][1] if head else 0,
        }

    def _all(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        return self._database.execute(sql, parameters).fetchall()

    def _newest(self, state: str) -> list[dict[str, Any]]:
        # `<> 'pending'` is what the index says; without it the whole queue is looked at.
        return self._rows("state = ? AND state <> 'pending' ORDER BY updated_at DESC", state)

    def _rows(self, where: str, *parameters: str) -> list[dict[str, Any]]:
        rows = self._all(
            f"SELECT task_key, spec, reason FROM task WHERE {where} LIMIT ?",  # noqa: S608
            (*parameters, _ROWS),
        )
        return [{"task": key, "title": _title(spec), "why": why} for key, spec, why in rows]

    def _waiting(self) -> list[dict[str, Any]]:
        rows = self._all(
            f"SELECT task_key, spec, hold, not_before_ms FROM task WHERE {WAITING}"  # noqa: S608
            " ORDER BY seq LIMIT ?",
            (_ROWS,),
        )
        return [
            {"task": key, "title": _title(spec), "why": self._why(key, hold, not_before_ms)}
            for key, spec, hold, not_before_ms in rows
        ]

    def _why(self, key: str, hold: int, not_before_ms: int) -> str:
        needs = self._all(
            "SELECT d.needs, t.state FROM dependency d LEFT JOIN task t ON t.task_key = d.needs"
            " WHERE d.task_key = ? AND (t.state IS NULL OR t.state <> 'completed')",
            (key,),
        )
        waits = [(str(name), state) for name, state in needs]
        facts = TaskFacts(hold=bool(hold), not_before_ms=not_before_ms, waits_for=waits)
        return "; ".join(why_waiting(facts, time.time_ns() // 1_000_000))

    def _open_runs(self) -> list[dict[str, Any]]:
        processes = SystemProcesses()
        runs = [
            RunRecord(*row)
            for row in self._all(
                "SELECT run_id, kind, pid, start_ticks, boot_id, host, started_at"
                " FROM run WHERE ended_at IS NULL ORDER BY started_at"
            )
        ]
        return [
            {
                "run_id": run.run_id,
                "kind": run.kind,
                "pid": run.pid,
                "started_at": run.started_at,
                "alive": processes.is_alive(run),
            }
            for run in runs
        ]


def _title(spec: str) -> str:
    return str(json.loads(spec).get("title", ""))
