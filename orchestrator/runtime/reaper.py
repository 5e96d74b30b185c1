"""Which processes belong to a run, and how to end them all.

The controller makes itself a child subreaper: a process whose parents have all died becomes its
child, wherever `setsid` and double forks took it. So every living process of a run hangs either
below another process of that run or directly below us, and the question is only whose a child of
ours is. The evidence, strongest first:

1. it has our session: somebody else's. A leader starts its own session, and no descendant of it
   can come back into ours. Git and other plain children of this program are told apart so;
2. it is a leader, has the session of one, or was seen below one before: that run's;
3. it carries the marker of a run: that run's, if no other live run has the same marker;
4. nothing speaks for it (it cleared its environment in a new session before we saw it): it
   belongs to the live run when there is only one, unless it is older than that stretch of runs,
   or leads its session and a `Popen` object of this program stands for it. With several live runs
   it waits for the last.

So a child with a session of its own that this program made by other means than `subprocess.Popen`
or this room, or a daemon that such a child left behind during a run, would be taken for a stray.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Final

from orchestrator.errors import WorkerError
from orchestrator.runtime import procfs
from orchestrator.runtime.identity import ProcessIdentity
from orchestrator.runtime.procfs import Stat

_PR_SET_CHILD_SUBREAPER: Final = 36
_MAKING_SEC: Final = 0.25  # what a `Popen` may take from the fork to knowing its child's number
_HOLD_LOOKS: Final = 100
_PUT_OFF_LOOKS: Final = 50
_SWEEP_SEC: Final = 10.0  # what a killed process may take to go; longer, and it is a survivor

_TICKS_PER_SEC: Final = os.sysconf("SC_CLK_TCK")

_lock = threading.Lock()
_live: dict[ProcessTree, None] = {}  # in order of arrival
_state = {"subreaper_pid": 0, "stretch_start_ticks": 0}


def become_subreaper() -> None:
    """Make this process the parent of its orphaned descendants, once.

    Raises:
        WorkerError: the kernel does not offer what ending a process tree needs.
    """
    own = os.getpid()
    if _state["subreaper_pid"] == own:
        return
    lacks = _what_the_kernel_lacks(own)
    if lacks:
        raise WorkerError(
            f"this system cannot end a whole process tree: {lacks}",
            where="runtime",
            mend="run on Linux 5.3 or newer with /proc mounted and pidfd_open allowed",
        )
    _state["subreaper_pid"] = own


def _what_the_kernel_lacks(own: int) -> str | None:
    """Set the subreaper attribute; what stands in the way, or None."""
    import ctypes  # noqa: PLC0415  not needed by those who only read values

    try:
        os.close(os.pidfd_open(own))
    except (OSError, AttributeError) as error:
        return f"pidfd_open: {error}"
    if not Path(f"/proc/self/task/{own}/children").exists():
        return "/proc does not list the children of a process"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        return f"PR_SET_CHILD_SUBREAPER: {os.strerror(ctypes.get_errno())}"
    return None


def has_no_children() -> bool:
    """Whether this process has no child at all, dead or alive: the exact end condition."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def popen_pids() -> tuple[frozenset[int], bool]:
    """Return the children that a `Popen` object stands for, and whether one has no number yet.

    One without a number is being made by another thread, or failed and was kept. Walks the
    interpreter's objects (some 10 ms), so it is asked only where nothing else decides.
    """
    things = [t for t in gc.get_objects() if issubclass(type(t), subprocess.Popen)]
    pids = [getattr(thing, "pid", None) for thing in things]
    return frozenset(p for p in pids if p is not None), None in pids


def reap_strays() -> None:
    """Clear away dead orphans that were handed to us when the controller above them died.

    What is in our session, or has a `Popen` object, is left to whoever asks for its ending.
    """
    own_session = os.getsid(0)
    children = [s for s in map(procfs.read_stat, procfs.children_of(os.getpid())) if s]
    dead = [s.pid for s in children if s.is_dead and s.session != own_session]
    if dead:
        spared, _ = popen_pids()
        for pid in dead:
            if pid not in spared:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


class ProcessTree:
    """The processes of one run. Registered before the spawn, until nothing of it is left.

    Used by one thread, the one that runs it; only the table of live trees is shared.
    """

    def __init__(self, marker: str | None) -> None:
        self.leader: ProcessIdentity | None = None
        self.marker = marker
        self.signalled: set[tuple[int, int]] = set()  # all but the leader
        self.reaped_cpu_sec = 0.0
        self.is_leader_reaped = False
        # The last two looks: one look may miss a process while others come and go.
        self._seen: set[tuple[int, int]] = set()
        self._seen_before: set[tuple[int, int]] = set()
        self._spared: set[tuple[int, int]] = set()
        self._is_undecided = False
        self._put_off = 0
        with _lock:
            if not _live:
                _state["stretch_start_ticks"] = _ticks_now()
            _live[self] = None

    def unregister(self) -> None:
        """Leave the table of live trees, where `sweep` has not done so."""
        with _lock:
            _live.pop(self, None)

    def members(self, *, hold: bool = False) -> list[Stat]:
        """Every process of this run, dead and unreaped ones included, parents before children.

        `hold` stops those that nothing speaks for while it is found out whose they are: finding
        out takes long enough for a process that forks and exits at once to be gone each time.
        """
        found, doubtful = self._look()
        held: dict[tuple[int, int], None] = {}
        if hold and doubtful:
            # Those that are surely ours go first: a fast forker is not caught by thinking.
            self._put_off += 1
            if self._put_off % _PUT_OFF_LOOKS and not all(s.is_dead for s in found):
                doubtful = []
            elif held := self._hold(doubtful):
                found, doubtful = self._look()
        found.extend(self._without_popens(doubtful))
        seen = {s.pid for s in found}
        for stat in found:  # grows while we walk: the whole tree, breadth first
            below = () if stat.is_dead else procfs.children_of(stat.pid)
            more = [s for s in map(procfs.read_stat, below) if s and s.pid not in seen]
            seen.update(s.pid for s in more)
            found.extend(more)
        self._seen, self._seen_before = {(s.pid, s.start_ticks) for s in found}, self._seen
        for key in held.keys() - self._seen:
            procfs.send_signal(*key, signal.SIGCONT)
        return found

    def _look(self) -> tuple[list[Stat], list[Stat]]:
        """Our children that belong to this run, and session leaders that only may do so."""
        own_session = os.getsid(0)
        children = [s for s in map(procfs.read_stat, procfs.children_of(os.getpid())) if s]
        # A run registers before it spawns. So no child of a run that is missing here, where the
        # children are listed already, can be among them.
        others = [tree for tree in list(_live) if tree is not self]
        ours: list[Stat] = []
        doubtful: list[Stat] = []
        for stat in children:
            verdict = False if stat.session == own_session else self._is_ours(stat, others)
            if verdict is None and not others and self._is_recent(stat):
                # What somebody else spawned is in our session or leads its own: this is neither.
                verdict = True if stat.session != stat.pid else None
                if verdict is None and (stat.pid, stat.start_ticks) not in self._spared:
                    doubtful.append(stat)
            if verdict:
                ours.append(stat)
        return ours, doubtful

    def _hold(self, doubtful: list[Stat]) -> dict[tuple[int, int], None]:
        """Stop the doubtful ones until no new one turns up; which ones were stopped."""
        held: dict[tuple[int, int], None] = {}
        for _ in range(_HOLD_LOOKS):
            running = [s for s in doubtful if s.state not in "TtZX"]
            new = [key for s in running if (key := (s.pid, s.start_ticks)) not in held]
            if not new:
                break
            held.update((k, None) for k in new if procfs.send_signal(*k, signal.SIGSTOP))
            doubtful = self._look()[1]
        return held

    def send(self, members: list[Stat], *signals: int) -> None:
        """Signal the living among `members`."""
        leader = self.leader
        for stat in members:
            key = (stat.pid, stat.start_ticks)
            sent = not stat.is_dead and procfs.send_signal(*key, *signals)
            if sent and not (leader and key == (leader.pid, leader.start_ticks)):
                self.signalled.add(key)

    def reap(self, members: list[Stat]) -> None:
        """Take away the dead among `members` that are our children; the leader is not touched."""
        own = os.getpid()
        for stat in members:
            is_leader = self.leader is not None and stat.pid == self.leader.pid
            if stat.is_dead and stat.parent == own and not is_leader:
                with contextlib.suppress(ChildProcessError):
                    usage = os.wait4(stat.pid, os.WNOHANG)[2]
                    self.reaped_cpu_sec += usage.ru_utime + usage.ru_stime

    def sweep(self, grace_sec: float) -> int:
        """End what is left after the leader: TERM, `grace_sec`, KILL, until nothing is left.

        Returns how many could not be ended, and leaves the table of live trees.
        """
        grace_ends = time.monotonic() + grace_sec
        gives_up = grace_ends + _SWEEP_SEC
        while True:
            with _lock:
                _live.setdefault(self)
                was_sole = len(_live) == 1
            survivors = self._sweep_until(grace_ends, gives_up)
            with _lock:
                # Two runs that end together each leave the doubtful ones to the other; the one
                # that finds itself the last looks once more.
                if survivors or was_sole or len(_live) > 1:
                    _live.pop(self, None)
                    return survivors

    def _sweep_until(self, grace_ends: float, gives_up: float) -> int:
        clean_looks = 0
        asked: set[tuple[int, int]] = set()
        while not has_no_children():
            members = self.members(hold=time.monotonic() >= grace_ends)
            self.reap(members)
            living = [s for s in members if not s.is_dead]
            clean_looks = 0 if members or self._is_undecided else clean_looks + 1
            # A listing of children may miss one while others come and go: look twice.
            if clean_looks > 1:
                break
            now = time.monotonic()
            if now >= gives_up:
                return len(living)
            if now >= grace_ends:
                self.send(living, signal.SIGKILL)
            else:
                new = [s for s in living if (s.pid, s.start_ticks) not in asked]
                self.send(new, signal.SIGTERM, signal.SIGCONT)
                asked.update((s.pid, s.start_ticks) for s in new)
            until = gives_up if now >= grace_ends else grace_ends
            if members or self._is_undecided:
                procfs.wait_for_one_end((s.pid for s in living), min(until - now, 0.02))
        return 0

    def _is_ours(self, stat: Stat, others: list[ProcessTree]) -> bool | None:
        """Whose a child of ours is; None when nothing speaks for anybody."""
        if self._holds(stat):
            return True
        if any(tree._holds(stat) for tree in others):  # noqa: SLF001  same class
            return False
        marker = procfs.marker_of(stat.pid)
        if marker is not None:
            sharers = [tree for tree in others if tree.marker == marker]
            if marker == self.marker:
                return None if sharers else True
            if sharers:
                return False
        return None

    def _holds(self, stat: Stat) -> bool:
        leader = self.leader
        if leader is None:
            return False
        key = (stat.pid, stat.start_ticks)
        if key in self._seen or key in self._seen_before:
            return True
        return stat.session == leader.pid and stat.start_ticks >= leader.start_ticks

    def _is_recent(self, stat: Stat) -> bool:
        return stat.start_ticks >= _state["stretch_start_ticks"]

    def _without_popens(self, leaders: list[Stat]) -> list[Stat]:
        """Leave out the session leaders that a `Popen` object of this program stands for."""
        self._is_undecided = False
        if not leaders:
            return []
        spared, is_making = popen_pids()
        self._spared.update((s.pid, s.start_ticks) for s in leaders if s.pid in spared)
        strays = [s for s in leaders if s.pid not in spared]
        if is_making:
            known_by = _ticks_now() - int(_MAKING_SEC * _TICKS_PER_SEC)
            self._is_undecided = any(s.start_ticks > known_by for s in strays)
            strays = [s for s in strays if s.start_ticks <= known_by]
        return strays


def _ticks_now() -> int:
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS_PER_SEC)
