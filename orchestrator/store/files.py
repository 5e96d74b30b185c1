"""Writing files so that a reader sees the old bytes or the new ones, never a part."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from orchestrator.errors import StoreError

Signature = tuple[int, int, int]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


class NotAFileError(OSError):
    """What stands there is no regular file, or more than anybody reads."""


class ChangedMeanwhileError(Exception):
    """The file is not the one that the caller expected to replace; nothing was replaced."""


def replace_file(
    path: Path,
    chunks: Iterable[bytes],
    *,
    durable: bool = False,
    expected: Signature | None = None,
) -> os.stat_result:
    """Write `chunks` beside `path`, then rename. Returns the new file's status.

    Args:
        path: the file; its folder is made when it is missing.
        chunks: the content.
        durable: wait until content and name are on disk.
        expected: the signature of the file that may be replaced; None: whatever is there.

    Raises:
        ChangedMeanwhileError: another file than the expected one was there, and still is.
        StoreError: the disk refused; `path` is as it was.
    """
    staged = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        handle = open_new(staged)
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(chunks)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
                status = os.fstat(file.fileno())
            if expected is None:
                os.replace(staged, path)  # noqa: PTH105  the same call, without the wrapper
            else:
                _exchange_checked(staged, path, expected)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"cannot write: {error.strerror}",
            where=str(path),
            mend="free some space or make the folder writable; the old file is untouched",
        ) from error
    return status


def open_new(path: Path) -> int:
    """Open a file that is certainly new: what lay there (a link, a pipe) is removed, not used."""
    try:
        return os.open(path, _NEW, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        path.unlink()
    return os.open(path, _NEW, 0o644)


def _exchange_checked(staged: Path, path: Path, expected: Signature) -> None:
    """Swap the two names, look at what was there, and swap back when it is not the expected."""
    before = _content(path)
    if signature(path) != expected:
        raise ChangedMeanwhileError
    if not _exchange(staged, path):
        os.replace(staged, path)  # noqa: PTH105
        return
    if _content(staged) != before:
        _exchange(staged, path)
        raise ChangedMeanwhileError
    staged.unlink()


def _content(path: Path) -> Signature | None:
    """Return what a rename leaves as it is: number, size and time of the last write."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system cannot."""
    rename = _renameat2()
    if rename is None:
        return False
    done = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return bool(done == 0)


@cache
def _renameat2() -> Callable[..., int] | None:
    import ctypes  # noqa: PLC0415  only who writes over a person's file needs it

    try:
        function: Callable[..., int] = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    return function


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """Read a regular file. Raises NotAFileError for anything else, and over `limit` bytes.

    A worker can put a pipe or a device where a file was: a read would wait, or never end.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise NotAFileError(errno.EINVAL, "it is not a regular file", str(path))
        if limit is not None and status.st_size > limit:
            raise NotAFileError(errno.EFBIG, f"it has more than {limit} bytes", str(path))
        with open(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def signature(path: Path) -> Signature | None:
    """Return what changes when a file is written: number, size, time of change. None: no file.

    The time is that of the inode (`ctime`), which nobody can set back.
    """
    try:
        status = os.stat(path)  # noqa: PTH116  a microsecond, once a cycle
    except FileNotFoundError:
        return None
    return (status.st_ino, status.st_size, status.st_ctime_ns)
