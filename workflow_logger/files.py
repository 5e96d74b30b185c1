"""Append entries and checkpoints to a ledger's files: repeatable, locked, never a fork.

The project's file is written first, then the files of the tasks. A writer that died in between
leaves a task file behind the project's; the next append brings it up again, because the project's
file holds the same bytes.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from workflow_logger import canonical, checkpointlog
from workflow_logger.chainfile import ChainFile, Placed
from workflow_logger.entry import VERSION, ChainHead, check_id, read_frame
from workflow_logger.errors import LedgerError, LockedError, UsageError
from workflow_logger.layout import Layout
from workflow_logger.safefile import replace_file, sync_folder

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK_TIMEOUT_SEC: Final = 30.0
_KEPT_TASKS: Final = 512
_HEALED_LINES: Final = 64  # how far back an open looks for task files that lag behind


@dataclass(frozen=True, slots=True)
class Appended:
    """What one append did."""

    written: int  # lines that were new
    skipped: int  # lines that stood there already, byte for byte
    repaired_bytes: int  # bytes of torn last lines that were cut off
    healed: int  # lines that a dead writer had left out of task files


class Appender:
    """Appends to one project's files. Cheap when kept; not safe for use by several threads.

    Usage: `with Appender(root, project_id) as appender: appender.append(lines, durable=False)`.
    Several processes may each have one: a lock file orders them.
    """

    def __init__(
        self,
        root_dir: str | os.PathLike[str],
        project_id: str,
        *,
        lock_timeout_sec: float = LOCK_TIMEOUT_SEC,
    ) -> None:
        self.layout = Layout.of(root_dir, project_id)
        self._project = ChainFile(self.layout.events, None)
        self._tasks: OrderedDict[str, ChainFile] = OrderedDict()
        self._timeout_sec = lock_timeout_sec
        self._lock: BaseFileLock | None = None
        self._is_ready = False
        self._depth = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the lock file; the appender opens it again when it is used again."""
        self._lock = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the project's lock against other processes; may be nested. Raises LockedError."""
        if self._depth:  # held already: filelock's own nesting costs more
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        if self._lock is None:
            from filelock import FileLock  # noqa: PLC0415  readers never need it

            self.layout.project_dir.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.layout.lock, timeout=self._timeout_sec)
        lock = self._lock
        try:
            lock.acquire()
        except TimeoutError as error:  # filelock's Timeout is one
            raise LockedError(
                f"another process has held the ledger for {self._timeout_sec:g} s",
                where=str(self.layout.lock),
                mend="wait until it has finished, then try again",
            ) from error
        self._depth = 1
        try:
            yield
        finally:
            self._depth = 0
            lock.release()

    def head(self) -> ChainHead | None:
        """Return the project's head as its file has it now; None when there is no entry.

        Mends what a dead writer left: a torn last line, task files behind the project's. Call it
        when a process starts.
        """
        with self.locked():
            self._refresh()
            return self._project.head

    def append(self, lines: Sequence[bytes], *, durable: bool) -> Appended:
        """Append entries' lines in order of `seq`; lines that stand there already are skipped.

        Args:
            lines: whole lines, newline included, with consecutive `seq`.
            durable: fsync every file touched before returning.

        Raises:
            EntryError: a line is not an entry.
            LedgerError: a line would fork the ledger or leave a gap.
            LockedError, LoggerError: the lock or the disk refuses.
        """
        placed = [Placed(line, read_frame(line)) for line in lines]
        if not placed:
            return Appended(0, 0, 0, 0)
        with self.locked():
            self._prepare(placed)
            healed = self._refresh()
            fresh = self._project.place(placed)
            self._project.write(fresh, durable=durable)
            by_task: dict[str, list[Placed]] = {}
            for item in placed:
                if item.frame.task_id:
                    by_task.setdefault(item.frame.task_id, []).append(item)
            for task_id, items in by_task.items():
                healed += self._append_task(task_id, items, durable=durable)
            repaired = self._taken_repairs(by_task)
            return Appended(len(fresh), len(placed) - len(fresh), repaired, healed)

    def _prepare(self, placed: Sequence[Placed]) -> None:
        if self._is_ready and self.layout.project_manifest.exists():
            return
        write_manifest(
            self.layout, ledger_id=placed[0].frame.project_id, created_at=_at_of(placed[0].line)
        )
        self._is_ready = True

    def _refresh(self) -> int:
        """Look at the project's file again; return how many lines of tasks were brought up."""
        if not self._project.refresh():
            return 0
        self._tasks.clear()
        last: dict[str, Placed] = {}
        for line in self._project.last_lines(_HEALED_LINES):
            frame = read_frame(line)
            if frame.task_id:
                last[frame.task_id] = Placed(line, frame)
        return sum(self._heal(task_id, item) for task_id, item in last.items())

    def _heal(self, task_id: str, item: Placed) -> int:
        file = self._task(task_id)
        size = file.head.size if file.head else 0
        if size > item.frame.task_seq:
            return 0
        missing = self._task_lines(task_id, size)
        fresh = file.place(missing)
        file.write(fresh, durable=True)
        return len(fresh)

    def _append_task(self, task_id: str, items: Sequence[Placed], *, durable: bool) -> int:
        file = self._task(task_id)
        size = file.head.size if file.head else 0
        if items[0].frame.task_seq <= size:
            file.write(file.place(items), durable=durable)
            return 0
        missing = file.place(self._task_lines(task_id, size))  # the new ones are among them
        file.write(missing, durable=durable)
        return max(0, len(missing) - len(items))

    def _task(self, task_id: str) -> ChainFile:
        file = self._tasks.get(task_id)
        if file is None:
            path = self.layout.task_events(task_id)
            _make_folder(path.parent)
            file = self._tasks[task_id] = ChainFile(path, task_id)
            if len(self._tasks) > _KEPT_TASKS:
                self._tasks.popitem(last=False)
        else:
            self._tasks.move_to_end(task_id)
        file.refresh()
        return file

    def _task_lines(self, task_id: str, start: int) -> list[Placed]:
        """Return the task's lines from `task_seq` `start` on, read from the project's file."""
        marker = f'"task_id":"{task_id}","task_seq":'.encode()
        found: list[Placed] = []
        with self.layout.events.open("rb") as file:
            for line in file:
                if marker in line:
                    frame = read_frame(line)
                    if frame.task_id == task_id and frame.task_seq >= start:
                        found.append(Placed(line, frame))
        return found

    def _taken_repairs(self, task_ids: Iterable[str]) -> int:
        total = 0
        for file in (self._project, *map(self._tasks.get, task_ids)):
            if file is not None:  # a batch of very many tasks has let go of the first ones
                total += file.repaired
                file.repaired = 0
        return total


def _make_folder(path: Path) -> None:
    try:
        os.mkdir(path)  # noqa: PTH102  a new task each cycle: keep it cheap
    except FileExistsError:
        return
    except FileNotFoundError:
        path.mkdir(parents=True, exist_ok=True)


def append_entries(
    root_dir: str | os.PathLike[str],
    project_id: str,
    lines: Sequence[bytes],
    *,
    durable: bool = True,
) -> Appended:
    """Append once, without keeping an `Appender`."""
    with Appender(root_dir, project_id) as appender:
        return appender.append(lines, durable=durable)


def write_manifest(
    layout: Layout,
    *,
    ledger_id: str,
    created_at: str,
    imported_from: dict[str, object] | None = None,
) -> None:
    """Write the two manifest files when they are absent.

    Raises:
        LedgerError: the folder belongs to another ledger.
    """
    folder = layout.project_manifest.parent
    if layout.project_manifest.exists():
        known = load_manifest(layout)["ledger_id"]
        if known != ledger_id:
            raise LedgerError(
                f"the folder holds ledger {known!r}, the entries are of {ledger_id!r}",
                where=str(layout.project_manifest),
                mend="pass the project that these entries belong to",
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    layout.tasks.mkdir(exist_ok=True)
    schema: dict[str, object] = {"format": "workflow_logger", "schema_version": VERSION}
    replace_file(layout.schema_version, _pretty(schema), durable=True)
    manifest: dict[str, object] = {
        "created_at": created_at,
        "imported_from": imported_from,
        "ledger_id": ledger_id,
        "project_id": layout.project_id,
    }
    replace_file(layout.project_manifest, _pretty(manifest), durable=True)
    sync_folder(layout.project_dir)


def load_manifest(layout: Layout) -> dict[str, str]:
    """Return the manifest's names: `project_id`, `ledger_id`, `created_at`.

    Raises:
        UsageError: there is no such project.
        LedgerError: the manifest is not one, or is of a newer format.
    """
    try:
        manifest = json.loads(layout.project_manifest.read_bytes())
        schema = json.loads(layout.schema_version.read_bytes())
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no ledger of project {layout.project_id}",
            where=str(layout.project_dir),
            mend="run `init`, or pass the right --root-dir and --project-id",
        ) from error
    except (ValueError, RecursionError) as error:
        raise _broken(layout, f"not JSON: {error}") from error
    if not isinstance(schema, dict) or schema.get("schema_version") != VERSION:
        raise _broken(layout, f"the format is not version {VERSION}")
    names = ("project_id", "ledger_id", "created_at")
    if not isinstance(manifest, dict) or not all(type(manifest.get(n)) is str for n in names):
        raise _broken(layout, "project_id, ledger_id or created_at is missing")
    if manifest["project_id"] != layout.project_id:
        raise _broken(layout, f"the manifest is of project {manifest['project_id']!r}")
    try:
        check_id(manifest["ledger_id"], "ledger_id")
    except UsageError as error:
        raise _broken(layout, error.what) from error
    return {name: manifest[name] for name in names}


def _broken(layout: Layout, what: str) -> LedgerError:
    where = str(layout.project_manifest)
    return LedgerError(what, where=where, mend="restore the manifest folder from a copy")


def write_checkpoint(
    root_dir: str | os.PathLike[str],
    project_id: str,
    note: str,
    *,
    anchor: Path | None = None,
    durable: bool = False,
    appender: Appender | None = None,
) -> bool:
    """Append a signed checkpoint, and put a copy at `anchor`; return whether it was new.

    Writing the last checkpoint once more does nothing.

    Raises:
        CheckpointError: `note` is malformed.
        LedgerError: a checkpoint that was written before is larger, or contradicts this one.
    """
    own = appender or Appender(root_dir, project_id)
    with own.locked():
        is_new = checkpointlog.append(own.layout.checkpoints, note, durable=durable)
        if anchor is not None:
            checkpointlog.replace_anchor(anchor, note, durable=durable)
        return is_new


def write_task_log(root_dir: str | os.PathLike[str], project_id: str, task_id: str) -> Path:
    """Render the task's view for people from its entries; return its path."""
    from workflow_logger.entry import parse_line  # noqa: PLC0415
    from workflow_logger.tasklog import render_task_log  # noqa: PLC0415

    layout = Layout.of(root_dir, project_id)
    with layout.task_events(task_id).open("rb") as file:
        text = render_task_log(task_id, [parse_line(line) for line in file])
    replace_file(layout.task_log(task_id), text.encode(), durable=False)
    return layout.task_log(task_id)


def _pretty(value: dict[str, object]) -> bytes:
    canonical.encode(value)  # only values that every reader spells alike
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _at_of(line: bytes) -> str:
    return line[7:31].decode("ascii")
