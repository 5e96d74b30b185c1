"""One append-only JSONL file that holds one chain: of a project, or of one task.

It knows the chain's head from the last line alone, and re-reads it only when the file's identity
or size has changed. A torn last line (no newline: its writer died and never acknowledged it) is
cut off. Who writes must hold the project's lock.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from workflow_logger.entry import ChainHead, Frame, genesis, read_frame
from workflow_logger.errors import EntryError, LedgerError, LoggerError
from workflow_logger.safefile import sync_folder, write_all

_CHUNK: Final = 64 * 1024


class Placed(NamedTuple):
    """One line on its way to a file, with its frame."""

    line: bytes
    frame: Frame


class ChainFile:
    """One chain's file. `task_id` None: the project's file, which holds every entry."""

    __slots__ = ("_identity", "_ledger_id", "head", "path", "repaired", "task_id")

    def __init__(self, path: Path, task_id: str | None) -> None:
        self.path = path
        self.task_id = task_id
        self.head: ChainHead | None = None  # None: empty, or not read yet
        self.repaired = 0  # bytes of torn lines cut off so far
        self._identity: tuple[int, int, int] | None = None  # device, inode, size
        self._ledger_id: str | None = None

    @property
    def size_bytes(self) -> int:
        """The file's length when it was last looked at."""
        return self._identity[2] if self._identity else 0

    def refresh(self) -> bool:
        """Look at the file again; return whether somebody else changed it."""
        try:
            status = os.stat(self.path)  # noqa: PTH116  a microsecond on the hot path
        except FileNotFoundError:
            changed = self._identity is not None
            self._identity, self.head, self._ledger_id = None, None, None
            return changed
        identity = (status.st_dev, status.st_ino, status.st_size)
        if identity == self._identity:
            return False
        self._load(identity)
        return True

    def _load(self, identity: tuple[int, int, int]) -> None:
        handle = os.open(self.path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            lines, end = _last_lines(handle, identity[2], 1)
            if end != identity[2]:
                os.ftruncate(handle, end)
                self.repaired += identity[2] - end
        finally:
            os.close(handle)
        self._identity = (*identity[:2], end)
        self.head, self._ledger_id = None, None
        if lines:
            frame = self._frame_of(lines[0])
            self.head, self._ledger_id = self._head_after(frame), frame.project_id

    def _frame_of(self, line: bytes) -> Frame:
        try:
            frame = read_frame(line)
        except EntryError as error:
            raise LedgerError(
                f"the last line is not an entry: {error.what}",
                where=str(self.path),
                mend="run `verify`; restore the file from a copy",
            ) from error
        if self.task_id is not None and frame.task_id != self.task_id:
            raise LedgerError(
                f"the file of task {self.task_id} holds an entry of {frame.task_id!r}",
                where=str(self.path),
                mend="run `verify`; task files may have been swapped",
            )
        return frame

    def _head_after(self, frame: Frame) -> ChainHead:
        size = frame.seq if self.task_id is None else frame.task_seq
        return ChainHead(size + 1, frame.hash)

    def place(self, lines: Sequence[Placed]) -> list[Placed]:
        """Return those of `lines` that the file lacks; all of them must fit its chain.

        Raises:
            LedgerError: a line stands there with other bytes, or does not continue the chain.
        """
        if not lines:
            return []
        first = self._index(lines[0].frame)
        size = self.head.size if self.head else 0
        if first > size:
            self._refuse(lines[0].frame, f"expected {self._name} {size}, found {first}")
        known = min(size - first, len(lines))
        if known:
            self._compare(lines[:known], size - first)
        fresh = list(lines[known:])
        if fresh:
            self._check_chain(fresh)
        return fresh

    @property
    def _name(self) -> str:
        return "seq" if self.task_id is None else "task_seq"

    def _index(self, frame: Frame) -> int:
        return frame.seq if self.task_id is None else frame.task_seq

    def _compare(self, known: Sequence[Placed], back: int) -> None:
        handle = os.open(self.path, os.O_RDONLY)
        try:
            there, _ = _last_lines(handle, self.size_bytes, back)
        finally:
            os.close(handle)
        for placed, line in zip(known, there, strict=False):
            if placed.line != line:
                self._refuse(placed.frame, "another entry stands there already")

    def _check_chain(self, fresh: Sequence[Placed]) -> None:
        ledger_id = self._ledger_id or fresh[0].frame.project_id
        head = self.head or genesis(ledger_id)
        for placed in fresh:
            frame = placed.frame
            before = frame.prev_hash if self.task_id is None else frame.prev_event_hash
            if frame.project_id != ledger_id:
                self._refuse(frame, f"it is of ledger {frame.project_id}, this is {ledger_id}")
            if self._index(frame) != head.size:
                self._refuse(frame, f"expected {self._name} {head.size}")
            if before != head.last_hash:
                self._refuse(frame, f"it follows {before}, the chain ends in {head.last_hash}")
            head = self._head_after(frame)

    def _refuse(self, frame: Frame, why: str) -> None:
        raise LedgerError(
            f"the entry with {self._name} {self._index(frame)} is refused: {why}",
            where=f"{self.path}:{self._index(frame) + 1}",
            mend="run `verify`: the ledger forked, or this entry was made from an old head",
        )

    def write(self, fresh: Sequence[Placed], *, durable: bool) -> None:
        """Append lines that `place` returned, in one write.

        Raises:
            LoggerError: the disk refuses; the file is cut back to what it was.
        """
        if not fresh:
            return
        data = b"".join([placed.line for placed in fresh])
        before, is_new = self.size_bytes, self._identity is None
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        try:
            handle = os.open(self.path, flags, 0o644)
            try:
                self._write_or_undo(handle, data, before, durable=durable)
                if is_new:
                    status = os.fstat(handle)
                    self._identity = (status.st_dev, status.st_ino, 0)
            finally:
                os.close(handle)
            if durable and is_new:
                sync_folder(self.path.parent)
        except OSError as error:
            raise LoggerError(
                f"cannot append: {error.strerror}",
                where=str(self.path),
                mend="make room on the disk, check its permissions, then try again",
            ) from error
        last = fresh[-1].frame
        device, inode, _ = self._identity or (0, 0, 0)
        self._identity = (device, inode, before + len(data))
        self.head, self._ledger_id = self._head_after(last), last.project_id

    @staticmethod
    def _write_or_undo(handle: int, data: bytes, before: int, *, durable: bool) -> None:
        try:
            write_all(handle, data)
            if durable:
                os.fsync(handle)
        except OSError:
            os.ftruncate(handle, before)  # a full disk still lets a file shrink
            raise

    def last_lines(self, count: int) -> list[bytes]:
        """Return the last `count` lines, oldest first; fewer when the file is shorter."""
        if self._identity is None:
            return []
        handle = os.open(self.path, os.O_RDONLY)
        try:
            return _last_lines(handle, self.size_bytes, count)[0]
        finally:
            os.close(handle)


def _last_lines(handle: int, size: int, count: int) -> tuple[list[bytes], int]:
    """Return up to `count` whole last lines, oldest first, and where the last of them ends."""
    start, block, width = size, b"", _CHUNK
    while start > 0:
        step = min(width, start)
        start -= step
        block = os.pread(handle, step, start) + block
        width *= 2
        # One more newline than lines: the one that ends the line before the first of them.
        if block.count(b"\n") > count:
            break
    end = block.rfind(b"\n") + 1
    lines = [line + b"\n" for line in block[:end].split(b"\n")[:-1]]
    if start > 0:
        lines = lines[1:]  # its beginning was not read
    return lines[-count:] if count else [], size - len(block) + end
