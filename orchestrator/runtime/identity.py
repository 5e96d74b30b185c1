"""Which process exactly, and how to find and end what a dead controller left behind.

A process number alone is no name: it is used again. Number, start time (clock ticks since boot)
and boot id together are. `kill_orphans` acts only on positive evidence: an identity that still
holds, descent from it or its session, or the marker of the attempt in the environment.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orchestrator.runtime import procfs
from orchestrator.runtime.procfs import Stat

_KILL_WAIT_SEC = 10.0  # how long a killed process may take to go before we stop waiting for it


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process: its number, its start in clock ticks since boot, and which boot."""

    pid: int
    start_ticks: int
    boot_id: str


@cache
def boot_id() -> str:
    """Return the kernel's random name for this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def own_identity() -> ProcessIdentity:
    """Return the identity of the calling process."""
    stat = procfs.read_stat(os.getpid())
    return ProcessIdentity(os.getpid(), stat.start_ticks if stat else 0, boot_id())


def identity_of(pid: int) -> ProcessIdentity | None:
    """Return the identity of `pid`, or None when there is no such process."""
    stat = procfs.read_stat(pid)
    return stat and ProcessIdentity(pid, stat.start_ticks, boot_id())


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether that very process still runs; dead and not yet reaped counts as gone."""
    return _stat_of(identity) is not None


def kill_orphans(
    identities: Iterable[ProcessIdentity],
    *,
    marker: str | None = None,
    markers: Collection[str] = (),
    marker_prefix: str | None = None,
    grace_sec: float = 2.0,
) -> list[int]:
    """End what an earlier controller left running: TERM, a grace, then KILL.

    Ends each recorded process that still is the same process, its session and its descendants,
    and every process of this user that carries one of the markers, with their descendants. Never
    ends the caller or its ancestors.

    Args:
        identities: as recorded by `on_start`; those that no longer hold are skipped.
        marker: one attempt's marker.
        markers: several attempts' markers.
        marker_prefix: any marker that starts so; make it name the project, because another
            controller of this user may be at work.
        grace_sec: from TERM to KILL; 0 kills at once.

    Returns:
        The numbers of the processes that were signalled, ascending.

    Raises:
        ValueError: `marker_prefix` is empty, which would mean everybody's.
    """
    if marker_prefix == "":
        raise ValueError("marker_prefix must not be empty: it would match every attempt")
    wanted = frozenset(markers) | ({marker} if marker else set())
    hunt = _Hunt(tuple(identities), wanted, marker_prefix)
    signalled: set[int] = set()
    grace_ends = time.monotonic() + grace_sec
    gives_up = grace_ends + _KILL_WAIT_SEC
    asked: set[tuple[int, int]] = set()
    out_of_reach: set[tuple[int, int]] = set()
    while targets := [s for s in hunt.targets() if (s.pid, s.start_ticks) not in out_of_reach]:
        now = time.monotonic()
        if now >= gives_up:
            break
        for stat in targets:
            key = (stat.pid, stat.start_ticks)
            # A stopped process takes its TERM only once it is continued.
            ask = (signal.SIGKILL,) if now >= grace_ends else (signal.SIGTERM, signal.SIGCONT)
            if key in asked and now < grace_ends:
                continue
            asked.add(key)
            if procfs.send_signal(*key, *ask):
                signalled.add(stat.pid)
            else:
                out_of_reach.add(key)
        until = gives_up if now >= grace_ends else grace_ends
        procfs.wait_for_one_end((s.pid for s in targets), min(until - now, 0.05))
    if signalled:
        from orchestrator.runtime.reaper import reap_strays  # noqa: PLC0415  only in recovery

        reap_strays()
    return sorted(signalled)


@dataclass(frozen=True, slots=True)
class _Hunt:
    """What to look for."""

    identities: tuple[ProcessIdentity, ...]
    markers: frozenset[str]
    prefix: str | None

    def targets(self) -> list[Stat]:
        """Every living process that belongs to what we look for."""
        table = {s.pid: s for s in map(procfs.read_stat, procfs.all_pids()) if s}
        spared = _self_and_ancestors(table)
        leaders = {i.pid for i in self.identities if _stat_of(i) is not None} - spared
        found = set(leaders)
        if self.markers or self.prefix:
            found |= {pid for pid in table if self._is_marked(pid)}
        found |= {s.pid for s in table.values() if s.session in leaders}
        grew = True
        while grew:
            more = {s.pid for s in table.values() if s.parent in found - spared} - found
            found |= more
            grew = bool(more)
        return [table[p] for p in sorted(found - spared) if p in table and not table[p].is_dead]

    def _is_marked(self, pid: int) -> bool:
        try:
            if Path(f"/proc/{pid}").stat().st_uid != os.geteuid():
                return False
        except OSError:
            return False
        value = procfs.marker_of(pid)
        if value is None:
            return False
        return value in self.markers or bool(self.prefix and value.startswith(self.prefix))


def _stat_of(identity: ProcessIdentity) -> Stat | None:
    if identity.boot_id != boot_id() or identity.pid <= 0:
        return None
    stat = procfs.read_stat(identity.pid)
    if stat is None or stat.is_dead or stat.start_ticks != identity.start_ticks:
        return None
    return stat


def _self_and_ancestors(table: dict[int, Stat]) -> set[int]:
    spared = {0, 1}
    pid = os.getpid()
    while pid not in spared:
        spared.add(pid)
        pid = table[pid].parent if pid in table else 0
    return spared
