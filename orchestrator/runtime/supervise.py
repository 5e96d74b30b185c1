"""The life of one tree, from its spawn to the last of its processes.

`wrapper.run` states the rules; this is the loop that keeps them. One poll waits for output, room
for input, the leader's end and a cancel; everything else is a time at which to wake.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from resource import RUSAGE_SELF, getrusage
from typing import Final

from orchestrator.errors import WorkerError
from orchestrator.runtime.cancel import CancelToken
from orchestrator.runtime.capture import OutputBudget, StreamFile
from orchestrator.runtime.identity import ProcessIdentity, boot_id
from orchestrator.runtime.limits import Limits
from orchestrator.runtime.outcome import Ending, Outcome
from orchestrator.runtime.procfs import read_stat, wait_for_one_end
from orchestrator.runtime.reaper import ProcessTree
from orchestrator.runtime.spawn import open_pipe, spawn_leader
from orchestrator.runtime.watch import LifeSigns, Usage, memory_kb

_CHUNK_BYTES: Final = 64 * 1024
_DRAIN_SEC: Final = 0.3
_DRAIN_GAP_SEC: Final = 0.02
_STRAGGLER_GRACE_SEC: Final = 0.25
_POLL_SEC: Final = 0.05
_SLOW_POLL_SEC: Final = 0.25
_KILL_WAIT_SEC: Final = 10.0
_TICKS_PER_SEC: Final = os.sysconf("SC_CLK_TCK")
_MIB: Final = 1024 * 1024


class Supervision:
    """The life of one tree, from spawn to the last of its processes."""

    def __init__(
        self,
        tree: ProcessTree,
        *,
        limits: Limits,
        budget: OutputBudget,
        grace_sec: float,
        on_output: Callable[[str, bytes], None] | None,
        cancel: CancelToken | None,
    ) -> None:
        self._tree = tree
        self._limits = limits
        self._budget = budget
        self._grace_sec = grace_sec
        self._on_output = on_output
        self._cancel = cancel
        self._poll = select.poll()
        self._streams: dict[int, tuple[str, StreamFile]] = {}
        self._stdin_fd = -1
        self._stdin_left = memoryview(b"")
        self._pidfd = -1
        self.identity = ProcessIdentity(0, 0, boot_id())
        self._popen: subprocess.Popen[bytes] | None = None
        self._leader_gone = True  # until there is one
        self._status = 0
        self._cpu_sec = 0.0
        self._leader_rss_kb = 0
        self._survivors = 0
        self._usage = Usage()
        self._started_ns = 0
        self._ended_ns = 0
        self._life = LifeSigns(0.0)

    def start(
        self,
        argv: Sequence[str],
        cwd: str,
        env: Mapping[str, str],
        stdin: bytes | None,
        files: tuple[StreamFile, StreamFile],
    ) -> None:
        """Spawn the leader in a new session, with its pipes."""
        for_child: list[int] = []
        try:
            for name, file in zip(("stdout", "stderr"), files, strict=True):
                reading, writing = open_pipe()
                for_child.append(writing)
                os.set_blocking(reading, False)
                self._streams[reading] = (name, file)
                self._poll.register(reading, select.POLLIN)
            stdin_fd = subprocess.DEVNULL
            if stdin is not None:
                stdin_fd, self._stdin_fd = open_pipe()
                for_child.append(stdin_fd)
                os.set_blocking(self._stdin_fd, False)
                self._stdin_left = memoryview(stdin)
            self._started_ns = time.monotonic_ns()
            popen = spawn_leader(argv, cwd, env, (stdin_fd, for_child[0], for_child[1]))
        finally:
            for fd in for_child:
                os.close(fd)
        self._popen = popen
        self._adopt(popen.pid)

    def _adopt(self, pid: int) -> None:
        """Take charge of the spawned leader: until it is reaped its number cannot be reused."""
        stat = read_stat(pid)
        self.identity = ProcessIdentity(pid, stat.start_ticks if stat else 0, boot_id())
        self._tree.leader = self.identity
        self._leader_gone = False
        self._pidfd = os.pidfd_open(pid)
        self._poll.register(self._pidfd, select.POLLIN)
        if self._cancel is not None:
            self._poll.register(self._cancel.fileno(), select.POLLIN)
        if self._stdin_fd >= 0:
            self._poll.register(self._stdin_fd, select.POLLOUT)
            self._feed_stdin()

    def watch(self) -> Ending | None:
        """Pump and sample until the leader is gone (None) or a bound is met."""
        started = self._started_ns / 1e9
        self._life = LifeSigns(started)
        limit = self._limits.max_runtime_sec
        deadline = None if limit is None else started + limit
        interval = _POLL_SEC
        next_poll = started + interval
        while not self._leader_gone:
            now = time.monotonic()
            if self._cancel is not None and self._cancel.is_set:
                return Ending.CANCELLED
            if self._budget.is_exceeded:
                return Ending.OUTPUT_EXCEEDED
            if deadline is not None and now >= deadline:
                return Ending.RUNTIME_EXCEEDED
            if now >= min(next_poll, self._silent_at()):
                if ending := self._sample(now):
                    return ending
                interval = self._next_interval(interval)
                next_poll = time.monotonic() + interval
            wake = min(next_poll, self._silent_at(), math.inf if deadline is None else deadline)
            self._pump(wake - time.monotonic())
        return None

    def _silent_at(self) -> float:
        """When the silence gets too long, unless life shows before."""
        limit = self._limits.max_silence_sec
        return math.inf if limit is None else self._life.last_at + limit

    def _next_interval(self, interval: float) -> float:
        """Memory can be eaten fast, so a bound on it keeps the pace; else look less and less."""
        if self._limits.max_memory_mb is not None:
            return _POLL_SEC
        return min(interval * 1.5, _SLOW_POLL_SEC)

    def _sample(self, now: float) -> Ending | None:
        """Look at the tree once: memory, signs of life, dead orphans to be reaped."""
        members = self._tree.members()
        ticks = self._usage.sample(members)
        self._tree.reap(members)
        max_mb = self._limits.max_memory_mb
        if max_mb is not None:
            limit_kb = max_mb * 1024
            if memory_kb(members, self._usage.rss_kb, limit_kb) > limit_kb:
                return Ending.MEMORY_EXCEEDED
        self._life.cpu(now, ticks / _TICKS_PER_SEC)
        return Ending.SILENCE_EXCEEDED if now >= self._silent_at() else None

    def finish(self, ending: Ending | None) -> None:
        """Leave nothing of the tree behind, and read what it last wrote."""
        if ending is None:
            self._drain()
            grace = min(self._grace_sec, _STRAGGLER_GRACE_SEC)
        else:
            if ending is not Ending.MEMORY_EXCEEDED:
                self._terminate()
            grace = 0.0
        self._kill_leader()
        self._survivors = self._tree.sweep(grace)
        self._read_rest()

    def finish_at_once(self) -> None:
        """End the tree without a grace, for the way out of an error."""
        if self.identity.pid:
            self._kill_leader()
            self._survivors = self._tree.sweep(0.0)

    def _terminate(self) -> None:
        """TERM to the whole tree, and give it the grace; its output is read on."""
        if self._cancel is not None:
            self._poll.unregister(self._cancel.fileno())  # readable for good from now on
        deadline = time.monotonic() + self._grace_sec
        # A stopped process takes its TERM only once it is continued.
        self._tree.send(self._tree.members(), signal.SIGTERM, signal.SIGCONT)
        while (left := deadline - time.monotonic()) > 0:
            if self._cancel is not None and self._cancel.is_hurried:
                return
            if self._leader_gone:
                members = self._tree.members()
                self._tree.reap(members)
                if all(s.is_dead for s in members):
                    return
            self._pump(min(left, _DRAIN_GAP_SEC if self._leader_gone else _POLL_SEC))

    def _kill_leader(self) -> None:
        """KILL the leader and its group, if it still is there, and wait for it."""
        if self._leader_gone:
            return
        # Not yet reaped, so neither number can have been given to anybody else.
        self._tree.send(self._tree.members(), signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.identity.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.identity.pid, signal.SIGKILL)
        wait_for_one_end([self.identity.pid], _KILL_WAIT_SEC)
        self._reap_leader()
        if not self._leader_gone:
            raise WorkerError(
                "a killed worker does not die: it is stuck in the kernel or not ours to kill",
                where=f"process {self.identity.pid}",
                mend="look at what it waits for (/proc/PID/stack); a network mount is usual",
            )

    def _reap_leader(self) -> None:
        """Take the leader's status and cost from the kernel, if it has ended."""
        pid = self.identity.pid
        try:
            done, status, usage = os.wait4(pid, os.WNOHANG)
        except ChildProcessError as error:
            self._leader_gone = True
            self._forget_popen(0)
            raise WorkerError(
                "the ending of the worker was taken by somebody else",
                where=f"process {pid}",
                mend="do not ignore SIGCHLD and do not wait for any child in this program",
            ) from error
        if done == 0:
            return
        self._ended_ns = time.monotonic_ns()
        self._leader_gone = True
        self._status = os.waitstatus_to_exitcode(status)
        self._forget_popen(self._status)
        self._cpu_sec = usage.ru_utime + usage.ru_stime
        self._leader_rss_kb = usage.ru_maxrss
        with contextlib.suppress(KeyError, ValueError):
            self._poll.unregister(self._pidfd)

    def _forget_popen(self, status: int) -> None:
        """Tell the Popen object that its child was waited for, or it would wait again."""
        if self._popen is not None:
            self._popen.returncode = status

    def _pump(self, timeout_sec: float) -> bool:
        """Wait for something to happen and take it; False when nothing did."""
        # Round up, or a wait of 0.4 ms becomes a loop that spins.
        events = self._poll.poll(max(0, int(timeout_sec * 1000) + (timeout_sec > 0)))
        for fd, _ in events:
            if fd in self._streams:
                self._read(fd)
            elif fd == self._pidfd:
                self._reap_leader()
            elif fd == self._stdin_fd:
                self._feed_stdin()
        return bool(events)

    def _read(self, fd: int) -> int:
        """Read one chunk; 0 at the end of the stream, or when there is nothing to read."""
        try:
            chunk = os.read(fd, _CHUNK_BYTES)
        except BlockingIOError:
            return 0
        name, file = self._streams[fd]
        if not chunk:
            self._poll.unregister(fd)
            del self._streams[fd]
            os.close(fd)
            return 0
        file.feed(chunk)
        self._life.output(time.monotonic())
        if self._on_output is not None:
            self._on_output(name, chunk)
        return len(chunk)

    def _feed_stdin(self) -> None:
        try:
            while self._stdin_left:
                self._stdin_left = self._stdin_left[os.write(self._stdin_fd, self._stdin_left) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it does not want to read: its right
            pass
        self._close_stdin()

    def _close_stdin(self) -> None:
        if self._stdin_fd >= 0:
            self._poll.unregister(self._stdin_fd)
            os.close(self._stdin_fd)
            self._stdin_fd = -1

    def _drain(self) -> None:
        """Read what the leader left in the pipes, though a grandchild may hold them open."""
        self._close_stdin()
        if self._cancel is not None:
            self._poll.unregister(self._cancel.fileno())
        deadline = time.monotonic() + _DRAIN_SEC
        while self._streams and not self._budget.is_exceeded:
            left = min(_DRAIN_GAP_SEC, deadline - time.monotonic())
            if left <= 0 or not self._pump(left):
                return

    def _read_rest(self) -> None:
        """Take what is still in the pipes once nobody writes; never more than they can hold."""
        for fd in list(self._streams):
            left = _MIB
            while left > 0 and (got := self._read(fd)):
                left -= got

    def outcome(self, ending: Ending | None, out: StreamFile, err: StreamFile) -> Outcome:
        """Close the files and put the value together."""
        if ending is None:
            ending = Ending.EXITED if self._status >= 0 else Ending.SIGNALLED
            if self._budget.is_exceeded:
                ending = Ending.OUTPUT_EXCEEDED
        return Outcome(
            ending=ending,
            exit_code=self._status if self._status >= 0 else None,
            signal=-self._status if self._status < 0 else None,
            wall_us=(self._ended_ns - self._started_ns) // 1000,
            cpu_ms=round((self._cpu_sec + self._tree.reaped_cpu_sec) * 1000),
            peak_rss_kb=self._peak_rss_kb(),
            peak_processes=self._usage.peak_processes,
            stdout=out.close(),
            stderr=err.close(),
            stragglers_killed=len(self._tree.signalled),
            survivors=self._survivors,
            identity=self.identity,
        )

    def _peak_rss_kb(self) -> int:
        """Return the sampled peak, or the kernel's where that one is the leader's for sure.

        A spawned process starts with the peak of its parent, so a figure no larger than our own
        says nothing about the child.
        """
        sampled = self._usage.peak_rss_kb
        if not sampled or self._leader_rss_kb > getrusage(RUSAGE_SELF).ru_maxrss:
            return max(sampled, self._leader_rss_kb)
        return sampled

    def close(self) -> None:
        """Close every descriptor that is still open."""
        for fd in self._streams:
            os.close(fd)
        self._streams.clear()
        if self._stdin_fd >= 0:
            os.close(self._stdin_fd)
            self._stdin_fd = -1
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
