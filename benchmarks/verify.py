"""A full verification of a long ledger with a signed checkpoint and an anchor."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rows import Row, Scale, row

if TYPE_CHECKING:
    from workflow_logger.checkpoint import SigningKey

_PROJECT = "bench"
_AT = "2026-01-01T00:00:00.000Z"
_A_TASK = 10  # entries of one task
_BATCH = 5_000


def measure(folder: Path, scale: Scale) -> list[Row]:
    """Write the ledger, then verify it; the floor is one SHA-256 over its bytes."""
    from workflow_logger.keys import create_private_key
    from workflow_logger.verify import verify_project

    key = create_private_key(folder / "key", _name())
    anchor = folder / "anchor.note"
    root = folder / "workflow"
    _write(root, anchor, key, scale.entries)
    events = root / _PROJECT / "events.jsonl"
    walls, cpus, floors = [], [], []
    for _ in range(5):
        start = time.perf_counter()
        hashlib.sha256(events.read_bytes()).digest()
        floors.append(time.perf_counter() - start)
        start, cpu = time.perf_counter(), time.process_time()
        report = verify_project(root, _PROJECT, public_key=key.public, anchor=anchor)
        walls.append(time.perf_counter() - start)
        cpus.append(time.process_time() - cpu)
        if report.errors or report.entries != scale.entries:
            msg = f"the generated ledger does not verify: {report.findings[:3]}"
            raise RuntimeError(msg)
    least = sorted(floors)[len(floors) // 2]
    return [
        row(f"verify.wall.{scale.entries}", walls, "s", floor=least),
        row(f"verify.cpu.{scale.entries}", cpus, "s"),
    ]


def _name() -> str:
    from workflow_logger.checkpoint import origin_of

    return origin_of(_PROJECT)


def _write(root: Path, anchor: Path, key: SigningKey, entries: int) -> None:
    """Write entries that look like a campaign's decisions, ten for each task, and sign the head."""
    from workflow_logger import files
    from workflow_logger.checkpoint import sign_checkpoint
    from workflow_logger.entry import ChainHead, genesis, make_entry
    from workflow_logger.merkle import Frontier

    first = head = genesis(_PROJECT)
    task = first
    frontier = Frontier()
    batch: list[bytes] = []
    with files.Appender(root, _PROJECT) as appender:
        for number in range(entries):
            if number % _A_TASK == 0:
                task = first
            entry = make_entry(
                head,
                task,
                project_id=_PROJECT,
                task_id=f"T-{number // _A_TASK + 1:06d}",
                kind="decision",
                at=_AT,
                body={
                    "event": "receive",
                    "from": "dispatched",
                    "to": "in_review",
                    "reason": "",
                    "run_id": "campaign_20260101T000000Z_0000000",
                    "journey": {"attempts": 0, "dispatches": 1, "last_signature": ""},
                    "exit_code": 0,
                    "wall_ms": number,
                },
            )
            frontier.append(entry.leaf)
            head = ChainHead(entry.seq + 1, entry.hash)
            task = ChainHead(entry.task_seq + 1, entry.hash)
            batch.append(entry.leaf + b"\n")
            if len(batch) == _BATCH or number == entries - 1:
                appender.append(batch, durable=False)
                batch = []
        note = sign_checkpoint(_name(), entries, frontier.root(), key)
        files.write_checkpoint(root, _PROJECT, note, anchor=anchor, appender=appender)
