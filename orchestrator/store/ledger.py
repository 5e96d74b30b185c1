"""Ledger entries inside the store's transactions (FORMAT.md 3).

An entry's bytes are made once, in the transaction that decides. The JSONL files repeat them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from orchestrator.errors import StoreError
from orchestrator.store.sql import Database
from workflow_logger.entry import ChainHead, Entry, genesis, make_entry
from workflow_logger.errors import LoggerError
from workflow_logger.merkle import Frontier


class FilesSeal(NamedTuple):
    """How many entries the JSONL file holds, and its number, size and time as one text."""

    entries: int
    seal: str


class StoredLedger:
    """The project's chain, its task chains and its Merkle frontier, kept in three tables."""

    def __init__(self, database: Database, project_id: str) -> None:
        self._db = database
        self.project_id = project_id
        head = genesis(project_id)
        sql = "SELECT project_id FROM ledger_head WHERE id = 1"
        if database.one(sql) is None:
            database.run(
                "INSERT INTO ledger_head (id, project_id, size, last_hash, frontier)"
                " VALUES (1, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                (project_id, head.size, head.last_hash, Frontier().to_bytes().hex()),
            )
        row = database.one(sql)
        if row is None or row[0] != project_id:
            raise StoreError(
                f"this store belongs to project {row and row[0]!r}, not {project_id!r}",
                where="ledger_head",
                mend="name the project as it was named at init, or use another progress folder",
            )
        self._frontier: tuple[str, Frontier] | None = None

    def append(
        self, *, task_id: str, kind: str, at: str, run_id: str | None, body: Mapping[str, Any]
    ) -> Entry:
        """Add one entry; the caller holds the transaction.

        Raises:
            StoreError: the body cannot be recorded (a float, a lone surrogate, over 4 MiB).
        """
        row = self._db.one(
            "SELECT h.size, h.last_hash, h.frontier, t.size, t.last_hash FROM ledger_head h"
            " LEFT JOIN task_head t ON t.task_id = ? WHERE h.id = 1",
            (task_id,),
        )
        if row is None:
            raise StoreError("ledger_head is empty", where="store", mend="restore the store")
        size, last_hash, frontier_hex, *task = row
        task_head = genesis(self.project_id) if task[0] is None else ChainHead(*task)
        try:
            entry = make_entry(
                ChainHead(size, last_hash),
                task_head,
                project_id=self.project_id,
                task_id=task_id,
                kind=kind,
                at=at,
                body=dict(body),
            )
        except LoggerError as error:
            raise StoreError(
                f"the {kind} entry cannot be recorded: {error.what}",
                where=f"task {task_id or '(project)'}, {error.where}",
                mend=error.mend,
            ) from error
        frontier = self._frontier_at(last_hash, frontier_hex)
        frontier.append(entry.leaf)
        self._db.run(
            "INSERT INTO ledger (seq, task_id, task_seq, kind, run_id, hash, line)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (entry.seq, task_id, entry.task_seq, kind, run_id, entry.hash, entry.leaf.decode()),
        )
        self._db.run(
            "UPDATE ledger_head SET size = ?, last_hash = ?, frontier = ? WHERE id = 1",
            (entry.seq + 1, entry.hash, frontier.to_bytes().hex()),
        )
        self._db.run(
            "INSERT INTO task_head (task_id, size, last_hash) VALUES (?, ?, ?)"
            " ON CONFLICT (task_id) DO UPDATE SET size = excluded.size,"
            " last_hash = excluded.last_hash",
            (task_id, entry.task_seq + 1, entry.hash),
        )
        self._frontier = (entry.hash, frontier)
        return entry

    def forget_cache(self) -> None:
        """Drop the cached frontier: the transaction that advanced it was undone."""
        self._frontier = None

    def _frontier_at(self, last_hash: str, frontier_hex: str) -> Frontier:
        if self._frontier is not None and self._frontier[0] == last_hash:
            return self._frontier[1]
        return Frontier.from_bytes(bytes.fromhex(frontier_hex))

    def head(self) -> tuple[int, str, bytes]:
        """Return size, last hash and Merkle root."""
        row = self._db.one("SELECT size, last_hash, frontier FROM ledger_head WHERE id = 1")
        if row is None:
            raise StoreError("ledger_head is empty", where="store", mend="restore the store")
        return row[0], row[1], Frontier.from_bytes(bytes.fromhex(row[2])).root()

    def remembered_files(self) -> FilesSeal:
        """Return what the JSONL file looked like when a program last let go of it."""
        row = self._db.one("SELECT value FROM setting WHERE name = 'ledger_files'")
        if row is None:
            return FilesSeal(0, "")
        return FilesSeal(int(row[0].partition(" ")[0]), row[0])

    def remember_files(self, seal: FilesSeal) -> None:
        """Remember it; the text of the seal begins with the number of entries."""
        self._db.run(
            "INSERT INTO setting (name, value) VALUES ('ledger_files', ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (seal.seal,),
        )

    def size(self) -> int:
        """Return how many entries there are."""
        row = self._db.one("SELECT size FROM ledger_head WHERE id = 1")
        return int(row[0]) if row else 0

    def lines(self, start: int = 0) -> Iterator[bytes]:
        """Iterate over the entries' bytes, newline included, from entry `start` on."""
        for (line,) in self._db.all(
            "SELECT line FROM ledger WHERE seq >= ? ORDER BY seq", (start,)
        ):
            yield str(line).encode() + b"\n"

    def entries(
        self, *, run_id: str | None = None, task_id: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Iterate over entries as objects, of one run, one task, or all."""
        sql, parameters = "SELECT line FROM ledger", []
        wheres = []
        for column, value in (("run_id", run_id), ("task_id", task_id)):
            if value is not None:
                wheres.append(f"{column} = ?")
                parameters.append(value)
        if wheres:
            sql += " WHERE " + " AND ".join(wheres)
        for (line,) in self._db.all(sql + " ORDER BY seq", parameters):
            yield json.loads(line)
