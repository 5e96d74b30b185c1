"""`progress/task_queue.json`: read when a person changed it, written as a view.

The file is known by its signature (inode, size, time) and its digest. What we wrote ourselves is
never read back; anything else is a person's edit. A broken or refused edit stays on disk as it
is, and the view goes to `task_queue.view.json` beside it until the edit is mended.

An edit that was made while a worker ran in the same tree may be the worker's. What gives a task
more is then held: the file is put aside, the view takes its place again, and a person takes the
edit over with `queue-take`, or does not (decision 0007).
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from orchestrator.errors import ContractError, StoreError
from orchestrator.kernel.records import Moment
from orchestrator.kernel.work import AttemptWindow, QueueEdit
from orchestrator.protocol.limits import MAX_QUEUE_BYTES
from orchestrator.protocol.queue_text import iter_tasks, place_of
from orchestrator.store.edits import KnownTasks, PackedTasks, apply_in_transaction
from orchestrator.store.files import (
    ChangedMeanwhileError,
    NotAFileError,
    Signature,
    read_regular,
    replace_file,
    signature,
)
from orchestrator.store.store import SqlStore
from orchestrator.triage.edits import Edits, Remark, compare, doubtful
from orchestrator.vocabulary import CONTROL_DIRS

_SETTING = "queue_file"
_HELD = "queue_held"
_TICK_MS = 50  # coarser than the clock of any usual file system
_TRIES = 5
_NOTES = 20  # so many are told
# Made once: `json.dumps` would make an encoder for each of a hundred thousand rows.
_row_json = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


class _Asked(NamedTuple):
    """What a file asks for."""

    edits: Edits
    new: PackedTasks  # the same as `edits.added`
    refused: list[Remark]


class QueueFile:
    """One queue file, in both directions."""

    def __init__(self, store: SqlStore, path: Path) -> None:
        self._store = store
        self.path = path
        self._view = path.with_name(f"{path.stem}.view.json")
        digest, _, seq = (store.setting(f"{_SETTING}:{path}") or "").partition(" ")
        self._digest = digest
        self._shown_seq = int(seq or 0)  # tasks added after this one were never in the file
        self._seen: Signature | None = None
        self._refused = ""  # digest of what was refused, and must not be overwritten
        self._untold = QueueEdit()  # what `write` found; the next `sync` tells it

    @property
    def is_refused(self) -> bool:
        """Whether the file holds an edit that was refused, so that it must not be overwritten."""
        return bool(self._refused)

    def sync(self, moment: Moment, *, window: AttemptWindow | None = None) -> QueueEdit:
        """Read the file if it changed, import what is allowed, say what was refused.

        Args:
            moment: now.
            window: the worker's time that has just ended; the edit may be the worker's.

        Raises:
            StoreError: the file is there and cannot be read.
        """
        edit = _merged(self._untold, self._sync(moment, window))
        self._untold = QueueEdit()
        return edit

    def take(self, file: Path, moment: Moment) -> QueueEdit:
        """Import another file, such as a held one, in the name of the person who asks for it.

        Raises:
            ContractError: the file is broken, or asks for what cannot be; `problems` says where.
            StoreError: it cannot be read.
        """
        try:
            data = _read(file)
        except NotAFileError as error:
            raise ContractError(
                f"the edit cannot be read: {error.strerror}",
                where=str(file),
                mend="name the held file that was told",
            ) from error
        digest = sha256(data).hexdigest()
        held = self._store.setting(f"{_HELD}:{file.name}")
        asked = self._compare(data, file.name, int(held or self._shown_seq))
        edits = asked.edits
        if asked.refused:
            raise ContractError(
                "the edit cannot be taken over",
                where=str(file),
                mend="change what the lines name, then take it again",
                problems=_told(asked.refused, data, file.name),
            )
        with self._store.transaction():
            if not edits.is_empty:
                note = {"file": file.name, "digest": digest, "taken": True}
                apply_in_transaction(self._store, edits, moment, run_id=None, note=note)
        self.write(moment)
        return _edit_of(asked, data, file.name, digest)

    def _sync(self, moment: Moment, window: AttemptWindow | None) -> QueueEdit:
        now = signature(self.path)
        if now is None:  # removed: the next view writes it anew
            self._seen, self._refused = None, ""
            return QueueEdit()
        if now == self._seen:
            return QueueEdit()
        try:
            data = _read(self.path)
        except NotAFileError as error:
            return self._unreadable(error, now)
        # A second write within one tick of the file system's clock leaves size and time as they
        # are; so a file that is that new is looked at once more.
        is_settled = moment.ms - now[2] // 1_000_000 > _TICK_MS
        self._seen = now if is_settled else None
        digest = sha256(data).hexdigest()
        if digest == self._digest:
            self._refused = ""  # what was refused is gone again
            return QueueEdit()
        if digest == self._refused:
            return QueueEdit()
        return self._import(data, digest, moment, window)

    def _import(
        self, data: bytes, digest: str, moment: Moment, window: AttemptWindow | None
    ) -> QueueEdit:
        name = self.path.name
        window = window or self._open_window()
        try:
            asked = self._compare(data, name, self._shown_seq)
        except ContractError as error:
            return self._refuse(error.problems or (error.what,), digest)
        edits, refused = asked.edits, asked.refused
        if window is not None:
            doubts = doubtful(edits, known_pack=lambda pack: _is_known(pack, window))
            if doubts:
                lines = _told([*doubts, *refused], data, name)
                return self._hold(lines, digest, moment, window)
        if refused:
            return self._refuse(_told(refused, data, name), digest)
        self._refused = ""
        with self._store.transaction():
            if not edits.is_empty:
                note = {"file": name, "digest": digest}
                if window is not None:
                    note["during_attempt"] = window.attempt_id
                apply_in_transaction(self._store, edits, moment, run_id=None, note=note)
            self._remember(digest)
        return _edit_of(asked, data, name, digest)

    def _unreadable(self, error: NotAFileError, now: Signature) -> QueueEdit:
        """Refuse a pipe, a folder, a device; the campaign goes on with what is known."""
        refused = f"unreadable {now}"
        if self._refused == refused:
            return QueueEdit()
        line = f"{self.path.name}:1:1: : cannot be read: {error.strerror}; put a file in its place"
        return self._refuse((line,), refused)

    def _open_window(self) -> AttemptWindow | None:
        """Return the attempt whose worker runs, or ran when its controller died.

        So that nobody who reads the file in that time (another command, the next start) takes
        the worker's edit for a person's.
        """
        row = self._store.database.one(
            "SELECT attempt_id FROM task WHERE state IN ('dispatched', 'in_review') LIMIT 1"
        )
        return None if row is None else AttemptWindow(str(row[0]))

    def _compare(self, data: bytes, name: str, shown_seq: int) -> _Asked:
        known, new = KnownTasks(self._store), PackedTasks()
        tasks = known.counted(iter_tasks(data, name))
        edits = compare(tasks, known, shown=known.up_to(shown_seq), added=new)
        return _Asked(edits, new, [*edits.refused, *known.remarks()])

    def _refuse(self, lines: Sequence[str], digest: str) -> QueueEdit:
        self._refused = digest
        return QueueEdit(refused=tuple(lines), digest=digest)

    def _hold(
        self, lines: Sequence[str], digest: str, moment: Moment, window: AttemptWindow
    ) -> QueueEdit:
        """Put the edit aside for a person, and the view in its place."""
        aside, number = self.path.with_name(f"{self.path.stem}.held-{window.attempt_id}.json"), 1
        while aside.exists():
            number += 1
            aside = aside.with_name(f"{self.path.stem}.held-{window.attempt_id}-{number}.json")
        try:
            self.path.rename(aside)
        except OSError as error:
            raise StoreError(
                f"an edit of the queue cannot be put aside: {error.strerror}",
                where=str(self.path),
                mend="make the folder writable",
            ) from error
        self._store.set_setting(f"{_HELD}:{aside.name}", str(self._shown_seq))
        self._seen, self._refused = None, ""
        self.write(moment)
        return QueueEdit(refused=tuple(lines), held_as=aside.name, digest=digest)

    def _remember(self, digest: str) -> None:
        self._digest = digest
        self._shown_seq = KnownTasks(self._store).last_seq()
        self._store.set_setting(f"{_SETTING}:{self.path}", f"{digest} {self._shown_seq}")

    def write(self, moment: Moment) -> None:
        """Write the view: what the person gave, with state, reason, attempts and time.

        An edit that is there, or comes while the view is written, is read first.
        """
        for _ in range(_TRIES):
            if signature(self.path) != self._seen:
                self._untold = _merged(self._untold, self._sync(moment, None))
            if self._refused:
                replace_file(self._view, self._chunks())
                return
            if self._replace():
                self._view.unlink(missing_ok=True)
                return
        # Somebody writes the file all the time; the next view is soon enough.

    def _replace(self) -> bool:
        """Put the view in place of the file that was read last; False when it is another now."""
        there = signature(self.path)
        if there is not None and there != self._seen and not self._is_ours():
            return False
        digest = sha256()

        def hashed() -> Iterator[bytes]:
            for chunk in self._chunks():
                digest.update(chunk)
                yield chunk

        try:
            replace_file(self.path, hashed(), expected=there)
        except ChangedMeanwhileError:
            return False
        self._seen = None  # too new: the next look compares the digest
        self._remember(digest.hexdigest())
        return True

    def _is_ours(self) -> bool:
        """Whether the file, though too new to be told by its signature, is what was read last."""
        try:
            return sha256(_read(self.path)).hexdigest() == self._digest
        except NotAFileError:
            return False

    def _chunks(self) -> Iterator[bytes]:
        yield b'{\n  "schema_version": 1,\n  "kind": "task_queue",\n  "tasks": ['
        rows = self._store.database.all(
            "SELECT spec, state, reason, journey, updated_at FROM task"
            " WHERE listed = 1 ORDER BY seq"
        )
        first = True
        for spec, state, reason, journey, updated_at in rows:
            row = json.loads(spec)
            row["status"] = state
            if reason:
                row["reason"] = reason
            if '"attempts": 0,' not in journey:
                row["attempts"] = json.loads(journey)["attempts"]
            row["updated_at"] = updated_at
            comma = "\n    " if first else ",\n    "
            first = False
            yield (comma + _row_json(row)).encode()
        yield b"\n  ]\n}\n"


def _is_known(pack: str, window: AttemptWindow) -> bool:
    """Whether a StepPack lies in the work tree and did not change in the window."""
    path = posixpath.normpath(pack)
    if window.changed is None or path.startswith(("/", "..")):
        return False
    return path.split("/")[0] not in CONTROL_DIRS and path not in window.changed


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_QUEUE_BYTES)
    except NotAFileError:
        raise
    except OSError as error:
        raise StoreError(
            f"the queue cannot be read: {error.strerror}",
            where=str(path),
            mend="make the file readable",
        ) from error


def _told(refused: Sequence[Remark], data: bytes, name: str) -> tuple[str, ...]:
    lines = []
    for remark in refused:
        line, column = place_of(data, remark.path)
        where = remark.where or remark.task_key
        lines.append(f"{name}:{line}:{column}: {where}: {remark.what}; {remark.mend}")
    return tuple(lines)


def _edit_of(asked: _Asked, data: bytes, name: str, digest: str) -> QueueEdit:
    edits = asked.edits
    return QueueEdit(
        added=tuple(asked.new.keys),
        changed=tuple(change.task.task_key for change in edits.changed),
        removed=tuple(edits.removed),
        moved=(*edits.cancelled, *edits.requeued),
        notes=_told(edits.notes[:_NOTES], data, name),
        digest=digest,
    )


def _merged(one: QueueEdit, other: QueueEdit) -> QueueEdit:
    if one.is_empty or other.is_empty:
        return other if one.is_empty else one
    return QueueEdit(
        added=one.added + other.added,
        changed=one.changed + other.changed,
        removed=one.removed + other.removed,
        moved=one.moved + other.moved,
        refused=other.refused,
        notes=one.notes + other.notes,
        held_as=other.held_as,
        digest=other.digest,
    )
