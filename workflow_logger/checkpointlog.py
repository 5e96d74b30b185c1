"""The file of signed checkpoints, and the copy of the last one that is kept outside.

The file holds notes one after the other, each followed by one empty line (FORMAT.md 5.3). A torn
last note is cut off by the next writer, as a torn last entry is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from workflow_logger.checkpoint import MAX_NOTE_BYTES, Checkpoint, parse_note
from workflow_logger.errors import CheckpointError, LedgerError, LoggerError
from workflow_logger.safefile import replace_file, sync_folder, write_all

_DASH: Final = "—".encode()


class Stored(NamedTuple):
    """One note of the file, the line it begins on, and the offset after its empty line."""

    note: str
    line: int
    end: int


def split(data: bytes) -> tuple[list[Stored], int]:
    """Return the whole notes in `data`, and how many bytes they take; the rest is torn.

    A note ends with an empty line that no signature line follows. A last note without a signature
    is torn too: its writer died between the two.
    """
    notes: list[Stored] = []
    start = position = 0
    line = 1
    signed = 0
    taken = 0
    while (end := data.find(b"\n\n", position)) >= 0:
        position = end + 2
        if data.startswith(_DASH, position):
            continue  # the empty line before the signatures
        block = data[start : end + 1]
        notes.append(Stored(block.decode("utf-8", "replace"), line, position))
        if b"\n\n" + _DASH in block:
            signed, taken = len(notes), position
        line += block.count(b"\n") + 1
        start = position
    return notes[:signed], taken


def append(path: Path, note: str, *, durable: bool) -> bool:
    """Append `note`; return False when it is the last one already. The caller holds the lock.

    Raises:
        CheckpointError: `note` is malformed.
        LedgerError: the last note is larger, or has the same size and another root.
        LoggerError: the disk refuses.
    """
    new = parse_note(note).checkpoint
    try:
        handle = _open(path)
        try:
            size = os.fstat(handle).st_size
            end, last = _last(handle, size)
            if end != size:
                os.ftruncate(handle, end)
            if last is not None and not _follows(last, new, str(path)):
                return False
            try:
                write_all(handle, note.encode() + b"\n")
                if durable:
                    os.fsync(handle)
            except OSError:
                os.ftruncate(handle, end)
                raise
        finally:
            os.close(handle)
        if durable and size == 0:
            sync_folder(path.parent)
    except OSError as error:
        raise LoggerError(
            f"cannot append a checkpoint: {error.strerror}",
            where=str(path),
            mend="make room on the disk, check its permissions, then try again",
        ) from error
    return True


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o644)


def _last(handle: int, size: int) -> tuple[int, Checkpoint | None]:
    """Return where the last whole note ends, and what it states."""
    width = min(size, 4096)
    while True:
        notes, taken = split(os.pread(handle, width, size - width))
        # The first note of a window that begins inside the file is only part of one.
        if width == size or len(notes) > 1:
            last = parse_note(notes[-1].note).checkpoint if notes else None
            return size - width + taken, last
        width = min(size, width * 4)


def _follows(last: Checkpoint, new: Checkpoint, where: str) -> bool:
    """Return whether `new` adds something to `last`. Raises LedgerError when it contradicts."""
    if last.origin != new.origin:
        return True  # a renamed import goes on under its own origin
    if new.size < last.size:
        raise LedgerError(
            f"a checkpoint of {last.size} entries is recorded, this one has {new.size}",
            where=where,
            mend="entries were dropped: restore the ledger from a copy",
        )
    if new.size > last.size:
        return True
    if new.root != last.root:
        raise LedgerError(
            f"two checkpoints of {new.size} entries have different roots",
            where=where,
            mend="the history was rewritten: restore the ledger from a copy",
        )
    return False


def last(path: Path) -> Checkpoint | None:
    """Return what the last whole note states, reading only the file's end.

    Raises:
        CheckpointError: the last note is malformed.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return _last(handle, os.fstat(handle).st_size)[1]
    finally:
        os.close(handle)


def load(path: Path) -> tuple[list[Stored], bool]:
    """Return the notes of the file, and whether a torn one follows; no file: no notes."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], False
    notes, end = split(data)
    return notes, end != len(data)


def load_anchor(path: Path) -> str | None:
    """Return the note kept outside, or None. Raises CheckpointError when it is not text."""
    try:
        data = path.read_bytes()[: MAX_NOTE_BYTES + 1]
        return data.decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise CheckpointError(
            "anchor.malformed", "not UTF-8", where=str(path), mend="restore it from a copy"
        ) from error


def replace_anchor(path: Path, note: str, *, durable: bool) -> None:
    """Put `note` at `path`; an anchor never goes back.

    Raises:
        LedgerError: the anchor is of more entries, or contradicts `note`.
    """
    known = load_anchor(path)
    if known == note:
        return
    if known is not None:
        old, new = parse_note(known, where=str(path)).checkpoint, parse_note(note).checkpoint
        if not _follows(old, new, str(path)):
            return
    else:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        replace_file(path, note.encode(), durable=durable)
    except OSError as error:
        raise LoggerError(
            f"cannot write the anchor: {error.strerror}",
            where=str(path),
            mend="make room on the disk, or pass another --anchor",
        ) from error
