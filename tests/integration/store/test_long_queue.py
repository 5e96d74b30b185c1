"""What must not grow with the queue: plans, not times."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.kernel.life import Event
from orchestrator.store.sql import SqliteDatabase
from orchestrator.store.store import SqlStore
from orchestrator.store.views import FileViews
from orchestrator.wiring.glance import _Look
from tests.integration.store.shop import PROJECT, START_MS, Shop, add, claim, moment, step

REPOSITORY = Path(__file__).resolve().parents[3]


class Listening(SqliteDatabase):
    """Remembers every statement, with its parameters."""

    def __init__(self, path: Path) -> None:
        self.heard: list[tuple[str, object]] = []
        super().__init__(path)

    def one(self, sql: str, parameters: object = ()) -> object:  # type: ignore[override]
        self.heard.append((sql, parameters))
        return super().one(sql, parameters)  # type: ignore[arg-type]

    def all(self, sql: str, parameters: object = ()) -> object:  # type: ignore[override]
        self.heard.append((sql, parameters))
        return super().all(sql, parameters)  # type: ignore[arg-type]

    def run(self, sql: str, parameters: object = ()) -> int:  # type: ignore[override]
        self.heard.append((sql, parameters))
        return super().run(sql, parameters)  # type: ignore[arg-type]

    def plans(self) -> dict[str, list[str]]:
        """Return the plan of each statement heard."""
        found = {}
        for sql, parameters in self.heard:
            if sql.split()[0] in {"SELECT", "INSERT", "UPDATE", "DELETE"}:
                rows = super().all(f"EXPLAIN QUERY PLAN {sql}", parameters)  # type: ignore[arg-type]
                found[sql] = [row[3] for row in rows]
        return found


@pytest.fixture
def heard(shop: Shop) -> Listening:
    add(shop.store, *(f"T-{n}" for n in range(50)))
    return Listening(shop.folder / "state.db")


def scans(plans: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Return the steps that look at a whole table of tasks or entries, or sort it."""
    return [
        (step, sql)
        for sql, steps in plans.items()
        for step in steps
        if (
            "SCAN" in step
            and "USING" not in step
            and "outbox" not in step
            and "CONSTANT" not in step
        )
        or "TEMP B-TREE" in step
    ]


def test_no_statement_of_a_cycle_looks_at_the_whole_queue(heard: Listening) -> None:
    store = SqlStore(heard, PROJECT)
    store.peek(moment(1))
    task = claim(store)
    for event in (Event.PREPARE, Event.DISPATCH, Event.RECEIVE):
        step(store, task, event)
    step(store, task, Event.REQUEUE, not_before_ms=START_MS + 100)
    claim(store, 200, key="T-9")
    store.next_wake_ms()
    store.tasks_in_flight()
    store.counters()
    plans = heard.plans()
    heard.close()
    assert len(plans) > 12
    found = [(step, sql) for step, sql in scans(plans) if "FROM counter" not in sql]
    # A parked task is woken in the order of picking: sorted, but only those whose time has come.
    assert [sql for step, sql in found if "parked = 1 AND not_before_ms <= ?" not in sql] == []
    picks = [
        steps for sql, steps in plans.items() if "ORDER BY sort_key" in sql and "parked = 0" in sql
    ]
    assert ["SCAN task USING INDEX task_pick"] in picks


def test_no_statement_of_the_views_looks_at_the_whole_queue(heard: Listening, shop: Shop) -> None:
    store = SqlStore(heard, PROJECT)
    views = FileViews(store, shop.queue, shop.files, shop.folder, project=PROJECT)
    views._boards(moment(5))
    plans = heard.plans()
    heard.close()
    found = [(step, sql) for step, sql in scans(plans) if "FROM counter" not in sql]
    assert found == []


def test_no_statement_of_status_looks_at_the_whole_queue(heard: Listening, shop: Shop) -> None:
    said: list[str] = []
    with closing(sqlite3.connect(shop.folder / "state.db")) as database:
        database.set_trace_callback(said.append)
        _Look(database).data()
    heard.heard = [(sql, ()) for sql in said]
    plans = heard.plans()
    heard.close()
    assert len(plans) > 8
    others = ("FROM counter", "FROM run", "FROM ledger_head")
    assert [sql for _, sql in scans(plans) if not any(name in sql for name in others)] == []


_IMPORT = """
import json, sys, time
from pathlib import Path
from tests.integration.store.shop import Shop, moment

shop = Shop(Path(sys.argv[1]))
began = time.process_time()
told = shop.queue.sync(moment(10**12))
imported = time.process_time() - began
shop.queue.write(moment(1))
print(json.dumps({
    "added": len(told.added), "refused": told.refused[:3], "cpu_sec": round(imported, 2),
    # not ru_maxrss: a child inherits the peak of the process that spawned it
    "peak_mb": int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024,
}))
shop.close()
"""


@pytest.mark.slow
def test_a_hundred_thousand_tasks_are_imported_in_bounded_memory(tmp_path: Path) -> None:
    tasks = (
        {"task_key": f"T-{n}", "title": f"the task with number {n}", "step_pack": f"packs/{n}.json"}
        | ({"depends_on": [f"T-{n - 1}"]} if n % 10 == 9 else {})
        for n in range(100_000)
    )
    with (tmp_path / "task_queue.json").open("w") as file:
        file.write("[" + ",\n".join(json.dumps(task) for task in tasks) + "]")
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["added"], told["refused"]) == (100_000, [])
    assert told["peak_mb"] < 160, told  # 117 on the machine where it was written
