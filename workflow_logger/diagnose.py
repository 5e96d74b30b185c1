"""Name what was done to a broken chain: inserted, removed, duplicated, reordered, replaced.

Called only when a chain is broken, so it may hold what it needs of every line.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from workflow_logger.entry import Frame, genesis, read_frame
from workflow_logger.errors import EntryError
from workflow_logger.report import Findings


class _Line(NamedTuple):
    number: int
    frame: Frame


def name_chain_errors(path: Path, ledger_id: str | None, findings: Findings) -> None:
    """Add findings that name where and how the project's chain is broken."""
    lines = _read(path)
    if not lines:
        return
    seen: dict[str, int] = {}
    by_seq = Counter(line.frame.seq for line in lines)
    known = {line.frame.hash for line in lines}
    expected, head = 0, genesis(ledger_id or lines[0].frame.project_id).last_hash
    highest = -1
    for number, frame in lines:
        where = f"{path}:{number}"
        if frame.project_id != ledger_id:
            what = f"an entry of ledger {frame.project_id!r}, this is {ledger_id!r}"
            findings.error("chain.foreign_project", where, what)
        if frame.hash in seen:
            what = f"line {number} repeats line {seen[frame.hash]}"
            findings.error("chain.duplicated", where, what)
        elif frame.seq != expected:
            _name_jump(
                frame, expected, highest=highest, by_seq=by_seq, where=where, findings=findings
            )
        elif frame.prev_hash != head:
            is_known = frame.prev_hash in known
            _name_break(
                frame, head, is_known=is_known, by_seq=by_seq, where=where, findings=findings
            )
        seen.setdefault(frame.hash, number)
        expected, head = frame.seq + 1, frame.hash
        highest = max(highest, frame.seq)
    if not findings.errors:
        findings.error("chain.broken", str(path), "the lines do not form one chain")


def _read(path: Path) -> list[_Line]:
    lines = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                lines.append(_Line(number, read_frame(line)))
            except EntryError:
                continue  # it has its own finding, from the first pass
    return lines


def _name_jump(
    frame: Frame,
    expected: int,
    *,
    highest: int,
    by_seq: Counter[int],
    where: str,
    findings: Findings,
) -> None:
    if frame.seq <= highest:
        if by_seq[frame.seq] > 1:
            what = f"a second entry with seq {frame.seq}, and other bytes"
            findings.error("chain.inserted", where, what)
        else:
            what = f"expected seq {expected}, found {frame.seq}: it stood earlier"
            findings.error("chain.reordered", where, what)
        return
    missing = [seq for seq in range(expected, min(frame.seq, expected + 1000)) if not by_seq[seq]]
    if missing:
        what = f"expected seq {expected}, found {frame.seq}: {frame.seq - expected} removed"
        findings.error("chain.removed", where, what)
    else:
        what = f"expected seq {expected}, found {frame.seq}: entries changed places"
        findings.error("chain.reordered", where, what)


def _name_break(
    frame: Frame,
    head: str,
    *,
    is_known: bool,
    by_seq: Counter[int],
    where: str,
    findings: Findings,
) -> None:
    what = f"it follows {frame.prev_hash}, the line before hashes to {head}: "
    if is_known and by_seq[frame.seq - 1] > 1:
        findings.error("chain.inserted", where, what + "the line before was inserted")
    else:
        findings.error(
            "chain.replaced", where, what + "the line before was replaced, its hash made anew"
        )
