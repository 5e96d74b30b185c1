"""What comes from the machine: time, chance, processes, signals."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import FrameType

from orchestrator.kernel.records import Moment, RunRecord
from orchestrator.runtime.cancel import CancelToken
from orchestrator.runtime.identity import ProcessIdentity, is_alive, kill_orphans, own_identity


class SystemClock:
    """The wall clock."""

    def __init__(self, stop: StopSignals | None = None) -> None:
        self._stop = stop

    def now(self) -> Moment:
        """Return the present moment, to the millisecond."""
        ms = time.time_ns() // 1_000_000
        seconds, millis = divmod(ms, 1000)
        return Moment(
            ms, f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{millis:03d}Z"
        )

    def wait(self, milliseconds: int) -> None:
        """Return after that time, or sooner when the run is being stopped."""
        if self._stop is None:
            time.sleep(milliseconds / 1000)
        else:
            self._stop.wait(milliseconds)


class RandomIds:
    """Ids that sort by time and end in chance."""

    def run_id(self, stem: str, moment: Moment) -> str:
        """Return `<stem>_<YYYYMMDDThhmmssZ>_<rand7>`."""
        return f"{stem}_{_stamp(moment)}_{secrets.token_hex(4)[:7]}"

    def attempt_id(self, moment: Moment) -> str:
        """Return `A_<YYYYMMDDThhmmssZ>_<rand8>`."""
        return f"A_{_stamp(moment)}_{secrets.token_hex(4)}"


def _stamp(moment: Moment) -> str:
    return datetime.fromtimestamp(moment.ms / 1000, tz=UTC).strftime("%Y%m%dT%H%M%SZ")


class SystemProcesses:
    """Processes of this machine."""

    def is_here(self, run: RunRecord) -> bool:
        """Whether the run was started on this machine."""
        return run.host == socket.gethostname()

    def is_alive(self, run: RunRecord) -> bool:
        """Whether that very process still runs; one of another host counts as alive."""
        if not self.is_here(run):
            return True
        return is_alive(ProcessIdentity(run.pid, run.start_ticks, run.boot_id))

    def kill_leftovers(self, attempt_ids: Sequence[str]) -> int:
        """End every process that carries one of these attempts in its environment."""
        return len(kill_orphans((), markers=attempt_ids, grace_sec=1.0))

    def this_run(self, run_id: str, kind: str, moment: Moment) -> RunRecord:
        """Describe the present process."""
        own = own_identity()
        return RunRecord(
            run_id, kind, own.pid, own.start_ticks, own.boot_id, socket.gethostname(), moment.at
        )


class StopSignals:
    """First SIGINT or SIGTERM: finish what runs, take nothing new. Second: stop it now.

    told: called inside the signal handler, so it must not print through a buffer.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self.cancel = CancelToken()
        self._told = told
        self._count = 0
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        self.signal_number = 0

    @property
    def is_asked(self) -> bool:
        """Take no further task."""
        return self._count > 0

    @property
    def is_forced(self) -> bool:
        """Stop the present attempt, too."""
        return self._count > 1

    @property
    def exit_code(self) -> int:
        """What a program ends with that was stopped in this way: 130 or 143."""
        return 128 + self.signal_number

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self.signal_number = number
        os.write(self._write, b"x")
        if self._count == 1:
            self._told("finishing the present task, then stopping; once more to stop it now")
        else:
            self._told("stopping now: the attempt is ended and rolled back")
            self.cancel.set()

    def wait(self, milliseconds: int) -> None:
        """Wait, or return as soon as a signal came."""
        import select  # noqa: PLC0415  only when a backoff is waited for

        if not self._count:
            select.select([self._read], [], [], milliseconds / 1000)

    def close(self) -> None:
        """Put the old handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)


class NeverStops:
    """For commands that are over in a moment."""

    def __init__(self) -> None:
        self.cancel = CancelToken()

    is_asked = False
    is_forced = False
