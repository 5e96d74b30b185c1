"""`progress/task_queue.json`: read when a person changed it, written as a view.

The file is known by its signature (inode, size, time) and its digest. What we wrote ourselves is
never read back; anything else is a person's edit. A broken or refused edit stays on disk as it
is, and the view goes to `task_queue.view.json` beside it until the edit is mended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from orchestrator.errors import ContractError, StoreError
from orchestrator.kernel.records import Moment
from orchestrator.kernel.work import QueueEdit
from orchestrator.protocol.queue_text import iter_tasks, place_of
from orchestrator.store.edits import KnownTasks, apply_edits
from orchestrator.store.files import replace_file, signature
from orchestrator.store.store import SqlStore
from orchestrator.triage.edits import Edits, compare

_SETTING = "queue_file"


class QueueFile:
    """One queue file, in both directions."""

    def __init__(self, store: SqlStore, path: Path) -> None:
        self._store = store
        self.path = path
        remembered = store.setting(f"{_SETTING}:{path}")
        self._digest = remembered or ""
        self._seen: tuple[int, int, int] | None = None
        self._refused = False

    @property
    def is_refused(self) -> bool:
        """Whether the file holds an edit that was refused, so that it must not be overwritten."""
        return self._refused

    def sync(self, moment: Moment, *, during_attempt: str | None = None) -> QueueEdit:
        """Read the file if it changed, import what is allowed, say what was refused."""
        now = signature(self.path)
        if now is None or now == self._seen:
            return QueueEdit()
        data = self._read()
        self._seen = now
        digest = sha256(data).hexdigest()
        if digest == self._digest:
            return QueueEdit()
        try:
            edits = compare(iter_tasks(data, self.path.name), KnownTasks(self._store))
        except ContractError as error:
            self._refused = True
            return QueueEdit(refused=error.problems or (error.what,), digest=digest)
        if edits.refused:
            self._refused = True
            return QueueEdit(refused=self._told(edits, data), digest=digest)
        self._refused = False
        if not edits.is_empty:
            note = {"file": self.path.name, "digest": digest}
            if during_attempt:
                note["during_attempt"] = during_attempt
            apply_edits(self._store, edits, moment, run_id=None, note=note)
        self._remember(digest)
        return QueueEdit(
            added=tuple(task.task_key for task in edits.added),
            changed=tuple(change.task.task_key for change in edits.changed),
            removed=tuple(edits.removed),
            moved=(*edits.cancelled, *edits.requeued),
            digest=digest,
        )

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise StoreError(
                f"the queue cannot be read: {error.strerror}",
                where=str(self.path),
                mend="make the file readable",
            ) from error

    def _told(self, edits: Edits, data: bytes) -> tuple[str, ...]:
        lines = []
        for remark in edits.refused:
            line, column = place_of(data, remark.path)
            lines.append(
                f"{self.path.name}:{line}:{column}: {remark.where}: {remark.what}; {remark.mend}"
            )
        return tuple(lines)

    def _remember(self, digest: str) -> None:
        self._digest = digest
        self._store.set_setting(f"{_SETTING}:{self.path}", digest)

    def write(self, moment: Moment) -> None:
        """Write the view: what the person gave, with state, reason, attempts and time."""
        if not self._refused and signature(self.path) != self._seen:
            self.sync(moment)  # a person was faster: their edit first
        target = self.path
        if self._refused:
            target = self.path.with_name(f"{self.path.stem}.view.json")
        digest = sha256()

        def hashed() -> Iterator[bytes]:
            for chunk in self._chunks():
                digest.update(chunk)
                yield chunk

        status = replace_file(target, hashed())
        if not self._refused:
            self._seen = (status.st_ino, status.st_size, status.st_mtime_ns)
            self._remember(digest.hexdigest())

    def _chunks(self) -> Iterator[bytes]:
        yield b'{\n  "schema_version": 1,\n  "kind": "task_queue",\n  "tasks": ['
        rows = self._store.database.all(
            "SELECT spec, state, reason, journey, updated_at FROM task ORDER BY seq"
        )
        first = True
        for spec, state, reason, journey, updated_at in rows:
            row = json.loads(spec)
            row["status"] = state
            if reason:
                row["reason"] = reason
            if attempts := json.loads(journey)["attempts"]:
                row["attempts"] = attempts
            row["updated_at"] = updated_at
            comma = "\n    " if first else ",\n    "
            first = False
            yield (comma + json.dumps(row, ensure_ascii=False)).encode()
        yield b"\n  ]\n}\n"
