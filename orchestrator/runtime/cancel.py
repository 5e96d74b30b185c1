"""A way to stop runs from outside, and a bound on how many go on at once.

Both stand on a kernel event counter, so they wake a run that waits for its child, and may be used
from any thread and from a signal handler: they hold no lock.
"""

from __future__ import annotations

import os
import select
import weakref
from types import TracebackType
from typing import Self


class CancelToken:
    """Cancels every run it was handed to, now and later; it cannot be unset."""

    __slots__ = ("__weakref__", "_fd", "_hurried", "_set")

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._set = False
        self._hurried = False
        weakref.finalize(self, os.close, self._fd)

    def set(self) -> None:
        """Ask the runs to end: TERM, their grace, then KILL."""
        self._set = True
        os.eventfd_write(self._fd, 1)

    def hurry(self) -> None:
        """Cancel without a grace, also where a grace is already running."""
        self._hurried = True
        self.set()

    @property
    def is_set(self) -> bool:
        """Whether `set` or `hurry` was called."""
        return self._set

    @property
    def is_hurried(self) -> bool:
        """Whether `hurry` was called."""
        return self._hurried

    def fileno(self) -> int:
        """Return a descriptor that is readable once the token is set; only wait on it."""
        return self._fd


class ParallelSlots:
    """At most `max_parallel_steps` holders at once, among the threads of this process.

    `with slots:` waits for a slot and gives it back. `acquire(cancel)` can be woken.
    """

    __slots__ = ("__weakref__", "_fd")

    def __init__(self, max_parallel_steps: int) -> None:
        if max_parallel_steps <= 0:
            raise ValueError(f"max_parallel_steps must be above 0, got {max_parallel_steps}")
        flags = os.EFD_CLOEXEC | os.EFD_NONBLOCK | os.EFD_SEMAPHORE
        self._fd = os.eventfd(max_parallel_steps, flags)
        weakref.finalize(self, os.close, self._fd)

    def acquire(self, cancel: CancelToken | None = None) -> bool:
        """Wait for a slot and take it; False when `cancel` was set first."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if cancel is not None:
            poll.register(cancel.fileno(), select.POLLIN)
        while cancel is None or not cancel.is_set:
            try:
                os.eventfd_read(self._fd)
            except BlockingIOError:
                poll.poll()
            else:
                return True
        return False

    def release(self) -> None:
        """Give a slot back; once for each `acquire` that answered True."""
        os.eventfd_write(self._fd, 1)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
