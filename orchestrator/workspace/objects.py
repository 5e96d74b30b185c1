"""Write a commit and a ref in git's own formats, without starting a process.

A commit is forty bytes of header and a message: writing it here saves two processes for each
checkpoint, which is more than half of its wall time. Only these two formats are written by hand
(loose object, loose ref); they have not changed since git's first year. Where refs are kept in
another form (reftable) the caller uses `git update-ref`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import zlib
from pathlib import Path
from typing import Final

from orchestrator.errors import WorkspaceError

IDENTITY: Final = "orchestrator <orchestrator@localhost>"
_REF: Final = re.compile(r"refs/orchestrator(/[A-Za-z0-9][A-Za-z0-9._-]*)+")


def commit_bytes(tree: str, message: str, parent: str | None, at_epoch_sec: int) -> bytes:
    """The body of a commit object; the same arguments give the same bytes."""
    lines = [f"tree {tree}"]
    if parent is not None:
        lines.append(f"parent {parent}")
    who = f"{IDENTITY} {at_epoch_sec} +0000"
    lines += [f"author {who}", f"committer {who}", "", message.rstrip("\n"), ""]
    return "\n".join(lines).encode("utf-8", "backslashreplace")


def object_id(kind: str, body: bytes, object_format: str) -> str:
    """The id git gives to `body`, in hex."""
    digest = hashlib.new(object_format, usedforsecurity=False)
    digest.update(f"{kind} {len(body)}".encode() + b"\0" + body)
    return digest.hexdigest()


def write_object(
    objects: Path, kind: str, body: bytes, object_format: str, *, durable: bool
) -> str:
    """Store `body` as a loose object below `objects`; return its id.

    The file gets its final name only when it is whole (and, where `durable`, on the disk).
    """
    oid = object_id(kind, body, object_format)
    path = objects / oid[:2] / oid[2:]
    if path.exists():
        return oid
    content = zlib.compress(f"{kind} {len(body)}".encode() + b"\0" + body, 1)
    path.parent.mkdir(exist_ok=True)
    temporary = path.parent / f"tmp_obj_{os.getpid()}_{oid[:8]}"
    temporary.unlink(missing_ok=True)  # a killed writer may have had our number
    _write_new(temporary, content, mode=0o444, durable=durable)
    temporary.rename(path)
    return oid


def is_own_ref(ref: str) -> bool:
    """Whether `ref` lies in our namespace and git would accept its name."""
    return (
        _REF.fullmatch(ref) is not None
        and ".." not in ref
        and not any(part.endswith((".lock", ".")) for part in ref.split("/"))
    )


def write_loose_ref(common_dir: Path, ref: str, oid: str) -> None:
    """Point `ref` at `oid` as git does: an exclusive `.lock` file, then a rename.

    Raises:
        ValueError: `ref` is not in our namespace (the caller's mistake).
        WorkspaceError: it is locked, or its directory leads out of the repository.
    """
    if not is_own_ref(ref):
        raise ValueError(f"not a ref of ours: {ref!r}")
    path = common_dir / ref
    _make_real_dirs(common_dir, path.parent)
    lock = path.with_name(path.name + ".lock")
    content = f"{oid}\n".encode()
    try:
        _write_new(lock, content, mode=0o666, durable=True)
    except FileExistsError as error:
        if path.exists():
            raise WorkspaceError(
                f"{ref} is locked", where=str(lock), mend="remove the lock if no git is running"
            ) from error
        # Git locks only what is there: a writer of this very ref was killed before its rename.
        lock.unlink(missing_ok=True)
        _write_new(lock, content, mode=0o666, durable=True)
    lock.rename(path)


def _make_real_dirs(base: Path, leaf: Path) -> None:
    """Make `leaf` below `base`; refuse a symbolic link on the way."""
    here = base
    for part in leaf.relative_to(base).parts:
        here = here / part
        with contextlib.suppress(FileExistsError):
            here.mkdir()
        if here.is_symlink() or not here.is_dir():
            raise WorkspaceError(
                "a directory for refs is a link or a file",
                where=str(here),
                mend="find out who put it there, and remove it",
            )


def _write_new(path: Path, content: bytes, *, mode: int, durable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, mode)
    try:
        os.write(descriptor, content)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
