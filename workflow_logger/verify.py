"""Verify a ledger from its files, a trusted public key and an anchor (FORMAT.md 6).

Everything is read once, as a stream: lines, both chains, the R/S protocol, the Merkle root at
the size of every checkpoint, then each task's file against the project's. What is wrong is a
finding with file and line; nothing is raised for a ledger that does not verify.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from workflow_logger import checkpointlog, diagnose, taskfiles
from workflow_logger.checkpoint import (
    Checkpoint,
    Note,
    VerifierKey,
    origin_of,
    parse_note,
    verify_note,
)
from workflow_logger.entry import MAX_LINE_BYTES, Entry, genesis, parse_line
from workflow_logger.errors import (
    CheckpointError,
    EntryError,
    IterationError,
    LedgerError,
    LoggerError,
)
from workflow_logger.files import load_manifest
from workflow_logger.iteration import check_close, check_next
from workflow_logger.layout import Layout
from workflow_logger.merkle import Frontier
from workflow_logger.report import Findings, Report

MAX_SIGNATURES_CHECKED: Final = 1000  # of the newest checkpoints; every root is compared

_ASK_FOR_KEY: Final = "pass --public-key with a key that you got from whom you trust"


def verify_project(
    root_dir: str | os.PathLike[str],
    project_id: str,
    *,
    public_key: VerifierKey | None,
    anchor: Path | None,
) -> Report:
    """Verify one project's ledger.

    Args:
        root_dir: the folder that holds the projects.
        project_id: the project's folder.
        public_key: the key that is believed, from outside the ledger; None: nothing is anchored.
        anchor: where the last checkpoint is kept outside the ledger; None: there is no such copy.

    Raises:
        UsageError: there is no such project.
        LedgerError: a pipe or a device stands where a file of the ledger was.
    """
    layout = Layout.of(root_dir, project_id)
    _refuse_pipes(layout)
    scan = _Scan(layout, public_key)
    try:
        scan.ledger_id = load_manifest(layout)["ledger_id"]
    except LoggerError as error:
        if not layout.project_dir.is_dir():
            raise
        scan.findings.error("manifest.broken", error.where, error.what, error.mend)
    scan.load_checkpoints(anchor)
    scan.read_events()
    scan.finish()
    taskfiles.verify_all(layout, scan.tasks, scan.findings)
    return scan.report()


def _refuse_pipes(layout: Layout) -> None:
    """Refuse what a read would wait for, or never come to the end of."""
    files = (layout.events, layout.checkpoints, layout.project_manifest, layout.schema_version)
    for path in files:
        if path.exists() and not path.is_file():
            raise LedgerError(
                "it is not a regular file",
                where=str(path),
                mend="somebody put it there: remove it, and restore the ledger from a copy",
            )


class _Scan:
    """One pass over one ledger."""

    def __init__(self, layout: Layout, public_key: VerifierKey | None) -> None:
        self.layout = layout
        self.ledger_id: str | None = None
        self.findings = Findings()
        self.tasks: dict[str, taskfiles.TaskState] = {}
        self._key = public_key
        self._frontier = Frontier()
        self._head: str | None = None
        self._has_chain_errors = False
        self._expected: dict[int, list[tuple[Checkpoint, str, bool]]] = {}  # by size
        self._checkpoints = 0
        self._anchored = 0
        self._events = str(layout.events)

    # -- checkpoints ---------------------------------------------------------------------

    def load_checkpoints(self, anchor: Path | None) -> None:
        """Parse all checkpoints and verify signatures; roots are compared while reading."""
        stored, is_torn = checkpointlog.load(self.layout.checkpoints)
        path = str(self.layout.checkpoints)
        if is_torn:
            self.findings.warn(
                "checkpoint.torn", path, "the last checkpoint is torn", "the next append mends it"
            )
        self._checkpoints = len(stored)
        notes = []
        for item in stored:
            where = f"{path}:{item.line}"
            try:
                notes.append((parse_note(item.note, where=where), where))
            except CheckpointError as error:
                self.findings.error(error.rule, where, error.what, error.mend)
        self._check_order(notes)
        self._check_signatures(notes)
        self._load_anchor(anchor)
        if self._key is None:
            self.findings.warn(
                "anchor.no_key", path, "no trusted public key: no signature counts", _ASK_FOR_KEY
            )

    def _check_order(self, notes: list[tuple[Note, str]]) -> None:
        last: dict[str, int] = {}
        for note, where in notes:
            size, origin = note.checkpoint.size, note.checkpoint.origin
            if size < last.get(origin, 0):
                what = f"{size} entries after a checkpoint of {last[origin]}"
                self.findings.error("checkpoint.reordered", where, what)
            last[origin] = size

    def _check_signatures(self, notes: list[tuple[Note, str]]) -> None:
        if self._key is not None and origin_of(self.layout.project_id) != self._key.name:
            what = f"the trusted key is of {self._key.name!r}"
            where = str(self.layout.project_dir)
            self.findings.error("key.other_project", where, what, _ASK_FOR_KEY)
        foreign: tuple[str, str] | None = None
        skipped = len(notes) - MAX_SIGNATURES_CHECKED
        for index, (note, where) in enumerate(notes):
            is_trusted = False
            if self._key is not None:
                try:
                    if index >= skipped:
                        verify_note(note, self._key, where=where)
                    is_trusted = True
                    foreign = None
                except CheckpointError as error:
                    if error.rule == "checkpoint.foreign_key":
                        foreign = (where, error.what)  # forgiven when a trusted one follows
                    else:
                        self.findings.error(error.rule, where, error.what, error.mend)
            self._expect(note.checkpoint, where, is_trusted and index >= skipped)
        if foreign is not None:
            self.findings.error("checkpoint.foreign_key", *foreign)

    def _load_anchor(self, anchor: Path | None) -> None:
        if anchor is None:
            return
        where = str(anchor)
        try:
            text = checkpointlog.load_anchor(anchor)
            if text is None:
                self.findings.warn(
                    "anchor.missing",
                    where,
                    "there is no anchor: a dropped tail shows only in the checkpoints inside",
                    "keep a copy of the last checkpoint outside, and pass it with --anchor",
                )
                return
            note = parse_note(text, where=where)
            if self._key is not None:
                verify_note(note, self._key, where=where)
            self._expect(note.checkpoint, where, self._key is not None)
        except CheckpointError as error:
            rule = "anchor." + error.rule.partition(".")[2]
            self.findings.error(rule, where, error.what, error.mend)

    def _expect(self, checkpoint: Checkpoint, where: str, is_trusted: bool) -> None:  # noqa: FBT001
        self._expected.setdefault(checkpoint.size, []).append((checkpoint, where, is_trusted))

    def _compare_root(self, size: int) -> None:
        root = self._frontier.root()
        for checkpoint, where, is_trusted in self._expected.pop(size, ()):
            if checkpoint.root != root:
                what = f"the first {size} entries are not those that were signed"
                self.findings.error("checkpoint.root_mismatch", where, what)
            elif is_trusted:
                self._anchored = max(self._anchored, size)

    # -- entries -------------------------------------------------------------------------

    def read_events(self) -> None:
        """Read the project's entries as a stream."""
        self._compare_root(0)
        try:
            file = self.layout.events.open("rb")
        except FileNotFoundError:
            return
        with file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if not line.endswith(b"\n") and len(line) <= MAX_LINE_BYTES:
                    self._torn(number)
                    break
                if len(line) > MAX_LINE_BYTES:
                    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                        pass
                self._read(line, number)

    def _torn(self, number: int) -> None:
        self.findings.warn(
            "entry.torn",
            f"{self._events}:{number}",
            "the last line is torn: its writer died, and never acknowledged it",
            "the next append cuts it off",
        )

    def _read(self, line: bytes, number: int) -> None:
        frontier = self._frontier
        try:
            entry = parse_line(line)
        except EntryError as error:
            where = f"{self._events}:{number}"
            self.findings.error(error.rule, where, error.what, error.mend)
            self._has_chain_errors = True
            frontier.append(line.removesuffix(b"\n"))
            self._head = None
        else:
            ledger_id = self.ledger_id
            if ledger_id is None:
                ledger_id = self.ledger_id = entry.project_id
            head = self._head
            if (
                entry.seq != number - 1
                or entry.project_id != ledger_id
                or (
                    entry.prev_hash != head
                    if head is not None
                    else number == 1 and entry.prev_hash != genesis(ledger_id).last_hash
                )
            ):
                self._has_chain_errors = True
            self._head = entry.hash
            frontier.append(line[:-1])
            if entry.task_id:
                self._read_task(entry, number)
        if self._expected and number in self._expected:
            self._compare_root(number)

    def _read_task(self, entry: Entry, number: int) -> None:
        state = self.tasks.get(entry.task_id)
        if state is None:
            first = genesis(self.ledger_id or entry.project_id).last_hash
            state = self.tasks[entry.task_id] = taskfiles.TaskState(first)
        if entry.task_seq != state.size or entry.prev_event_hash != state.last_hash:
            if not self._has_chain_errors:
                what = f"task {entry.task_id}: expected task_seq {state.size} after "
                what += f"{state.last_hash}, found {entry.task_seq} after {entry.prev_event_hash}"
                self.findings.error("task.chain_broken", f"{self._events}:{number}", what)
            state.size = entry.task_seq
        state.size += 1
        state.last_hash = entry.hash
        state.digest.update(entry.line)
        state.size_bytes += len(entry.line)
        if state.closed or entry.kind in ("attempt", "close"):
            self._check_protocol(entry, state, number)

    def _check_protocol(self, entry: Entry, state: taskfiles.TaskState, number: int) -> None:
        where = f"{self._events}:{number}"
        try:
            if entry.kind == "attempt":
                r, s = entry.body.get("r"), entry.body.get("s")
                if type(r) is not int or type(s) is not int:
                    self.findings.error("protocol.numbers", where, "an attempt without r and s")
                    return
                state.iteration = check_next(state.iteration, r, s, state.closed, where=where)
                taskfiles.verify_artifact(self.layout, entry, where, self.findings)
            else:
                check_close(state.closed, where=where)
                state.closed = True
        except IterationError as error:
            self.findings.error("protocol.iteration", where, error.what, error.mend)

    # -- the end -------------------------------------------------------------------------

    def finish(self) -> None:
        """Name what the chain's errors mean, what was dropped, and what nobody vouches for."""
        if self._has_chain_errors:
            diagnose.name_chain_errors(self.layout.events, self.ledger_id, self.findings)
        size = self._frontier.size
        for signed in sorted(self._expected):
            for _, where, _ in self._expected[signed]:
                what = f"{signed} entries were signed, the file holds {size}: its tail was dropped"
                self.findings.error("chain.tail_dropped", where, what)
        if self._anchored < size:
            self.findings.warn(
                "anchor.unanchored_range",
                f"{self._events}:{self._anchored + 1}-{size}",
                f"{size - self._anchored} of {size} entries are covered by no trusted checkpoint",
                "nobody outside vouches for these entries; " + _ASK_FOR_KEY,
            )

    def report(self) -> Report:
        """Return what was found."""
        return Report(
            project_id=self.layout.project_id,
            ledger_id=self.ledger_id or "",
            entries=self._frontier.size,
            tasks=len(self.tasks),
            checkpoints=self._checkpoints,
            anchored_entries=self._anchored,
            head=self._head or "",
            root=self._frontier.root().hex(),
            findings=tuple(self.findings.items),
            findings_dropped=self.findings.dropped,
            errors=self.findings.errors,
        )
