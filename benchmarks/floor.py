"""What the machine itself takes, on the file system and under the load of this very run."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from benchmarks.rows import Row, Scale, row

_RECORD = b"x" * 249 + b"\n"


class Floor:
    """One spawn, and one append with fsync for each durable decision. `close` it."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "floor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def fsync_ms(self, times: int = 1) -> float:
        """Time some appends of 250 bytes, each on the disk before the next."""
        start = time.perf_counter()
        for _ in range(times):
            os.write(self._file, _RECORD)
            os.fsync(self._file)
        return (time.perf_counter() - start) * 1e3

    def spawn_ms(self) -> float:
        """Time one `/bin/true`, started and waited for."""
        start = time.perf_counter()
        subprocess.run(["/bin/true"], check=True, close_fds=False)
        return (time.perf_counter() - start) * 1e3

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def measure(folder: Path, scale: Scale) -> list[Row]:
    """Give the two parts of the floor."""
    floor = Floor(folder)
    try:
        pairs = [(floor.spawn_ms(), floor.fsync_ms()) for _ in range(scale.moves)]
    finally:
        floor.close()
    return [
        row("floor.spawn", (spawn for spawn, _ in pairs), "ms"),
        row("floor.fsync", (sync for _, sync in pairs), "ms"),
    ]
