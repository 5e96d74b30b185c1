"""Counts what a noisy machine cannot change: commits, fsyncs, statements, processes."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.wiring.project import Project

_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


@contextlib.contextmanager
def counted(project: Project) -> Iterator[Counter[str]]:
    """Count `commits`, `statements` and `fsyncs` of the block; a commit of the store is one fsync.

    The count of fsyncs leaves out what SQLite does at a checkpoint of its log.
    """
    counts: Counter[str] = Counter()
    is_open = False
    plain = os.fsync

    def traced(statement: str) -> None:
        nonlocal is_open
        counts["statements"] += 1
        word = statement.lstrip().partition(" ")[0].upper()
        if word == "BEGIN":
            is_open = True
        elif word == "COMMIT" or (word in _WRITES and not is_open):
            is_open = False
            counts["commits"] += 1
            counts["fsyncs"] += 1

    def fsync(descriptor: int) -> None:
        counts["fsyncs"] += 1
        plain(descriptor)

    # Only SQLite's own hook sees every statement.
    connection = project.store.database._db  # type: ignore[attr-defined]  # noqa: SLF001
    connection.set_trace_callback(traced)
    os.fsync = fsync  # type: ignore[assignment]
    try:
        yield counts
    finally:
        os.fsync = plain
        connection.set_trace_callback(None)
