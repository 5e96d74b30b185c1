"""What /proc tells about processes, and signals that cannot hit the wrong one.

A process may vanish between any two reads: every reader here answers None or leaves the process
out instead of raising. A process is known by its number and its start time together, because a
number is used again.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

MARKER_VARIABLE: Final = "ORCHESTRATOR_ATTEMPT"
PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") // 1024
_MARKER_ENTRY: Final = b"\0" + MARKER_VARIABLE.encode() + b"="
_READ_BYTES: Final = 65536
_WAIT_FDS: Final = 64  # a fork bomb must not use up our descriptors


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that we use; times in clock ticks, memory in pages."""

    pid: int
    state: str
    parent: int
    session: int
    cpu_ticks: int
    start_ticks: int
    rss_pages: int

    @property
    def is_dead(self) -> bool:
        """Whether it only waits to be reaped."""
        return self.state in "ZX"


def read_stat(pid: int) -> Stat | None:
    """Read /proc/PID/stat; None when there is no such process."""
    data = _read(f"/proc/{pid}/stat")
    if not data:
        return None
    # The name in parentheses may itself hold spaces and parentheses: cut at the last one.
    f = data[data.rindex(b")") + 2 :].split()
    cpu = int(f[11]) + int(f[12]) + int(f[13]) + int(f[14])
    return Stat(pid, f[0].decode(), int(f[1]), int(f[3]), cpu, int(f[19]), int(f[21]))


def children_of(pid: int) -> list[int]:
    """Return the numbers of the direct children of all threads of `pid`, dead ones included."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  hot path
    except OSError:
        return found
    for thread in threads:
        data = _read(f"/proc/{pid}/task/{thread}/children")
        if data is None:
            continue
        found.extend(map(int, data.split()))
    return found


def all_pids() -> Iterator[int]:
    """Every process number visible in /proc."""
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208


def marker_of(pid: int) -> str | None:
    """Return the attempt that `pid` was started for, from its environment at exec.

    None when it carries none, has cleared it, is dead, or belongs to somebody else.
    """
    data = _read(f"/proc/{pid}/environ")
    if not data:
        return None
    data = b"\0" + data
    at = data.find(_MARKER_ENTRY)
    if at < 0:
        return None
    value = data[at + len(_MARKER_ENTRY) :].split(b"\0", 1)[0]
    return value.decode("utf-8", "surrogateescape")


def proportional_kb(pid: int) -> int | None:
    """Memory of `pid` with each shared page divided among its users; None if it cannot be read."""
    data = _read(f"/proc/{pid}/smaps_rollup")
    for line in (data or b"").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1])
    return None


def send_signal(pid: int, start_ticks: int, *signals: int) -> bool:
    """Send `signals` to exactly this process; False when it is gone or out of our reach."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        # The descriptor pins the process, so a check after opening cannot go stale.
        stat = read_stat(pid)
        if stat is None or stat.start_ticks != start_ticks or stat.is_dead:
            return False
        for number in signals:
            signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def wait_for_one_end(pids: Iterable[int], timeout_sec: float) -> None:
    """Return when one of `pids` has ended, or after `timeout_sec`."""
    poll = select.poll()
    opened: list[int] = []
    try:
        for pid in pids:
            if len(opened) == _WAIT_FDS:
                break
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                return
            except OSError:
                continue
            opened.append(pidfd)
            poll.register(pidfd, select.POLLIN)
        poll.poll(max(0.0, timeout_sec) * 1000)
    finally:
        for pidfd in opened:
            os.close(pidfd)


def _read(path: str) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(fd, _READ_BYTES)
        if len(data) < _READ_BYTES // 32:  # seq files stop short of a full page
            return data
        return _read_on(fd, data)
    except OSError:  # the process ended between open and read
        return None
    finally:
        os.close(fd)


def _read_on(fd: int, data: bytes) -> bytes:
    """Read to the end: /proc hands out at most a page at a time."""
    with contextlib.suppress(OSError):
        while more := os.read(fd, _READ_BYTES):
            data += more
    return data
