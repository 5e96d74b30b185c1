"""The ledger's JSONL files, appended from the store, and its signed checkpoints.

The store holds the bytes; the files repeat them. Files that a crash left behind are brought up;
files that somebody changed are put aside and written again from the store, and that is told.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.store.ledger import StoredLedger
from workflow_logger import files
from workflow_logger.checkpoint import SigningKey, origin_of, sign_checkpoint
from workflow_logger.errors import LoggerError
from workflow_logger.layout import Home

_BATCH = 2000


class LedgerFiles:
    """Keeps `workflow/<project>/` equal to the store."""

    def __init__(
        self,
        ledger: StoredLedger,
        root: Path,
        *,
        key: Callable[[], SigningKey],
        home: Home,
        told: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._root = root
        self._key = key
        self._home = home
        self._told = told
        self._appender = files.Appender(root, ledger.project_id)
        self._written: int | None = None  # entries known to be in the files

    def bring_up(self, *, checkpoint: bool = False, durable: bool = False) -> int:
        """Append what the files lack; with `checkpoint`, sign the head. Returns lines written."""
        try:
            written = self._append(durable=durable)
            if checkpoint:
                self._sign()
        except LoggerError as error:
            raise StoreError(
                f"the ledger's files cannot be written: {error}",
                where=getattr(error, "where", str(self._root)),
                mend=getattr(error, "mend", "see verify"),
            ) from error
        return written

    def _append(self, *, durable: bool) -> int:
        size = self._ledger.size()
        if self._written is None:
            self._written = self._checked_start()
        start, count, batch = self._written, 0, []
        if start >= size:
            return 0
        for line in self._ledger.lines(start):
            batch.append(line)
            if len(batch) >= _BATCH:
                count += self._write(batch, durable=durable)
                batch = []
        count += self._write(batch, durable=durable)
        self._written = start + count if count else size
        return count

    def _write(self, batch: list[bytes], *, durable: bool) -> int:
        if not batch:
            return 0
        try:
            self._appender.append(batch, durable=durable)
        except LoggerError as error:
            if error.exit_code == 75:  # noqa: PLR2004  locked: somebody reads or repairs
                raise
            self._rewrite(str(error))
            self._appender.append(batch, durable=durable)
        return len(batch)

    def _checked_start(self) -> int:
        """Return how many entries the files hold, if they are the store's; else write them new."""
        size = self._ledger.size()
        try:
            head = self._appender.head()
        except LoggerError as error:
            return self._rewrite(str(error))
        if head is None:
            return 0
        if head.size > size:
            return self._rewrite(f"the files hold {head.size} entries, the store {size}")
        last = next(self._ledger.lines(head.size - 1), b"")
        if head.last_hash.encode() not in last:
            return self._rewrite(f"entry {head.size - 1} is not the store's")
        return head.size

    def _rewrite(self, why: str) -> int:
        """Put the changed files aside, write all entries again from the store."""
        folder = self._root / self._ledger.project_id
        number = 1
        while (aside := folder.with_name(f"{folder.name}.altered-{number}")).exists():
            number += 1
        folder.rename(aside)
        folder.mkdir()
        notes = aside / "manifest" / "checkpoints.log"
        if notes.exists():
            (folder / "manifest").mkdir()
            shutil.copy2(notes, folder / "manifest" / "checkpoints.log")
        self._told(
            f"the ledger's files were changed from outside ({why}); they lie in {aside.name},"
            " and were written again from the store"
        )
        self._appender.close()
        self._appender = files.Appender(self._root, self._ledger.project_id)
        batch: list[bytes] = []
        total = 0
        for line in self._ledger.lines():
            batch.append(line)
            if len(batch) >= _BATCH:
                total += self._appender.append(batch, durable=False).written
                batch = []
        if batch:
            total += self._appender.append(batch, durable=True).written
        self._written = total
        return total

    def _sign(self) -> None:
        size, _, root = self._ledger.head()
        if size == 0:
            return
        project = self._ledger.project_id
        note = sign_checkpoint(origin_of(project), size, root, self._key())
        files.write_checkpoint(
            self._root,
            project,
            note,
            anchor=self._home.anchor(project),
            durable=True,
            appender=self._appender,
        )

    def close(self) -> None:
        """Let go of the files."""
        self._appender.close()
