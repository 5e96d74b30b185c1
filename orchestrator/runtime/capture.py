"""Output to a file, with a cap: the head, then what was left out, then the tail.

Memory is bounded whatever the flood: one chunk and one tail for each stream. The digest is taken
over the bytes as they go to the file.
"""

from __future__ import annotations

import hashlib
import os
from typing import Final

from orchestrator.errors import StoreError
from orchestrator.runtime.outcome import Captured

TAIL_BYTES: Final = 64 * 1024
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


class OutputBudget:
    """How many bytes all streams of one run may write together; None is no bound."""

    __slots__ = ("_left", "is_exceeded")

    def __init__(self, max_bytes: int | None) -> None:
        self._left = max_bytes
        self.is_exceeded = False

    def take(self, wanted: int) -> int:
        """Return how many of `wanted` bytes are still within the budget, and use them up."""
        if self._left is None:
            return wanted
        granted = min(wanted, self._left)
        self._left -= granted
        self.is_exceeded = self.is_exceeded or granted < wanted
        return granted


class StreamFile:
    """One stream's file; `feed` it, then `close` it once for the `Captured`.

    The file is made readable for its owner only and is never reached through a symbolic link.
    """

    __slots__ = ("_budget", "_digest", "_fd", "_head_full", "_kept", "_path", "_size", "_tail")

    def __init__(self, path: str, budget: OutputBudget) -> None:
        self._path = path
        self._budget = budget
        self._digest = hashlib.sha256()
        self._size = 0
        self._kept = 0
        self._head_full = False
        self._tail = b""
        try:
            self._fd = os.open(path, _FLAGS, 0o600)
        except OSError as error:
            raise _cannot_write(path, error) from error

    def feed(self, chunk: bytes) -> None:
        """Take what was read.

        Raises:
            StoreError: the file cannot be written, for example because the disk is full.
        """
        self._size += len(chunk)
        if not self._head_full:
            granted = self._budget.take(len(chunk))
            self._write(chunk[:granted])
            if granted == len(chunk):
                return
            self._head_full = True
            chunk = chunk[granted:]
        self._budget.is_exceeded = True
        self._tail = (self._tail + chunk)[-TAIL_BYTES:]

    def close(self) -> Captured:
        """Write the tail, close the file, and say what it holds."""
        left_out = self._size - self._kept - len(self._tail)
        try:
            if left_out:
                self._write(b"\n[... %d bytes left out ...]\n" % left_out)
            self._write(self._tail)
        finally:
            self.abandon()
        return Captured(
            self._path, self._size, self._kept, self._digest.hexdigest(), truncated=left_out > 0
        )

    def abandon(self) -> None:
        """Close the file as it is; harmless when it is closed already."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._kept += len(data)
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise _cannot_write(self._path, error) from error


def _cannot_write(path: str, error: OSError) -> StoreError:
    return StoreError(
        f"the output of a command cannot be written: {error.strerror}",
        where=path,
        mend="make the folder exist and be writable, and see that the disk has room",
    )
