"""What a writer has to know of a ledger: its heads, its tree and each task's R/S.

The fold of the project's file, read once and then only where it grew.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from workflow_logger.checkpoint import Checkpoint
from workflow_logger.entry import ChainHead, Frame, genesis, parse_line, read_frame
from workflow_logger.errors import EntryError, LedgerError
from workflow_logger.iteration import Iteration
from workflow_logger.merkle import Frontier


class TaskFold:
    """One task so far."""

    __slots__ = ("_last_attempt", "closed", "head")

    def __init__(self) -> None:
        self.head: ChainHead | None = None
        self.closed = False
        self._last_attempt: bytes | None = None

    @property
    def iteration(self) -> Iteration | None:
        """The last attempt's number; None before the first."""
        if self._last_attempt is None:
            return None
        entry = parse_line(self._last_attempt)
        r, s = entry.body.get("r"), entry.body.get("s")
        if type(r) is not int or type(s) is not int:
            where = f"task {entry.task_id}, entry {entry.seq}"
            raise LedgerError("an attempt without r and s", where=where, mend=_MEND)
        return Iteration(r, s)

    def add(self, frame: Frame, line: bytes) -> None:
        """Take one more entry."""
        self.head = ChainHead(frame.task_seq + 1, frame.hash)
        if frame.kind == "attempt":
            self._last_attempt = line
        elif frame.kind == "close":
            self.closed = True


class Fold:
    """The state of one project's file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reset()

    def _reset(self) -> None:
        self.head: ChainHead | None = None
        self.frontier = Frontier()
        self._tasks: dict[str, TaskFold] = {}
        self._offset = 0
        self._file: tuple[int, int] | None = None

    def task(self, task_id: str) -> TaskFold:
        """Return what is known of a task; an empty state for a new one."""
        return self._tasks.get(task_id) or TaskFold()

    def read(self, ledger_id: str, known: Sequence[tuple[Checkpoint, str]]) -> None:
        """Read what the file gained, and hold the result against checkpoints `known` before.

        Raises:
            LedgerError: the chain is broken, or a checkpoint contradicts it.
        """
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            self._reset()
            _compare(self.frontier, known, is_end=True)
            return
        with file:
            status = os.fstat(file.fileno())
            identity = (status.st_dev, status.st_ino)
            behind = any(item.size < self.frontier.size for item, _ in known)
            if identity != self._file or status.st_size < self._offset or behind:
                self._reset()
                self._file = identity
            file.seek(self._offset)
            _compare(self.frontier, known, is_end=False)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # torn: never acknowledged
                self._add(line, ledger_id)
                _compare(self.frontier, known, is_end=False)
        _compare(self.frontier, known, is_end=True)

    def _add(self, line: bytes, ledger_id: str) -> None:
        where = f"{self._path}:{self.frontier.size + 1}"
        try:
            frame = read_frame(line)
        except EntryError as error:
            raise LedgerError(error.what, where=where, mend=_MEND) from error
        head = self.head or genesis(ledger_id)
        if (frame.seq, frame.prev_hash, frame.project_id) != (*head, ledger_id):
            raise LedgerError(
                f"expected entry {head.size} after {head.last_hash}, found {frame.seq}",
                where=where,
                mend=_MEND,
            )
        self.head = ChainHead(frame.seq + 1, frame.hash)
        self.frontier.append(line[:-1])
        self._offset += len(line)
        if frame.task_id:
            self._tasks.setdefault(frame.task_id, TaskFold()).add(frame, line)


_MEND = "run `verify`; restore the ledger from a copy before more is recorded"


def _compare(frontier: Frontier, known: Sequence[tuple[Checkpoint, str]], *, is_end: bool) -> None:
    for checkpoint, where in known:
        if checkpoint.size == frontier.size and checkpoint.root != frontier.root():
            what = f"the first {checkpoint.size} entries are not those that were signed"
            raise LedgerError(what, where=where, mend=_MEND)
        if is_end and checkpoint.size > frontier.size:
            what = f"{checkpoint.size} entries were signed, the file holds {frontier.size}"
            raise LedgerError(what + ": its tail was dropped", where=where, mend=_MEND)
