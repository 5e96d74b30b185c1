"""`WorkflowLogger`: record attempts at tasks, close them, verify, export and import.

Each call is durable before it returns: the entry is appended and fsynced, then a checkpoint over
all entries is signed, appended, and copied to the anchor outside the project. The logger reads
the project's file before it writes, and refuses to go on from a history that its anchor or its
last checkpoint contradicts: it would sign a fork.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from workflow_logger import checkpointlog, keys
from workflow_logger.checkpoint import (
    Checkpoint,
    SigningKey,
    VerifierKey,
    origin_of,
    parse_note,
    sign_checkpoint,
)
from workflow_logger.entry import ChainHead, Entry, check_id, genesis, make_entry, parse_line
from workflow_logger.errors import LedgerError, UsageError
from workflow_logger.files import Appender, load_manifest, write_checkpoint, write_manifest
from workflow_logger.files import write_task_log as write_view
from workflow_logger.fold import Fold
from workflow_logger.iteration import check_close, check_next
from workflow_logger.layout import Home
from workflow_logger.report import Report
from workflow_logger.safefile import replace_file
from workflow_logger.verify import verify_project

INLINE_BYTES: Final = 4096  # code_content above this becomes an artifact


def utc_now() -> datetime:
    """Read the wall clock. Pass another clock to `WorkflowLogger` to fix the time."""
    return datetime.now(UTC)  # noqa: TID251  the one place that reads it


class WorkflowLogger:
    """One project's log.

    Args:
        root_dir: the folder that holds the projects' ledgers.
        project_id: the project; a folder's name.
        key, public_key, anchor: paths that replace the defaults below `home`.
        home: where keys, trust and anchors are; by default `$ORCHESTRATOR_HOME` or the user's
            configuration folder.
        clock: gives aware UTC times.
    """

    def __init__(
        self,
        root_dir: str | os.PathLike[str] = "workflow",
        project_id: str = "",
        *,
        key: str | os.PathLike[str] | None = None,
        public_key: str | os.PathLike[str] | None = None,
        anchor: str | os.PathLike[str] | None = None,
        home: str | os.PathLike[str] | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.project_id = check_id(project_id, "project_id")
        self.root_dir = Path(root_dir)
        base = Home(Path(home)) if home is not None else Home.default()
        self.key_path = Path(key) if key is not None else base.key(project_id)
        self.public_key_path = (
            Path(public_key) if public_key is not None else base.trusted(project_id)
        )
        self.anchor_path = Path(anchor) if anchor is not None else base.anchor(project_id)
        self._clock = clock
        self._appender = Appender(root_dir, project_id)
        self.layout = self._appender.layout
        self._fold = Fold(self.layout.events)
        self._key: SigningKey | None = None
        self._ledger_id: str | None = None

    # -- writing -------------------------------------------------------------------------

    def init(self) -> None:
        """Make the folders, the manifest and, where there is none, a key. May be repeated."""
        with self._appender.locked():
            if not self.layout.project_manifest.exists():
                write_manifest(self.layout, ledger_id=self.project_id, created_at=self._now())
            self._ledger_id = load_manifest(self.layout)["ledger_id"]
            if self.key_path.exists():
                self._load_key()
            else:
                self._key = keys.create_private_key(self.key_path, origin_of(self.project_id))
            keys.save_public_key(self.public_key_path, self._signing_key().public)
            self._catch_up()
            self._sign()

    def log_attempt(  # seed 004's names and order
        self,
        task_id: str,
        r: int,
        s: int,
        acceptance_snapshot: Sequence[str],
        code_change_summary: str,
        code_artifact_ref: str = "",
        code_content: str = "",
        executed_files: Sequence[str] = (),
        executed_commands: Sequence[str] = (),
        test_results: str = "",
        result: str = "",
        reason_code: str = "",
        reason_detail: str = "",
        next_action: str = "",
    ) -> Entry:
        """Record attempt R/S at a task; durable when it returns.

        Raises:
            IterationError: the R/S protocol refuses it; nothing is recorded.
            UsageError: a value has the wrong type.
            LedgerError: the ledger is broken, or contradicts its anchor.
        """
        body: dict[str, Any] = {
            "r": r,
            "s": s,
            "acceptance_snapshot": _texts(acceptance_snapshot, "acceptance_snapshot"),
            "code_change_summary": code_change_summary,
            "code_artifact_ref": code_artifact_ref,
            "code_content": code_content,
            "executed_files": _texts(executed_files, "executed_files"),
            "executed_commands": _texts(executed_commands, "executed_commands"),
            "test_results": test_results,
            "result": result,
            "reason_code": reason_code,
            "reason_detail": reason_detail,
            "next_action": next_action,
        }
        _check_texts(body)
        check_id(task_id, "task_id")
        with self._ready():
            where = f"task {task_id}"
            task = self._fold.task(task_id)
            check_next(task.iteration, r, s, task.closed, where=where)
            body["code_content"] = self._inline_or_artifact(task_id, f"R{r}S{s}", code_content)
            return self._append(task_id, task.head, "attempt", body)

    def close_task(self, task_id: str, final_status: str, summary: str) -> Entry:
        """Record a task's end; durable when it returns. Nothing follows a close.

        Raises:
            IterationError: the task is closed already, or nothing was attempted.
        """
        body: dict[str, Any] = {"final_status": final_status, "summary": summary}
        _check_texts(body)
        check_id(task_id, "task_id")
        with self._ready():
            task = self._fold.task(task_id)
            check_close(task.closed, where=f"task {task_id}")
            return self._append(task_id, task.head, "close", body)

    def _ready(self) -> _Writing:
        if self._ledger_id is None or self._key is None:
            self._open()
        return _Writing(self)

    def _open(self) -> None:
        if not self.layout.project_manifest.exists():
            self.init()
            return
        self._ledger_id = load_manifest(self.layout)["ledger_id"]
        self._load_key()

    def _load_key(self) -> None:
        self._key = keys.load_private_key(self.key_path)
        if self._key.name != origin_of(self.project_id):
            raise UsageError(
                f"the private key is of {self._key.name!r}, not of this project",
                where=str(self.key_path),
                mend="pass the right --key, or make one with init",
            )

    def _signing_key(self) -> SigningKey:
        if self._key is None:
            self._load_key()
        assert self._key is not None  # noqa: S101  _load_key set it or raised
        return self._key

    def _catch_up(self) -> None:
        """Read what the file gained since, and compare with what was signed before."""
        known: list[tuple[Checkpoint, str]] = []
        if stored := checkpointlog.last(self.layout.checkpoints):
            known.append((stored, str(self.layout.checkpoints)))
        if text := checkpointlog.load_anchor(self.anchor_path):
            where = str(self.anchor_path)
            known.append((parse_note(text, where=where).checkpoint, where))
        self._fold.read(self._ledger_id or self.project_id, known)

    def _append(
        self, task_id: str, task_head: ChainHead | None, kind: str, body: dict[str, Any]
    ) -> Entry:
        ledger_id = self._ledger_id or self.project_id
        start = genesis(ledger_id)
        entry = make_entry(
            self._fold.head or start,
            task_head or start,
            project_id=ledger_id,
            task_id=task_id,
            kind=kind,
            at=self._now(),
            body=body,
        )
        self._appender.append([entry.line], durable=True)
        self._fold.read(ledger_id, [])
        self._sign()
        write_view(self.root_dir, self.project_id, task_id)
        return entry

    def _sign(self) -> None:
        frontier = self._fold.frontier
        origin = origin_of(self.project_id)
        note = sign_checkpoint(origin, frontier.size, frontier.root(), self._signing_key())
        write_checkpoint(
            self.root_dir,
            self.project_id,
            note,
            anchor=self.anchor_path,
            durable=True,
            appender=self._appender,
        )

    def _inline_or_artifact(self, task_id: str, attempt: str, content: str) -> Any:  # noqa: ANN401
        data = content.encode()
        if len(data) <= INLINE_BYTES:
            return content
        digest = sha256(data).hexdigest()
        name = f"artifacts/{attempt}/code_content-{digest[:12]}.txt"
        path = self.layout.task_dir(task_id) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data, durable=True)
        return {"artifact": name, "sha256": digest, "size_bytes": len(data)}

    def _now(self) -> str:
        now = self._clock().astimezone(UTC)
        return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"

    # -- reading -------------------------------------------------------------------------

    def verify_project(self) -> Report:
        """Verify everything; what is wrong is in the report, not raised."""
        return verify_project(
            self.root_dir,
            self.project_id,
            public_key=self.trusted_key(),
            anchor=self.anchor_path,
        )

    def verify_task_chain(self, task_id: str) -> Report:
        """Verify the project and raise unless it, and with it this task's chain, holds.

        A task's chain is part of the project's, so a whole verification is what decides.

        Raises:
            UsageError: the ledger has no such task.
            LedgerError: something does not verify; the first error is named.
        """
        check_id(task_id, "task_id")
        report = self.verify_project()
        raise_unless_ok(report)
        if not self.read_task(task_id):
            raise UsageError(
                f"the ledger has no entry of task {task_id}",
                where=str(self.layout.project_dir),
                mend="check the task's name with `log`",
            )
        return report

    def trusted_key(self) -> VerifierKey | None:
        """Return the public key that is believed, or None when there is none."""
        if not self.public_key_path.exists():
            return None
        return keys.load_public_key(self.public_key_path)

    def read_task(self, task_id: str) -> list[Entry]:
        """Return a task's entries, oldest first. Raises EntryError."""
        try:
            with self.layout.task_events(task_id).open("rb") as file:
                return [parse_line(line) for line in file if line.endswith(b"\n")]
        except FileNotFoundError:
            return []

    # -- archives ------------------------------------------------------------------------

    def export_project(self, archive_path: str | os.PathLike[str]) -> Path:
        """Write the project as a zip with a SHA-256 for each file; return its path.

        Raises:
            LedgerError: the ledger does not verify: what is broken is not passed on.
            RefusedError: the archive exists.
        """
        from workflow_logger.archive import export_project  # noqa: PLC0415  zipfile is slow

        with self._appender.locked():
            raise_unless_ok(self.verify_project())
            return export_project(self.layout, Path(archive_path), exported_at=self._now())

    @classmethod
    def import_project(
        cls,
        root_dir: str | os.PathLike[str],
        archive_path: str | os.PathLike[str],
        project_id: str | None = None,
        **options: Any,  # noqa: ANN401  those of the constructor
    ) -> WorkflowLogger:
        """Unpack an archive as `project_id` (by default the name it was exported under).

        Nothing is written unless the whole archive verifies. Under another name the entries keep
        the ledger's own name, so their hashes still hold; new checkpoints are signed under a key
        of the new name.

        Raises:
            ArchiveError: the archive is unsafe, altered or incomplete.
            LedgerError: its ledger does not verify.
            RefusedError: the target exists.
        """
        from workflow_logger.archive import import_project  # noqa: PLC0415

        return import_project(cls, Path(root_dir), Path(archive_path), project_id, options)


class _Writing:
    """Hold the lock, and know the ledger as it stands."""

    def __init__(self, logger: WorkflowLogger) -> None:
        self._logger = logger
        self._lock = logger._appender.locked()  # noqa: SLF001  its own logger

    def __enter__(self) -> None:
        self._lock.__enter__()
        try:
            self._logger._appender.head()  # noqa: SLF001  cuts off a torn last line
            self._logger._catch_up()  # noqa: SLF001
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__(None, None, None)


def raise_unless_ok(report: Report) -> None:
    """Raise the first error of `report` as a LedgerError."""
    for finding in report.findings:
        if finding.severity == "error":
            raise LedgerError(
                f"{finding.rule}: {finding.what}", where=finding.where, mend=finding.mend
            )


def _texts(values: Sequence[str], name: str) -> list[str]:
    if isinstance(values, str):
        raise UsageError(f"{name} is one string", where=name, mend="pass a list of strings")
    items = list(values)
    for item in items:
        if not isinstance(item, str):
            raise UsageError(
                f"{name} holds a {type(item).__name__}", where=name, mend="pass strings"
            )
    return items


def _check_texts(body: dict[str, Any]) -> None:
    for name, value in body.items():
        if name not in ("r", "s") and not isinstance(value, str | list):
            raise UsageError(
                f"{name} is a {type(value).__name__}, not a string", where=name, mend="pass text"
            )
