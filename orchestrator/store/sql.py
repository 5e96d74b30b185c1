"""The small port to a database. What the store asks of it, and its SQLite form.

The SQL is the same on every database: `?` for parameters, 64-bit integers, `ON CONFLICT`,
`RETURNING` not needed. A PostgreSQL form replaces `?` and opens its own transactions.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

from orchestrator.errors import LeaseHeld, StoreError

Row = tuple[Any, ...]
_BUSY_TIMEOUT_MS = 10_000


class Database(Protocol):
    """One connection. Used by one thread at a time."""

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """Return the first row, or None."""
        ...

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """Iterate over the rows without holding them all."""
        ...

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute, and return the number of rows it touched."""
        ...

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute once for each row."""
        ...

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """One writing transaction: durable when the block ends, undone when it raises."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


class SqliteDatabase:
    """SQLite in WAL mode with `synchronous=FULL`: a commit is on disk before it returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            self._db.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA temp_store=MEMORY")
            self._db.execute("PRAGMA cache_size=-8000")
        except (sqlite3.Error, OSError) as error:
            raise _translated(error, path) from error

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """Return the first row, or None."""
        with self._translating():
            row: Row | None = self._db.execute(sql, parameters).fetchone()
            return row

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """Iterate over the rows without holding them all."""
        with self._translating():
            cursor = self._db.execute(sql, parameters)
            yield from cursor

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute, and return the number of rows it touched."""
        with self._translating():
            return self._db.execute(sql, parameters).rowcount

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute once for each row."""
        with self._translating():
            self._db.executemany(sql, rows)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """`BEGIN IMMEDIATE` to `COMMIT`: the write lock is taken before anything is read."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            raise

    def integrity_problem(self) -> str | None:
        """Return what SQLite's own check says is wrong, or None."""
        row = self.one("PRAGMA quick_check")
        return None if row is None or row[0] == "ok" else str(row[0])

    def close(self) -> None:
        """Close; the WAL is merged back by the last connection."""
        self._db.close()

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error


def _translated(error: sqlite3.Error | OSError, path: Path) -> StoreError | LeaseHeld:
    text = str(error)
    if "locked" in text or "busy" in text:
        return LeaseHeld(
            f"the store is busy: {text}", where=str(path), mend="another process writes; try again"
        )
    if "malformed" in text or "not a database" in text:
        return StoreError(
            f"the store is damaged: {text}",
            where=str(path),
            mend="move the file aside (keep it) and start again from progress/task_queue.json; "
            "the files under workflow/ still hold the record",
        )
    if "disk" in text or "full" in text or "readonly" in text or "read-only" in text:
        return StoreError(
            f"the store cannot be written: {text}",
            where=str(path),
            mend="free some space or make the folder writable, then start again: nothing was lost",
        )
    return StoreError(
        f"the store failed: {text}", where=str(path), mend="python -m orchestrator doctor"
    )


def migrate(database: Database) -> int:
    """Bring the tables up to date; each migration is one transaction. Returns the version."""
    database.run(
        "CREATE TABLE IF NOT EXISTS schema_migration"
        " (version BIGINT PRIMARY KEY, name TEXT NOT NULL)"
    )
    row = database.one("SELECT MAX(version) FROM schema_migration")
    version = row[0] if row and row[0] is not None else 0
    scripts = sorted(
        (item for item in resources.files(__package__).joinpath("migrations").iterdir()
         if item.name.endswith(".sql")),
        key=lambda item: item.name,
    )  # fmt: skip
    newest = max((int(item.name[:4]) for item in scripts), default=0)
    if version > newest:
        raise StoreError(
            f"the store has version {version}, this program knows {newest}",
            where="schema_migration",
            mend="use a newer version of the program",
        )
    for script in scripts:
        number = int(script.name[:4])
        if number <= version:
            continue
        with database.transaction():
            for statement in statements(script.read_text("utf-8")):
                database.run(statement)
            database.run(
                "INSERT INTO schema_migration (version, name) VALUES (?, ?)", (number, script.name)
            )
        version = number
    return int(version)


def statements(script: str) -> list[str]:
    """Split a migration at its semicolons; comments go. Migrations hold no semicolon in text."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]
