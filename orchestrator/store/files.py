"""Writing files so that a reader sees the old bytes or the new ones, never a part."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from orchestrator.errors import StoreError


def replace_file(path: Path, chunks: Iterable[bytes], *, durable: bool = False) -> os.stat_result:
    """Write `chunks` beside `path`, then rename. Returns the new file's status.

    Raises:
        StoreError: the disk refused; `path` is as it was.
    """
    staged = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged.open("wb") as file:
            file.writelines(chunks)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            status = os.fstat(file.fileno())
        os.replace(staged, path)  # noqa: PTH105  the same call, without the wrapper
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)
        raise StoreError(
            f"cannot write: {error.strerror}",
            where=str(path),
            mend="free some space or make the folder writable; the old file is untouched",
        ) from error
    return status


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def signature(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written: inode, size, time of change. None: no file."""
    try:
        status = os.stat(path)  # noqa: PTH116  a microsecond, once a cycle
    except FileNotFoundError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)
