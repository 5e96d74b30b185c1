"""Read `git status --porcelain=v2 -z`, and decide what goes into the tree."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from orchestrator.workspace.index import is_control
from orchestrator.workspace.model import TRACKED_LIMIT_FACTOR, ExcludedFile, ExcludedReason
from orchestrator.workspace.walk import blocking_parent

ARGUMENTS: Final = (
    "status",
    "--porcelain=v2",
    "-z",
    "--untracked-files=all",
    "--ignored=matching",
    "--no-renames",
    "--ignore-submodules=dirty",  # or git starts a `git status` inside, under that configuration
)
_PATH_FIELD: Final = {"1": 8, "u": 10}  # spaces before the path


@dataclass(slots=True)
class Status:
    """What differs between the private index, our last tree and the work tree."""

    changed: list[str] = field(default_factory=list)  # in the index, different on the disk
    staged: bool = False  # the index differs from our last tree
    untracked: list[str] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)  # untracked repositories; end in `/`
    ignored: list[str] = field(default_factory=list)  # a directory ends in `/`


def parse_status(out: bytes) -> Status:
    """Parse the records; the controller's own directories are left out."""
    status = Status()
    for item in out.split(b"\0"):
        if not item:
            continue
        line = os.fsdecode(item)
        kind = line[0]
        if kind in _PATH_FIELD:
            parts = line.split(" ", _PATH_FIELD[kind])
            status.staged |= parts[1][0] != "."
            if kind == "u" or parts[1][1] != ".":
                status.changed.append(parts[-1])
        elif kind in "?!" and not is_control(line[2:]):
            path = line[2:]
            if kind == "!":
                status.ignored.append(path)
            elif path.endswith("/"):
                status.nested.append(path)
            else:
                status.untracked.append(path)
    return status


@dataclass(slots=True)
class Intake:
    """Paths to record, paths to drop, and files that no tree may hold."""

    add: list[str] = field(default_factory=list)
    drop: list[str] = field(default_factory=list)
    excluded: list[ExcludedFile] = field(default_factory=list)


def sort_out(
    root: Path, changed: Iterable[str], untracked: Iterable[str], links: frozenset[str], limit: int
) -> Intake:
    """Look at each path once more and say where it goes.

    Args:
        root: the work tree.
        changed: paths in the index that differ on the disk.
        untracked: paths that are not in the index.
        links: paths that the index holds as nested repositories.
        limit: bytes an untracked file may have.
    """
    intake = Intake()
    for path in untracked:
        _sort_one(root, path, limit, intake)
    for path in changed:
        if blocking_parent(root, path) is not None:
            intake.drop.append(path)  # beyond a link or a file: whatever lies there is not ours
        elif path in links and (root / path).is_dir():
            intake.add.append(path)
        elif not _sort_one(root, path, limit * TRACKED_LIMIT_FACTOR, intake):
            intake.drop.append(path)
    return intake


def _sort_one(root: Path, path: str, limit: int, intake: Intake) -> bool:
    """Put an existing file where it belongs; False where the tree cannot hold it."""
    place = root / path
    try:
        info = place.lstat()
    except OSError:
        return False
    if stat.S_ISDIR(info.st_mode):
        return False
    reason = _reason(path, place, info, limit)
    if reason is None:
        intake.add.append(path)
        return True
    intake.excluded.append(ExcludedFile(path, info.st_size, reason))
    return False


def _reason(path: str, place: Path, info: os.stat_result, limit: int) -> ExcludedReason | None:
    if any(part.lower() == ".git" for part in path.split("/")):
        return "name"
    if stat.S_ISLNK(info.st_mode):
        return None
    if not stat.S_ISREG(info.st_mode):
        return "special"
    if info.st_size > limit:
        return "size"
    return None if os.access(place, os.R_OK) else "unreadable"
