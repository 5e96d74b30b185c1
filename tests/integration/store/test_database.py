from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import LeaseHeld, StoreError
from orchestrator.kernel.life import Event
from orchestrator.store import sql
from orchestrator.store.sql import SqliteDatabase, migrate
from orchestrator.store.store import SqlStore
from tests.integration.store.shop import PROJECT, add, claim, open_store, step

REPOSITORY = Path(__file__).resolve().parents[3]


def tables(database: SqliteDatabase) -> list[str]:
    rows = database.all("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [name for (name,) in rows]


def test_a_fresh_store_is_migrated_and_a_second_time_nothing_happens(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "deep" / "er" / "state.db")
    version = migrate(database)
    before = tables(database)
    assert migrate(database) == version
    assert tables(database) == before
    assert {"task", "ledger", "outbox", "counter"} <= set(before)
    database.close()


def test_a_store_of_a_newer_program_is_refused_untouched(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "state.db")
    migrate(database)
    database.run("INSERT INTO schema_migration (version, name) VALUES (99, 'later')")
    with pytest.raises(StoreError, match="version 99") as refused:
        migrate(database)
    assert "newer version" in refused.value.mend
    database.close()


def test_a_migration_that_fails_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_script: str) -> list[str]:
        return ["CREATE TABLE half (a TEXT)", "CREATE TABLE half (a TEXT)"]

    database = SqliteDatabase(tmp_path / "state.db")
    with monkeypatch.context() as patch:
        patch.setattr(sql, "statements", broken)
        with pytest.raises(StoreError, match="already exists"):
            migrate(database)
    assert tables(database) == ["schema_migration"]
    assert migrate(database) >= 1
    database.close()


_OPEN = """
import sys
from pathlib import Path
sys.stdin.read(1)
from tests.integration.store.shop import open_store
open_store(Path(sys.argv[1])).close()
"""


@pytest.mark.slow
def test_processes_that_open_a_fresh_store_at_once_all_succeed(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN, str(tmp_path)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"g")
        child.stdin.flush()
    assert [child.communicate()[1].decode() for child in children] == [""] * 4


def test_a_commit_is_on_disk_before_it_returns(store: SqlStore) -> None:
    assert store.database.one("PRAGMA journal_mode") == ("wal",)
    assert store.database.one("PRAGMA synchronous") == (2,)


def test_a_transaction_that_raises_is_undone_whole(store: SqlStore) -> None:
    def breaks_off() -> None:
        with store.transaction():
            store.set_setting("a", "1")
            raise KeyError

    with pytest.raises(KeyError):
        breaks_off()
    assert store.setting("a") is None
    store.set_setting("a", "2")
    assert store.setting("a") == "2"


def test_a_store_of_another_project_is_refused(store: SqlStore) -> None:
    with pytest.raises(StoreError, match="belongs to project 'shop', not 'other'"):
        SqlStore(store.database, "other")


def test_who_waits_too_long_for_another_writer_is_told_to_try_again(
    store: SqlStore, tmp_path: Path
) -> None:
    other = SqliteDatabase(tmp_path / "state.db")
    other.run("PRAGMA busy_timeout=0")
    with store.transaction(), pytest.raises(LeaseHeld, match="busy"), other.transaction():
        pass
    other.close()


@pytest.mark.parametrize(
    "content", [b"no database at all " * 100, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_file_that_is_no_store_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as refused:
        open_store(tmp_path)
    assert "move the file aside" in refused.value.mend
    assert (tmp_path / "state.db").read_bytes() == content


def read_all(folder: Path) -> None:
    store = open_store(folder)
    try:
        list(store.tasks())
    finally:
        store.close()


def test_a_damaged_page_is_an_error_of_the_store_and_not_a_wrong_answer(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    add(store, *(f"T-{n}" for n in range(300)))
    store.close()
    path = tmp_path / "state.db"
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page : page + 64] = b"\xa5" * 64
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        read_all(tmp_path)


def test_a_row_that_somebody_edited_is_named(store: SqlStore) -> None:
    add(store, "T-1", "T-2")
    store.database.run("UPDATE task SET spec = '{}' WHERE task_key = 'T-1'")
    store.database.run("UPDATE task SET journey = '[' WHERE task_key = 'T-2'")
    for key in ("T-1", "T-2"):
        with pytest.raises(StoreError, match=f"task {key} cannot be read"):
            store.task(key)


@pytest.mark.parametrize("act", ["removed", "replaced"])
def test_a_store_that_is_taken_away_from_a_running_program_takes_no_decision(
    tmp_path: Path, act: str
) -> None:
    store = open_store(tmp_path)
    add(store, "T-1")
    task = claim(store)
    path = tmp_path / "state.db"
    kept = tmp_path / "kept.db"
    path.rename(kept)
    if act == "replaced":
        path.write_bytes(b"")
    with pytest.raises(StoreError, match="removed or replaced"):
        step(store, task, Event.PREPARE)
    kept.replace(path)
    step(store, task, Event.PREPARE)
    store.close()


def test_what_somebody_else_wrote_while_a_worker_ran_is_not_built_upon(
    store: SqlStore, tmp_path: Path
) -> None:
    add(store, "T-1")
    task = claim(store)
    step(store, task, Event.PREPARE)
    step(store, task, Event.DISPATCH, attempt_id="A_1", revision=0, attempt=0)
    with closing(sqlite3.connect(tmp_path / "state.db")) as other:
        other.execute("UPDATE task SET spec = replace(spec, 'T-1', 'T-2')")
        other.commit()
    with pytest.raises(StoreError, match="somebody else wrote the store"):
        step(store, task, Event.RECEIVE)
    assert store.task("T-1").state == "dispatched"


def test_an_entry_that_cannot_be_recorded_changes_nothing(store: SqlStore) -> None:
    add(store, "T-1")
    task, size = claim(store), store.ledger.size()
    for body in ({"a": 1.5}, {"a": "\ud800"}, {"a": "x" * 5_000_000}):
        with pytest.raises(StoreError, match="cannot be recorded"):
            step(store, task, Event.PREPARE, body=body)
    assert (store.task("T-1").state, store.ledger.size()) == ("claimed", size)
    step(store, task, Event.PREPARE)


def test_the_project_is_remembered(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    database = SqliteDatabase(tmp_path / "state.db")
    assert database.one("SELECT project_id FROM ledger_head") == (PROJECT,)
    database.close()
