"""The small port to a database. What the store asks of it, and its SQLite form.

The SQL is the same on every database: `?` for parameters, 64-bit integers, `ON CONFLICT`,
`RETURNING` not needed. A PostgreSQL form replaces `?` and opens its own transactions.
"""

from __future__ import annotations

import contextlib
import os
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

    def expect_no_other_writer(self) -> None:
        """From now on a commit of anybody else makes the next transaction fail."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


class SqliteDatabase:
    """SQLite in WAL mode with `synchronous=FULL`: a commit is on disk before it returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._commits_of_others: int | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, cached_statements=256
            )
        except (sqlite3.Error, OSError) as error:
            raise _translated(error, path) from error
        try:
            self._set_up()
            self._file = self._identity()
        except BaseException:
            self._db.close()
            raise

    def _set_up(self) -> None:
        self.run(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        row = self.one("PRAGMA journal_mode=WAL")
        if row is None or row[0] != "wal":
            raise StoreError(
                f"the file system allows no write-ahead log (journal mode {row and row[0]})",
                where=str(self.path),
                mend="put the progress folder on a local disk",
            )
        for setting in ("synchronous=FULL", "temp_store=MEMORY", "cache_size=-8000"):
            self.run(f"PRAGMA {setting}")

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """Return the first row, or None."""
        try:
            row: Row | None = self._db.execute(sql, parameters).fetchone()
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error
        return row

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """Iterate over the rows without holding them all."""
        try:
            yield from self._db.execute(sql, parameters)
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute, and return the number of rows it touched."""
        try:
            return self._db.execute(sql, parameters).rowcount
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute once for each row."""
        try:
            self._db.executemany(sql, rows)
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """`BEGIN IMMEDIATE` to `COMMIT`: the write lock is taken before anything is read.

        Raises:
            StoreError: the file was removed or replaced since it was opened. Going on would
                write decisions where nobody finds them. Or somebody else wrote to it after
                `expect_no_other_writer`.
        """
        if self._identity() != self._file:
            raise StoreError(
                "the store's file was removed or replaced while the program ran",
                where=str(self.path),
                mend="put the old file back and start again; nothing more was written",
            )
        self.run("BEGIN IMMEDIATE")
        try:
            self._refuse_others()
            yield
            self.run("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            raise

    def expect_no_other_writer(self) -> None:
        """From now on a commit of anybody else makes the next transaction fail."""
        self._commits_of_others = self._data_version()

    def _refuse_others(self) -> None:
        if self._commits_of_others in {None, self._data_version()}:
            return
        raise StoreError(
            "somebody else wrote the store while a worker ran",
            where=str(self.path),
            mend="a worker can do that, and nobody knows what it wrote: restore a copy, or"
            " move progress/ and workflow/ aside and begin again with init",
        )

    def _data_version(self) -> int:
        """A number that changes when another connection has committed, and only then."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)  # noqa: PTH116  a microsecond, at each decision
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def close(self) -> None:
        """Close; the WAL is merged back by the last connection."""
        self._db.close()


_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_NOT_WRITABLE = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
    }
)


def _translated(error: sqlite3.Error | OSError, path: Path) -> StoreError | LeaseHeld:
    # An error of Python's own wrapper has no code of SQLite.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return LeaseHeld(
            f"the store is busy: {error}", where=str(path), mend="another process writes; try again"
        )
    if code in _DAMAGED:
        return StoreError(
            f"the store is damaged: {error}",
            where=str(path),
            mend="move the file aside (keep it) and start again from progress/task_queue.json; "
            "the files under workflow/ still hold the record",
        )
    if code in _NOT_WRITABLE or isinstance(error, OSError):
        return StoreError(
            f"the store cannot be written: {error}",
            where=str(path),
            mend="free some space or make the folder writable, then start again: nothing was lost",
        )
    return StoreError(
        f"the store failed: {error}", where=str(path), mend="python -m orchestrator doctor"
    )


def migrate(database: Database) -> int:
    """Bring the tables up to date; each migration is one transaction. Returns the version.

    Raises:
        StoreError: a newer program has migrated this store already.
    """
    scripts = {
        int(item.name[:4]): item
        for item in resources.files(__package__).joinpath("migrations").iterdir()
        if item.name.endswith(".sql")
    }
    database.run(
        "CREATE TABLE IF NOT EXISTS schema_migration"
        " (version BIGINT PRIMARY KEY, name TEXT NOT NULL)"
    )
    newest = max(scripts)
    for number in sorted(scripts):
        if _version(database) >= number:
            continue
        with database.transaction():
            if _version(database) >= number:  # another process was faster
                continue
            for statement in statements(scripts[number].read_text("utf-8")):
                database.run(statement)
            database.run(
                "INSERT INTO schema_migration (version, name) VALUES (?, ?)",
                (number, scripts[number].name),
            )
    version = _version(database)
    if version > newest:
        raise StoreError(
            f"the store has version {version}, this program knows {newest}",
            where="schema_migration",
            mend="use a newer version of the program",
        )
    return version


def _version(database: Database) -> int:
    row = database.one("SELECT MAX(version) FROM schema_migration")
    return int(row[0]) if row and row[0] is not None else 0


def statements(script: str) -> list[str]:
    """Split a migration at its semicolons; comments go. Migrations hold no semicolon in text."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]
