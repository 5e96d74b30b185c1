"""A task's folder against the project's entries: the same bytes, and the artifacts they name."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Final

from workflow_logger.entry import Entry, read_frame
from workflow_logger.errors import EntryError
from workflow_logger.iteration import Iteration
from workflow_logger.layout import EVENTS, Layout
from workflow_logger.report import Findings

_CHUNK: Final = 1 << 20
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)  # at a pipe


class TaskState:
    """What the project's file says about one task so far."""

    __slots__ = ("closed", "digest", "iteration", "last_hash", "size", "size_bytes")

    def __init__(self, genesis_hash: str) -> None:
        self.size = 0
        self.last_hash = genesis_hash
        self.digest = sha256()  # over the task's lines, which its own file repeats
        self.size_bytes = 0
        self.iteration: Iteration | None = None
        self.closed = False


def verify_all(layout: Layout, tasks: dict[str, TaskState], findings: Findings) -> None:
    """Compare every task's file with the project's."""
    folder = os.fspath(layout.tasks)
    for task_id, state in tasks.items():
        path = f"{folder}/{task_id}/{EVENTS}"
        if not _is_same(path, state):
            _explain(path, task_id, state, findings)
    try:
        names = os.listdir(folder)  # noqa: PTH208  names are all that is needed
    except FileNotFoundError:
        names = []
    for name in names:
        if name not in tasks:
            extra = Path(folder, name, EVENTS)
            if extra.exists() and extra.stat().st_size:
                findings.error("task.extra", str(extra), "the project has no entry of this task")


def _is_same(path: str, state: TaskState) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | _NO_FOLLOW | _NO_WAIT)
    except OSError:
        return False
    try:
        digest, left = sha256(), state.size_bytes + 1  # one more: a longer file differs
        while left > 0 and (data := os.read(handle, min(left, _CHUNK))):
            digest.update(data)
            left -= len(data)
    except OSError:
        return False
    finally:
        os.close(handle)
    return left == 1 and digest.digest() == state.digest.digest()


def _explain(path: str, task_id: str, state: TaskState, findings: Findings) -> None:
    """Name how a task's file differs."""
    try:
        if os.path.islink(path):  # noqa: PTH114
            findings.error("task.differs", path, "the task's file is a symbolic link")
            return
        if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
            findings.error("task.differs", path, "it is not a regular file")
            return
        lines = Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        findings.error("task.missing", path, "the task's file is missing", _REBUILD)
        return
    except OSError as error:
        findings.error("task.differs", path, f"cannot be read: {error.strerror}")
        return
    torn = lines.pop()
    whole = [line + b"\n" for line in lines]
    digest = sha256()
    for number, line in enumerate(whole, start=1):
        owner = _owner(line)
        if owner is not None and owner != task_id:
            findings.error("task.swapped", f"{path}:{number}", f"an entry of task {owner!r}")
            return
        digest.update(line)
    if torn and digest.digest() == state.digest.digest():
        where = f"{path}:{len(whole) + 1}"
        findings.warn("task.torn", where, "the last line is torn", "the next append cuts it off")
    elif len(whole) < state.size and _is_chain(whole):
        what = f"holds {len(whole)} of the task's {state.size} entries"
        findings.error("task.tail_dropped", path, what, _REBUILD)
    else:
        findings.error("task.differs", path, "not the bytes that the project's file holds")


_REBUILD: Final = "the project's file holds these entries: the next append to this task mends it"


def _owner(line: bytes) -> str | None:
    try:
        return read_frame(line).task_id
    except EntryError:
        return None


def _is_chain(lines: list[bytes]) -> bool:
    try:
        frames = [read_frame(line) for line in lines]
    except EntryError:
        return False
    return all(frame.task_seq == index for index, frame in enumerate(frames))


def verify_artifact(layout: Layout, entry: Entry, where: str, findings: Findings) -> None:
    """Check the file that an attempt's `code_content` names, when it was too large to inline."""
    content: Any = entry.body.get("code_content")
    if type(content) is not dict:
        return
    name, stated, size = content.get("artifact"), content.get("sha256"), content.get("size_bytes")
    if type(name) is not str or type(stated) is not str or type(size) is not int:
        findings.error("artifact.malformed", where, "code_content names no artifact")
        return
    pure = PurePosixPath(name)
    if pure.parts[:1] != ("artifacts",) or ".." in pure.parts or "\0" in name:
        findings.error("artifact.malformed", where, f"{name!r} is not below artifacts/")
        return
    path = layout.task_dir(entry.task_id) / pure
    try:
        with path.open("rb") as file:
            data_size, digest = 0, sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                data_size += len(chunk)
    except OSError:
        findings.error("artifact.missing", str(path), f"named by {where}, but cannot be read")
        return
    if data_size != size or digest.hexdigest() != stated:
        findings.error("artifact.altered", str(path), f"not the bytes that {where} names")
