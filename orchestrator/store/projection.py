"""The ledger's JSONL files, appended from the store, and its signed checkpoints.

The store holds the bytes; the files repeat them. Files that a crash left behind are brought up;
files that somebody changed are put aside and written again from the store, and that is told. To
notice a change in the middle without reading everything at each start, the store remembers what
the file looked like (number, size, time) when it was last let go of; only when it looks otherwise
is it compared line by line. A change that hides from this is found by `verify`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.store.ledger import FilesSeal, StoredLedger
from workflow_logger import checkpointlog, files
from workflow_logger.checkpoint import SigningKey, origin_of, parse_note, sign_checkpoint
from workflow_logger.errors import LedgerError, LoggerError
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
        """Append what the files lack; with `checkpoint`, sign the head. Returns lines written.

        Raises:
            StoreError: the disk refuses, another process holds the files for long, or a signed
                checkpoint shows that this store has lost entries.
        """
        try:
            written = self._append(durable=durable)
            if checkpoint:
                self._sign()
        except LoggerError as error:
            raise StoreError(
                f"the ledger's files cannot be written: {error}",
                where=error.where,
                mend=error.mend,
            ) from error
        except OSError as error:
            raise StoreError(
                f"the ledger's files cannot be written: {error.strerror}",
                where=str(error.filename or self._root),
                mend="free some space or make the folder writable; the store has every entry",
            ) from error
        return written

    def _append(self, *, durable: bool) -> int:
        size = self._ledger.size()
        if self._written is None:
            self._check_anchor(size)
            self._written = self._checked_start(size)
        start, count, batch = self._written, 0, []
        if start >= size:
            return 0
        for line in self._ledger.lines(start):
            batch.append(line)
            if len(batch) >= _BATCH:
                count += self._write(batch, durable=durable)
                batch = []
        count += self._write(batch, durable=durable)
        self._written = start + count
        return count

    def _write(self, batch: list[bytes], *, durable: bool) -> int:
        if not batch:
            return 0
        try:
            self._appender.append(batch, durable=durable)
        except LedgerError as error:  # not the store's lines; a full disk is another error
            self._rewrite(str(error))
            self._appender.append(batch, durable=durable)
        return len(batch)

    def require_newest_store(self) -> None:
        """Raise StoreError when an older store, or an empty one, was put in place."""
        self._check_anchor(self._ledger.size())

    def _check_anchor(self, size: int) -> None:
        """Refuse a store that holds less than what was signed: it was replaced by an older one."""
        anchor = self._home.anchor(self._ledger.project_id)
        text = checkpointlog.load_anchor(anchor)
        if text is None:
            return
        signed = parse_note(text, where=str(anchor)).checkpoint
        if signed.size > size:
            raise StoreError(
                f"the store holds {size} entries, but {signed.size} were signed",
                where=str(anchor),
                mend="an older store was put in place: restore the newer one; to begin again, "
                "give the project another project_id",
            )

    def _checked_start(self, size: int) -> int:
        """Return how many entries the files hold, if they are the store's; else write them new."""
        try:
            head = self._appender.head()
        except LedgerError as error:
            return self._rewrite(str(error))
        held = head.size if head is not None else 0
        remembered = self._ledger.remembered_files()
        if held > size:
            return self._rewrite(f"the files hold {held} entries, the store {size}")
        if held < remembered.entries:
            return self._rewrite(f"the files held {remembered.entries} entries, now {held}")
        if held and self._seal(held) != remembered.seal:
            problem = self._difference()
            if problem is not None:
                return self._rewrite(problem)
        return held

    def _difference(self) -> str | None:
        """Compare every line with the store's; needed when somebody touched the file."""
        ours = self._ledger.lines()
        with self._appender.layout.events.open("rb") as file:
            for number, line in enumerate(file):
                if line != next(ours, None):
                    return f"line {number + 1} is not the store's"
        return None

    def _seal(self, entries: int) -> str:
        status = os.stat(self._appender.layout.events)  # noqa: PTH116
        return f"{entries} {status.st_ino} {status.st_size} {status.st_mtime_ns}"

    def _rewrite(self, why: str) -> int:
        """Put the changed files aside, write all entries again from the store."""
        folder = self._root / self._ledger.project_id
        number = 1
        while (aside := folder.with_name(f"{folder.name}.altered-{number}")).exists():
            number += 1
        if folder.exists():
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
        """Let go of the files, and remember what they look like."""
        self._appender.close()
        if not self._written or self._written != self._ledger.size():
            return
        with contextlib.suppress(OSError):
            seal = self._seal(self._written)
            if seal != self._ledger.remembered_files().seal:
                self._ledger.remember_files(FilesSeal(self._written, seal))
