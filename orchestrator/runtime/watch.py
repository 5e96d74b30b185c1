"""What a running tree uses, sampled, and whether it still shows life.

Life is output, or CPU time above a small share of the time since the last sign: a hung program
whose timers tick over is not at work, a compiler that says nothing is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.runtime import procfs
from orchestrator.runtime.procfs import Stat

CPU_SHARE_OF_LIFE: Final = 0.01


class Usage:
    """Peaks and CPU progress over the samples of one tree."""

    __slots__ = ("_cpu_by_process", "peak_processes", "peak_rss_kb", "rss_kb")

    def __init__(self) -> None:
        self.peak_processes = 1
        self.peak_rss_kb = 0
        self.rss_kb = 0
        self._cpu_by_process: dict[tuple[int, int], int] = {}

    def sample(self, members: Sequence[Stat]) -> int:
        """Take in one look at the tree; return the clock ticks of CPU used since the last one."""
        living = [s for s in members if not s.is_dead]
        self.rss_kb = sum(s.rss_pages for s in living) * procfs.PAGE_KB
        self.peak_rss_kb = max(self.peak_rss_kb, self.rss_kb)
        self.peak_processes = max(self.peak_processes, len(living))
        before = self._cpu_by_process
        # Only those in sight are kept, so a tree that forks for days does not fill the memory.
        self._cpu_by_process = {(s.pid, s.start_ticks): s.cpu_ticks for s in members}
        return sum(
            max(0, ticks - before.get(key, 0)) for key, ticks in self._cpu_by_process.items()
        )


def memory_kb(members: Sequence[Stat], rss_kb: int, limit_kb: int) -> int:
    """Memory of the tree, exact where it matters.

    The sum of resident sizes counts shared pages once for each process, so a pool of forked
    workers looks larger than it is. Under the limit that is good enough; above it each shared
    page is divided among its users, which costs more to read.
    """
    if rss_kb <= limit_kb:
        return rss_kb
    first = _exact_kb(members)
    # While some exit, the shares of the rest grow between two reads: a lasting excess shows twice.
    return first if first <= limit_kb else min(first, _exact_kb(members))


def _exact_kb(members: Sequence[Stat]) -> int:
    total = 0
    for stat in members:
        exact = None if stat.is_dead else procfs.proportional_kb(stat.pid)
        if exact is None:
            now = procfs.read_stat(stat.pid)  # it may be gone by now, or hide its maps from us
            is_same = now is not None and now.start_ticks == stat.start_ticks
            exact = now.rss_pages * procfs.PAGE_KB if now and is_same else 0
        total += exact
    return total


@dataclass(slots=True)
class LifeSigns:
    """When the tree last showed life; times in seconds of any monotonic clock."""

    last_at: float
    _cpu_sec: float = 0.0

    def output(self, now: float) -> None:
        """Something was written."""
        self.last_at = now
        self._cpu_sec = 0.0

    def cpu(self, now: float, used_sec: float) -> None:
        """`used_sec` of CPU time were used since the last call."""
        self._cpu_sec += used_sec
        if self._cpu_sec > 0 and self._cpu_sec >= CPU_SHARE_OF_LIFE * (now - self.last_at):
            self.output(now)
