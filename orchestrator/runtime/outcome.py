"""How a process tree ended, as a value.

An ending that hurts (a limit, a signal, a cancel) is an `Outcome`, never an exception: a worker
that times out is an ordinary day. Only a program that could not be started at all is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.runtime.identity import ProcessIdentity


class Ending(StrEnum):
    """Why the leader of the tree is gone."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    RUNTIME_EXCEEDED = "runtime_exceeded"
    SILENCE_EXCEEDED = "silence_exceeded"
    MEMORY_EXCEEDED = "memory_exceeded"
    OUTPUT_EXCEEDED = "output_exceeded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Captured:
    """One output stream, as it lies on disk.

    `size_bytes` counts what the tree wrote and we read; `kept_bytes` is the size of the file, and
    `sha256` (64 hex digits) is of the file's bytes. When `truncated`, the file holds the head, a
    line that says how many bytes were left out, and the tail.
    """

    path: str
    size_bytes: int
    kept_bytes: int
    sha256: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The ending of one run, with what it cost.

    `exit_code` and `signal` are what the kernel said about the leader (exactly one is set), also
    where a limit ended it. Both are None, and `identity.pid` is 0, when the run was cancelled
    before it started. `wall_us` runs from just before the spawn to the moment the leader was seen
    dead; clearing up after it is not in it. `cpu_ms` is user and system time of everything reaped.

    `peak_rss_kb` and `peak_processes` are of the whole tree, sampled; a leader too short-lived to
    be sampled reports the kernel's own peak, which the kernel never lets fall below the resident
    size of the controller at the spawn. `stragglers_killed` counts processes other than the leader
    that had to be signalled. `survivors` counts those that would not die (another user's process,
    a process stuck in the kernel): 0 on every ordinary day, and never hidden.
    """

    ending: Ending
    exit_code: int | None
    signal: int | None
    wall_us: int
    cpu_ms: int
    peak_rss_kb: int
    peak_processes: int
    stdout: Captured
    stderr: Captured
    stragglers_killed: int
    survivors: int
    identity: ProcessIdentity

    @property
    def wall_ms(self) -> int:
        """Wall time in whole milliseconds."""
        return self.wall_us // 1000
